"""The rule of suspicion: fitted where truth is, told in a few figures, and the one that the page applies."""

import json

import numpy as np
import pytest
from test_report import make
from toy_results import toys

from lab.studies import suspicion as study
from stages.artifacts.results import Results
from stages.report import suspicion


@pytest.fixture
def masks():
    """Of 300 masks a third are wrong; these share pixels and have a lower score; contrast says nothing."""
    draw = np.random.default_rng(0)
    wrong = np.arange(300) % 3 == 0
    values = {
        "score": 0.9 - 0.05 * wrong + draw.normal(0, 0.05, 300),
        "contrast": draw.normal(4, 1, 300),
        "shared": 0.3 * wrong + draw.normal(0.1, 0.15, 300),
        "area": 1.0 - wrong,  # it would tell all, but of the image rather than of the mask
    }
    return study.Masks(values, wrong, [f"s{i // 2}" for i in range(300)])


def test_the_rule_takes_the_figures_that_tell_and_no_others(masks):
    names = study.chosen(masks)
    assert names[0] == "shared" and "score" in names and "area" not in names and "contrast" not in names
    rule = study.rule(masks, names, "drawn numbers")
    found = study.figures(masks, rule, replicates=20)
    auc = {name: one["value"] for name, one in found["auc"].items()}
    assert auc["rule"] >= max(auc["shared"], auc["score"]) > 0.7 and auc["area"] == 1.0
    assert 0.4 < auc["contrast"] < 0.6
    assert found["auc"]["rule"]["low"] < auc["rule"] < found["auc"]["rule"]["high"]
    assert "| **the rule** |" in study.table(found)


def test_the_page_applies_the_rule_that_was_fitted(masks, monkeypatch):
    rule = study.rule(masks, ["score", "shared"], "drawn numbers")
    monkeypatch.setattr(suspicion, "rule", lambda: rule)
    columns = masks.columns(["score", "shared"])
    judged = np.array([suspicion.suspicion({"score": a, "shared": b}) for a, b in columns])
    assert judged[masks.wrong].mean() > judged[~masks.wrong].mean() + 1
    probability = (1 / (1 + np.exp(-judged))).mean()
    assert abs(probability - masks.wrong.mean()) < 0.02, "on what it was fitted on it is log-odds"
    assert suspicion.suspicion({}) == rule["bias"]


def test_masks_are_read_with_their_answers(tmp_path):
    make(tmp_path, samples=toys())
    found = study.read(Results(tmp_path), "toy")
    assert found.scene == ["first", "first", "second <b>", "=fourth"]
    assert found.wrong.tolist() == [False, False, False, True]
    assert {"score", "entropy", "shared", "contradicted"} <= found.values.keys()


def test_the_committed_rule_and_tables_are_those_of_the_committed_figures():
    from stages import REPOSITORY

    page = (REPOSITORY / "docs" / "audit.md").read_text(encoding="utf-8")
    found = json.loads((REPOSITORY / "docs" / "figures" / "suspicion.json").read_bytes())
    assert study.table(found) in page and suspicion.rule() == found["rule"]
    for row in json.loads((REPOSITORY / "benchmarks" / "page.json").read_bytes()):
        cells = [
            f"{row['samples']:,}".replace(",", " "),
            row["load_s"],
            row["filter_s"],
            f"{row['files']:,}".replace(",", " "),
        ]
        assert f"| {' | '.join(map(str, cells))} | {row['bytes'] / 1e6:.0f} MB |" in page
        assert row["load_s"] <= 2 and row["filter_s"] <= 0.3
