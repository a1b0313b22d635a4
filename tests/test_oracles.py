"""Our figures are the official code's: on the folder that ORACLES names, by default the one kept here."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.masks import areas, rle_of
from stages.score import grandf, referring, semantic

ORACLES = Path(os.environ.get("ORACLES", Path(__file__).parent / "oracles"))
EXACT = {"abs": 1e-6, "rel": 0}


def load(name):
    return json.loads((ORACLES / f"oracle_{name}.json").read_text())


def value(found, name):
    """A figure of ours; NaN where it is undefined."""
    return np.nan if found[name]["value"] is None else found[name]["value"]


def same_as(official):
    """An official figure, null or NaN where it is undefined, to 1e-6."""
    return pytest.approx(np.nan if official is None else official, nan_ok=True, **EXACT)


def test_grandf():
    oracle = load("grandf")
    expected = oracle["expected"]
    found = grandf.evaluate(
        oracle["mask_gt"], oracle["caption_gt"], oracle["mask_predictions"], oracle["caption_predictions"]
    )
    for name in ("AP50", "mIoU", "recall"):
        official = None if name == "AP50" and expected[name] == -1 else expected[name]  # pycocotools' "no truths"
        assert value(found, name) == same_as(official), name
    # JSON's keys are text, also where the images' ids are numbers.
    per_image = {str(name): value for name, value in found["mIoU_per_image"].items()}
    assert per_image == pytest.approx(expected["mIoU_per_image"], **EXACT)


def mask_is_empty(mask):
    return bool(areas([rle_of(mask)])[0] == 0)


@pytest.fixture(scope="module")
def expressions():
    rows = load("refcoco")["rows"]
    return referring.compare(
        [row["image_id"] for row in rows],
        [rle_of(row["gt_mask"]) for row in rows],
        [rle_of(row["pred_mask"]) for row in rows],
        no_target=[row["gt_no_target"] for row in rows],
        predicted_none=[row.get("pred_no_target", mask_is_empty(row["pred_mask"])) for row in rows],
    )


def test_grefcoco(expressions):
    found = referring.grefcoco(expressions)
    for name, official in load("refcoco")["expected"]["rela"].items():
        assert value(found, name) == same_as(official), name


def test_refcoco(expressions):
    found = referring.refcoco(expressions)
    for name, official in load("refcoco")["expected"]["lisa"].items():
        assert value(found, name) == same_as(official), name


def test_semantic():
    oracle = load("semantic")
    histograms = [
        semantic.histogram(
            np.array(pair["gt"]), np.array(pair["prediction"]), oracle["num_classes"], oracle.get("ignore", 255)
        )
        for pair in oracle["pairs"]
    ]
    found = semantic.evaluate(histograms, range(len(histograms)))
    for name in ("mIoU", "mAcc"):
        assert value(found, name) == same_as(oracle["expected"][name]), name
    for name in ("IoU", "Acc"):
        ours = [np.nan if one is None else one for one in found[name]]
        assert ours == [same_as(one) for one in oracle["expected"][name]], name
