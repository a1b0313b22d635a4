"""Memory decides how many rows a call holds, and nothing else."""

import logging

import pytest
import torch
from test_face import GRID, Joint
from test_invert import TEXTS, recipe_for
from tiny_models import condition_of, save_tiny, tokens_of

from stages.adapt.lora import Pairs, train
from stages.adapt.recipe import LoraRecipe
from stages.artifacts import AnywordError
from stages.attend import null_text
from stages.attend.averager import Averager
from stages.attend.ddim import ddim_inversion
from stages.invert.loss import step_gradients
from stages.invert.recipe import Clustering, Contrast, Entropy, Mask
from stages.invert.textual import optimise
from stages.invert.vectors import Learner
from stages.learning.microbatches import groups
from stages.learning.trainable_tokens import trainable_tokens
from stages.models import embedded_sam, memory
from stages.models.diffusion import load
from stages.models.face import Condition
from stages.models.limit import limit_memory
from stages.models.memory import GIB, Memory, bytes_of, counted
from stages.models.reading import AttentionReader
from stages.models.recipe import BackboneRecipe
from stages.models.sam import SegmentAnything
from stages.models.unet import UNetModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def backbone(folder):
    return load(BackboneRecipe(kind="stable-diffusion", path=str(folder)))


@pytest.fixture
def passes(monkeypatch):
    """Rows of every pass that is really made."""
    made, real = [], UNetModel._pass

    def counting(self, latents, *arguments, **options):
        if type(latents) is torch.Tensor:  # not one that is only counted
            made.append(len(latents))
        return real(self, latents, *arguments, **options)

    monkeypatch.setattr(UNetModel, "_pass", counting)
    return made


def at_most(model, rows):
    """The model with a memory that holds so many rows of any call."""
    model.memory._cap = rows
    return model


def latents_of(count):
    return torch.randn(count, 4, 16, 16, generator=torch.Generator().manual_seed(0))


def learn(backbone, recipe, texts=TEXTS[:3]):
    trainable = trainable_tokens(backbone, tokens_of(backbone, texts), texts, recipe.words, join=False)
    return optimise(backbone, latents_of(len(texts)), trainable, ["a", "b", "c"], recipe)


def gradients_of(backbone, recipe, texts=TEXTS[:3]):
    """Losses and gradients of a step, the denoiser's in float64, whose sums no kernel's order of them shows in. (What
    AdamW makes of them would turn a rounding error into a whole step.)"""
    backbone.denoiser.double()
    learner = Learner(backbone, trainable_tokens(backbone, tokens_of(backbone, texts), texts, "content", join=False))
    reader = AttentionReader(backbone, own=recipe.clustering is not None) if recipe.reads_maps else None
    losses = step_gradients(learner, latents_of(len(texts)), ["a", "b", "c"], [0, 1, 2], 0, recipe, reader)
    return losses, learner.encoders[0].now.grad


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(a.abs().max()))


# What is counted


def test_what_is_counted_is_what_tensors_take():
    def function():
        first = torch.zeros(1000)  # 4 000 bytes
        second = first + 1  # as many again, and `first` goes
        del first
        return second.view(10, 100)

    assert counted(function) == (4000, 8000)


def test_weights_and_what_was_there_before_count_nothing():
    layer, given = torch.nn.Linear(100, 100), torch.zeros(5, 100)
    assert counted(lambda: layer(given))[0] == 5 * 100 * 4
    assert bytes_of([layer, "no module"]) == (100 * 100 + 100) * 4


def test_counting_computes_nothing_and_leaves_the_model_as_it_was(backbone):
    condition = condition_of(backbone, [TEXTS[0]])
    before = backbone.predict(latents_of(1), torch.tensor([300]), condition)
    small = Memory(backbone.device, backbone.memory.weights)
    small.limit = small.weights / GIB
    backbone.memory = small
    assert backbone.rows_that_fit(latents_of(5), condition, ()) == 1
    assert torch.equal(before, backbone.predict(latents_of(1), torch.tensor([300]), condition))


@pytest.mark.parametrize("learns", [True, False])
def test_the_count_is_proportional_to_rows_and_more_with_gradients(backbone, learns):
    context = condition_of(backbone, TEXTS[:3]).context.requires_grad_(learns)
    sizes = [
        counted(lambda rows=rows: backbone._counted_rows(rows, latents_of(3), Condition(context), (), learns, False))[1]
        for rows in (1, 2, 3)
    ]
    assert sizes[2] - sizes[1] == pytest.approx(sizes[1] - sizes[0], rel=0.05)


