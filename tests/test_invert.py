"""Inversion: who learns, from what, and that company, shards and kills change nothing."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny_models import alphas_of, condition_of, save_samples, save_tiny, tokens_of

from stages.artifacts import ShardReader
from stages.invert.command import run
from stages.invert.loss import diffusion_loss
from stages.invert.recipe import Contrast, Mask, Settle, TextualRecipe
from stages.invert.textual import optimise
from stages.learning.draws import draw
from stages.learning.mcpl import attended, contrast
from stages.learning.trainable_tokens import trainable_row, trainable_tokens, trainable_words
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe

TEXTS = [
    "a red circle and a blue circle",
    "the disk is on grass .",
    "a green square inside a ring",
    "of the and .",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def backbone(folder):
    return load(BackboneRecipe(kind="stable-diffusion", path=str(folder)))


def recipe_for(folder, **options):
    values = {"steps": 4, "draws": 2, "lr": 0.05} | options
    return TextualRecipe(backbone=BackboneRecipe(kind="stable-diffusion", path=str(folder)), **values)


def learn(backbone, recipe, texts=TEXTS, ids=None, latents=None):
    tokens = tokens_of(backbone, texts)
    ids = ids or [f"s{TEXTS.index(text)}" for text in texts]
    if latents is None:
        latents = torch.stack(
            [torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(int(i[1:]))) for i in ids]
        )
    trainable = trainable_tokens(backbone, tokens, texts, recipe.words, join=False)
    return optimise(backbone, latents, trainable, ids, recipe)


def test_content_words_learn_by_the_closed_list():
    text = "The boy's 2 red circles, and the hoop1 on it"
    assert [s.of(text) for s in trainable_words(text, "content")] == ["boy's", "red", "circles", "hoop1"]
    assert "," not in [s.of(text) for s in trainable_words(text, "all")]
    assert [s.of(text) for s in trainable_words(text, ["RED"])] == ["red"]


def test_function_words_and_texts_without_content_stay_put(backbone, folder):
    learned = learn(backbone, recipe_for(folder))
    tokens = tokens_of(backbone, TEXTS)
    (encoding,) = tokens.encodings
    assert learned[3].tokens == ((),) and learned[3].losses == ()
    (chosen,) = learned[0].tokens
    moved = {TEXTS[0][slice(*encoding.offsets[0][t])] for t in chosen}
    assert moved == {"red", "blue", "circle"}
    first = backbone.embed(tokens)[0][0, list(chosen)]
    assert (learned[0].vectors[0] - first).abs().amax(dim=1).min() > 1e-3  # every content token moved


def test_two_equal_words_learn_vectors_of_their_own(backbone, folder):
    learned = learn(backbone, recipe_for(folder))[0]
    (encoding,) = tokens_of(backbone, TEXTS).encodings
    spans = [s for s in trainable_words(TEXTS[0], "content") if s.of(TEXTS[0]) == "circle"]
    rows = [learned.tokens[0].index(encoding.pieces(0, span)[0]) for span in spans]
    assert not torch.allclose(learned.vectors[0][rows[0]], learned.vectors[0][rows[1]])


def test_the_loss_is_the_published_one(backbone, folder):
    """Equation 2 by hand, from the same draws."""
    recipe = recipe_for(folder, draws=3)
    condition = condition_of(backbone, TEXTS[:2])
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        losses = diffusion_loss(backbone, latents, condition, ["a", "b"], 7, recipe)
        alphas = alphas_of(folder)
        for n, name in enumerate("ab"):
            timesteps, noise = draw(0, "invert", name, 7, 3, (4, 16, 16), (0, 1000))
            errors = []
            for t, e in zip(timesteps, noise, strict=True):
                noised = alphas[t].sqrt() * latents[n] + (1 - alphas[t]).sqrt() * e
                out = backbone.predict(noised[None], t[None], condition.select([n]))[0]
                errors.append((out - e).square().mean())
            torch.testing.assert_close(losses[n], torch.stack(errors).mean(), rtol=1e-4, atol=1e-5)


def test_velocity_backbones_are_trained_towards_velocity(tmp_path):
    backbone = load(BackboneRecipe(kind="stable-diffusion", path=str(save_tiny(tmp_path, prediction="v_prediction"))))
    latents, noise = torch.randn(1, 4, 16, 16), torch.randn(1, 4, 16, 16)
    a = alphas_of(tmp_path)[300]
    expected = a.sqrt() * noise - (1 - a).sqrt() * latents
    torch.testing.assert_close(backbone.path.target(latents, noise, torch.tensor([300])), expected)


def test_company_does_not_change_a_result(backbone, folder):
    recipe = recipe_for(folder, steps=5)
    together = learn(backbone, recipe)
    for n, text in enumerate(TEXTS[:3]):
        alone = learn(backbone, recipe, [text])[0]
        torch.testing.assert_close(alone.vectors[0], together[n].vectors[0], rtol=1e-3, atol=1e-4)


def test_draws_depend_on_sample_and_step_only():
    one = draw(0, "invert", "a", 3, 4, (2, 2, 2), (200, 900))
    assert all(torch.equal(x, y) for x, y in zip(one, draw(0, "invert", "a", 3, 4, (2, 2, 2), (200, 900)), strict=True))
    assert not torch.equal(one[1], draw(0, "invert", "b", 3, 4, (2, 2, 2), (200, 900))[1])
    assert not torch.equal(one[1], draw(0, "invert", "a", 4, 4, (2, 2, 2), (200, 900))[1])
    assert one[0].min() >= 200 and one[0].max() < 900
    timesteps, noise = draw(0, "invert", "a", 0, 4, (2, 1, 1), (0, 1000), antithetic=True)
    assert torch.equal(timesteps[:2], timesteps[2:]) and torch.equal(noise[:2], -noise[2:])
    spread, _ = draw(0, "invert", "a", 0, 10, (2, 1, 1), (0, 1000), stratified=True)
    assert [int(t) // 100 for t in spread] == list(range(10))


def test_unknown_words_can_start_from_the_tables_mean_and_spread(backbone, folder):
    (encoding,) = tokens_of(backbone, TEXTS).encodings
    plain = learn(backbone, recipe_for(folder, steps=1, lr=1e-9))[2]
    random = learn(backbone, recipe_for(folder, steps=1, lr=1e-9, initial="random-unknown"))[2]
    chosen = trainable_row(TEXTS[2], encoding, 2, "content")
    for row, token in enumerate(chosen.tokens):
        assert torch.allclose(plain.vectors[0][row], random.vectors[0][row], atol=1e-6) == (token not in chosen.unknown)
    everything = learn(backbone, recipe_for(folder, steps=1, lr=1e-9, initial="random"))[2]
    assert 0.3 < everything.vectors[0].std() / backbone.tables[0].std() < 3


def test_learning_rate_units(backbone, folder):
    def moved(**options):
        recipe = recipe_for(folder, steps=1, weight_decay=0.0, **options)
        still = learn(backbone, recipe_for(folder, steps=1, lr=1e-12))[0]
        return learn(backbone, recipe)[0].vectors[0] - still.vectors[0]

    # AdamW's first step has the size of its rate.
    assert moved(lr=0.01).abs().median() == pytest.approx(0.01, rel=0.05)
    assert moved(lr=0.01, scale_lr=True).abs().median() == pytest.approx(0.02, rel=0.05)
    spread = float(backbone.tables[0].std())
    assert moved(lr=0.01, lr_unit="table").abs().median() == pytest.approx(0.01 * spread, rel=0.05)


def test_known_words_can_learn_slower_or_not_at_all(backbone, folder):
    text = "a red circle and a qzxv circle"
    given = tokens_of(backbone, [text])
    trainable = trainable_tokens(backbone, given, [text], "content", join=False)
    tokens, unknown = trainable.rows[0][0].tokens, trainable.rows[0][0].unknown
    assert 0 < len(unknown) < len(tokens)
    first = backbone.embed(given)[0][0, list(tokens)]
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    moved = {}
    for rate in (0.0, 0.5, 1.0):
        recipe = recipe_for(folder, known_rate=rate, weight_decay=0.0, steps=1)
        (learned,) = optimise(backbone, latents, trainable, ["s0"], recipe)
        moved[rate] = (learned.vectors[0] - first).norm(dim=1)
    new = torch.tensor([token in unknown for token in tokens])
    assert torch.all(moved[0.0][~new] == 0)
    assert torch.all(moved[0.0][new] > 0)
    torch.testing.assert_close(moved[0.5][~new], 0.5 * moved[1.0][~new], rtol=1e-4, atol=1e-7)


def test_settled_images_stop_and_keep_what_they_had(backbone, folder):
    """A huge tolerance settles everything at the second look; what was learned is what two looks' steps teach."""
    settle = Settle(every=2, tolerance=1.0, patience=1, draws=2)
    stopped = learn(backbone, recipe_for(folder, steps=12, settle=settle))
    assert [len(one.losses) for one in stopped] == [4, 4, 4, 0]
    short = learn(backbone, recipe_for(folder, steps=4))
    for one, other in zip(stopped, short, strict=True):
        torch.testing.assert_close(one.vectors[0], other.vectors[0])
    strict = learn(backbone, recipe_for(folder, steps=6, settle=Settle(every=2, tolerance=1e-12)))
    assert [len(one.losses) for one in strict] == [6, 6, 6, 0]


