"""Masks from words alone: GroundingDINO into SAM, and SAM 3, by local path, through the stage's own command."""

import json
import shutil

import numpy as np
import pytest
import torch
from test_segment import PARSE, SIZES, TEXT, shard
from tiny_text_models import save_grounding_dino, save_sam3
from typer.testing import CliRunner

from lab.training.sam_files import write
from stages.artifacts import AnywordError, ShardReader
from stages.artifacts.masks import decode
from stages.cli import app
from stages.models import sam
from stages.models.embedded_sam import EmbeddedSamConfig, build
from stages.models.text_prompted import load_grounding_dino, load_sam3
from stages.segment.text import cuts


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Recipes by kind, on models of random weights; every score passes."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    config = EmbeddedSamConfig.model_validate(
        {"image_size": 64, "patch_size": 8, "encoder_embed_dim": 32, "encoder_depth": 2, "encoder_window_size": 4}
        | {"encoder_global_attn_indexes": [1], "prompt_embed_dim": 32, "decoder_mlp_dim": 32}
    )
    (folder / "sam").mkdir()
    write(build(config), config, folder / "sam")
    dino, third = save_grounding_dino(folder / "dino"), save_sam3(folder / "sam3")
    boxes = {"kind": "grounding-dino", "path": str(dino), "model": "embedded", "checkpoint": str(folder / "sam")}
    return {
        "grounding-dino": {**boxes, "box_threshold": 0.0, "answer": "best"},
        "sam3": {"kind": "sam3", "path": str(third), "threshold": 0.0},
    }


