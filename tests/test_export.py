"""Exports: each is read back by what it is for."""

import contextlib
import csv
import io
import json
import warnings
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools.coco import COCO
from toy_results import CIRCLE, SQUARE, toys, write_results

from stages.artifacts import AnywordError
from stages.artifacts.manifest import Manifest, Stage, fingerprint, write_manifest
from stages.artifacts.masks import decode, iou_matrix, rle_of
from stages.export.command import run
from stages.export.formats import coco
from stages.export.marks import read_marks
from stages.export.results import read
from stages.score import grandf


@pytest.fixture
def export(tmp_path):
    def write(form, samples=None, **options):
        write_results(tmp_path / "results" / "data", samples)
        count = run(results=tmp_path / "results", experiment="toy", form=form, out=tmp_path / form, **options)
        return tmp_path / form, count

    return write


def plain(samples):
    """The toy samples with ids that may name files."""
    for number, one in enumerate(samples):
        one.id = f"sa_{number}"
    return samples


def test_coco_results_load_into_their_data_set_with_the_masks_own_areas(export):
    folder, count = export("coco")
    with contextlib.redirect_stdout(io.StringIO()):
        images = COCO(folder / "coco.json")
        found = images.loadRes(str(folder / "coco_results.json"))
    assert len(found.anns) == len(images.anns) == count == 5  # predicates are no objects
    np.testing.assert_array_equal(found.annToMask(found.anns[2]), SQUARE)
    assert list(found.anns[2]["bbox"]) == [30, 10, 10, 20] and found.anns[2]["score"] == 0.75
    assert images.anns[2]["area"] == found.anns[2]["area"] == SQUARE.sum()
    names = {one["id"]: one["name"] for one in images.dataset["categories"]}
    assert names[found.anns[2]["category_id"]] == "a blue square" and len(set(names.values())) == len(names)
    assert {"info", "licenses"} <= images.dataset.keys() and images.anns[2]["phrase"] == "a blue square"


def test_the_data_set_opens_in_torchvision(export, tmp_path):
    from torchvision.datasets import CocoDetection

    folder, _ = export("coco")
    with contextlib.redirect_stdout(io.StringIO()):
        data = CocoDetection(tmp_path / "results" / "data" / "samples", folder / "coco.json")
        image, targets = data[0]
    assert image.size == (48, 32) and [one["phrase"] for one in targets] == ["a red circle", "a blue square"]


def test_the_data_set_opens_in_supervision(export, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends OpenCV
        sv = pytest.importorskip("supervision", reason="pip install -e '.[test]'")
    folder, _ = export("coco")
    images = tmp_path / "results" / "data" / "samples"
    data = sv.DetectionDataset.from_coco(str(images), str(folder / "coco.json"), force_masks=True)
    _, pixels, found = data[0]
    assert pixels.shape == (32, 48, 3) and len(data) == 4
    assert [data.classes[one] for one in found.class_id] == ["a red circle", "a blue square"]
    np.testing.assert_array_equal(found.mask[1], SQUARE)


def test_a_photograph_of_two_sentences_is_one_image(export, tmp_path):
    """COCO's readers refuse a file that is listed twice; each annotation says of which sentence it is."""
    write_results(tmp_path / "results" / "data")
    everything = list(read(tmp_path / "results" / "data", "toy"))
    assert [one.sample["image"] for one in everything] == [
        "00000/images/000000.png", "00000/images/000001.png", "00001/images/000000.png", "00001/images/000001.png",
    ]  # fmt: skip
    same = [replace(one, sample={**one.sample, "image": "photo.jpg"}) for one in everything]
    coco(same, tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO(tmp_path / "coco.json")
        found = data.loadRes(str(tmp_path / "coco_results.json"))
    (image,) = data.dataset["images"]
    assert image["sample_id"] == "first" and len(found.getAnnIds(imgIds=[image["id"]])) == 5
    said = [(one["sample_id"], one["caption"]) for one in data.dataset["annotations"]]
    assert said[2] == ("second <b>", "a circle and a square") and said[4][0] == "=fourth"


def test_marks_of_the_page_leave_bad_samples_without_masks(export, tmp_path):
    marks = tmp_path / "marks.csv"
    marks.write_text('sample_id,mark,note\nfirst,bad,"two, ""edges"""\nsecond <b>,good,\n')
    folder, count = export("csv", marks=marks)
    samples = {one["sample_id"]: one for one in table(folder / "samples.csv")}
    assert samples["first"]["state"] == "failed" and samples["first"]["reason"] == 'marked bad: two, "edges"'
    assert samples["second <b>"]["mark"] == "good" and samples["second <b>"]["state"] == "done"
    assert {one["sample_id"] for one in table(folder / "masks.csv")} == {"second <b>", "=fourth"} and count == 3


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("marks.csv", "sample_id,mark\nfirst,great\n", "mark 1 is"),
        ("marks.json", "{", "no file of marks"),
        ("marks.json", "[3]", "mark 1 is 3"),
        ("marks.csv", "", None),
    ],
)
def test_what_is_no_file_of_marks_is_refused(tmp_path, name, text, complaint):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(AnywordError, match=complaint) if complaint else contextlib.nullcontext():
        assert read_marks(path) == {}


