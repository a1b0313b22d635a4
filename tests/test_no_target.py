"""Is anything meant? A mask's own confidence, expressions of what is not there, the fitted decision, its figures."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from lab.studies import calibration
from lab.studies import no_target as study
from lab.studies.table import save_figure
from stages.artifacts import AnywordError, ShardReader
from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.masks import decode, encode
from stages.artifacts.no_target import NoTarget, read_no_target
from stages.artifacts.recipes import model_of
from stages.artifacts.tables import read_table, targets_of, write_table
from stages.samples.command import index as list_dataset
from stages.samples.command import run
from stages.score.collector import Case, collector_of
from stages.score.recipe import Grefcoco
from stages.segment.confidence import confidence
from stages.world.absent import expression
from stages.world.scene import scene

TEXT = "red circle"
PHRASE = Phrase(span=Span(start=0, end=10), root=Span(start=4, end=10), adjectives=(Span(start=0, end=3),))
RED, CIRCLE = (0, 3), (4, 10)


def blob(row, column):
    grid = np.mgrid[:16, :16]
    return 0.01 + 0.2 * np.exp(-((grid[0] - row) ** 2 + (grid[1] - column) ** 2) / 6)


def square(top, left, side=24, shape=(96, 128)):
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


# The mask's confidence.


def test_a_mask_under_all_its_words_is_trusted_most():
    maps = {RED: blob(8, 4), CIRCLE: blob(8, 4)}
    here, there = (confidence(PHRASE, maps, square(36, left)) for left in (24, 90))
    assert here["contrast"] > 2 and here["agreement"] > 0.5
    assert there["contrast"] < 0 and there["agreement"] == 0
    assert here["attention"] > 5 * there["attention"]


def test_words_that_point_at_different_things_give_no_confidence_wherever_the_mask_is():
    """A red square and a blue circle: "red circle" names neither."""
    together = {RED: blob(8, 4), CIRCLE: blob(8, 4)}
    apart = {RED: blob(8, 4), CIRCLE: blob(8, 12)}
    trusted = confidence(PHRASE, together, square(36, 24))
    for left in (24, 88):
        doubted = confidence(PHRASE, apart, square(36, left))
        assert doubted["contrast"] < 0 < trusted["contrast"]
        assert doubted["attention"] < trusted["attention"] / 5
        assert doubted["agreement"] < trusted["agreement"]


def test_confidence_is_defined_where_there_is_nothing_to_compare():
    maps = {RED: blob(8, 4), CIRCLE: blob(8, 4)}
    nothing = {"contrast": 0.0, "attention": 0.0, "agreement": 0.0}
    assert confidence(PHRASE, maps, np.zeros((96, 128), dtype=bool)) == nothing
    assert confidence(PHRASE, {}, square(36, 24)) == nothing
    assert confidence(PHRASE, maps, np.ones((96, 128), dtype=bool))["contrast"] == 0
    flat = {RED: np.full((16, 16), 0.2), CIRCLE: np.full((16, 16), 0.1)}
    assert confidence(PHRASE, flat, square(36, 24)) == {**nothing, "attention": pytest.approx(0.1)}


def test_large_images_give_what_small_ones_give():
    maps = {RED: blob(8, 4), CIRCLE: blob(8, 4)}
    small = confidence(PHRASE, maps, square(36, 24))
    large = confidence(PHRASE, maps, np.kron(square(36, 24), np.ones((9, 9), dtype=bool)))
    assert large == pytest.approx(small, rel=0.02)


@settings(deadline=None)
@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 95), st.integers(0, 127), st.floats(1e-6, 1e3))
def test_confidence_is_bounded_and_knows_no_scale(row, column, top, left, scale):
    maps = {RED: blob(row, column), CIRCLE: blob(row, column)}
    one = confidence(PHRASE, maps, square(top, left))
    other = confidence(PHRASE, {key: scale * value for key, value in maps.items()}, square(top, left))
    assert -10 <= one["contrast"] <= 10 and 0 <= one["agreement"] <= 1
    assert other["attention"] == pytest.approx(scale * one["attention"])
    assert [other[key] for key in ("contrast", "agreement")] == pytest.approx(
        [one[key] for key in ("contrast", "agreement")], abs=1e-5
    )


def test_masks_without_confidence_are_read_as_before(tmp_path):
    target = targets_of("a", Parse(phrases=(PHRASE,)))[0]
    row = {**target, **encode(square(3, 3)), "score": 0.5}
    write_table(tmp_path / "old.parquet", "masks", [row])
    write_table(tmp_path / "new.parquet", "masks", [{**row, "contrast": 0.25, "attention": 0.125, "agreement": 0.5}])
    (old,), (new,) = (read_table(tmp_path / f"{name}.parquet", "masks") for name in ("old", "new"))
    columns = ("contrast", "attention", "agreement")
    assert [old[name] for name in columns] == [None, None, None]
    assert [new[name] for name in columns] == [0.25, 0.125, 0.5]
    assert old.keys() == new.keys()


# Expressions of what is not there.


@pytest.mark.parametrize("index", range(30))
def test_an_absent_expression_names_no_object_and_differs_from_a_present_one_by_a_word(index):
    drawn = scene("val", index)
    present, absent = (expression(drawn, np.random.default_rng(index), absent=one) for one in (False, True))
    words, others = present.text.split(), absent.text.split()
    different = [i for i, (a, b) in enumerate(zip(words, others, strict=True)) if a != b]
    assert different == [len(words) - (1 if absent.exchanged == "noun" else 2)]
    assert (others[-2], others[-1]) not in {(one.colour, one.noun) for one in drawn.instances}
    assert absent.instance is None
    me = drawn.instances[present.instance]
    fits = [
        one
        for one in drawn.instances
        if (one.colour, one.noun) == (words[-2], words[-1]) and (len(words) == 3 or one.pattern == words[1])
    ]
    assert fits == [me]  # what is there is named without doubt
    for one in (present, absent):
        (phrase,) = one.parse.checked(one.text).phrases
        assert phrase.root.of(one.text) == one.text.split()[-1]
        assert [span.of(one.text) for span in phrase.adjectives] == one.text.split()[1:-1]


def shard_of(tmp_path, out, **options):
    recipe = model_of("samples", "expression-world").model_validate({"kind": "expression-world", **options})
    listing = tmp_path / out / "index" / "manifest.json"
    list_dataset(recipe=recipe.model_dump(mode="json"), output=listing)
    output = tmp_path / out / "00000" / "manifest.json"
    run(index=listing.parent / "00000" / "manifest.json", recipe={"kind": "expression-world"}, output=output)
    return ShardReader(output, "samples")


def test_a_dataset_of_expressions_has_an_empty_truth_where_nothing_is_meant(tmp_path):
    folder = shard_of(tmp_path, "one", split="val", count=12)
    truth = {row["sample_id"]: row for row in folder.table("truth")}
    samples = folder.table("samples")
    none = [row["sample_id"] for row in samples if "no_target" in row["tags"]]
    assert len(none) == 6  # the half, to a sample
    assert set(truth) == {row["sample_id"] for row in samples} - set(none)
    assert all(decode(row).any() for row in truth.values())
    assert all(row["referred"] == 0 and len(row["phrases"]) == 1 for row in samples)
    assert shard_of(tmp_path, "two", split="val", count=12).sha256 == folder.sha256
    other = shard_of(tmp_path, "three", split="val", count=12, seed=1).table("samples")
    assert [row["text"] for row in other] != [row["text"] for row in samples]
    part = shard_of(tmp_path, "part", split="val", first=5, count=3).table("samples")
    assert [row["text"] for row in part] == [row["text"] for row in samples[5:8]]  # wherever a dataset begins
    assert not shard_of(tmp_path, "four", split="val", count=4, absent=1.0).table("truth")


# The decision.


def test_a_logistic_regression_finds_the_weights_that_made_the_answers():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 2)) * [0.1, 3.0] + [0.8, 0.0]
    truth = np.array([12.0, -0.5])
    answers = rng.random(4000) < expit(values @ truth - 9.0)
    weights, bias = calibration.fit_logistic(values, answers)
    assert weights == pytest.approx(truth, rel=0.12)
    assert bias == pytest.approx(-9.0, rel=0.12)
    # Calibration in the large: the mean probability is the share of yes.
    assert expit(values @ weights + bias).mean() == pytest.approx(answers.mean(), abs=1e-6)


def test_the_fit_is_where_the_penalised_likelihood_is_flat():
    rng = np.random.default_rng(1)
    values, answers = rng.normal(size=(40, 3)), rng.random(40) < 0.4
    weights, bias = calibration.fit_logistic(values, answers, ridge=0.7)
    spread = values.std(axis=0)
    gap = expit(values @ weights + bias) - answers
    scaled = (values - values.mean(axis=0)) / spread
    assert scaled.T @ gap + 0.7 * weights * spread == pytest.approx(np.zeros(3), abs=1e-6)


def test_answers_that_a_column_tells_apart_without_an_error_still_give_finite_weights():
    values, answers = np.array([[0.1], [0.2], [0.8], [0.9]]), np.array([False, False, True, True])
    weights, bias = calibration.fit_logistic(values, answers)
    assert 0 < weights[0] < 20
    assert ((expit(values @ weights + bias) > 0.5) == answers).all()
    flat, _ = calibration.fit_logistic(np.column_stack([values, np.ones(4)]), answers)
    assert flat[1] == 0
    with pytest.raises(AnywordError, match="with and without a target"):
        calibration.fit_logistic(values, np.ones(4, dtype=bool))


def test_the_threshold_is_where_nothing_and_the_mask_are_worth_the_same():
    t = calibration.best_for_giou(0.8)
    assert 1 - t == pytest.approx(t * 0.8)


def test_an_honest_probability_has_no_calibration_error_and_an_overconfident_one_has():
    answers = np.array([True] * 8 + [False] * 2 + [True] * 2 + [False] * 8)
    honest = np.repeat([0.8, 0.2], 10)
    assert calibration.calibration_error(honest, answers) == pytest.approx(0)
    assert calibration.calibration_error(np.repeat([1.0, 0.0], 10), answers) == pytest.approx(0.2)
    rows = calibration.reliability(honest, answers)
    assert sum(row["count"] for row in rows) == 20
    assert rows[8]["predicted"] == pytest.approx(0.8) and rows[8]["observed"] == pytest.approx(0.8)
    assert calibration.reliability(np.ones(2), answers[:2])[-1]["count"] == 2  # 1 is in the last bin
    assert calibration.auc(honest, answers) == pytest.approx(0.8)
    assert calibration.auc(honest, np.ones(20, dtype=bool)) is None


def case(name, score, has_target, right=True, contrast=0.5):
    """An expression whose mask is the truth (or beside it)."""
    parse = Parse(phrases=(PHRASE,), referred=0)
    sample = {"sample_id": name, "image_sha256": name, "width": 128, "height": 96, "text": TEXT, "referred": 0}
    (target,) = targets_of(name, parse)
    truth = [{**target, **encode(square(10, 10)), "tags": []}] if has_target else []
    mask = {**target, **encode(square(10, 10 if right else 60)), "score": score}
    return Case(
        {**sample, "tags": [] if has_target else ["no_target", "exchanged_noun"], **parse.row()},
        truth,
        [{**mask, "contrast": contrast, "attention": 0.1, "agreement": 0.5}],
        0,
    )


DECISION = {"kind": "no-target", "weights": {"score": 10.0}, "bias": -5.0, "threshold": 0.5}


def scored(recipe, cases):
    collector = collector_of(Grefcoco.model_validate({"replicates": 0, **recipe}))
    for one in cases:
        collector.add(one)
    return collector.figures()


def test_a_decision_lets_an_experiment_say_that_nothing_is_meant(tmp_path):
    cases = [case("a", 0.9, True), case("b", 0.2, False), case("c", 0.3, True), case("d", 0.8, False)]
    plain = scored({}, cases)
    assert (plain["N_acc"]["value"], plain["T_acc"]["value"], plain["gIoU"]["value"]) == (0, 1, 50)
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(DECISION))
    for given_as in (str(path), DECISION):
        found = scored({"no_target": given_as}, cases)
        assert (found["N_acc"]["value"], found["T_acc"]["value"], found["gIoU"]["value"]) == (0.5, 0.5, 50)
    assert scored({"no_target": {**DECISION, "threshold": 0.0}}, cases) == plain


def test_the_numbers_of_a_file_stand_in_the_recipe_and_not_its_path(tmp_path):
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(DECISION))
    recipe = Grefcoco.model_validate({"no_target": str(path)})
    assert recipe.no_target == NoTarget.model_validate(DECISION) == read_no_target(path)
    assert str(tmp_path) not in recipe.model_dump_json()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("{", "no no-target decision"),
        ('{"weights": {"area": 1}, "bias": 0}', "area"),
        ('{"weights": {}, "bias": 0}', "weights"),
        ('{"weights": {"score": 1e999}, "bias": 0}', "finite"),
    ],
)
def test_a_file_that_is_no_decision_is_refused_in_one_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "decision.json").write_text(content)
    with pytest.raises(AnywordError, match=said) as caught:
        read_no_target(tmp_path / "decision.json")
    assert "\n" not in str(caught.value)


def test_masks_without_the_column_that_a_decision_weighs_are_refused():
    bare = case("a", 0.9, True, contrast=None)
    with pytest.raises(AnywordError, match=r"have no 'contrast'.*Run segment again"):
        scored({"no_target": {**DECISION, "weights": {"contrast": 1.0}}}, [bare])


# The study.


@pytest.fixture(scope="module")
def said():
    """Expressions whose masks' scores tell the two kinds apart, with errors; one sample without a mask."""
    rng = np.random.default_rng(3)
    cases = []
    for i in range(60):
        has = bool(rng.random() < 0.5)
        value = float(rng.normal(0.7 if has else 0.4, 0.15))
        cases.append(case(f"s{i}", value, has, right=rng.random() < 0.9, contrast=float(rng.normal())))
    found = [study.Said(one, one.predictions[0]) for one in cases]
    lost = case("lost", 0.9, True)
    return [*found, study.Said(Case(lost.sample, lost.truth, [], None), None)]


