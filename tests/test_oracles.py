"""Our figures are the official code's: on the folder that ORACLES names, by default the one kept here."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.masks import rle_of
from stages.score import grandf, referring, semantic

ORACLES = Path(os.environ.get("ORACLES", Path(__file__).parent / "oracles"))
EXACT = {"abs": 1e-6, "rel": 0}


def load(name):
    return json.loads((ORACLES / f"oracle_{name}.json").read_text())


def test_grandf():
    oracle = load("grandf")
    expected = oracle["expected"]
    found = grandf.evaluate(
        oracle["mask_gt"], oracle["caption_gt"], oracle["mask_predictions"], oracle["caption_predictions"]
    )
    for name in ("AP50", "mIoU", "recall"):
        assert found[name]["value"] == pytest.approx(expected[name], **EXACT), name
    assert found["mIoU_per_image"] == pytest.approx(expected["mIoU_per_image"], **EXACT)


@pytest.fixture(scope="module")
def expressions():
    rows = load("refcoco")["rows"]
    return referring.compare(
        [row["image_id"] for row in rows],
        [rle_of(row["gt_mask"]) for row in rows],
        [rle_of(row["pred_mask"]) for row in rows],
        no_target=[row["gt_no_target"] for row in rows],
        predicted_none=[row["pred_no_target"] for row in rows] if "pred_no_target" in rows[0] else None,
    )


def test_grefcoco(expressions):
    found = referring.grefcoco(expressions)
    for name, value in load("refcoco")["expected"]["rela"].items():
        assert found[name]["value"] == pytest.approx(value, **EXACT), name


def test_refcoco(expressions):
    found = referring.refcoco(expressions)
    for name, value in load("refcoco")["expected"]["lisa"].items():
        assert found[name]["value"] == pytest.approx(value, **EXACT), name


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
        assert found[name]["value"] == pytest.approx(oracle["expected"][name], **EXACT), name
    for name in ("IoU", "Acc"):
        official = [np.nan if one is None else one for one in oracle["expected"][name]]
        ours = [np.nan if one is None else one for one in found[name]]
        assert ours == pytest.approx(official, nan_ok=True, **EXACT), name
