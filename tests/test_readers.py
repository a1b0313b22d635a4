"""Readers of published datasets: the world written in each format comes back whole, and each format's traps."""

import json
import os
import pickle

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lab.training import published
from stages.artifacts import AnywordError, SampleError, ShardReader
from stages.artifacts.atomic import sha256_file
from stages.artifacts.masks import decode, encode
from stages.artifacts.recipes import model_of
from stages.samples.command import index as list_dataset
from stages.samples.command import run
from stages.samples.readers.given import find, segmentation
from stages.samples.readers.referring import read_pickle
from stages.world.sample import sample

COUNT = 5


def read(tmp_path, settings):
    """Samples and truth of a dataset as the stage writes them, and the reasons of its failed rows."""
    recipe = model_of("samples", settings["kind"]).model_validate(settings).model_dump(mode="json")
    place = {"root": tmp_path / recipe["root"], "texts": tmp_path / recipe["texts"] if "texts" in recipe else None}
    listing = tmp_path / "out" / "index" / "manifest.json"
    list_dataset(recipe=recipe, output=listing, **place)
    output = tmp_path / "out" / "00000" / "manifest.json"
    run(
        index=listing.parent / "00000" / "manifest.json",
        recipe={"kind": recipe["kind"]},
        output=output,
        root=place["root"],
    )
    folder = ShardReader(output, "samples")
    return folder.table("samples"), folder.table("truth"), folder.failures


def listed(tmp_path):
    """What the index stage says of the dataset that was read last."""
    return ShardReader(tmp_path / "out" / "index" / "manifest.json", "index").manifest.summary


def exported(tmp_path, form, **more):
    lines = published.export(form, tmp_path / "data", "test", 0, COUNT)
    settings = {**yaml.safe_load("\n".join(lines)), **more}
    samples, truth, failures = read(tmp_path, settings)
    assert failures == {}
    root = tmp_path / "data"
    return samples, truth, [np.asarray(Image.open(root / row["image"])) for row in samples]


def texts_of(row):
    return [row["text"][one["span"]["start"] : one["span"]["end"]] for one in row["phrases"]]


def test_grandf_round_trip(tmp_path):
    samples, truth, images = exported(tmp_path, "grandf")
    for i, (row, image) in enumerate(zip(samples, images, strict=True)):
        world = sample("test", i)
        np.testing.assert_array_equal(image, world.image)
        assert (row["sample_id"], row["text"]) == (world.id, world.text)
        assert [(one["span"], one["root"]) for one in row["phrases"]] == [
            (one.span.model_dump(), one.root.model_dump()) for one in world.parse.phrases
        ]
        mine = [one for one in truth if one["sample_id"] == world.id]
        expected = [one for one in world.truth if one.kind == "phrase"]
        for one, wanted in zip(mine, expected, strict=True):
            np.testing.assert_array_equal(decode(one), wanted.mask)


def test_refcoco_round_trip(tmp_path):
    samples, truth, images = exported(tmp_path, "refcoco")
    assert len(samples) == COUNT
    for i, (row, one, image) in enumerate(zip(samples, truth, images, strict=True)):
        world = published.referring_sample("test", i)
        np.testing.assert_array_equal(image, world.image)
        referred = world.parse.referred
        assert (row["text"], row["referred"], row["split"]) == (world.text, 0, "testA")
        assert texts_of(row) == [world.text]
        np.testing.assert_array_equal(decode(one), world.truth[referred].mask)
        # The head of the whole expression is the root of the phrase that it is about.
        root = row["phrases"][0]["root"]
        assert row["text"][root["start"] : root["end"]] == world.parse.phrases[referred].root.of(world.text)


def test_grefcoco_round_trip(tmp_path):
    samples, truth, _ = exported(tmp_path, "grefcoco")
    expected = [one for i in range(COUNT) for one in published.expressions("test", i)]
    assert [row["text"] for row in samples] == [text for text, _, _ in expected]
    masks = {row["sample_id"]: decode(row) for row in truth}
    for row, (_, instances, union) in zip(samples, expected, strict=True):
        assert (row["sample_id"] in masks) == bool(instances)
        assert ("no_target" in row["tags"], "several" in row["tags"]) == (not instances, len(instances) > 1)
        if instances:
            np.testing.assert_array_equal(masks[row["sample_id"]], union)