def test_a_settled_image_is_left_alone_while_others_go_on(backbone, folder, monkeypatch):
    from stages.invert.early_stopping import EarlyStopping

    monkeypatch.setattr(EarlyStopping, "going_on", lambda self, active: [n for n in active if n != 1])
    learned = learn(backbone, recipe_for(folder, steps=6, settle=Settle(every=2)))
    assert [len(one.losses) for one in learned] == [6, 2, 6, 0]
    torch.testing.assert_close(learned[1].vectors[0], learn(backbone, recipe_for(folder, steps=2))[1].vectors[0])
    torch.testing.assert_close(learned[0].vectors[0], learn(backbone, recipe_for(folder, steps=6))[0].vectors[0])


def words_of(backbone, texts):
    tokens = tokens_of(backbone, texts)
    words = trainable_tokens(backbone, tokens, texts, "content", join=False).learning()
    (encoding,) = tokens.encodings
    rows = zip(words.text.tolist(), words.token.tolist(), strict=True)
    named = [(n, texts[n][slice(*encoding.offsets[n][t])]) for n, t in rows]
    return words, named


def test_tokens_know_their_word_and_their_run(backbone):
    words, named = words_of(backbone, ["unclear blue star on a ring", "red disk, star"])
    by_text = {}
    for (n, piece), word, chunk in zip(named, words.word.tolist(), words.run.tolist(), strict=True):
        by_text.setdefault((n, word), ["", chunk])[0] += piece
    assert list(map(tuple, by_text.values())) == [
        ("unclear", 0),
        ("blue", 0),
        ("star", 0),
        ("ring", 1),
        ("red", 0),
        ("disk", 0),
        ("star", 1),
    ]
    later = words.of([1])
    assert set(later.text.tolist()) == {0} and later.word.max() == 2


