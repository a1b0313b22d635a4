"""Scores: who answers whom, what failures cost, intervals, and the official figures' corner cases."""

import csv
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_results import CIRCLE, HEIGHT, SQUARE, WIDTH, rectangle, toys, write_results

from stages.artifacts import AnywordError, ArtifactError, ShardReader
from stages.artifacts.compose import answers, label_map, referred_all
from stages.artifacts.masks import areas, decode, encode, iou_matrix, overlap, rle_of, union
from stages.score import average_precision, grandf, referring, semantic
from stages.score.bootstrap import mean, paired_difference
from stages.score.command import run


@pytest.fixture
def scored(tmp_path):
    shards = write_results(tmp_path)
    output = tmp_path / "experiments" / "toy" / "score" / "manifest.json"
    score = run(
        root=tmp_path,
        experiment="toy",
        shards=shards,
        recipe={"kind": "grounding", "replicates": 200},
        output=output,
        parser="truth",
        inverter="toy",
        attender="toy",
    )
    return score, ShardReader(output, "score")


def rows_of(folder, name):
    with folder.file(name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_figures_of_a_finished_experiment(scored):
    score, folder = scored
    # IoU of the six phrases: .5 and 1; 1; 0 and 0 (their sample failed); 0 (a wrong mask).
    assert score["phrases"]["count"] == 6
    assert score["phrases"]["answered"] == 4
    assert score["phrases"]["miou"]["value"] == pytest.approx(2.5 / 6)
    assert score["predicates"]["miou"]["value"] == 1.0
    assert score["phrases"]["tags"]["small"]["miou"]["value"] == pytest.approx(0.5)
    assert score["phrases"]["tags"]["synonym"]["miou"]["value"] == 0.0
    # Words look at the first truth: right for both circles and the cat, wrong for the square; the failed has no map.
    assert (score["phrases"]["pointed"], score["phrases"]["pointing"]["value"]) == (4, pytest.approx(0.75))
    assert json.loads(folder.file("score.json").read_text()) == score


def test_failures_and_extra_predictions_are_listed(scored):
    score, folder = scored
    assert score["failures"] == [{"sample_id": "../third", "reason": "in prompt: no map. Look there."}]
    assert folder.failures["../third"] == "in prompt: no map. Look there."
    assert [(row["sample_id"], row["phrase"]) for row in rows_of(folder, "extra.csv")] == [("second <b>", "a square")]
    states = {row["sample_id"]: (row["state"], row["miou"]) for row in rows_of(folder, "samples.csv")}
    assert states["../third"] == ("failed", "0.000000")
    assert states["first"] == ("done", "0.750000")
    assert [float(row["iou"]) for row in rows_of(folder, "scores.csv") if row["sample_id"] == "../third"] == [0, 0]


def test_scoring_again_gives_the_same_bytes(scored, tmp_path):
    _, first = scored
    output = tmp_path / "again" / "manifest.json"
    names = {"parser": "truth", "inverter": "toy", "attender": "toy"}
    recipe = {"kind": "grounding", "replicates": 200}
    run(root=tmp_path, experiment="toy", shards=2, recipe=recipe, output=output, **names)
    assert first.sha256 == ShardReader(output, "score").sha256


def test_masks_of_another_size_are_refused_with_their_sample(tmp_path):
    samples = toys()[:1]
    samples[0].masks["phrase", 0] = np.ones((HEIGHT * 2, WIDTH), dtype=bool)
    write_results(tmp_path, samples)
    with pytest.raises(ArtifactError, match=r"sample 'first'.*32x48 and 64x48"):
        run(root=tmp_path, experiment="toy", shards=1, recipe={"kind": "grounding"}, output=tmp_path / "m.json")


def target(start, end, root):
    return {"start": start, "end": end, "root_start": root[0], "root_end": root[1]}


def test_the_equal_root_answers_though_a_longer_phrase_comes_first():
    truth = [target(0, 12, (6, 12))]
    covering, equal = target(0, 30, (24, 30)), target(2, 12, (6, 12))
    assert answers(truth, [covering, equal]) == [1]
    assert answers(truth, [covering]) == [0]
    assert answers(truth, [target(14, 20, (14, 20))]) == [None]


def test_one_prediction_answers_one_truth():
    two = [target(0, 5, (2, 5)), target(10, 15, (12, 15))]
    assert answers(two, [target(0, 15, (7, 9))]) == [0, None]


spans = st.tuples(st.integers(0, 20), st.integers(1, 8)).map(lambda s: target(s[0], s[0] + s[1], (s[0], s[0] + s[1])))


@given(st.lists(spans, max_size=5), st.lists(spans, max_size=5))
def test_no_prediction_answers_twice_and_every_answer_covers_the_root(truth, predictions):
    found = answers(truth, predictions)
    used = [at for at in found if at is not None]
    assert len(used) == len(set(used))
    for one, at in zip(truth, found, strict=True):
        if at is not None:
            assert predictions[at]["start"] <= one["root_start"] < one["root_end"] <= predictions[at]["end"]
        else:
            assert not any(
                p["start"] <= one["root_start"] and one["root_end"] <= p["end"]
                for i, p in enumerate(predictions)
                if i not in used
            )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_run_lengths_count_what_pixels_count(seed):
    draw = np.random.default_rng(seed)
    one, other = draw.random((2, 13, 9)) < draw.random()
    assert overlap(rle_of(encode(one)), rle_of(encode(other))) == ((one & other).sum(), (one | other).sum())
    merged = union([rle_of(encode(one)), rle_of(encode(other))], 13, 9)
    np.testing.assert_array_equal(decode(merged), one | other)
    np.testing.assert_array_equal(decode(encode(one)), one)


def test_intervals_draw_images_not_phrases():
    # Two images of very different phrases: drawing phrases would give a narrow interval, drawing images the widest.
    values, images = [0.0] * 50 + [1.0] * 50, ["a"] * 50 + ["b"] * 50
    found = mean(values, images, replicates=300, seed=0)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_interval_has_the_width_that_theory_gives():
    values = np.random.default_rng(0).normal(size=400).tolist()
    found = mean(values, range(400), replicates=2000, seed=1)
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_paired_differences_see_what_unpaired_intervals_hide():
    easy = np.random.default_rng(0).random(100)
    first = {(f"s{i}", "phrase", 0): float(v) for i, v in enumerate(easy)}
    second = {key: value + 0.01 for key, value in first.items()}
    found = paired_difference(first, second, replicates=200)
    assert (found.value, found.low, found.high) == pytest.approx((0.01, 0.01, 0.01))
    with pytest.raises(AnywordError, match="sample 's0': phrase 0 is scored in one experiment only"):
        paired_difference(first, {key: v for key, v in first.items() if key[0] != "s0"})


# Official figures: what the oracles' random sets need not contain.


def annotation(image, mask, **columns):
    return {"image_id": image, "segmentation": rle_of(encode(mask)), **columns}


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_pycocotools_own(seed):
    """Ours keeps one area range of pycocotools' evaluation, and accumulates by itself: AP50 and mAP."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    draw = np.random.default_rng(seed)
    images = [f"sa_{i}" for i in range(14)]
    boxes = [tuple(draw.integers(0, 10, 2)) for _ in range(40)]
    truth = [
        annotation(images[draw.integers(13)], rectangle(x, y, x + 12, y + 12), id=i + 1)
        for i, (x, y) in enumerate(boxes)
    ]
    moved = [(one, *(draw.integers(0, 6, 2))) for one in zip(truth, boxes, strict=True)]
    found = [
        annotation(
            one["image_id"],
            rectangle(x + dx, y + dy, x + dx + 12, y + dy + 12),
            score=1.0 if seed % 2 else round(float(draw.random()), 1),
            category_id=1,
        )
        for ((one, (x, y)), dx, dy) in moved
    ]
    for one in truth[::7]:
        one["iscrowd"] = 1
    given = {"images": [{"id": i} for i in images], "annotations": truth}
    matching = average_precision.Matching(given, found)  # one for all, as in scoring: its IoUs are shared
    unscored = matching.detections(scored=False).average_precision()
    scored = matching.detections(average_precision.COCO_THRESHOLDS)
    ours, ours_mean = scored.first().average_precision(), scored.average_precision()
    assert matching.detections().average_precision() == ours
    official = COCO()
    official.dataset = {
        "images": [{"id": one, "height": HEIGHT, "width": WIDTH} for one in images],
        "categories": [{"id": 1}],
        "annotations": [{"category_id": 1, "iscrowd": 0, "area": 144} | one for one in truth],
    }
    official.createIndex()

    def stats(results):
        evaluation = COCOeval(official, official.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return evaluation.stats

    mean, at_half = stats([dict(one) for one in found])[:2]
    assert 0 < mean < at_half < 1
    assert ours == pytest.approx(at_half, abs=1e-12)
    assert ours_mean == pytest.approx(mean, abs=1e-12)
    assert unscored == pytest.approx(stats([{**one, "score": 1.0} for one in found])[1], abs=1e-12)


def grandf_case(masks, labels, truth=(CIRCLE, SQUARE), truth_labels=("circle", "square")):
    images = [{"id": "sa_1"}]
    return grandf.evaluate(
        {"images": images, "annotations": [annotation("sa_1", m, id=i + 1) for i, m in enumerate(truth)]},
        {"images": images, "annotations": [{"image_id": "sa_1", "labels": list(truth_labels)}]},
        [annotation("sa_1", mask, score=1.0) for mask in masks],
        [{"image_id": "sa_1", "labels": list(labels)}],
    )


def test_grandf_miou_charges_nothing_for_what_has_no_partner():
    assert grandf_case([CIRCLE], ["circle"])["mIoU"]["value"] == 1.0


def test_grandf_recall_stops_at_the_first_pair_that_fails():
    larger_first = grandf_case([SQUARE, CIRCLE], ["square", "wrong"])
    assert larger_first["recall"]["value"] == 0.0  # the circle's pair comes first, and its phrase is wrong
    assert grandf_case([CIRCLE, SQUARE], ["circle", "wrong"])["recall"]["value"] == 0.5


def test_grandf_recall_of_more_masks_than_phrases():
    assert grandf_case([CIRCLE, SQUARE], ["circle"])["recall"]["value"] == 0.0


def test_grandf_without_any_prediction_is_zero():
    found = grandf_case([], [])
    assert [found[name]["value"] for name in ("AP50", "mIoU", "recall")] == [0.0, 0.0, 0.0]


def test_grandf_ties_follow_the_order_of_ids_as_numbers_or_as_text():
    """All scores are 1.0, so the wrong detection comes first or last by its image's id alone."""
    values = {}
    for wrong, right in ((2, 10), ("2", "10")):
        images = {"images": [{"id": right}, {"id": wrong}]}
        truth = {**images, "annotations": [annotation(right, CIRCLE, id=1)]}
        found = [annotation(right, CIRCLE), annotation(wrong, CIRCLE)]  # without scores: 1.0
        values[wrong] = grandf.evaluate(truth, {**images, "annotations": []}, found, [])["AP50"]["value"]
    assert values == pytest.approx({2: 0.5, "2": 1.0})


def test_grandf_an_overlap_of_exactly_half_counts():
    half = rectangle(4, 4, 8, 12)
    found = grandf_case([half], ["circle"], [rectangle(4, 4, 12, 12)], ["circle"])
    assert [found[name]["value"] for name in ("AP50", "mIoU", "recall")] == pytest.approx([1.0, 0.5, 1.0])


def test_grandf_two_empty_masks_of_one_phrase_are_a_pair_of_recall_only():
    nothing = np.zeros((HEIGHT, WIDTH), dtype=bool)
    found = grandf_case([nothing], ["circle"], [nothing], ["circle"])
    assert [found[name]["value"] for name in ("AP50", "mIoU", "recall")] == [0.0, 0.0, 1.0]


def test_grandf_truths_of_another_category_or_of_one_id_count_as_officially():
    images = {"images": [{"id": "sa_1"}]}
    labels = {**images, "annotations": [{"image_id": "sa_1", "labels": ["circle", "square"]}]}
    found = [annotation("sa_1", CIRCLE, score=1.0)]
    said = [{"image_id": "sa_1", "labels": ["circle"]}]

    def figures(first, second):
        truths = [annotation("sa_1", CIRCLE, id=1), annotation("sa_1", SQUARE, **first)]
        result = grandf.evaluate({**images, "annotations": truths[:second]}, labels, found, said)
        return [result[name]["value"] for name in ("AP50", "mIoU", "recall")]

    assert figures({"id": 2}, 2) == pytest.approx([51 / 101, 1.0, 0.5])
    # AP alone looks at categories; mIoU and recall keep truths by id, so the square takes the circle's place.
    assert figures({"id": 2, "category_id": 7}, 2) == pytest.approx([1.0, 1.0, 0.5])
    assert figures({"id": 1}, 2)[1:] == [0.0, 0.0]
    assert figures({"id": 1}, 2)[0] == 0.0
    assert figures({}, 0) == [None, 0.0, 0.0]


def test_grandf_truths_of_two_images_that_share_an_id_are_those_of_the_last():
    images = {"images": [{"id": "sa_1"}, {"id": "sa_2"}]}
    truths = [annotation("sa_1", CIRCLE, id=1), annotation("sa_2", CIRCLE, id=1), annotation("sa_2", SQUARE, id=2)]
    found = [annotation("sa_2", CIRCLE), annotation("sa_2", SQUARE)]
    figures = grandf.evaluate({**images, "annotations": truths}, {**images, "annotations": []}, found, [])
    # pycocotools loads the circle of sa_2 twice, and finds it once.
    assert figures["AP50"]["value"] == pytest.approx(67 / 101)


def test_grandf_recall_is_over_the_images_that_have_a_caption_prediction():
    images = {"images": [{"id": "sa_1"}, {"id": "sa_2"}]}
    truth = {
        **images,
        "annotations": [annotation(one["id"], CIRCLE, id=i + 1) for i, one in enumerate(images["images"])],
    }
    labels = {**images, "annotations": [{"image_id": one["id"], "labels": ["circle"]} for one in images["images"]]}
    found = [annotation("sa_1", CIRCLE, score=1.0)]
    said = [{"image_id": "sa_1", "labels": ["circle"]}]
    assert grandf.evaluate(truth, labels, found, said)["recall"]["value"] == 1.0
    said.append({"image_id": "sa_2", "labels": []})  # it answered nothing
    assert grandf.evaluate(truth, labels, found, said)["recall"]["value"] == 0.5


def test_expressions_without_target():
    nothing = np.zeros((HEIGHT, WIDTH), dtype=bool)
    cases = [(nothing, nothing), (nothing, CIRCLE), (CIRCLE, nothing), (CIRCLE, CIRCLE)]
    truth, masks = ([rle_of(encode(mask)) for mask in side] for side in zip(*cases, strict=True))
    found = referring.grefcoco(referring.compare(range(4), truth, masks))
    values = {name: one["value"] for name, one in found.items() if isinstance(one, dict)}
    assert values["gIoU"] == pytest.approx(50.0)  # 1, 0, 0, 1
    assert values["cIoU"] == pytest.approx(100 / 3)  # one of three circles' pixels
    assert (values["N_acc"], values["T_acc"]) == (0.5, 0.5)  # fractions, as the official code prints them
    assert values["Pr@0.9"] == 50.0


def test_a_class_that_is_only_predicted_counts_zero_and_one_that_is_nowhere_not_at_all():
    truth = np.array([[0, 0], [255, 255]])
    prediction = np.array([[0, 1], [2, 2]])
    found = semantic.evaluate([semantic.histogram(truth, prediction, 4)], ["a"])
    assert found["IoU"] == [0.5, 0.0, None, None]
    assert found["Acc"] == [0.5, None, None, None]
    assert (found["mIoU"]["value"], found["mAcc"]["value"]) == (0.25, 0.5)


# From phrase masks to a dataset's answer.


def prediction(text, part, index, mask=CIRCLE, score=0.5):
    start = text.index(part)
    where = target(start, start + len(part), (start, start + len(part)))
    return {"sample_id": "s", "kind": "phrase", "index": index, **where, **encode(mask), "score": score}


@pytest.mark.parametrize(
    ("text", "parts", "expected"),
    [
        ("the man, the dog and a cat", ["the man", "the dog", "a cat"], [0, 1, 2]),
        ("the man behind the dog", ["the man", "the dog"], [0]),
        ("the man behind the dog and a cat", ["the man", "the dog", "a cat"], [0]),
        ("nothing of note", [], []),
    ],
)
def test_what_an_expression_names(text, parts, expected):
    rows = [prediction(text, part, i) for i, part in enumerate(parts)]
    assert [row["index"] for row in referred_all(rows, 0, text)] == expected


def test_the_better_mask_wins_a_contested_pixel():
    text = "cat dog"
    rows = [
        prediction(text, "cat", 0, rectangle(0, 0, 10, 10), 0.9),
        prediction(text, "dog", 1, rectangle(5, 0, 20, 9)),
    ]
    labels = label_map(rows, [7, 8], HEIGHT, WIDTH)
    assert (labels[0, 7], labels[0, 15], labels[20, 20]) == (7, 8, -1)


@pytest.mark.parametrize("kind", ["grandf", "grefcoco", "refcoco", "semantic"])
def test_official_figures_of_a_finished_experiment(tmp_path, kind):
    shards = write_results(tmp_path)
    output = tmp_path / "score" / "manifest.json"
    recipe = {"kind": kind, "replicates": 20}
    score = run(root=tmp_path, experiment="toy", shards=shards, recipe=recipe, output=output, parser="truth")
    official = score["official"]
    rows = rows_of(ShardReader(output, "score"), "official.csv")  # what the figures are the mean of, one by one
    mean = {
        name: np.mean([float(row[name]) for row in rows if row[name]]) for name in ("iou", "miou") if name in rows[0]
    }
    if kind == "grandf":
        assert mean["miou"] == pytest.approx(official["mIoU"]["value"], abs=1e-6)
        # Images: .5 and 1 -> .75; 1; failed -> 0; wrong -> 0.
        assert official["mIoU"]["value"] == pytest.approx(1.75 / 4)
        assert official["recall"]["value"] == pytest.approx(3 / 6)
    elif kind == "refcoco":
        assert mean["iou"] == pytest.approx(official["gIoU"]["value"], abs=1e-6)
        assert official["gIoU"]["value"] == pytest.approx((0.5 + 1 + 0 + 0) / 4, abs=1e-6)
    elif kind == "grefcoco":
        # "a circle and a square" means both, and only the circle is true.
        assert official["gIoU"]["value"] == pytest.approx(100 * (0.5 + 0.5) / 4)
        assert official["no_target"] == 0
        assert 100 * mean["iou"] == pytest.approx(official["gIoU"]["value"], abs=1e-4)
        assert {row["target"] for row in rows} == {"1"}
        assert [row["sample_id"] for row in rows if row["answered"] == "0"] == ["../third"]
    else:
        assert {row["class"]: row["IoU"] for row in rows}["a square"] == ""
        assert float({row["class"]: row["IoU"] for row in rows}["a red circle"]) == pytest.approx(100 / 400)
        assert official["IoU"]["a red circle"] == pytest.approx(100 / 400)
        # "a square" has neither truth nor a predicted pixel where anything is true.
        assert (official["IoU"]["a square"], official["classes_counted"]["mIoU"]) == (None, 4)


def test_many_masks_at_once():
    many = [rle_of(encode(rectangle(i % 40, 0, i % 40 + 1, 1 + i % 30))) for i in range(700)]
    assert areas(many).tolist() == [1 + i % 30 for i in range(700)]
    assert areas([union(many, HEIGHT, WIDTH)]).tolist() == [int(np.any([decode(m) for m in many], axis=0).sum())]
    assert iou_matrix(many, many[:300]).shape == (700, 300)


def test_a_local_bert_says_how_alike_phrases_are(tmp_path):
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "red"]))
    folder = tmp_path / "bert"
    BertTokenizerFast(str(vocabulary)).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config).save_pretrained(folder)
    similarity = grandf.bert_similarity(str(folder))
    assert similarity("a cat", "a cat") == pytest.approx(1, abs=1e-6)
    assert similarity("a cat", "red dog") == pytest.approx(similarity("red dog", "a cat"), abs=1e-6)
    assert similarity("a cat", "red dog") < 0.999
    # bert-base-uncased is published with the heads that it was trained with.
    shutil.copytree(folder, tmp_path / "whole")
    whole = BertForMaskedLM(config)
    whole.bert.load_state_dict(BertModel.from_pretrained(folder).state_dict(), strict=False)
    whole.save_pretrained(tmp_path / "whole")
    same = grandf.bert_similarity(str(tmp_path / "whole"))
    assert same("a cat", "red dog") == pytest.approx(similarity("a cat", "red dog"), abs=1e-6)
    with pytest.raises(AnywordError, match="no BERT can be loaded"):
        grandf.bert_similarity(str(tmp_path / "nowhere"))
