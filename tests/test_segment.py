"""The segment stage: points to masks and maps to masks, one failure its own, batches and shards without effect."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from lab.training.sam_files import write
from stages.artifacts import AnywordError, Failure, Outcome, ShardReader, ShardWriter, Stage
from stages.artifacts.language import Parse, Phrase, Predicate, Span, words
from stages.artifacts.maps import WordMaps, resized, write_maps
from stages.artifacts.masks import decode
from stages.artifacts.tables import targets_of, write_table
from stages.models.embedded_sam import EmbeddedSamConfig, build
from stages.segment.attention import masks
from stages.segment.command import run
from stages.segment.points import Prompt, cut
from stages.segment.recipe import AttentionRecipe, SamRecipe

TEXT = "a red circle over a blue square"
PARSE = Parse(
    phrases=(
        Phrase(span=Span(start=0, end=12), root=Span(start=6, end=12), adjectives=(Span(start=2, end=5),)),
        Phrase(span=Span(start=18, end=31), root=Span(start=25, end=31), adjectives=(Span(start=20, end=24),)),
    ),
    predicates=(Predicate(span=Span(start=13, end=17), subject=0, object=1),),
)
SIZES = {"wide": (40, 70), "tall": (70, 40), "square": (64, 64)}
ATTENTION = {"kind": "attention"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    config = EmbeddedSamConfig.model_validate(
        {"image_size": 64, "patch_size": 8, "encoder_embed_dim": 32, "encoder_depth": 2, "encoder_window_size": 4}
        | {"encoder_global_attn_indexes": [1], "prompt_embed_dim": 32, "decoder_mlp_dim": 32}
    )
    folder = tmp_path_factory.mktemp("sam")
    write(build(config), config, folder)
    return {"kind": "segment-anything", "model": "embedded", "checkpoint": str(folder)}


def listed(root, sample_id):
    height, width = SIZES[sample_id]
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / f"{sample_id}.png")
    return {
        "sample_id": sample_id,
        "image": f"{sample_id}.png",
        "image_sha256": hashlib.sha256((root / f"{sample_id}.png").read_bytes()).hexdigest(),
        "width": width,
        "height": height,
        "text": TEXT,
        "split": "test",
        "tags": [],
        **Parse().row(),
    }


def publish(stage, output, ids, inputs, writers):
    writer = ShardWriter(Stage(name=stage, version="1"), {}, output, inputs=inputs, ids=ids)
    writer.run(lambda batch: [Outcome()] * len(batch), batch_size=8)
    writer.publish(writers)
    return ShardReader(output, stage)


def points_of(sample_id):
    """Two points on each phrase, four on the predicate."""
    height, width = SIZES[sample_id]
    places = [(0.2, 0.3, 1), (0.7, 0.6, 0), (0.6, 0.7, 1), (0.3, 0.2, 0)]
    chosen = [places[:2], places[2:], [(x, y, 1) for x, y, _ in places]]
    return [
        target | {"points": [{"x": x * width, "y": y * height, "label": k, "start": 0, "end": 1} for x, y, k in own]}
        for target, own in zip(targets_of(sample_id, PARSE), chosen, strict=True)
    ]


def shard(root, ids=tuple(SIZES)):
    """Samples, parse, maps and points of a shard, as the stages before write them; their manifests by name."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [listed(root, sample_id) for sample_id in ids]
    paths = {name: root / name / "manifest.json" for name in ("samples", "phrases", "maps", "points")}
    samples = publish(
        "samples", paths["samples"], ids, {}, {"samples.parquet": lambda path: write_table(path, "samples", rows)}
    )
    parsed = [{"sample_id": sample_id, **PARSE.row()} for sample_id in ids]
    publish(
        "parse",
        paths["phrases"],
        ids,
        {"samples": samples},
        {"phrases.parquet": lambda path: write_table(path, "phrases", parsed)},
    )
    spans = list(words(TEXT))
    grid = np.mgrid[:16, :16]
    maps = WordMaps(
        maps=np.stack(
            [np.exp(-((grid[0] - 8) ** 2 + (grid[1] - 2 * n) ** 2) / 8) for _ in ids for n, _ in enumerate(spans)]
        ).astype(np.float32),
        sample=np.repeat(np.arange(len(ids), dtype=np.int32), len(spans)),
        start=np.tile(np.array([span.start for span in spans], dtype=np.int32), len(ids)),
        end=np.tile(np.array([span.end for span in spans], dtype=np.int32), len(ids)),
    )
    publish("attend", paths["maps"], ids, {"samples": samples}, {"maps.zarr": lambda path: write_maps(path, maps)})
    targets = [row for sample_id in ids for row in points_of(sample_id)]
    publish(
        "prompt",
        paths["points"],
        ids,
        {"samples": samples},
        {"points.parquet": lambda path: write_table(path, "points", targets)},
    )
    return paths


