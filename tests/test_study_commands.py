"""Studies from end to end: the commands as a user types them, through Snakemake, on tiny models of random weights."""

import csv
import json
import os
import subprocess

import pytest
from preloaded import python
from tiny_workflow import ROOT, tiny_config, write_config

SCENES = ("--samples", "2", "--first", "20")
"""Their captions fit the tiny encoder's window."""


def study(folder, *arguments):
    """`anyword study …` in a folder; its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [python(), "-m", "stages", "study", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=550)
    if done.returncode:
        logs = "\n".join(path.read_text() for path in sorted((folder / "logs").rglob("*.log")))
        raise AssertionError(f"{done.stdout}\n{done.stderr}\n{logs}")
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a configuration of tiny models in which the ablation has run on two scenes."""
    place = tmp_path_factory.mktemp("study")
    write_config(place, tiny_config(place))
    options = ["--config", "mine.yaml", "--like", "one", *SCENES, "--cores", "2"]
    study(place, "ablation", *options, "--settings", "pl,pl-r1-r2", "--json", "figures.json")
    return place


def files(place, name):
    return sorted(path.name for path in place.iterdir() if path.stem == name)


def test_the_ablation_leaves_its_table_in_every_form(folder):
    place = folder / "results" / "studies" / "ablation-scenes-test-20-2"
    assert files(place, "ablation") == [f"ablation.{suffix}" for suffix in ("csv", "json", "md", "png", "svg")]
    found = json.loads((folder / "figures.json").read_text())
    assert [row["setting"] for row in found["rows"][:2]] == ["pl", "pl-r1-r2"]
    for row in found["rows"][:2]:
        for name in ("AP50", "mAP", "mIoU", "recall", "mIoU_by_span", "mIoU_by_iou"):
            assert row[name]["low"] <= row[name]["value"] <= row[name]["high"]
    real = found["rows"][2]
    assert "absent" in real["not_run"] and "workflow/studies/grandf.yaml" in real["not_run"]


def test_captions_share_the_inversion_of_the_texts_and_make_their_own(folder):
    before = (
        (folder / "results" / "scenes-test-20-2" / "invert" / "tiny" / "00000" / "manifest.json").stat().st_mtime_ns
    )
    (folder / "mine.jsonl").write_text('{"id": "test-000020", "text": "a red circle on grass"}\n')
    options = ["--config", "mine.yaml", "--like", "one", *SCENES, "--cores", "2"]
    study(folder, "captions", *options, "--mistakes", "", "--captions", "mine.jsonl", "--json", "captions.json")
    after = (folder / "results" / "scenes-test-20-2" / "invert" / "tiny" / "00000" / "manifest.json").stat().st_mtime_ns
    assert after == before
    place = folder / "results" / "studies" / "captions-scenes-test-20-2-spacy"
    assert files(place, "captions") == [f"captions.{suffix}" for suffix in ("csv", "json", "md", "png", "svg")]
    own, mine = json.loads((folder / "captions.json").read_text())["rows"][:2]
    assert (own["captions"], mine["captions"]) == ("truth text", "mine")
    assert (own["unanswered"], mine["unanswered"]) == (0, 1)  # the second scene has no caption


def test_speed_reads_what_the_jobs_took(folder):
    text = study(folder, "speed", "scenes-test-20-2-pl-r1-r2", "--json", "speed.json")
    assert "A100" in text
    row, *papers = json.loads((folder / "speed.json").read_text())["rows"]
    parts = [row[stage] for stage in ("parse", "invert", "attend", "prompt", "segment")]
    assert all(part > 0 for part in parts) and row["all"] == pytest.approx(sum(parts))
    assert row["steps"] == "2" and row["images"] == 2
    assert len(papers) == 4
    with (folder / "results" / "studies" / "speed" / "speed.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 5
