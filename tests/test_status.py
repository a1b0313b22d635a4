"""`anyword status`: what is done, at work, stopped and stale, without a run being on."""

import json
from dataclasses import asdict, replace

import pytest
from toy_results import toys, write_results
from typer.testing import CliRunner

from stages.artifacts import claim
from stages.artifacts.status import status
from stages.cli import app


@pytest.fixture
def results(tmp_path):
    """Two shards of a dataset, done up to segment."""
    write_results(tmp_path / "results" / "drawn")
    return tmp_path / "results"


def of(results, stage, **options):
    (found,) = [one for one in status(results, **options) if one.stage == stage]
    return found


def test_what_is_done_and_what_failed_is_counted(results):
    masks = of(results, "segment")
    assert (masks.dataset, masks.name, masks.done, masks.shards) == ("drawn", "toy", 2, 2)
    assert (masks.samples, masks.failed, masks.stale, masks.running, masks.stopped) == (3, 1, 0, 0, 0)


def test_work_and_its_traces_are_told_apart(results):
    first, second = (results / "drawn" / "attend" / "toy" / "toy" / name for name in ("00000", "00001"))
    for folder in (first, second):
        (folder / "manifest.json").unlink()
    (first / claim.NAME).write_text(json.dumps(asdict(claim.mine())))
    dead = replace(claim.mine(), pid=2**22 + 1, started="0")
    (second / claim.NAME).write_text(json.dumps(asdict(dead)))
    maps = of(results, "attend")
    assert (maps.done, maps.running, maps.stopped) == (0, 1, 1)
    told = CliRunner().invoke(app, ["status", str(results)]).output
    assert f"{first}: process" in told
    assert f"{second}: process 4194305 on " in told
    assert "gone: the next run takes over" in told


def test_what_was_made_from_something_else_or_by_another_version_is_stale(results):
    assert of(results, "parse", versions={"parse": "2"}).stale == 2
    one, two = (results / "drawn" / "samples" / name / "manifest.json" for name in ("00000", "00001"))
    one.unlink()
    found = {one.stage: one.stale for one in status(results)}
    assert found["samples"] == 0
    assert found["parse"] == found["invert"] == found["attend"] == found["segment"] == 1
    assert two.is_file()


def test_time_is_that_of_the_finished_shards(results):
    (results / "drawn" / "invert" / "toy" / "00001" / "manifest.json").unlink()
    benchmark = results.parent / "logs" / "drawn" / "invert" / "toy" / "00000.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\n120.0\t0:02:00\n")
    found = of(results, "invert")
    assert found.seconds_a_sample == pytest.approx(60)
    assert found.eta == pytest.approx(120)


def test_programs_read_it_as_json(results):
    said = CliRunner().invoke(app, ["status", str(results), "--json"])
    value = json.loads(said.stdout)
    assert {one["stage"] for one in value["stages"]} == {"samples", "parse", "invert", "attend", "prompt", "segment"}
    assert value["claims"] == []
    (fared,) = value["experiments"]
    assert (fared["experiment"], fared["done"], fared["failed"]) == ("toy", 3, 1)
    assert [(one["stage"], one["kind"], one["count"]) for one in fared["reasons"]] == [
        ("prompt", "no map. Look there.", 1)
    ]
    assert "--forcerun" in fared["reasons"][0]["command"]


def test_failures_are_told_with_their_reason_and_command(results):
    said = CliRunner().invoke(app, ["status", str(results)])
    assert said.exit_code == 0
    assert "1 of 4 samples failed:\n  1 in prompt: no map. Look there. For instance '../third'." in said.stdout
    assert "once mended, with your --configfile: snakemake -c2 --forcerun" in said.stdout


def test_results_of_which_nothing_went_through_are_no_success(tmp_path):
    samples = toys()
    for one in samples:
        one.failed = "no map."
    write_results(tmp_path / "results" / "drawn", samples)
    said = CliRunner().invoke(app, ["status", str(tmp_path / "results")])
    assert said.exit_code == 1
    assert "EVERY sample failed, all 4:" in said.stdout and "No sample went through: toy." in said.stderr


def test_a_manifest_in_another_layout_counts_the_same_and_words_in_it_count_nothing(results):
    before = [asdict(one) for one in status(results)]
    for path in results.rglob("segment/*/manifest.json"):
        value = json.loads(path.read_text())
        for sample in value["samples"]:
            sample["id"] += '\n      "state": "failed"'
        path.write_text(json.dumps(value))
    assert [asdict(one) for one in status(results)] == before