def test_a_limit_decides_rows_and_without_one_a_cpu_makes_one_call(backbone, passes):
    condition = condition_of(backbone, TEXTS[:1]).repeat(6)
    at = torch.full((6,), 300)
    with torch.no_grad():
        whole = backbone.predict(latents_of(6), at, condition)
        assert passes == [6]
        row = counted(lambda: backbone.predict(latents_of(6)[:1], at[:1], condition.select([0])))[1]
        limit_memory((backbone.memory.weights + 2.5 * row) / GIB)
        try:
            backbone.memory = Memory(backbone.device, backbone.memory.weights)
        finally:
            limit_memory(None)
        passes.clear()
        parted = backbone.predict(latents_of(6), at, condition)
    assert passes == [2, 2, 2]
    torch.testing.assert_close(parted, whole)


def test_where_free_memory_does_not_suffice_a_cpu_parts_rows_too(backbone, passes, monkeypatch):
    condition = condition_of(backbone, TEXTS[:1]).repeat(4)
    with torch.no_grad():
        row = counted(lambda: backbone.predict(latents_of(1), torch.tensor([300]), condition.select([0])))[1]
        monkeypatch.setattr(memory, "free_ram", lambda: int(2.5 * row))
        backbone.predict(latents_of(4), torch.full((4,), 300), condition)
    assert passes == [2, 2]


# Rows in parts are rows together


def test_groups_hold_every_draw_of_every_image_once():
    for images, draws, most, whole in [(3, 4, 100, False), (3, 4, 9, False), (2, 4, 3, False), (2, 4, 1, True)]:
        seen = [
            (n, k)
            for part in groups(images, draws, most, whole=whole)
            for n in range(images)[part.images]
            for k in range(draws)[part.draws]
        ]
        assert sorted(seen) == [(n, k) for n in range(images) for k in range(draws)]
    assert len(groups(8, 8, 64, whole=False)) == 1
    assert [part.draws for part in groups(1, 4, 3, whole=False)] == [slice(0, 3), slice(3, 4)]


@pytest.mark.parametrize("rows", [8, 4, 3, 1])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"entropy": Entropy(weight=0.5)},
        {"clustering": Clustering(weight=0.5)},
        {"mask": Mask(hard=False), "contrast": Contrast(weight=0.5), "antithetic": True},
    ],
)
def test_gradients_of_groups_add_up_to_those_of_the_whole(folder, backbone, passes, rows, options):
    recipe = recipe_for(folder, draws=4, **options)
    together = gradients_of(backbone, recipe)
    assert passes == [12]
    passes.clear()
    apart = gradients_of(at_most(backbone, rows), recipe)
    assert max(passes) <= rows
    if not recipe.entropy or rows >= 4:
        assert sum(passes) == 12  # nothing is computed twice
    assert_same(together, apart)


def test_adapting_null_text_and_maps_keep_to_the_same_rows(folder, passes):
    def everything(rows):
        model = load(BackboneRecipe(kind="stable-diffusion", path=str(folder)))
        if rows:
            at_most(model, rows)
        texts = TEXTS[:3]
        trainable = trainable_tokens(model, tokens_of(model, texts), texts, "content", join=False)
        condition, latents = condition_of(model, texts), latents_of(3)
        averager = Averager(3, (0, 1000))
        levels, stored = ddim_inversion(model, latents, condition, 2)
        null_text.denoise(AttentionReader(model), latents, stored, levels, condition, averager, inner=2)
        recipe = LoraRecipe(steps=2, pairs_a_step=3, rank=2, lr=0.01, entropy=Entropy())
        adapter = train(model, Pairs(texts, latents, trainable), recipe)
        return [averager.mean(n) for n in range(3)], adapter

    maps, adapter = everything(None)
    assert max(passes) == 3
    passes.clear()
    own, same = everything(1)
    assert set(passes) == {1}
    torch.testing.assert_close(own, maps, rtol=1e-3, atol=1e-5)
    assert same.losses == pytest.approx(adapter.losses, rel=1e-4)
    for name, values in adapter.weights.items():
        torch.testing.assert_close(same.weights[name], values, rtol=1e-3, atol=2e-4)