@pytest.mark.parametrize(
    ("form", "background", "grounds"),
    [("voc", True, False), ("context", False, True), ("context", True, True), ("coco-object", True, False)],
)
def test_label_maps_round_trip(tmp_path, form, background, grounds):
    samples, truth, images = exported(tmp_path, form, background=background)
    assert len(samples) == COUNT
    names = (["background"] if background else [None]) + list(published.CLASSES)
    for i, (row, image) in enumerate(zip(samples, images, strict=True)):
        world = sample("test", i)
        np.testing.assert_array_equal(image, world.image)
        values = published.labels(world.scene, grounds)
        there = [value for value in np.unique(values).tolist() if names[value]]
        assert row["text"] == ", ".join(names[value] for value in there)
        mine = [one for one in truth if one["sample_id"] == row["sample_id"]]
        for value, one in zip(there, mine, strict=True):
            assert texts_of(row)[one["index"]] == names[value]
            np.testing.assert_array_equal(decode(one), values == value)


def test_all_classes_come_in_windows(tmp_path):
    samples, truth, _ = exported(tmp_path, "context", candidates="all", window=6)
    assert len(samples) == 3 * COUNT  # fifteen classes
    assert [len(row["phrases"]) for row in samples[:3]] == [6, 6, 3]
    assert samples[0]["text"].startswith("circle, square, ")
    first = [one for one in truth if one["sample_id"].startswith("test-000000/")]
    covered = sum(decode(one).astype(int) for one in first)
    np.testing.assert_array_equal(covered, published.labels(sample("test", 0).scene, grounds=True) > 0)


# Traps, on records written by hand.


def coco_folder(tmp_path, refs, annotations, name="refcoco", file="refs(unc).p"):
    folder = tmp_path / name
    folder.mkdir()
    images = [{"id": 7, "file_name": "picture.png", "height": 20, "width": 30}]
    (folder / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    if file.endswith(".p"):
        (folder / file).write_bytes(pickle.dumps(refs, protocol=2))
    else:
        (folder / file).write_text(json.dumps(refs))
    (tmp_path / "train2014").mkdir(exist_ok=True)
    Image.new("RGB", (30, 20)).save(tmp_path / "train2014" / "picture.png")
    return {"kind": name, "root": ".", "texts": "."}


def ref(number, annotation, split="val", text="the cup", **more):
    sentences = [{"sent_id": number, "raw": text, "sent": text, "tokens": []}]
    base = {"ref_id": number, "ann_id": annotation, "image_id": 7, "file_name": "COCO_7_16.jpg", "split": split}
    return {**base, "sentences": sentences, **more}


SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]
SHIFTED = [7, 2, 17, 2, 17, 12, 7, 12]


def test_overlapping_polygons_are_one_mask_of_ones(tmp_path):
    settings = coco_folder(tmp_path, [ref(1, 5)], [{"id": 5, "segmentation": [SQUARE, SHIFTED]}])
    _, (row,), failures = read(tmp_path, settings)
    assert failures == {}
    assert decode(row).sum() == 15 * 10


def test_the_image_is_found_by_its_id_and_splits_follow_refer(tmp_path):
    refs = [ref(1, 5, "testA"), ref(2, 5, "testB"), ref(3, 5, "train"), ref(4, 5, "testAB")]
    settings = coco_folder(tmp_path, refs, [{"id": 5, "segmentation": [SQUARE]}])
    for split, expected in (("testA", ["1-1", "4-4"]), ("test", ["1-1", "2-2", "4-4"]), ("train", ["3-3"])):
        samples, _, _ = read(tmp_path, {**settings, "split": split})
        assert [row["sample_id"] for row in samples] == expected
        assert {row["image"] for row in samples} == {"train2014/picture.png"}
    with pytest.raises(AnywordError, match=r"no reference of split 'val'. It has test"):
        read(tmp_path, {**settings, "split": "val"})