def test_masked_loss_counts_where_learning_words_attend(backbone, folder):
    words, _ = words_of(backbone, ["red disk"])
    maps = torch.zeros(1, 1, 24, 2, 2)
    maps[0, 0, words.token] = torch.tensor([[1.0, 0.2], [0.5, 0.0]])
    maps[0, 0, 0] = 9.0  # a token that does not learn
    hard = attended(maps, words, Mask(threshold=0.3), (4, 4))[0, 0, 0]
    assert hard.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    soft = attended(maps, words, Mask(hard=False), (2, 2))[0, 0, 0]
    torch.testing.assert_close(soft, torch.tensor([[1.0, 0.2], [0.5, 0.0]]))
    plain = learn(backbone, recipe_for(folder, steps=2))
    masked = learn(backbone, recipe_for(folder, steps=2, mask=Mask(threshold=0.9)))
    everywhere = learn(backbone, recipe_for(folder, steps=2, mask=Mask(threshold=0.0)))
    assert all(m < p for p, m in zip(plain[0].losses, masked[0].losses, strict=True))
    torch.testing.assert_close(everywhere[0].vectors[0], plain[0].vectors[0])


def test_contrast_is_the_supervised_contrastive_loss_with_explicit_labels(backbone):
    """Three nouns with an adjective each: the case that pairing rows by index arithmetic gets wrong."""
    texts = ["a red circle and a blue star on a green ring", "grass"]
    words, named = words_of(backbone, texts)
    torch.manual_seed(0)
    context = torch.randn(2, 24, 8)
    features, runs = {}, {}
    for (n, _), token, word, chunk in zip(
        named, words.token.tolist(), words.word.tolist(), words.run.tolist(), strict=True
    ):
        features.setdefault((n, word), []).append(context[n, token])
        runs[n, word] = chunk
    rows = {k: torch.stack(v).mean(0) for k, v in features.items() if k[0] == 0}
    total = []
    for i in rows:
        sims = {j: float(torch.cosine_similarity(rows[i], rows[j], dim=0)) / 0.3 for j in rows if j != i}
        (partner,) = [j for j in sims if runs[j] == runs[i]]
        total.append(np.log(sum(np.exp(list(sims.values())))) - sims[partner])
    got = contrast(context, words, Contrast(temperature=0.3))
    assert got[0] == pytest.approx(np.mean(total), rel=1e-4)
    assert got[1] == 0  # a lone word has nobody to be told from


