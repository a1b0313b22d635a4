"""InvSeg: its losses against their plain forms, views that fit upon the image, classes by characters, the stage."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file
from tiny_models import save_samples, save_tiny, tokens_of

from stages.artifacts import AnywordError, ShardReader
from stages.artifacts.language import words
from stages.artifacts.maps import read_maps
from stages.attend.command import run as attend
from stages.invert.command import run
from stages.invert.invseg import learn
from stages.invert.recipe import InvSegRecipe
from stages.learning.classes import class_spans, each_class, memberships
from stages.learning.clustering import LEAST, Distances, class_maps, cluster_loss, enlarge_own, entropy_loss, shares
from stages.learning.phrase_clusters import phrase_clusters
from stages.learning.recipe import Clustering
from stages.learning.token_groups import TokenGroups
from stages.learning.views import RATIO, View, draw_views, together
from stages.models.diffusion import load
from stages.models.inputs import Inputs
from stages.models.reading import AttentionMaps
from stages.models.recipe import BackboneRecipe

TEXTS = ["red circle, blue circle", "disk, grass, sand", " , ;", "green square"]


def plain_cluster_loss(maps, own, scale, centre):
    """Equations 3 to 8 as they stand, S and all."""
    logs = own.clamp_min(LEAST).log()
    divergence = (own[:, None] * (logs[:, None] - logs[None])).sum(-1)
    distance = divergence + divergence.T
    anchors = torch.sigmoid(scale * (maps - centre))
    count = len(maps)

    def between(c, other):
        to_map = (distance @ maps[other]) / maps[other].sum()  # equation 4
        return (anchors[c] * to_map).sum() / anchors[c].sum()  # equation 5

    within = sum(between(c, c) for c in range(count)) / count
    if count == 1:
        return within
    across = sum(between(c, other) for other in range(count - 1) for c in range(other + 1, count))
    return within - 2 * across / (count * (count - 1))


@settings(max_examples=25)
@given(
    cells=st.integers(2, 24),
    classes=st.integers(1, 5),
    scale=st.sampled_from([1.0, 4.0, 16.0]),
    centre=st.sampled_from([0.0, 0.5, 1.0]),
    sharp=st.sampled_from([0.1, 1.0, 5.0]),
    seed=st.integers(0, 1000),
)
def test_the_loss_without_s_is_the_papers_and_so_are_its_gradients(cells, classes, scale, centre, sharp, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = (torch.randn(cells, cells, generator=generator, dtype=torch.float64) * sharp).requires_grad_()
    maps = torch.rand(classes, cells, generator=generator, dtype=torch.float64).requires_grad_()
    found = []
    for loss in (
        lambda own: cluster_loss(maps, Distances.of(own), scale=scale, centre=centre),
        lambda own: plain_cluster_loss(maps, own, scale, centre),
    ):
        value = loss(scores.softmax(-1))
        found.append((value, *torch.autograd.grad(value, (maps, scores))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_views_of_a_batch_count_each_for_itself():
    own = torch.rand(3, 16, 16).softmax(-1)
    maps = torch.rand(3, 4, 16)
    together_ = cluster_loss(maps, Distances.of(own), scale=4, centre=0.5)
    alone = [cluster_loss(m, Distances.of(o), scale=4, centre=0.5) for m, o in zip(maps, own, strict=True)]
    torch.testing.assert_close(together_, torch.stack(alone))


def test_two_clusters_in_closed_form():
    """Two cells a cluster, alike inside it: within costs nothing, across costs the divergence p log(p/q) both ways."""
    p, q = torch.tensor([0.4, 0.4, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.4, 0.4])
    own = torch.stack([p, p, q, q])
    maps = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    apart = float(((p - q) * (p / q).log()).sum())
    loss = cluster_loss(maps, Distances.of(own), scale=1000.0, centre=0.5)  # anchors as good as binary
    assert float(loss) == pytest.approx(-apart, rel=1e-5)
    mixed = cluster_loss(torch.full((2, 4), 1.0), Distances.of(own), scale=4.0, centre=0.5)
    assert float(mixed) == pytest.approx(0, abs=1e-6)  # classes that are everywhere are told from nothing
    alone = cluster_loss(maps[:1], Distances.of(own), scale=1000.0, centre=0.5)
    assert float(alone) == pytest.approx(0, abs=1e-5)


def test_entropy_is_the_papers_sum_and_no_entropy_unless_asked():
    maps = torch.tensor([[[1.0, 0.5]], [[0.0, 0.5]]])
    seen = torch.ones(1, 2, dtype=torch.bool)
    assert float(entropy_loss(maps, seen, normalise=False)) == pytest.approx((0 + np.log(2)) / 2, abs=1e-5)
    both = torch.full((2, 1, 2), 1.0)
    assert float(entropy_loss(both, seen, normalise=False)) == pytest.approx(0, abs=1e-6)  # -1 log 1, twice
    assert float(entropy_loss(both, seen, normalise=True)) == pytest.approx(np.log(2), abs=1e-6)
    assert float(entropy_loss(both, ~seen, normalise=False)) == 0


def test_maps_are_the_words_mean_spread_and_stretched():
    cross = torch.rand(1, 5, 9)
    own = torch.rand(1, 9, 9).softmax(-1)
    members = torch.tensor([[0, 0.5, 0.5, 0, 0], [0, 0, 0, 1.0, 0]])
    found = class_maps(cross, own, members, 1)[0]
    wanted = own[0] @ cross[0, 1:3].mean(0)
    torch.testing.assert_close(found[0], (wanted - wanted.min()) / (wanted.max() - wanted.min()))
    assert found.amin() == 0 and found.amax() == 1
    flat = class_maps(torch.full((1, 5, 9), 0.2), own, members, 0)
    assert torch.equal(flat, torch.zeros_like(flat))  # a map that is the same everywhere points nowhere
    torch.testing.assert_close(shares(found).sum(0), torch.ones(9))


def test_enlarged_self_attention_is_still_shared_out():
    own = torch.rand(2, 12, 12).softmax(-1)
    big = enlarge_own(own, (3, 4), 6)
    assert big.shape == (2, 36, 36)
    torch.testing.assert_close(big.sum(-1), torch.ones(2, 36))


# Views


@given(seed=st.integers(0, 10_000), least=st.floats(0.05, 1.0))
def test_views_lie_inside_the_image_and_show_enough(seed, least):
    (view,) = draw_views(seed, "s", 0, 1, least)
    assert view.height * view.width >= least - 1e-9
    assert 0 <= view.top <= view.top + view.height <= 1 + 1e-9
    assert 0 <= view.left <= view.left + view.width <= 1 + 1e-9
    assert 1 / RATIO - 1e-9 <= view.height / view.width <= RATIO + 1e-9


def test_views_are_drawn_by_sample_and_step():
    assert draw_views(0, "a", 1, 2, 0.6) == draw_views(0, "a", 1, 2, 0.6)
    others = [draw_views(1, "a", 1, 2, 0.6), draw_views(0, "b", 1, 2, 0.6), draw_views(0, "a", 2, 2, 0.6)]
    assert all(one != draw_views(0, "a", 1, 2, 0.6) for one in others)


def test_a_view_laid_back_shows_what_was_there():
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij")
    picture = torch.stack([rows, columns])
    whole = View(0, 0, 1, 1)
    laid, seen = whole.lay_back(whole.cut(picture))
    torch.testing.assert_close(laid, picture)
    assert seen.all()
    part = View(0.25, 0.125, 0.5, 0.75)
    laid, seen = part.lay_back(part.cut(picture))
    assert seen[12:36, 8:56].all() and seen.sum() == 24 * 48
    torch.testing.assert_close(laid[:, seen], picture[:, seen], atol=0.01, rtol=0)
    mean, everywhere = together(torch.stack([whole.cut(picture), part.cut(picture)]), [whole, part])
    assert torch.equal(everywhere, seen)
    torch.testing.assert_close(mean[:, seen], picture[:, seen], atol=0.01, rtol=0)


# Classes


@given(st.text(st.sampled_from("abé ,;\n."), max_size=30))
def test_classes_of_a_list_are_spans_of_its_text(text):
    spans = class_spans(text, "list")
    assert [span.of(text) for span in spans] == [
        p for p in map(str.strip, text.replace(";", ",").replace("\n", ",").split(",")) if p
    ]


def test_classes_of_a_sentence_are_its_runs_of_content():
    text = "A striped red circle is left of the  blue star, on grass"
    assert [span.of(text) for span in class_spans(text, "runs")] == ["striped red circle", "blue star", "grass"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder):
    return load(recipe_for(folder).backbone)


def recipe_for(folder, **options):
    backbone = BackboneRecipe(kind="stable-diffusion", path=str(folder))
    return InvSegRecipe(backbone=backbone, **({"steps": 3} | options))


def test_a_classs_columns_are_its_words(model):
    texts = ["red circle, grass"]
    (members,) = memberships(tokens_of(model, texts), texts, "list", 24)
    assert members.shape[0] == 2
    torch.testing.assert_close(members.sum(1), torch.ones(2))
    assert not (members[0] * members[1]).any()


def test_a_sentences_phrases_are_clustered_as_a_lists_classes(model):
    """Beside the diffusion loss a run of words is what a class is to InvSeg: the same members, the same loss."""
    texts = ["a striped red circle and a disk", "and"]
    tokens = tokens_of(model, texts)
    encoding = tokens.encodings[0]
    positions = [
        [[n for n in range(len(own)) if any(n in tokens.columns(row, span) for span in class_spans(text, "runs"))]]
        for row, (text, own) in enumerate(zip(texts, encoding.offsets, strict=True))
    ]
    groups = TokenGroups([[own[0] for own in positions]], tokens)
    cross = torch.rand(4, 24, 4, 4, requires_grad=True)  # two images, two draws
    own = torch.rand(4, 16, 16).softmax(-1)
    found = phrase_clusters(AttentionMaps(cross, own), 2, groups, Clustering(refine=1))
    members = memberships(tokens, texts, "runs", 24)[0]
    seen = class_maps(cross[:2].flatten(2), own[:2], members, 1)
    assert groups.run_members(2, 24)[0].sum(1).tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(found[0], cluster_loss(seen, Distances.of(own[:2]), scale=4.0, centre=0.5))
    assert found[1].tolist() == [0, 0]  # a text that names nothing
    found.sum().backward()
    assert cross.grad[:2].any() and not cross.grad[2:].any()


def test_a_class_has_a_text_of_its_own(model):
    text = "red circle, grass"
    tokens = each_class(model, text, template="a photo of {}")
    assert len(tokens) == 2
    said = [[span.of(text) for span in words(text) if tokens.columns(row, span)] for row in range(2)]
    assert said == [["red", "circle"], ["grass"]]


# Learning


def inputs_of(model, texts, ids):
    pixels = torch.stack([torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(int(i[1:]))) for i in ids])
    pixels = 2 * torch.nn.functional.interpolate(pixels, size=model.image_size) - 1
    return Inputs(tuple(range(len(ids))), (0,) * len(ids), model.latents(pixels), pixels, tokens_of(model, texts), {})


def learned(model, recipe, ids=("s0", "s1", "s3")):
    texts = [TEXTS[int(one[1:])] for one in ids]
    return dict(zip(ids, learn(model, inputs_of(model, texts, ids), texts, list(ids), recipe), strict=True))


@pytest.mark.parametrize(
    "options",
    [{}, {"crops": "redrawn", "normalise": "classes"}, {"side": 24, "self_gradient": True, "tokens": "classes"}],
)
def test_company_does_not_change_what_is_learned(model, folder, options):
    recipe = recipe_for(folder, **options)
    whole = learned(model, recipe)
    for name, one in whole.items():
        alone = learned(model, recipe, [name])[name]
        assert alone.tokens == one.tokens
        # Adam takes a whole step where a gradient is nothing but rounding: hence the mean, and not every number.
        assert float((alone.vectors[0] - one.vectors[0]).abs().mean()) < 1e-4
        assert alone.losses == pytest.approx(one.losses, abs=1e-3)


def test_all_columns_learn_or_those_of_the_classes(model, folder):
    with torch.no_grad():
        tokens = tokens_of(model, [TEXTS[0]])
        before = model.condition(tokens, model.embed(tokens)).context[0]
    every = learned(model, recipe_for(folder), ["s0"])["s0"]
    assert every.tokens == (tuple(range(len(before))),)
    assert (every.vectors[0] != before).any(dim=1).all()
    few = learned(model, recipe_for(folder, tokens="classes"), ["s0"])["s0"]
    assert few.tokens[0] == tuple(c for s in words(TEXTS[0]) for c in tokens.columns(0, s) if s.of(TEXTS[0]) != ",")
    assert (few.vectors[0] != before[list(few.tokens[0])]).any()


def test_nothing_is_learned_without_steps_or_classes(model, folder):
    assert all(one.tokens == ((),) for one in learned(model, recipe_for(folder, steps=0)).values())
    runs = recipe_for(folder, classes="runs")
    text = "of the and ."
    (one,) = learn(model, inputs_of(model, [text], ["s0"]), [text], ["s0"], runs)
    assert one.tokens == ((),) and one.losses == ()


def test_the_loss_falls_on_what_it_is_of(model, folder):
    losses = learned(model, recipe_for(folder, steps=12, lr=0.1, timesteps=(50, 51)))["s1"].losses
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


# The stages


def test_attend_reads_what_invseg_learned(folder, tmp_path):
    texts = [one for one in TEXTS if class_spans(one, "list")]
    samples = save_samples(tmp_path / "samples", texts)
    for name in ("one", "two"):
        recipe = recipe_for(folder).model_dump(mode="json")
        run(samples=samples, recipe=recipe, output=tmp_path / name / "manifest.json", batch_size=2, device="cpu")
    assert (tmp_path / "one/manifest.json").read_bytes() == (tmp_path / "two/manifest.json").read_bytes()
    none = recipe_for(folder, steps=0).model_dump(mode="json")
    run(samples=samples, recipe=none, output=tmp_path / "none/manifest.json", device="cpu")
    path = ShardReader(tmp_path / "one/manifest.json", "invert").file("embeddings.safetensors")
    with safe_open(path, "numpy") as file:
        assert file.metadata() == {"space": "output"}
    tensors = load_file(path)
    assert set(tensors["sample"]) == {0, 1, 2} and tensors["loss"].shape == (3, 3)
    attender = {"kind": "single-step", "at": [50], "refine": 1, "backbone": recipe_for(folder).backbone.model_dump()}
    maps = {}
    for name in ("one", "none"):
        output = tmp_path / f"maps-{name}" / "manifest.json"
        attend(
            samples=samples,
            embeddings=tmp_path / name / "manifest.json",
            recipe=attender,
            output=output,
            device="cpu",
        )
        maps[name] = read_maps(ShardReader(output, "attend").file("maps.zarr")).maps
    assert maps["one"].shape == maps["none"].shape and not np.array_equal(maps["one"], maps["none"])
    each = {**attender, "template": "a photo of {}"}
    output = tmp_path / "each" / "manifest.json"
    attend(samples=samples, embeddings=tmp_path / "none/manifest.json", recipe=each, output=output, device="cpu")
    own = read_maps(ShardReader(output, "attend").file("maps.zarr"))
    assert own.maps.shape == maps["none"].shape and not np.array_equal(own.maps, maps["none"])
    with pytest.raises(AnywordError, match="steps: 0"):
        attend(
            samples=samples, embeddings=tmp_path / "one/manifest.json", recipe=each, output=tmp_path / "x/manifest.json"
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [({"timesteps": (9, 9)}, "no|not a range"), ({"clustering": 0.0, "entropy": 0.0}, "nothing to learn by")],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        InvSegRecipe(**options)