def test_bad_annotations_are_failed_rows_and_the_rest_is_read(tmp_path):
    annotations = [
        {"id": 1, "segmentation": []},
        {"id": 2, "segmentation": [[1, 2, 3, 4]]},
        {"id": 3, "segmentation": {"size": [9, 9], "counts": "h\\1"}},
        {"id": 4, "segmentation": {"size": [20, 30], "counts": "h\\1"}},
        {"id": 5, "segmentation": [[1, 2, 3, 4, 5], SQUARE]},
        {"id": 6, "segmentation": {"size": [20, 30], "counts": [100, 100, 400]}},
    ]
    refs = [ref(i, i) for i in range(1, 8)] + [ref(8, 5, text="  ")]
    samples, truth, failures = read(tmp_path, coco_folder(tmp_path, refs, annotations))
    assert [row["sample_id"] for row in samples] == ["5-5", "6-6"]
    assert [int(decode(row).sum()) for row in truth] == [100, 100]
    assert "neither a polygon" in failures["1-1"] and "neither a polygon" in failures["2-2"]
    assert "of size [9, 9]" in failures["3-3"] and "does not cover" in failures["4-4"]
    assert "annotation 7 is not in instances.json" in failures["7-7"]
    assert "text is empty" in failures["8-8"]


def test_grefcoco_skips_crowds_and_knows_expressions_without_target(tmp_path):
    annotations = [
        {"id": 1, "segmentation": [SQUARE], "iscrowd": 0},
        {"id": 2, "segmentation": {"size": [20, 30], "counts": [0, 600]}, "iscrowd": 1},
    ]
    refs = [ref(1, [1, 2]), ref(2, [-1], text="the dragon")]
    settings = coco_folder(tmp_path, refs, annotations, "grefcoco", "grefs(unc).json")
    samples, truth, _ = read(tmp_path, settings)
    assert [(row["text"], row["tags"]) for row in samples] == [("the cup", ["several"]), ("the dragon", ["no_target"])]
    assert [(row["sample_id"], int(decode(row).sum())) for row in truth] == [("1-1", 100)]


def test_splits_expressions_and_hashes_are_printed_and_recorded(tmp_path, caplog):
    refs = [ref(1, [1]), ref(2, [1, 2]), ref(3, [-1], text="the dragon"), ref(4, [9]), ref(5, [2], "train")]
    annotations = [{"id": 1, "segmentation": [SQUARE]}, {"id": 2, "segmentation": [SHIFTED]}]
    settings = coco_folder(tmp_path, refs, annotations, "grefcoco", "grefs(unc).json")
    with caplog.at_level("INFO", logger="anyword"):
        read(tmp_path, settings)
    found = listed(tmp_path)
    assert (found["samples"], found["refused"], found["images"]) == (4, 1, 1)
    assert (found["splits"], found["tags"]) == ({"val": 3}, {"no_target": 1, "several": 1})
    names = ["grefcoco/grefs(unc).json", "grefcoco/instances.json"]
    assert found["files"] == {name: sha256_file(tmp_path / name) for name in names}
    (line,) = [one for one in caplog.messages if one.startswith("grefcoco: 4 samples (1 refused) of 1 images")]
    assert "val 3, no_target 1, several 1" in line and found["files"][names[0]][:12] in line


@pytest.mark.parametrize(("by", "split"), [("umd", "test"), ("google", "val")])
def test_refcocog_is_split_by_whom_the_recipe_says(tmp_path, by, split):
    refs = [ref(1, 5, split), ref(2, 5, "train")]
    refs[0]["sentences"] = [
        {"sent_id": 8, "raw": "The Cup!", "sent": "the cup"},
        {"sent_id": 9, "raw": "Mug", "sent": ""},
    ]
    settings = coco_folder(tmp_path, refs, [{"id": 5, "segmentation": [SQUARE]}], "refcocog", f"refs({by}).p")
    settings |= {"kind": "refcoco", "name": "refcocog", "by": by, "split": split}
    samples, _, _ = read(tmp_path, settings)  # every sentence of one annotation is a sample
    assert [(row["sample_id"], row["text"]) for row in samples] == [("1-8", "The Cup!"), ("1-9", "Mug")]
    samples, _, failures = read(tmp_path, {**settings, "sentence": "sent"})
    assert [row["text"] for row in samples] == ["the cup"] and "text is empty" in failures["1-9"]