def test_glamm_files_are_what_its_evaluation_reads(export):
    folder, _ = export("glamm", plain(toys()))
    # The reading part of eval/gcg/evaluate.py: one file an image, masks parallel to phrases.
    predictions, captions = [], []
    for name in ("sa_0", "sa_1", "sa_2", "sa_3"):
        value = json.loads((folder / f"{name}.json").read_text())
        first = value[next(iter(value))]  # it tries the first key's value before the file's own
        assert isinstance(first, str) and first == name
        assert len(value["phrases"]) == len(value["pred_masks"]) and value["caption"]
        captions.append({"image_id": name, "labels": value["phrases"]})
        predictions += [{"image_id": name, "segmentation": one, "score": 1.0} for one in value["pred_masks"]]
    assert captions[2]["labels"] == []  # the failed one
    images = [{"id": f"sa_{i}"} for i in range(4)]
    truth = [{"id": 1, "image_id": "sa_0", "segmentation": predictions[0]["segmentation"]}]
    labels = [{"image_id": f"sa_{i}", "labels": ["a red circle"] if i == 0 else []} for i in range(4)]
    found = grandf.evaluate(
        {"images": images, "annotations": truth}, {"images": images, "annotations": labels}, predictions, captions
    )
    assert found["recall"]["value"] == 1.0


def test_ids_that_are_no_file_names_are_refused_where_they_would_be(export):
    with pytest.raises(AnywordError, match=r"sample 'second <b>': this format names files by id"):
        export("glamm")


def test_saco_has_an_entry_a_phrase_and_none_where_nothing_is_meant(export):
    samples = toys()
    samples[1].masks["phrase", 1] = np.zeros_like(SQUARE)
    folder, count = export("saco", samples)
    queries = json.loads((folder / "saco_images.json").read_text())["images"]
    assert [one["text_input"] for one in queries[:4]] == ["a red circle", "a blue square", "a circle", "a square"]
    # The reading part of sam3/eval/cgf1_eval.py: a list, loaded query by query into the truth's file.
    predictions = json.loads((folder / "saco_predictions.json").read_text())
    by_query = {one["id"]: [p for p in predictions if p["image_id"] == one["id"]] for one in queries}
    assert {name for name, found in by_query.items() if found} == {1, 2, 3, 5} and count == len(predictions) == 4
    assert by_query[2][0]["bbox"] == pytest.approx([30 / 48, 10 / 32, 10 / 48, 20 / 32])
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder / "saco_images.json")
        loaded = truth.loadRes(by_query[3])
    np.testing.assert_array_equal(loaded.annToMask(loaded.anns[1]), CIRCLE)
    assert loaded.anns[1]["score"] == 0.75


