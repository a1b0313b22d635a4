"""`anyword study text-only`: words alone beside points, and rows of what is not here."""

import csv
import json

import pytest
from tiny_text_models import save_sam3
from typer.testing import CliRunner
from without_models import run_directly

from lab.studies import text_only
from stages.artifacts import AnywordError
from stages.cli import app
from stages.config import read_config

BASE = {
    "segmenters": {
        "mine": {"kind": "segment-anything", "model": "vit_b", "checkpoint": "b.pth"},
        "boxes": {"kind": "grounding-dino", "path": "somewhere", "box_threshold": 0.4},
    },
    "experiments": {"photos": {"segmenter": "mine"}},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(
        text_only, "run_experiments", lambda *given, **_: run_directly(*given, masks_of=lambda name, sample, mask: mask)
    )

    def run(*arguments):
        command = ["study", "text-only", "--samples", "2", *arguments, "--json", "figures.json"]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads((tmp_path / "figures.json").read_text()), done.output

    return run


def test_what_is_here_is_measured_and_what_is_not_is_a_row_with_its_reason(study, tmp_path):
    third = save_sam3(tmp_path / "sam3")
    figures, printed = study("--sam3", str(third), "--grounding-dino", str(tmp_path / "absent"))
    rows = figures["rows"]
    assert set(rows) == {"ours", "sam3"} and figures["samples"] == 2
    assert rows["ours"]["miou"]["value"] == rows["ours"]["AP50"]["value"] == 1.0
    assert rows["sam3"]["failed"] == 0 and rows["sam3"]["miou"]["value"] < 0.5
    assert rows["sam3"]["less_ours"]["value"] == pytest.approx(rows["sam3"]["miou"]["value"] - 1)
    assert "no such folder" in figures["not_run"]["grounding-dino"]
    assert "| GroundingDINO + SAM | not run: weights absent |" in printed
    folder = tmp_path / "results" / "studies" / "text-only-scenes-test-0-2"
    with (folder / "text-only.csv").open() as file:
        lines = {line["method"]: line for line in csv.DictReader(file)}
    assert lines["Segment Anyword"]["miou"] == "1.000000" and lines["GroundingDINO + SAM"]["miou"] == ""
    assert "weights absent" in lines["GroundingDINO + SAM"]["not_run"]

    from stages.report.command import run as report

    results, name = tmp_path / "results" / "scenes-test-0-2", "scenes-test-0-2-sam3"
    output = results / "experiments" / name / "report" / "manifest.json"
    page = report(root=results, experiment=name, shards=1, recipe={"kind": "page"}, output=output)
    details = (page.parent / "data" / "details-00000.js").read_text()
    assert "test-000000" in details and '"maps"' not in details, "nothing was inverted: the page goes without maps"


def test_weights_of_another_kind_are_not_run(tmp_path):
    third = save_sam3(tmp_path / "sam3")
    assert "no GroundingDINO" in text_only.lacking({"kind": "grounding-dino", "path": str(third)})
    assert text_only.lacking({"kind": "sam3", "path": str(third)}) is None


def test_boxes_go_to_our_own_sam_and_options_overrule_the_configuration(tmp_path):
    found = text_only.recipes(BASE, "photos", {"grounding-dino": None, "sam3": tmp_path})
    assert found["grounding-dino"] == {**BASE["segmenters"]["boxes"], "model": "vit_b", "checkpoint": "b.pth"}
    assert found["sam3"] == {"kind": "sam3", "path": str(tmp_path)}


def test_rows_differ_in_the_segmenter_alone_and_a_wrong_recipe_is_said_before_anything_runs():
    from stages import REPOSITORY

    base = read_config(REPOSITORY / "config.yaml")
    chosen, data = {"sam3": {"kind": "sam3", "path": "x"}}, base["datasets"]["demo"]
    added, experiments = text_only.configuration(base, "truth", dataset="demo", data=data, chosen=chosen)
    ours, theirs = (added["experiments"][experiments[kind]] for kind in ("ours", "sam3"))
    assert {key for key in ours if ours[key] != theirs[key]} == {"segmenter"}
    with pytest.raises(AnywordError, match="threshold"):
        text_only.configuration(
            base, "truth", dataset="demo", data=data, chosen={"sam3": {**chosen["sam3"], "threshold": 2}}
        )