def segmented(root, recipe):
    paths = shard(root, ids=("wide", "tall"))
    output = root / "segment" / "manifest.json"
    arguments = ["stage", "segment", "--samples", str(paths["samples"]), "--phrases", str(paths["phrases"])]
    arguments += ["--images", str(root), "--device", "cpu", "--recipe", json.dumps(recipe), "--output", str(output)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return ShardReader(output, "segment")


@pytest.mark.parametrize("kind", ["grounding-dino", "sam3"])
def test_words_alone_give_every_target_a_mask_and_weights_that_moved_give_the_same(tmp_path, weights, kind):
    recipe = weights[kind]
    folder = segmented(tmp_path / "a", recipe)
    assert folder.failures == {}
    rows = {(row["sample_id"], row["kind"], row["index"]): row for row in folder.table("masks")}
    assert len(rows) == 2 * 3
    for (sample_id, _, _), row in rows.items():
        assert decode(row).shape == SIZES[sample_id]
        assert 0 < row["score"] <= 1
    for name in ("wide", "tall"):
        parts = [decode(rows[name, "phrase", index]) for index in (0, 1)]
        assert np.array_equal(decode(rows[name, "predicate", 0]), parts[0] | parts[1])
    assert kind in folder.manifest.models and set(folder.manifest.inputs) == {"samples", "phrases"}

    moved = tmp_path / "moved"
    shutil.copytree(recipe["path"], moved)
    again = segmented(tmp_path / "b", {**recipe, "path": str(moved)})
    assert again.manifest.recipe == folder.manifest.recipe
    assert again.manifest.models[kind].sha256 == folder.manifest.models[kind].sha256
    assert again.table("masks") == folder.table("masks")
    assert str(tmp_path) not in (again.path / "manifest.json").read_text()


def test_a_score_that_nothing_reaches_gives_empty_masks(tmp_path, weights):
    folder = segmented(tmp_path, {**weights["sam3"], "threshold": 1.0})
    assert [row["score"] for row in folder.table("masks")] == [0.0] * 6
    assert not any(decode(row).any() for row in folder.table("masks"))


def test_boxes_lie_in_the_image_best_first_and_follow_the_words(weights):
    model = load_grounding_dino(weights["grounding-dino"]["path"])
    image = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    boxes, scores = model.boxes(image, "A red circle", 0.0)
    assert len(boxes) == 12 and (np.diff(scores) <= 0).all()
    assert (boxes >= 0).all() and (boxes <= [60, 40, 60, 40]).all() and (boxes[:, 2:] >= boxes[:, :2]).all()
    few, some = model.boxes(image, "a red circle.", float(scores[3]))
    assert np.array_equal(few, boxes[:3]) and (some > scores[3]).all()
    assert not np.allclose(model.boxes(image, "a blue dog", 0.0)[1], scores)


def test_a_phrase_beyond_the_window_fails_its_sample_alone(weights):
    model = load_sam3(weights["sam3"]["path"])
    seen = model.encode(np.zeros((20, 30, 3), dtype=np.uint8))
    with pytest.raises(Exception, match="more than 32 tokens"):
        model.masks(seen, "circle " * 40, 0.0, 0.5)


def test_a_box_means_the_same_place_at_any_resolution(weights):
    """The mask of a box on an enlarged image is the enlarged mask, but for what resizing changes."""
    model = sam.load("embedded", weights["grounding-dino"]["checkpoint"])
    image = np.random.default_rng(2).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    large = image.repeat(2, axis=0).repeat(2, axis=1)
    small, _ = model.decode_boxes(model.encode([image])[0], np.array([[4.0, 6, 30, 20], [0, 0, 48, 32]]))
    twice, _ = model.decode_boxes(model.encode([large])[0], np.array([[8.0, 12, 60, 40], [0, 0, 96, 64]]))
    assert small.shape == (2, 32, 48) and twice.shape == (2, 64, 96)
    for one, other in zip(small, twice[:, ::2, ::2], strict=True):
        assert (one == other).mean() > 0.9


def test_absent_pickled_and_foreign_weights_are_said_in_one_line(tmp_path, weights, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(AnywordError, match="no such folder"):
        load_grounding_dino(str(tmp_path / "none"))
    with pytest.raises(AnywordError, match=r"neither a folder nor in the hub cache \(offline: true\)"):
        load_sam3("nobody/has-this-model")
    with pytest.raises(AnywordError, match="holds a sam3, no GroundingDINO"):
        load_grounding_dino(weights["sam3"]["path"])
    pickled = tmp_path / "pickled"
    shutil.copytree(weights["sam3"]["path"], pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(AnywordError, match="pickled ones are never read"):
        load_sam3(str(pickled))


def test_all_or_the_best_of_what_is_found_and_equal_phrases_are_asked_once():
    masks = np.zeros((2, 4, 6), dtype=bool)
    masks[0, :2] = masks[1, 3:] = True
    asked = []

    def ask(phrase):
        asked.append(phrase)
        return (masks, np.array([0.9, 0.4])) if "circle" in phrase else (masks[:0], np.zeros(0))

    joined = cuts(PARSE, TEXT, (4, 6), ask, answer="all", predicates=True)
    assert asked == ["a red circle", "a blue square"]
    assert joined["phrase", 0].mask.sum() == 18 and joined["phrase", 0].score == 0.9
    assert joined["phrase", 1].score == 0 and not joined["phrase", 1].mask.any()
    assert joined["predicate", 0].score == 0 and joined["predicate", 0].mask.sum() == 18
    best = cuts(PARSE, TEXT, (4, 6), ask, answer="best", predicates=False)
    assert best["phrase", 0].mask.sum() == 12 and ("predicate", 0) not in best
    cuts(PARSE.model_copy(update={"phrases": PARSE.phrases[:1] * 2}), TEXT, (4, 6), ask, answer="all", predicates=False)
    assert len(asked) == 5


def test_words_alone_demand_no_inversion_no_map_and_no_point(tmp_path, weights):
    from tiny_workflow import planned, tiny_config

    from stages.samples.command import index

    config = tiny_config(tmp_path)
    config["segmenters"]["words"] = weights["sam3"]
    config["experiments"] = {"words": {**config["experiments"]["one"], "segmenter": "words"}}
    config["targets"] = ["words"]
    world = {**config["datasets"]["tiny"], "first": 0}
    index(recipe=world, output=tmp_path / "results" / "tiny" / "samples" / "index" / "manifest.json")
    own = "results/tiny/experiments/words"
    plan = planned(
        tmp_path, config, "--rerun-triggers", "mtime", "--", f"{own}/score/manifest.json", f"{own}/report/manifest.json"
    )
    assert plan == dict.fromkeys(("samples", "parse", "segment", "score", "report"), 1)