def test_index_pngs_hold_the_class_of_the_best_mask(export):
    folder, _ = export("index-png")
    classes = json.loads((folder / "classes.json").read_text())
    with Image.open(folder / "000002.png") as image:
        assert image.mode == "P"
        values = np.asarray(image)
    np.testing.assert_array_equal(values == classes["a circle"], CIRCLE)
    np.testing.assert_array_equal(values == classes["a square"], SQUARE)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_mask_pngs_and_tables_agree(export, tmp_path):
    folder, count = export("mask-png")
    lines = table(folder / "masks.csv")
    assert count == len(lines) == 5
    for line in lines:
        with Image.open(folder / line["file"]) as image:
            assert (np.asarray(image) > 0).sum() == int(line["area"])
    assert {line["sample_id"] for line in lines} == {"first", "second <b>", "=fourth"}
    run(results=tmp_path / "results", experiment="toy", form="parquet", out=tmp_path / "parquet")
    rows = pq.read_table(tmp_path / "parquet" / "masks.parquet").to_pylist()
    assert [row["phrase"] for row in rows] == [
        "a red circle",
        "a blue square",
        "touches",
        "a circle",
        "a square",
        "a cat",
    ]
    assert all(decode(row).sum() == row["area"] for row in rows)
    one = rle_of(rows[0])
    assert iou_matrix([one], [one]) == [[1.0]]


def unsure():
    """The toy samples with what a decision weighs: all of the first are sure, none of the second."""
    samples = plain(toys())
    for number, one in enumerate(samples):
        value = {0: 3.0, 1: -3.0, 3: 1.0}.get(number, 0.0)
        one.confidence = {
            key: {"contrast": value, "attention": 0.25, "agreement": 0.5} for key in one.masks if key[0] == "phrase"
        }
    return samples


@pytest.fixture
def decision(tmp_path):
    path = tmp_path / "no_target.json"
    path.write_text(json.dumps({"weights": {"contrast": 2.0}, "bias": 0.0, "threshold": 0.5}))
    return path


def test_tables_say_how_far_masks_can_be_trusted_and_what_every_sample_answered(export, tmp_path, decision):
    folder, _ = export("csv", unsure())
    lines = table(folder / "masks.csv")
    assert [(one["kind"], one["contrast"], one["attention"]) for one in lines[:3]] == [
        ("phrase", "3.0", "0.25"),
        ("phrase", "3.0", "0.25"),
        ("predicate", "", ""),
    ]
    assert {one["probability"] + one["nothing"] for one in lines} == {""}  # no decision was asked
    samples = table(folder / "samples.csv")
    assert [(one["state"], one["phrases"], one["answered"]) for one in samples] == [
        ("done", "2", "2"),
        ("done", "2", "2"),
        ("failed", "0", "0"),
        ("done", "1", "1"),
    ]
    assert samples[2]["reason"] == "in prompt: no map. Look there."

    run(results=tmp_path / "results", experiment="toy", form="parquet", out=tmp_path / "decided", no_target=decision)
    rows = pq.read_table(tmp_path / "decided" / "masks.parquet").to_pylist()
    assert [row["nothing"] for row in rows] == [False, False, None, True, True, False]
    assert rows[0]["probability"] == pytest.approx(1 / (1 + np.exp(-6)))
    assert [bool(decode(row).any()) for row in rows] == [row["area"] > 0 for row in rows]
    assert [row["area"] for row in rows][3:5] == [0, 0]
    samples = pq.read_table(tmp_path / "decided" / "samples.parquet").to_pylist()
    assert [one["answered"] for one in samples] == [2, 0, 0, 1]


