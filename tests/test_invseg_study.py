"""InvSeg's study: what it measures of label maps, what it keeps, and what docs show of it."""

import json

import pytest
from typer.testing import CliRunner

from lab.studies import invseg, invseg_runs
from stages.cli import app
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe

WAYS = dict(zip(invseg.WAYS, (0.4, 0.6, 0.7, 0.5, 0.6, 0.9), strict=True))


def counts(share, names=("grass", "star"), images=2):
    """So large a share of each class found, and nothing else: pixels in both, predicted, true."""
    return [{name: [round(100 * share), round(100 * share), 100] for name in names} for _ in range(images)]


def test_gains_are_over_the_better_baseline_on_the_same_images():
    found = invseg.figures({way: counts(share) for way, share in WAYS.items()})
    assert {way: found[way] for way in WAYS} == pytest.approx(WAYS)
    assert found["better"] == "refined" and (found["images"], found["classes"]) == (2, 2)
    gains = {name: found[f"{name}_gain"] for name in ("refined", "invseg", "gentle", "variant")}
    assert gains == pytest.approx({"refined": 0.2, "invseg": 0.1, "gentle": -0.1, "variant": 0.0})
    assert found["invseg_gain_low"] == pytest.approx(0.1) == pytest.approx(found["invseg_gain_high"])
    assert found["groups"]["grounds"]["oracle"] == pytest.approx(0.9)


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The study on the embedded backbone with label maps that are given, and the ways that were computed."""
    ways = []

    def histograms(model, chosen, way):
        ways.append(way)
        return [{name: invseg_runs.np.array([50, 50, 100]) for name in one.truth} for one in chosen]

    monkeypatch.setattr(invseg_runs, "histograms", histograms)
    monkeypatch.chdir(tmp_path)
    return ways


def study(*options):
    return CliRunner().invoke(app, ["study", "invseg", "--split", "val", "--json", "all.json", *options])


def table(done):
    return [line for line in done.output.splitlines() if line.startswith("|")]


def test_what_is_done_is_not_computed_again_and_is_shown(asked, tmp_path):
    options = ["--samples", "4", "--conditions", "weak, nouns", "--tables", "1"]
    first = study(*options)
    assert first.exit_code == 0, first.output
    assert len(asked) > 2 * len(invseg.WAYS)
    asked.clear()
    again = study(*options)
    assert not asked and table(again) == table(first)
    found = json.loads((tmp_path / "all.json").read_text())
    assert found["weak"]["oracle"] == pytest.approx(0.5) and found["tables_images"] == 1
    assert [line for line in invseg.shown(found).splitlines() if line.startswith("|")] == table(first)
    assert "| nouns | 4 |" in first.output and "| 3: scale | 8 | 0.500" in first.output


def test_the_papers_tables_alone_and_an_unknown_list(asked):
    done = study("--samples", "4", "--conditions", "", "--tables", "1")
    assert done.exit_code == 0 and "| 3: scale | 8 |" in done.output and "better baseline" not in done.output
    refused = study("--conditions", "nouns,verbs")
    assert refused.exit_code == 1 and "'verbs' is unknown" in str(refused.exception or refused.output)


def test_an_oracle_that_sees_the_truth_is_better_than_the_prompt():
    model = load(BackboneRecipe(kind="embedded", dtype="bfloat16"))
    chosen = invseg_runs.items(model, "val", [0], "phrases")
    ways = invseg.ways(invseg.CONDITIONS["phrases"])
    plain, oracle = (invseg_runs.histograms(model, chosen, ways[way]) for way in ("plain", "oracle"))
    names = invseg.names_of(plain)
    assert invseg.miou(oracle, names)["value"] > invseg.miou(plain, names)["value"]