def test_images_are_encoded_in_parts_too(backbone):
    pixels = torch.rand(3, 3, 32, 32) * 2 - 1
    together = backbone.encode(pixels)
    torch.testing.assert_close(at_most(backbone, 1).encode(pixels), together)


def test_segment_anything_encodes_as_many_images_as_fit():
    torch.manual_seed(0)
    model = embedded_sam.build(embedded_sam.EmbeddedSamConfig()).eval().requires_grad_(False)
    segmenter = SegmentAnything("tiny", "", model)
    images = [torch.randint(0, 255, (40, 60, 3), dtype=torch.uint8).numpy() for _ in range(3)]
    together = segmenter.encode(images)
    segmenter = SegmentAnything("tiny", "", model)
    segmenter.memory.limit = segmenter.memory.weights / GIB
    calls = []
    handle = model.image_encoder.register_forward_hook(lambda _, given, __: calls.append(given[0]))
    apart = segmenter.encode(images)
    handle.remove()
    assert [len(one) for one in calls if type(one) is torch.Tensor] == [1, 1, 1]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one.embedding, other.embedding, rtol=1e-4, atol=1e-5)


# Where even a row is too much


@pytest.mark.parametrize("options", [{}, {"entropy": Entropy(weight=0.5)}])
def test_a_row_that_does_not_fit_keeps_less_and_learns_the_same(folder, backbone, options):
    recipe = recipe_for(folder, draws=2, **options)
    together = gradients_of(backbone, recipe)
    context = condition_of(backbone, TEXTS[:1]).context.requires_grad_()
    reads = AttentionReader(backbone).reads if recipe.entropy else ()

    def row():
        return backbone._counted_rows(1, latents_of(1), Condition(context), reads, True, False)

    plain = counted(row)[1]
    backbone.memory.limit = (backbone.memory.weights + 1) / GIB
    sparing = gradients_of(backbone, recipe)
    assert backbone.unet.is_gradient_checkpointing
    assert counted(row)[1] < 0.7 * plain
    assert_same(together, sparing)


# Where memory runs out all the same


@pytest.fixture
def small_device(monkeypatch):
    """A device that holds so many rows of a UNet, and says so as a GPU does, on the way out or on the way back."""
    held, real = {"most": 4, "asked": [], "back": False}, UNetModel._pass

    def of_small_memory(self, latents, *arguments, **options):
        held["asked"].append(len(latents))
        if len(latents) > held["most"] and not held["back"]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        predicted, readings = real(self, latents, *arguments, **options)
        if len(latents) > held["most"] and predicted.requires_grad:
            predicted.register_hook(_runs_out)
        return predicted, readings

    monkeypatch.setattr(UNetModel, "_pass", of_small_memory)
    return held


def _runs_out(gradient):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("back", [False, True])
def test_out_of_memory_halves_the_rows_says_so_once_and_changes_no_result(folder, small_device, back, caplog):
    fresh = [load(BackboneRecipe(kind="stable-diffusion", path=str(folder))) for _ in range(2)]
    recipe = recipe_for(folder, steps=3, draws=4, lr=0.01)
    small_device["most"] = 100
    whole = learn(fresh[0], recipe)
    small_device.update(most=4, asked=[], back=back)
    with caplog.at_level(logging.WARNING, "anyword"):
        halved = learn(fresh[1], recipe)
    assert small_device["asked"][:2] == [12, 4] and set(small_device["asked"][1:]) == {4}
    assert [record.getMessage() for record in caplog.records] == ["memory ran out at 12 rows a call: going on with 6"]
    for one, other in zip(whole, halved, strict=True):
        torch.testing.assert_close(one.vectors[0], other.vectors[0], rtol=1e-4, atol=1e-5)


def test_a_device_too_small_for_one_row_is_one_line(folder, backbone, small_device):
    small_device["most"] = 0
    with pytest.raises(AnywordError, match=r"cpu does not hold a single row of this model\. Give the backbone"):
        learn(backbone, recipe_for(folder, steps=1))


def test_a_family_that_cannot_be_counted_still_runs(monkeypatch):
    """What a count cannot follow shows when memory runs out."""
    model = Joint()
    model.memory.limit = 1.0

    def looks_at_values(*arguments, **options):
        raise RuntimeError("a fake tensor has no values")

    monkeypatch.setattr(model, "_counted_rows", looks_at_values)
    condition = model.condition(model.empty, model.embed(model.empty)).repeat(2)
    assert model.rows_that_fit(torch.zeros(2, 4, *GRID), condition, ()) == 2