def segmented(root, paths, recipe, reads=None, **options):
    output = root / "segment" / "manifest.json"
    reads = reads or (("maps", "phrases") if recipe["kind"] == "attention" else ("points",))
    run(
        samples=paths["samples"],
        **{name: paths[name] for name in reads},
        recipe=recipe,
        output=output,
        images=root,
        device="cpu",
        **options,
    )
    return ShardReader(output, "segment")


def by_target(folder):
    return {(row["sample_id"], row["kind"], row["index"]): row for row in folder.table("masks")}


@pytest.mark.parametrize("kind", ["sam", "attention"])
def test_every_target_gets_a_mask_of_its_images_size(tmp_path, weights, kind):
    folder = segmented(tmp_path, shard(tmp_path), weights if kind == "sam" else ATTENTION)
    rows = by_target(folder)
    assert len(rows) == 9
    for (sample_id, _, _), row in rows.items():
        assert decode(row).shape == SIZES[sample_id]
    assert rows["wide", "phrase", 0]["root_start"] == 6


def test_alone_in_a_batch_and_in_another_shard_masks_are_the_same(tmp_path, weights):
    together = by_target(segmented(tmp_path / "a", shard(tmp_path / "a"), weights, batch_size=3))
    single = by_target(segmented(tmp_path / "b", shard(tmp_path / "b"), weights, batch_size=1))
    alone = by_target(segmented(tmp_path / "c", shard(tmp_path / "c", ids=("tall",)), weights))
    assert set(single) == set(together) > set(alone)
    for other in (single, alone):
        for key, row in other.items():
            one, two = decode(row), decode(together[key])
            assert (one & two).sum() >= 0.99 * (one | two).sum()


def test_a_broken_image_fails_alone(tmp_path, weights):
    paths = shard(tmp_path)
    (tmp_path / "tall.png").write_bytes(b"no image")
    folder = segmented(tmp_path, paths, weights)
    assert list(folder.failures) == ["tall"]
    assert "changed since" in folder.failures["tall"]
    assert {row["sample_id"] for row in folder.table("masks")} == {"wide", "square"}


def test_the_path_of_a_checkpoint_is_no_part_of_the_result(tmp_path, weights):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("config.json", "model.safetensors"):
        (moved / name).write_bytes((type(tmp_path)(weights["checkpoint"]) / name).read_bytes())
    here = segmented(tmp_path / "a", shard(tmp_path / "a"), weights)
    there = segmented(tmp_path / "b", shard(tmp_path / "b"), {**weights, "checkpoint": str(moved)})
    assert here.manifest.recipe == there.manifest.recipe
    assert here.manifest.models["sam"].sha256 == there.manifest.models["sam"].sha256
    assert str(tmp_path) not in (here.path / "manifest.json").read_text()


def test_an_input_that_the_recipe_needs_is_asked_for(tmp_path, weights):
    paths = shard(tmp_path)
    with pytest.raises(AnywordError, match="needs --points"):
        run(samples=paths["samples"], recipe=weights, output=tmp_path / "o" / "manifest.json")
    with pytest.raises(AnywordError, match="needs --phrases"):
        run(samples=paths["samples"], recipe=ATTENTION, output=tmp_path / "o" / "manifest.json")


class Fake:
    """A segmenter that answers squares around first points, and remembers how it was asked."""

    def __init__(self):
        self.calls = []

    def decode(self, encoded, points, labels, *, multimask):
        self.calls.append((points.shape, multimask))
        masks = np.zeros((len(points), 20, 30), dtype=bool)
        for mask, (x, y) in zip(masks, points[:, 0].astype(int), strict=True):
            mask[y, x] = True
        return masks, points[:, 0, 0].astype(np.float32)


def prompt(*points):
    return Prompt(
        np.array([p[:2] for p in points], dtype=float).reshape(-1, 2), np.array([p[2] for p in points], dtype=int)
    )


def test_targets_of_equally_many_points_share_a_call_and_keep_their_order():
    fake = Fake()
    prompts = [prompt((1, 1, 1), (5, 5, 0)), prompt((2, 2, 1)), prompt((3, 3, 1), (4, 4, 1)), prompt((7, 7, 1))]
    cuts = cut(fake, None, (20, 30), prompts)
    assert fake.calls == [((2, 1, 2), True), ((2, 2, 2), False)]
    assert [one.score for one in cuts] == [1, 2, 3, 7]
    assert [tuple(np.argwhere(one.mask)[0]) for one in cuts] == [(1, 1), (2, 2), (3, 3), (7, 7)]


@pytest.mark.parametrize(("answer", "multimask"), [("single", [False, False]), ("multi", [True, True])])
def test_the_recipe_says_which_mask_is_taken(answer, multimask):
    fake = Fake()
    cut(fake, None, (20, 30), [prompt((1, 1, 1)), prompt((2, 2, 1), (3, 3, 0))], answer)
    assert [how for _, how in fake.calls] == multimask


