"""Training the embedded models: what is measured is what is meant, and a stopped run goes on as if unbroken."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.training import autoencoder, backbone, dataset, evaluate_backbone, tokenizer, training
from lab.training.train_backbone import MARGIN, attention_loss, contrast_loss, vocabulary, wrong_captions
from stages.world.sample import naming_words, sample
from stages.world.scene import scene


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    texts = [sample("train", index, variant=v).text for index in range(150) for v in range(2)]
    return tokenizer.train(texts, tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def written():
    torch.manual_seed(0)
    images = np.stack([scene("train", index).image for index in range(60)])
    model = autoencoder.build().eval()
    autoencoder.write_patch_pca(model, images)
    return model


def test_the_encoder_is_the_linear_map_that_is_read_out(written):
    unit = training.to_unit(np.stack([scene("val", index).image for index in range(3)]))
    projection = autoencoder.as_projection(written)
    with torch.no_grad():
        through = autoencoder.latents(written, unit)
    assert torch.allclose(through, autoencoder.project(projection, unit), atol=2e-3)
    assert through.shape == (3, 16, 16, 16)
    assert float(through.std()) == pytest.approx(1.0, abs=0.3)


def test_the_latents_keep_what_the_decoder_needs(written):
    """Even the best linear decoder of the latents is above the autoencoder's bar."""
    unit = training.to_unit(np.stack([scene("val", index).image for index in range(24)]))
    with torch.no_grad():
        hidden = written.encode(unit).latent_dist.mode().permute(0, 2, 3, 1).reshape(-1, 16)
    patches = unit.reshape(24, 3, 16, 8, 16, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 192)
    inputs = torch.cat([hidden, torch.ones(len(hidden), 1)], 1)
    guess = inputs @ torch.linalg.lstsq(inputs, patches).solution
    assert float(autoencoder.psnr(guess.reshape(24, -1), patches.reshape(24, -1)).mean()) > 25


def test_psnr_is_in_decibels_of_the_full_range():
    image = torch.zeros(1, 3, 4, 4)
    assert float(autoencoder.psnr(image + 0.2, image)) == pytest.approx(20.0, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=12))
def test_any_word_can_be_written(marks, text: str):
    """No text meets the unknown token, and offsets point into it."""
    encoding = marks(text, return_offsets_mapping=True, truncation=False)
    inner = encoding["input_ids"][1:-1]
    assert marks.unk_token_id not in inner
    assert all(0 <= a <= b <= len(text) for a, b in encoding["offset_mapping"])


def test_words_of_the_world_are_whole_and_unseen_ones_come_in_pieces(marks):
    assert len(marks("striped").input_ids) == 3
    assert len(marks("Circle").input_ids) == 3
    assert len(marks("crimson").input_ids) > 3
    assert marks("a circle1").input_ids[-3:-1] == marks("circle 1").input_ids[-3:-1]


def test_every_caption_fits_the_window(marks):
    lengths = [len(marks(sample("test", index).text).input_ids) for index in range(300)]
    assert max(lengths) <= tokenizer.WINDOW


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**8))
def test_tokens_are_labelled_with_what_their_words_name(marks, index: int):
    item = sample("val", index)
    encoding = marks(item.text, padding="max_length", truncation=True, return_offsets_mapping=True)
    names, roles = dataset.label(item.caption, encoding)
    offsets = np.asarray(encoding["offset_mapping"])
    for word in naming_words(item.caption):
        inside = (offsets[:, 0] >= word.span.start) & (offsets[:, 1] <= word.span.end) & (offsets[:, 1] > 0)
        assert inside.any()
        assert {dataset.ROLES[r] for r in roles[inside]} == {word.role}
        slots = {s for phrase in word.phrases for s in _slots(item.caption.names[phrase])}
        assert {s for s in range(dataset.SLOTS) if names[inside][0] >> s & 1} == slots
    assert (roles[offsets[:, 1] == 0] == 0).all(), "marks and padding name nothing"


def _slots(named):
    return [*named.instances, *(4 + g for g in named.grounds)]


def test_cover_counts_pixels():
    drawn = scene("val", 3)
    planes = dataset.cover(drawn)
    for slot, thing in enumerate(drawn.instances):
        assert planes[slot].sum() / 255 * 64 == pytest.approx(thing.mask.sum(), rel=0.02)


def test_attention_loss_is_least_where_attention_covers_the_mask():
    cover = torch.zeros(1, dataset.SLOTS, 16, 16)
    cover[0, 0, 4:8, 4:8] = 1
    names, roles = torch.tensor([[0, 1]]), torch.tensor([[0, 1]])
    weight = torch.ones(1)

    def loss(place: torch.Tensor) -> float:
        share = torch.stack([1 - place, place], -1).reshape(1, 1, 256, 2)
        return float(attention_loss({"layer": share}, names, roles, cover, weight))

    exact = cover[0, 0].flatten() * 0.4
    half = exact.clone()
    half[: 6 * 16] = 0
    away = torch.roll(exact, 8 * 16)
    assert loss(exact) == pytest.approx(0, abs=1e-3)
    assert loss(exact * 0.1) == pytest.approx(0, abs=1e-3), "how much attention a word takes is its own affair"
    assert loss(exact) < loss(half) < loss(away)


def _word(role: str, hot: tuple[int, int], mask: np.ndarray, tags: tuple[str, ...] = ()):
    maps = np.zeros((1, 16, 16), dtype=np.float32)
    maps[0][hot] = 1
    return evaluate_backbone.WordMap(role, maps, mask, tags, two_grounds=True)