def test_the_study_fits_a_decision_that_helps_and_says_how_honest_it_is(said, tmp_path):
    decisions = study.fit(said, "toy")
    assert set(decisions) == {"score", "contrast", "attention", "agreement", "all"}
    assert decisions["all"].weights["score"] > 0 and decisions["all"].weights["agreement"] == 0  # it never differs
    found = study.figures(said, decisions, bins=5, replicates=100)
    assert found["expressions"] == 61 and found["without_mask"] == 1
    plain, best = found["decisions"][study.NONE], found["decisions"]["all"]
    assert plain["N_acc"]["value"] == 0
    assert plain["T_acc"]["value"] == pytest.approx(1 - 1 / (61 - found["no_target"]))  # the lost sample has no mask
    assert best["N_acc"]["value"] > 0.6 and best["gIoU_gain"]["low"] > 0
    assert best["gIoU"]["value"] - plain["gIoU"]["value"] == pytest.approx(best["gIoU_gain"]["value"])
    assert best["N_acc_by_kind"] == {"noun": pytest.approx(best["N_acc"]["value"])}
    honest = found["calibration"]["all"]
    assert sum(row["count"] for row in honest["reliability"]) == 61
    assert honest["ECE"]["low"] <= honest["ECE"]["high"] and honest["AUC"]["value"] > 0.8
    assert found["calibration"]["contrast"]["AUC"]["value"] < honest["AUC"]["value"]
    text = study.table(found)
    assert all(name in text for name in (study.NONE, "contrast", "Reliability", "exchanged word"))
    for folder in ("once", "again"):
        (tmp_path / folder).mkdir()
        save_figure(study.reliability_diagram(found), tmp_path / folder / "diagram")
    for form, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        once, again = ((tmp_path / folder / f"diagram.{form}").read_bytes() for folder in ("once", "again"))
        assert once.startswith(start) and once == again


def test_the_studys_experiments_differ_from_the_given_one_in_dataset_and_scorer_only():
    base = {"experiments": {"truth": {"dataset": "demo", "parser": "truth", "scorer": "default"}}}
    counts = {"val": 4, "test": 6}
    added, names = study.configuration(base, like="truth", samples=counts, first=2, absent=0.5, shard_size=3)
    for split, name in names.items():
        assert added["datasets"][name]["count"] == counts[split] and added["datasets"][name]["split"] == split
        assert added["experiments"][name] == {"dataset": name, "parser": "truth", "scorer": "no-target"}
    with pytest.raises(AnywordError, match="'nothing' is no experiment"):
        study.configuration(base, like="nothing", samples=counts, first=0, absent=0.5, shard_size=3)