def test_without_a_point_inside_the_mask_is_empty():
    fake = Fake()
    nothing, outside = cut(fake, None, (20, 30), [prompt(), prompt((1, 1, 0))])
    assert fake.calls == []
    for one in (nothing, outside):
        assert one.mask.shape == (20, 30)
        assert not one.mask.any()
        assert one.score == 0


def test_attention_masks_hold_the_peak_and_shrink_with_the_threshold():
    values = np.zeros((4, 8))
    values[1, 2] = 5.0
    maps = {(6, 12): values, (25, 31): np.full((4, 8), 0.3)}
    sizes = []
    for threshold in (0.1, 0.5, 0.9):
        found = masks(PARSE, maps, (40, 80), threshold=threshold, words="noun", predicates=True)
        mask, _ = found["phrase", 0]
        assert mask[15, 25]
        sizes.append(mask.sum())
        assert not found["phrase", 1][0].any()  # a constant map points nowhere
        assert np.array_equal(found["predicate", 0][0], mask)
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_adjectives_narrow_a_nouns_map():
    both, red = np.zeros((4, 8)), np.zeros((4, 8))
    both[1, 1] = both[1, 6] = red[1, 1] = red[3, 4] = 1.0
    maps = {(2, 5): red, (6, 12): both}
    alone, joined = (
        masks(PARSE, maps, (4, 8), threshold=0.6, words=how, predicates=False)["phrase", 0][0]
        for how in ("noun", "product")
    )
    assert alone[1, 1] and alone[1, 6]
    assert joined[1, 1] and not joined[1, 6] and not joined[3, 4]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_resizing_stays_within_the_maps_range_and_keeps_constants(rows, columns, height, width, seed):
    values = np.random.default_rng(seed).random((rows, columns))
    large = resized(values, (height, width))
    assert large.shape == (height, width)
    assert values.min() - 1e-12 <= large.min() and large.max() <= values.max() + 1e-12
    assert np.allclose(resized(np.full((rows, columns), 0.7), (height, width)), 0.7)


def test_resizing_is_that_of_torch():
    values = np.random.default_rng(0).random((16, 16))
    theirs = torch.nn.functional.interpolate(torch.from_numpy(values)[None, None], (53, 91), mode="bilinear")[0, 0]
    assert np.allclose(resized(values, (53, 91)), theirs.numpy())


def test_a_recipe_without_a_checkpoint_is_the_embedded_sam_and_with_one_the_papers():
    assert SamRecipe.model_validate({"kind": "segment-anything"}).model == "embedded"
    assert SamRecipe.model_validate({"checkpoint": "sam_vit_h_4b8939.pth"}).model == "vit_h"
    assert SamRecipe.model_validate({"model": "vit_b", "checkpoint": "x.pth"}).model == "vit_b"
    resolved = SamRecipe.model_validate({}).model_dump(mode="json")
    assert SamRecipe.model_validate(resolved).model_dump(mode="json") == resolved
    with pytest.raises(ValidationError):
        AttentionRecipe.model_validate({"threshold": 1.5})


def test_failures_of_earlier_stages_are_carried_on(tmp_path, weights):
    paths = shard(tmp_path)
    samples = ShardReader(paths["samples"], "samples")
    writer = ShardWriter(
        Stage(name="prompt", version="1"), {"again": True}, paths["points"], inputs={"samples": samples}
    )
    writer.run(
        lambda batch: [Failure("no maps") if writer.ids[p] == "wide" else Outcome() for p in batch],
        batch_size=8,
    )
    targets = [row for sample_id in ("tall", "square") for row in points_of(sample_id)]
    writer.publish({"points.parquet": lambda path: write_table(path, "points", targets)})
    folder = segmented(tmp_path, paths, weights)
    assert folder.failures == {"wide": "in prompt: no maps"}
    assert {row["sample_id"] for row in folder.table("masks")} == {"tall", "square"}


def test_a_phrases_mask_says_what_attention_thinks_of_it_where_there_are_maps(tmp_path, weights):
    paths = shard(tmp_path)
    bare = by_target(segmented(tmp_path, paths, weights))
    every = ("points", "maps", "phrases")
    full = by_target(segmented(tmp_path, paths, weights, reads=every))
    alone = by_target(segmented(tmp_path, paths, weights, reads=every, batch_size=1))
    columns = ("contrast", "attention", "agreement")
    for key, row in full.items():
        said = [row[name] for name in columns]
        assert [alone[key][name] for name in columns] == said and alone[key]["counts"] == row["counts"]
        assert [bare[key][name] for name in columns] == [None, None, None]
        assert {**row, **dict.fromkeys(columns)} == bare[key]  # the mask itself is the same
        if key[1] == "predicate":
            assert said == [None, None, None]
        else:
            assert -10 <= said[0] <= 10 and 0 <= said[1] <= 1 and 0 <= said[2] <= 1
    cut = by_target(segmented(tmp_path, paths, ATTENTION))
    assert all(row["contrast"] > 0 for key, row in cut.items() if key[1] == "phrase" and row["score"] > 0)