def test_pointing_counts_the_greatest_place_inside_the_mask():
    mask = np.zeros((128, 128), dtype=bool)
    mask[8:16, 16:24] = True  # cell (1, 2)
    words = [
        _word("noun", (1, 2), mask),
        _word("noun", (1, 3), mask, ("small",)),
        _word("colour", (1, 2), mask),
        _word("ground", (9, 9), mask),
        _word("noun", (9, 9), mask, ("synonym",)),
    ]
    figures, threshold = evaluate_backbone.score(words, [0])
    assert figures["noun_pointing"] == 0.5
    assert figures["noun_pointing_small"] == 0.0
    assert figures["colour_pointing"] == 1.0
    assert figures["ground_pointing"] == 0.0
    assert figures["synonym_noun_pointing"] == 0.0
    assert figures["noun_pointing_all"] == pytest.approx(1 / 3)
    again, _ = evaluate_backbone.score(words, [0], threshold)
    assert again["noun_map_iou"] == pytest.approx(figures["noun_map_iou"])


def test_a_stopped_run_goes_on_with_weights_optimiser_and_curve(tmp_path):
    def fresh():
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 1)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    def steps(run, model, optimiser, until):
        while run.step < until:
            x = torch.from_numpy(np.random.default_rng([0, run.step]).standard_normal((4, 3))).float()
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            run.step += 1
            run.note(loss=loss.item())

    whole, optimiser = fresh()
    run = training.Run(tmp_path / "whole", {"model": whole, "optimiser": optimiser})
    assert not run.resume()
    steps(run, whole, optimiser, 8)

    model, optimiser = fresh()
    run = training.Run(tmp_path / "broken", {"model": model, "optimiser": optimiser})
    steps(run, model, optimiser, 5)
    run.save()
    model, optimiser = fresh()
    run = training.Run(tmp_path / "broken", {"model": model, "optimiser": optimiser})
    assert run.resume()
    assert run.step == 5
    steps(run, model, optimiser, 8)
    assert torch.equal(model.weight, whole.weight)
    assert [point["step"] for point in run.curve] == list(range(1, 9))


def test_a_saved_backbone_loads_as_the_library_loads_it(tmp_path, marks, written):
    words, vae = tmp_path / "words", tmp_path / "vae"
    marks.save_pretrained(words)
    written.save_pretrained(vae)
    unet, text = backbone.build_unet(), backbone.build_text_encoder(len(marks))
    backbone.save(tmp_path / "backbone", unet, text, words, vae, {"world": "embedded"})
    files = [f for f in (tmp_path / "backbone").rglob("*") if f.is_file()]
    assert max(f.stat().st_size for f in files) <= 16 * 1000 * 1000
    loaded, encoder, tokens, _, scheduler, record = backbone.load(tmp_path / "backbone")
    assert record == {"world": "embedded"}
    assert scheduler.config.prediction_type == "epsilon"
    ids = torch.tensor([tokens("a red circle", padding="max_length").input_ids])
    latents, step = torch.randn(1, 16, 16, 16), torch.tensor([500])
    with torch.no_grad():
        hidden = encoder(ids).last_hidden_state
        again = loaded(latents, step, hidden).sample
        first = unet.float()(latents, step, text(ids).last_hidden_state).sample
    assert torch.allclose(again, first, atol=0.03)
    index = json.loads((tmp_path / "backbone" / "model_index.json").read_text())
    assert index["unet"] == ["diffusers", "UNet2DConditionModel"]
    crossing = [name for name in unet.attn_processors if ".attn2." in name]
    assert len(crossing) == 3
    assert not any(name.startswith("mid_block") for name in crossing)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**8))
def test_a_wrong_caption_differs_in_one_things_noun_or_colour(marks, index: int):
    item = sample("train", index)
    encoding = marks(item.text, padding="max_length", truncation=True, return_offsets_mapping=True)
    names, roles = (torch.from_numpy(x.astype(np.int64))[None] for x in dataset.label(item.caption, encoding))
    ids = torch.tensor([encoding["input_ids"]])
    words = vocabulary(marks)
    wrong, slots = wrong_captions(ids, names, roles, words, torch.Generator().manual_seed(index))
    changed = (wrong != ids)[0]
    if int(slots[0]) < 0:
        assert not changed.any()
        return
    assert changed.any()
    assert (names[0, changed] == 1 << int(slots[0])).all(), "only words of the one thing change"
    (role,) = {dataset.ROLES[r] for r in roles[0, changed].tolist()}
    assert set(wrong[0, changed].tolist()) <= set(words[role])


def test_contrast_loss_asks_for_a_margin_around_the_object_only():
    cover = torch.zeros(2, dataset.SLOTS, 16, 16)
    cover[:, 0, 4:8, 4:8] = 1
    slots, sight = torch.tensor([0, -1]), torch.ones(2)
    right = torch.full((2, 16, 16), 0.1)
    elsewhere = right.clone()
    elsewhere[:, 12:, 12:] = 9
    around = right * (1 + 2 * MARGIN)
    assert float(contrast_loss(right, right, slots, cover, sight)) == pytest.approx(MARGIN)
    assert float(contrast_loss(right, elsewhere, slots, cover, sight)) == pytest.approx(MARGIN)
    assert float(contrast_loss(right, around, slots, cover, sight)) == 0