def test_records_without_their_keys_or_images_are_failed_rows(tmp_path):
    broken, nameless = ref(1, 5), ref(2, 5)
    del broken["ann_id"]
    nameless["sentences"] = None
    refs = [broken, nameless, ref(3, {"no": "id"}), ref(4, 5), ref(5, 5, image_id=8), ref(6, 5, image_id=9)]
    settings = coco_folder(tmp_path, refs, [{"id": 5, "segmentation": [SQUARE]}])
    path = tmp_path / "refcoco" / "instances.json"
    value = json.loads(path.read_text())
    value["images"].append({"id": 8, "file_name": "gone.png", "height": 20, "width": 30})
    path.write_text(json.dumps(value))
    samples, _, failures = read(tmp_path, settings)
    assert [row["sample_id"] for row in samples] == ["4-4"]
    assert "has no 'ann_id'" in failures["1-1"] and "no sentences" in failures["2"]
    assert "not of the format's form" in failures["3-3"]
    assert "gone.png" in failures["5-5"] and "cannot be read" in failures["5-5"]
    assert "image 9 is not in instances.json" in failures["6-6"]


class Attack:
    def __reduce__(self):
        return os.system, ("touch attacked",)


@pytest.mark.parametrize("value", [[Attack()], [{"ref_id": Attack()}], {"not": "a list"}, ["not a dict"]])
def test_a_pickle_that_is_more_than_data_is_refused_unrun(tmp_path, value, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps(value, protocol=2))
    with pytest.raises(AnywordError, match=r"refused|holds no list"):
        read_pickle(path)
    assert not (tmp_path / "attacked").exists()


def test_a_pickle_of_python_2_strings(tmp_path):
    # What Python 2 wrote for [{'sent': 'caf\xe9'}]: a byte string that is no UTF-8.
    path = tmp_path / "refs(unc).p"
    path.write_bytes(b"(lp0\n(dp1\nS'sent'\np2\nS'caf\\xe9'\np3\nsa.")
    assert read_pickle(path) == [{"sent": "café"}]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(AnywordError, match="refused"):
        read_pickle(path)


def test_missing_folders_are_named_with_all_that_was_tried(tmp_path):
    with pytest.raises(
        AnywordError, match=r"no references of refcoco by unc: tried .*refcoco/refs\(unc\)\.json, .*\.p"
    ):
        read(tmp_path, {"kind": "refcoco", "root": ".", "texts": "."})
    with pytest.raises(AnywordError, match=r"no list of split 'val': tried .*VOCdevkit/VOC2012/ImageSets"):
        read(tmp_path, {"kind": "voc", "root": "."})


