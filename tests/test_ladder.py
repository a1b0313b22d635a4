"""The ladder's figures: which phrases they are over, and what is compared with what."""

import pytest

from lab.studies import ladder
from lab.studies.table import markdown
from stages.score.bootstrap import paired_difference


@pytest.fixture
def figures():
    """Three captions: a plain one, one with a synonym phrase, one with two objects of a noun."""
    tags = {
        ("plain", "phrase", 0): [],
        ("plain", "phrase", 1): ["ground"],
        ("unseen", "phrase", 0): ["synonym"],
        ("unseen", "phrase", 1): [],
        ("twins", "phrase", 0): ["same_noun"],
        ("twins", "phrase", 1): ["same_noun", "small"],
    }
    gains = {"attention_only_half": 0.1, "attention_only": 0.2, "sam": 0.4, "inversion": 0.6, "full": 0.9}
    ious = {rung: dict.fromkeys(tags, gain) for rung, gain in gains.items()}
    ious["inversion"]["unseen", "phrase", 0] = 0.95
    return ladder.figures(ious, tags, lambda a, b: paired_difference(a, b, replicates=200).json())


def test_every_rung_is_a_mean_over_all_phrases(figures):
    assert figures["samples"] == 3
    assert figures["phrases"] == 6
    assert figures["sam"] == pytest.approx(0.4)
    assert figures["inversion"] == pytest.approx((5 * 0.6 + 0.95) / 6)


def test_parts_are_whole_scenes_but_for_kinds_of_phrases(figures):
    assert figures["known"]["phrases"] == 4  # both phrases of the caption with a synonym are left out
    assert figures["same_noun"]["phrases"] == 2
    assert figures["small"]["phrases"] == figures["ground"]["phrases"] == 1


def test_synonyms_are_that_phrase_alone_without_and_with_inversion(figures):
    assert figures["synonyms"] == {
        "attention_only": pytest.approx(0.2),
        "sam": pytest.approx(0.4),
        "inversion": pytest.approx(0.95),
        "full": pytest.approx(0.9),
        "phrases": 1,
    }


def test_differences_carry_intervals(figures):
    step = figures["differences"]["all"]["full-inversion"]
    assert step["low"] <= step["value"] <= step["high"]
    assert step["value"] == pytest.approx(figures["full"] - figures["inversion"])


def test_the_table_names_every_rung(figures):
    text = ladder.table(figures | {"split": "test"})
    assert all(name in text for name in ladder.NAMES.values())
    assert "| unseen synonyms | +0.200" in text


def test_rungs_differ_only_in_what_they_add():
    base = {
        "prompters": {"binding": {"kind": "points", "threshold": 0.6}},
        "inverters": {"embedded": {"kind": "textual", "steps": 40}},
        "segmenters": {"attention": {"kind": "attention", "threshold": 0.4}},
    }
    added = ladder.configuration(base, ladder.Choice(), dataset="d", split="val", first=0, samples=4, shard_size=4)
    sam, inversion, full = (added["experiments"][f"d-{rung}"] for rung in ("sam", "inversion", "full"))
    assert {key for key in sam if sam[key] != inversion[key]} == {"inverter"}
    assert {key for key in full if full[key] != inversion[key]} == {"prompter"}
    assert added["inverters"]["none"] == {"kind": "textual", "steps": 0}
    plain = added["prompters"]["unbound"]
    assert plain["threshold"] == 0.6
    assert not plain["adjectives"]
    assert not plain["exclusion"]


def test_markdown_rounds_fractions_and_leaves_gaps():
    assert markdown(["a", "b"], [[0.12345, None]]) == "| a | b |\n| --- | --- |\n| 0.123 |  |"