def test_contrast_pulls_a_run_together(backbone, folder):
    def closeness(**options):
        learned = learn(backbone, recipe_for(folder, steps=6, **options), [TEXTS[0]])[0]
        tokens = tokens_of(backbone, [TEXTS[0]])
        embeddings = backbone.embed(tokens)
        embeddings[0][0, list(learned.tokens[0])] = learned.vectors[0]
        context = backbone.condition(tokens, embeddings).context
        words, _ = words_of(backbone, [TEXTS[0]])
        return float(contrast(context, words, Contrast())[0])

    assert closeness(contrast=Contrast(weight=50.0)) < closeness()


# The stage


def test_a_shard_by_command_and_the_same_bytes_again(folder, tmp_path):
    samples = save_samples(tmp_path / "samples", [*TEXTS, "red " * 40])
    recipe = recipe_for(folder).model_dump(mode="json")
    for name in ("one", "two"):
        run(samples=samples, recipe=recipe, output=tmp_path / name / "manifest.json", batch_size=2, device="cpu")
    assert (tmp_path / "one/manifest.json").read_bytes() == (tmp_path / "two/manifest.json").read_bytes()
    result = ShardReader(tmp_path / "one/manifest.json", "invert")
    assert "window" in result.failures["s4"]
    tensors = load_file(result.file("embeddings.safetensors"))
    assert tensors["vectors"].shape == (len(tensors["token"]), 32)
    assert set(tensors["sample"]) == {0, 1, 2}
    assert tensors["loss"].shape == (5, 4)
    assert np.isfinite(tensors["loss"][:3]).all() and np.isnan(tensors["loss"][3:]).all()
    assert result.manifest.models["backbone"].sha256


def test_how_far_each_word_went_is_kept_beside_what_it_learned(folder, tmp_path):
    samples = save_samples(tmp_path / "samples", TEXTS)
    moved = {}
    for lr in (0.05, 0.5):
        output = tmp_path / str(lr) / "manifest.json"
        recipe = recipe_for(folder, lr=lr, pieces="joined").model_dump(mode="json")
        run(samples=samples, recipe=recipe, output=output, device="cpu")
        rows = ShardReader(output, "invert").table("drift")
        moved[lr] = {(row["sample_id"], row["start"], row["end"]): row["drift"] for row in rows}
    content = {(f"s{n}", s.start, s.end) for n, text in enumerate(TEXTS) for s in trainable_words(text, "content")}
    assert moved[0.05].keys() == content  # a word of several pieces is one token here
    assert all(0 < own < moved[0.5][place] for place, own in moved[0.05].items())


def test_a_killed_run_goes_on_to_the_same_bytes(folder, tmp_path, monkeypatch):
    from stages.invert import textual

    samples = save_samples(tmp_path / "samples", TEXTS)
    recipe = recipe_for(folder).model_dump(mode="json")
    run(samples=samples, recipe=recipe, output=tmp_path / "whole/manifest.json", batch_size=2, device="cpu")
    calls, real = [], textual.learn

    def dies(model, inputs, texts, sample_ids, settings, kept):
        calls.append(sample_ids)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(model, inputs, texts, sample_ids, settings, kept)

    monkeypatch.setattr(textual, "learn", dies)
    output = tmp_path / "killed/manifest.json"
    with pytest.raises(KeyboardInterrupt):
        run(samples=samples, recipe=recipe, output=output, batch_size=2, device="cpu")
    assert not output.exists()
    run(samples=samples, recipe=recipe, output=output, batch_size=2, device="cpu")
    assert calls == [["s0", "s1"], ["s2", "s3"], ["s2", "s3"]]  # the first batch was found again
    assert output.read_bytes() == (tmp_path / "whole/manifest.json").read_bytes()