def test_of_known_folders_the_first_is_taken(tmp_path):
    settings = coco_folder(tmp_path, [ref(1, 5)], [{"id": 5, "segmentation": [SQUARE]}])
    for folder in ("coco_2014/train2014", "images/mscoco/images/train2014"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("RGB", (30, 20)).save(tmp_path / folder / "picture.png")
        (row,), _, _ = read(tmp_path, settings)
        assert row["image"] == f"{folder}/picture.png"
    with pytest.raises(
        AnywordError, match=r"no images: tried \S+/images/mscoco/images/train2014, .*train2014, \S+/nowhere"
    ):
        read(tmp_path, {**settings, "root": "nowhere"})


def mask(left):
    one = np.zeros((20, 30), dtype=bool)
    one[2:12, left : left + 10] = True
    columns = encode(one)
    return {"size": [20, 30], "counts": columns["counts"]}


def test_the_pair_of_grandf_is_read_by_ids_and_in_parallel(tmp_path):
    base = tmp_path / "GranDf" / "annotations" / "val_test"
    base.mkdir(parents=True)
    folder = tmp_path / "GranDf_HA_images" / "val_test"  # beside GranDf, as the documentation has it
    folder.mkdir(parents=True)
    names = ["sa_1", "sa_2", "sa_3", "sa_4", "sa_5"]
    for name in names[:4]:
        Image.new("RGB", (30, 20)).save(folder / f"{name}.jpg")
    said = {
        "sa_1": ("A man in a red hat", ["A man in a red hat", "a red hat", "a red hat"]),  # nested, and repeated
        "sa_2": ("a cat", ["a cat", "a dog"]),
        "sa_3": ("a cat", ["a cat"]),
        "sa_5": ("a cat", ["a cat"]),
    }
    captions = [{"image_id": name, "caption": text, "labels": labels} for name, (text, labels) in said.items()]
    counts = {"sa_1": 3, "sa_2": 2, "sa_3": 2, "sa_5": 1}
    masks = [
        {"image_id": name, "category_id": 1, "segmentation": mask(5 * i)}
        for name, n in counts.items()
        for i in range(n)
    ]
    images = [{"id": name} for name in names]
    for kind, annotations in (("caption", captions), ("mask", masks)):
        path = base / f"val_gcg_coco_{kind}_gt.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations}))
    (row,), truth, failures = read(tmp_path, {"kind": "grandf", "root": ".", "texts": "."})
    assert texts_of(row) == ["A man in a red hat", "a red hat", "a red hat"]
    assert row["image"] == "GranDf_HA_images/val_test/sa_1.jpg"
    assert [np.argwhere(decode(one).any(axis=0)).min() for one in truth] == [0, 5, 10]
    assert "phrase 'a dog' is not in its text" in failures["sa_2"]
    assert "1 phrases but 2 masks" in failures["sa_3"] and "no caption" in failures["sa_4"]
    assert "cannot be read" in failures["sa_5"]
    assert len(listed(tmp_path)["files"]) == 2


def grandf_train(tmp_path, name, value, images):
    (tmp_path / "annotations" / "train").mkdir(parents=True)
    (tmp_path / "annotations" / "train" / name).write_text(json.dumps(value))
    (tmp_path / images).mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(tmp_path / images / "a.png")
    return {"kind": "grandf", "root": ".", "texts": ".", "split": "train"}


def test_grandf_spans_that_stripping_has_shifted_are_found_again(tmp_path):
    record = {
        "file_name": "a.png",
        "caption": '"A cat beside a dog"',
        "groundings": {
            "A cat": {"token_positives": [1, 6], "rle_masks": [mask(0), mask(5)]},  # counted with the quote
            "a dog": {"token_positives": [13, 18], "rle_masks": [mask(15)]},
        },
    }
    again = {
        "file_name": "a.png",
        "caption": '"a dog by A dog"',
        "groundings": {"a dog": {"token_positives": [10, 15], "rle_masks": [[mask(0)]]}},  # the second one is meant
    }
    absent = {**record, "groundings": {"a bird": {"token_positives": [0, 6], "rle_masks": [mask(0)]}}}
    settings = grandf_train(tmp_path, "GranDf_HA_GCG_train.json", [record, absent, again], "GranDf_HA_images/train")
    (row, second), truth, failures = read(tmp_path, {**settings, "part": "ha"})
    assert texts_of(row) == ["A cat", "a dog"]
    assert second["phrases"][0]["span"] == {"start": 9, "end": 14}
    assert [int(decode(one).sum()) for one in truth] == [150, 100, 100]  # overlapping masks of a phrase are united
    (reason,) = failures.values()
    assert "phrase 'a bird' is not in its text 'A cat beside a dog'" in reason


def test_grandf_of_refcocog_finds_phrases_in_any_case(tmp_path):
    refs = [{"sentence": "the Dog", "segmentation": [SQUARE]}]
    value = [{"12": {"img_file_name": "a.png", "caption": "A cat, the dog", "refs": refs}}]
    settings = grandf_train(tmp_path, "RefCOCOg_GCG_train.json", value, "coco_2014/train2014")
    (row,), (one,), _ = read(tmp_path, {**settings, "part": "refcocog"})
    assert texts_of(row) == ["the dog"] and decode(one).sum() == 100


def test_grandf_of_flickr_unites_the_boxes_of_a_phrase(tmp_path):
    common = {"image_id": 1, "bbox": [0, 0, 5, 5]}
    value = {
        "images": [{"id": 1, "file_name": "a.png", "caption": "two dogs by a tree", "height": 20, "width": 30}],
        "annotations": [
            {**common, "tokens_positive": [[0, 8]], "sam_mask": mask(0)},
            {**common, "tokens_positive": [[0, 8]], "sam_mask": mask(15)},
            {**common, "tokens_positive": [[12, 18]], "sam_mask": mask(0), "ignore": 1},
        ],
    }
    for box, area in (([30, 0, 5, 5], 25), ([0, 0, 0.5, 5], 2), ([0, 0, 5, 5], 0)):  # outside, thin, without area
        value["annotations"].append(
            {"image_id": 1, "bbox": box, "area": area, "tokens_positive": [[12, 18]], "sam_mask": mask(0)}
        )
    value["images"].append({"id": 2, "file_name": "a.png", "caption": "two dogs", "height": 20, "width": 30})
    value["images"].append({"id": 3, "file_name": "a.png", "caption": "one two three", "height": "20", "width": "30"})
    value["annotations"].append({"image_id": 3, "bbox": [0, 0, 5, 5], "tokens_positive": [], "sam_mask": mask(0)})
    settings = grandf_train(tmp_path, "flickr_mergedGT_GCG_train.json", value, "flikcr_30k/train")
    (row,), (one,), failures = read(tmp_path, {**settings, "part": "flickr"})
    assert texts_of(row) == ["two dogs"] and decode(one).sum() == 200
    assert "fewer than three words" in failures["a-000001"] and "IndexError" in failures["a-000002"]


def test_label_maps_are_indices_never_colours(tmp_path):
    base = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (base / folder).mkdir(parents=True)
    values = np.zeros((20, 30), dtype=np.uint8)
    values[5:10, 5:10], values[15:, :] = 15, 255
    palette = Image.fromarray(values, mode="P")
    palette.putpalette([200, 10, 10] * 256)  # every index has the same colour
    palette.save(base / "SegmentationClass" / "a.png")
    palette.convert("RGB").save(base / "SegmentationClass" / "b.png")
    for name in "abc":
        Image.new("RGB", (30, 20)).save(base / "JPEGImages" / f"{name}.jpg")
    (base / "ImageSets/Segmentation/val.txt").write_text("a\nb\nc\n")
    (row,), truth, failures = read(tmp_path, {"kind": "voc", "root": "."})
    assert row["text"] == "background, person"
    assert [int(decode(one).sum()) for one in truth] == [15 * 30 - 25, 25]  # 255 is in neither
    assert "colour image" in failures["b"] and "cannot be read" in failures["c"]


def label_maps(tmp_path, base, values, listing):
    for folder in ("JPEGImages", *(str(name) for name in {one.rsplit("/", 1)[0] for one in values}), "ImageSets"):
        (tmp_path / base / folder).mkdir(parents=True, exist_ok=True)
    for name, map_ in values.items():
        Image.fromarray(np.asarray(map_, dtype=np.uint8)).save(tmp_path / base / name)
        Image.new("RGB", (map_.shape[1], map_.shape[0])).save(
            tmp_path / base / "JPEGImages" / f"{name.rsplit('/', 1)[1][:-4]}.jpg"
        )
    (tmp_path / base / listing).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / base / listing).write_text("".join(f"{name.rsplit('/', 1)[1][:-4]}\n" for name in values))