def test_every_sample_that_the_index_lists_has_its_line_and_no_other(export, tmp_path):
    samples = plain(toys())
    samples[1].unread = "image 'gone.png' cannot be read."
    folder, _ = export("csv", samples)
    lines = table(folder / "samples.csv")
    assert [(one["sample_id"], one["state"]) for one in lines] == [
        ("sa_0", "done"), ("sa_1", "failed"), ("sa_2", "failed"), ("sa_3", "done"),
    ]  # fmt: skip
    assert lines[1]["reason"] == "image 'gone.png' cannot be read." and lines[1]["width"] == ""
    run(results=tmp_path / "results", experiment="toy", form="coco", out=tmp_path / "coco")
    images = json.loads((tmp_path / "coco" / "coco.json").read_text())
    assert [one["sample_id"] for one in images["images"]] == ["sa_0", "sa_2", "sa_3"]
    assert images["info"] and images["licenses"] == []  # pycocotools' older loadRes asks for them

    # The dataset shrinks to its first shard; the second one's results stay on disk, and are none of its own any more.
    summary = {"shards": 1, "samples": 2, "refused": 0, "truth": True, "splits": {}, "tags": {}, "files": {}}
    stage = Stage(name="index", version="1")
    index = Manifest(stage=stage, recipe={}, inputs={}, fingerprint=fingerprint(stage, {}, {}, {}), summary=summary)
    write_manifest(tmp_path / "results" / "data" / "samples" / "index" / "manifest.json", index)
    run(results=tmp_path / "results", experiment="toy", form="csv", out=tmp_path / "shrunk")
    assert [one["sample_id"] for one in table(tmp_path / "shrunk" / "samples.csv")] == ["sa_0", "sa_1"]


def test_what_means_nothing_is_left_out_where_a_format_can(export, tmp_path, decision):
    folder, count = export("coco", unsure(), no_target=decision)
    with contextlib.redirect_stdout(io.StringIO()):
        found = COCO(folder / "coco.json").loadRes(str(folder / "coco_results.json"))
    assert count == 3 and [len(found.getAnnIds(imgIds=[number])) for number in (1, 2, 3, 4)] == [2, 0, 0, 1]
    assert (found.anns[1]["contrast"], found.anns[1]["agreement"]) == (3.0, 0.5)

    def again(form):
        out = tmp_path / f"{form}-again"
        run(results=tmp_path / "results", experiment="toy", form=form, out=out, no_target=decision)
        return out

    assert json.loads((again("glamm") / "sa_1.json").read_text())["phrases"] == []
    queries = json.loads((again("saco") / "saco_images.json").read_text())["images"]
    answered = {one["image_id"] for one in json.loads((tmp_path / "saco-again" / "saco_predictions.json").read_text())}
    assert [one["text_input"] for one in queries if one["id"] not in answered] == ["a circle", "a square"]
    with Image.open(again("index-png") / "000002.png") as image:
        assert not np.asarray(image).any()
    for line in table(again("mask-png") / "masks.csv"):
        with Image.open(tmp_path / "mask-png-again" / line["file"]) as image:
            assert (np.asarray(image) > 0).sum() == int(line["area"])
            assert (int(line["area"]) == 0) == (line["nothing"] == "True")


def test_a_decision_needs_the_columns_that_it_weighs(export, decision):
    with pytest.raises(AnywordError, match="the masks have no 'contrast'"):
        export("csv", no_target=decision)


def test_what_cannot_be_exported_says_why(export, tmp_path):
    export("csv")
    results = tmp_path / "results"
    with pytest.raises(AnywordError, match="is not empty"):
        run(results=results, experiment="toy", form="csv", out=tmp_path / "csv")
    with pytest.raises(AnywordError, match=r"no experiment 'other'\. It has toy"):
        run(results=results, experiment="other", form="csv", out=tmp_path / "new")
    with pytest.raises(AnywordError, match="'xml' is none of coco, glamm"):
        run(results=results, experiment="toy", form="xml", out=tmp_path / "new")