def test_context_leaves_out_or_counts_the_background_and_refuses_other_numberings(tmp_path):
    good = np.zeros((6, 8), dtype=np.uint8)
    good[:2], good[2:3] = 59, 255
    other = good.copy()
    other[0, 0] = 181  # of the 459 classes' own maps
    folder = "SegmentationClassContext"
    # The year that some codes keep the same data under.
    label_maps(
        tmp_path,
        "VOCdevkit/VOC2012",
        {f"{folder}/a.png": good, f"{folder}/b.png": other},
        "ImageSets/SegmentationContext/val.txt",
    )
    (row,), truth, failures = read(tmp_path, {"kind": "context", "root": "."})
    assert row["text"] == "wood" and [int(decode(one).sum()) for one in truth] == [16]
    assert "holds the value 181, which is no class" in failures["b"]
    (row,), truth, _ = read(tmp_path, {"kind": "context", "root": ".", "background": True})
    assert row["text"] == "background, wood" and [int(decode(one).sum()) for one in truth] == [24, 16]


def test_coco_object_has_no_ignored_value(tmp_path):
    values = np.zeros((6, 8), dtype=np.uint8)
    values[:2] = 80
    for name, extra in (("a", 0), ("b", 255)):
        (tmp_path / "annotations" / "val2017").mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / "val2017").mkdir(parents=True, exist_ok=True)
        values[5, 7] = extra
        Image.fromarray(values).save(tmp_path / "annotations" / "val2017" / f"{name}_instanceTrainIds.png")
        Image.new("RGB", (8, 6)).save(tmp_path / "images" / "val2017" / f"{name}.jpg")
    (row,), _, failures = read(tmp_path, {"kind": "coco-object", "root": "."})
    assert row["text"] == "background, toothbrush"
    assert "holds the value 255" in failures["b"]


def test_voc_takes_the_augmented_maps_and_lists_with_more_columns(tmp_path):
    plain, larger = np.zeros((6, 8), dtype=np.uint8), np.full((6, 8), 12, dtype=np.uint8)
    label_maps(
        tmp_path,
        "VOC2012",
        {"SegmentationClass/a.png": plain, "SegmentationClassAug/a.png": larger},
        "ImageSets/Segmentation/val.txt",
    )
    (tmp_path / "VOC2012/ImageSets/Segmentation/val.txt").write_text("a  1\n\n")
    (row,), _, _ = read(tmp_path, {"kind": "voc", "root": "."})
    assert row["text"] == "background"
    (row,), _, _ = read(tmp_path, {"kind": "voc", "root": ".", "labels": "SegmentationClassAug"})
    assert row["text"] == "dog"
    (tmp_path / "VOC2012/ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(AnywordError, match="an empty list"):
        read(tmp_path, {"kind": "voc", "root": "."})


words = st.sampled_from(["cat", "a", "red", "dog", "Cat", "catalogue", "d'or", "über"])


@given(st.lists(words, min_size=1, max_size=8), st.data())
def test_phrases_are_found_as_whole_words_without_overlap(said, data):
    text = " ".join(said)
    phrases = data.draw(st.lists(words, max_size=4))
    spans = find(text, phrases)
    found = [one for one in spans if one]
    for phrase, span in zip(phrases, spans, strict=True):
        if span:
            assert span.of(text).lower() == phrase.lower()
            assert (span.start == 0 or text[span.start - 1] == " ") and (span.end == len(text) or text[span.end] == " ")
        else:
            assert sum(one.lower() == phrase.lower() for one in said) <= sum(
                one.of(text).lower() == phrase.lower() for one in found
            )
    assert not any(a.overlaps(b) for i, a in enumerate(found) for b in found[i + 1 :])


@given(st.text(max_size=20))
def test_broken_run_lengths_are_refused_not_read_past_their_end(counts):
    try:
        mask = segmentation([{"size": [6, 5], "counts": counts}], 6, 5)
    except SampleError:
        return
    assert decode({"size": [6, 5], "counts": mask["counts"]}).shape == (6, 5)
