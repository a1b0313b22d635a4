"""Files as people have them: one bad value ends its own row, in words that do not change; what belongs to the machine
ends the job; nothing is lost without a word."""

import json
import os
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_readers import SQUARE, coco_folder, read, ref
from test_samples import make, row

from stages.artifacts import AnywordError, SampleError
from stages.artifacts.images import read_file, read_image
from stages.artifacts.masks import decode
from stages.artifacts.rows import fault
from stages.samples.listing import Entry, with_unique_ids
from stages.samples.readers.given import segmentation


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(root / "good.png")
    return root


LINES = {
    "half a character": ('{"id": "b", "image": "good.png", "text": "a \\ud83d"}', "half of a character ('\\ud83d')"),
    "half a character in the id": ('{"id": "\\udc00", "image": "good.png", "text": "a"}', "control character"),
    "nested a thousand deep": ('{"id": ' + "[" * 100_000, "line 2 is nested too deep"),
    "no UTF-8": (b'{"id": "b", "image": "good.png", "text": "caf\xe9"}', "line 2 is not UTF-8"),
    "a number of a million digits": ('{"id": ' + "9" * 10_000 + "}", "line 2 is no JSON"),
    "no object": ("[1]", "line 2 is no JSON object"),
    "a key twice": ('{"id": "b", "id": "c", "image": "good.png", "text": "a"}', "key 'id' is there twice"),
    "a null id": ('{"id": null, "image": "good.png", "text": "a"}', "the id is empty"),
    "a list for an id": ('{"id": [1], "image": "good.png", "text": "a"}', "the id is no text"),
    "a number for a text": ('{"id": "b", "image": "good.png", "text": 7}', "column 'text' holds '7'. It takes a text"),
    "a null text": ('{"id": "b", "image": "good.png", "text": null}', "the text is empty"),
    "an unknown column": ('{"id": "b", "image": "good.png", "text": "a", "captoin": 1}', "column 'captoin' is unknown"),
    "a box for masks": (
        '{"id": "b", "image": "good.png", "text": "a", "phrases": ["a"], "masks": [{"bbox": [1, 2, 3, 4]}]}',
        "It takes a list, one a phrase: a mask image's path below the image folder, COCO's RLE",
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_a_line_of_json_fails_alone(tmp_path, photos, case):
    line, reason = LINES[case]
    texts = tmp_path / "texts.jsonl"
    good = [json.dumps(row(name)).encode() for name in ("a", "z")]
    texts.write_bytes(b"\n".join([good[0], line if isinstance(line, bytes) else line.encode(), good[1]]))
    (shard,) = make(tmp_path, photos, texts.read_bytes(), table="texts.jsonl")
    ((name, why),) = shard.failures.items()
    assert name == shard.ids[1] and reason in why and "\n" not in why and "0x" not in why
    assert [one["sample_id"] for one in shard.table("samples")] == ["a", "z"]


def test_nulls_as_tables_write_them_are_empty_cells(tmp_path, photos):
    empty = dict.fromkeys(("split", "group", "tags", "phrases", "masks"))
    rows = [row("a", **empty), row("b", split=float("nan")), row(3), row(4.5)]
    (shard,) = make(tmp_path, photos, rows)
    assert shard.failures == {}
    assert [(one["sample_id"], one["split"], one["tags"]) for one in shard.table("samples")] == [
        ("a", "", []), ("b", "", []), ("3", "", []), ("4.5", "", []),
    ]  # fmt: skip


CSV = "id,image,text\na,good.png,a cat\n{}\nz,good.png,a dog\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('b,good.png,a 12" disc', "has a quote in an unquoted cell 'a 12\" disc'"),
        ('b,good.png,"a red" circle', "line 3: its quotes do not pair"),
        ("b,good.png,a cat, black", "more fields than the header"),
        ("b,good.png", "fewer fields than the header"),
        ('b,good.png,"a cat\nc,other.png,a dog"', "holds what looks like another row"),
        (b"b,good.png,caf\xe9", "half of a character ('\\udce9'). Write whole ones, in UTF-8"),
        (",good.png,a cat", "the id is empty"),
    ],
)
def test_a_row_of_csv_fails_alone(tmp_path, photos, line, reason):
    data = CSV.encode().replace(b"{}", line if isinstance(line, bytes) else line.encode())
    (shard,) = make(tmp_path, photos, data, table="texts.csv")
    ((name, why),) = shard.failures.items()
    assert name == shard.ids[1] and reason in why
    assert [one["sample_id"] for one in shard.table("samples")] == ["a", "z"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('id,image,text\n1,1.png,"a red circle\n2,2.png,a blue square', "quotes of line 2 do not pair"),
        ('id,image,text\n1,1.png,"a red circle\n2,2.png,"a blue square"\n', "quotes of line 2 do not pair"),
        ("id,image,text,text\na,b,c,d\n", "has the column 'text' twice"),
        ("id,image,text\n".encode("utf-16"), "first line is not UTF-8"),
        ("id;image;text\na;a.png;cat\n", "parted by semicolons. Part columns by commas"),
        ("id\timage\ttext\na\ta.png\tcat\n", "parted by tabs"),
    ],
)
def test_a_table_whose_rows_cannot_be_told_apart_is_refused(tmp_path, photos, text, said):
    with pytest.raises(AnywordError, match=said):
        make(tmp_path, photos, text, table="texts.csv")


def test_quoted_cells_of_csv_may_hold_quotes_commas_and_line_breaks(tmp_path, photos):
    (shard,) = make(tmp_path, photos, CSV.replace("{}", 'b,good.png,"a ""big"" cat,\nblack"'), table="texts.csv")
    assert shard.failures == {}
    assert shard.table("samples")[1]["text"] == 'a "big" cat,\nblack'


CELLS = st.dictionaries(
    st.sampled_from(["id", "image", "text", "split", "tags", "phrases", "masks", "x"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bad=st.lists(CELLS, max_size=3))
@example(bad=[{"id": "b", "image": "good.png", "text": "a", "phrases": [{"start": 0, "end": 1}], "masks": [[[1, 2]]]}])
def test_whatever_a_row_holds_the_others_are_read(tmp_path, photos, bad):
    (shard,) = make(tmp_path, photos, [row("first"), *bad, row("last")])
    assert len(shard.ids) == len(bad) + 2 == len(set(shard.ids))
    kept = [one["sample_id"] for one in shard.table("samples")]
    assert kept[0] == "first" and kept[-1] == "last"
    assert all("\n" not in why for why in shard.failures.values())


def test_equal_ids_take_a_step_each():
    began = time.perf_counter()
    made = list(with_unique_ids(Entry(id="a") for _ in range(16_000)))
    assert made[-1].id == "a#16000" and time.perf_counter() - began < 5  # 22 s when every copy counted from 2


def test_polygons_and_runs_are_masks_of_a_folder_dataset_too(tmp_path, photos):
    rows = [row(phrases=["a black cat"], masks=[[SQUARE]])]
    (shard,) = make(tmp_path, photos, rows)
    (truth,) = shard.table("truth")
    assert decode(truth).sum() == 100


CORNERS = [float("nan"), float("inf"), -1e300, 1e9, 10**30, -31, 62, "7", None, True, [1]]


@pytest.mark.parametrize("value", CORNERS)
def test_a_corner_that_is_nowhere_near_the_image_never_reaches_c(value):
    with pytest.raises(SampleError, match="corner at x"):
        segmentation([[[5, 5, value, 5, 9, 9]]], 20, 30)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.floats() | st.integers() | st.none() | st.text(max_size=2), max_size=9)
        | st.fixed_dictionaries({"size": st.just([20, 30]), "counts": st.text(max_size=9) | st.lists(st.integers())}),
        max_size=3,
    )
)
def test_whatever_a_segmentation_holds_is_a_mask_or_refused(parts):
    try:
        found = segmentation([parts], 20, 30)
    except SampleError as error:
        assert "\n" not in str(error)
    else:
        assert found["size"] == [20, 30]


def test_a_polygon_with_a_nan_fails_its_row(tmp_path):
    annotations = [{"id": 1, "segmentation": [SQUARE]}, {"id": 2, "segmentation": [[float("nan"), *SQUARE[1:]]]}]
    annotations += [{"id": 3, "segmentation": [[1e12, *SQUARE[1:]]]}, {"segmentation": [SQUARE]}, None]
    samples, _, failures = read(tmp_path, coco_folder(tmp_path, [ref(i, i) for i in (1, 2, 3, 4)], annotations))
    assert [one["sample_id"] for one in samples] == ["1-1"]
    assert "not finite" in failures["2-2"] and "corner at x" in failures["3-3"] and "annotation 4" in failures["4-4"]


def test_pipes_loops_and_folders_are_refused_without_opening(tmp_path, photos):
    os.mkfifo(photos / "pipe.png")
    (photos / "loop.png").symlink_to("loop.png")
    (photos / "round").symlink_to("round2")
    (photos / "round2").symlink_to("round")
    (photos / "folder.png").mkdir()
    names = ["pipe.png", "loop.png", "round/a.png", "folder.png", "good.png/a.png", "a" * 300 + ".png", "gone.png"]
    rows = [row("good"), *(row(f"b{i}", name) for i, name in enumerate(names))]
    (shard,) = make(tmp_path, photos, rows)
    why = [shard.failures[f"b{i}"] for i in range(len(names))]
    said = ["is a pipe, socket or device", "round in a circle", "round in a circle", "is a folder"]
    said += ["there is no such file", "path is too long", "there is no such file"]
    assert all(part in one for part, one in zip(said, why, strict=True)), why


def test_an_image_that_is_none_fails_in_the_same_words_every_time(tmp_path, photos):
    whole = (photos / "good.png").read_bytes()
    (photos / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (photos / "cut.png").write_bytes(whole[:200])
    (photos / "flipped.png").write_bytes(whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    rows = [row("good"), *(row(name, f"{name}.png") for name in ("page", "cut", "flipped"))]
    first, second = (make(tmp_path, photos, rows)[0] for _ in range(2))
    assert first.failures == second.failures and first.sha256 == second.sha256
    assert "none of AVIF, BMP" in first.failures["page"]  # an EPS would start Ghostscript
    assert first.failures["cut"].endswith("it is broken or cut off. Replace the file.")
    assert not any("0x" in why for why in first.failures.values())


def test_a_root_that_is_gone_or_wrong_ends_the_job(tmp_path, photos):
    rows = [row("a"), row("b")]
    make(tmp_path, photos, rows)
    (photos / "good.png").rename(tmp_path / "good.png")
    with pytest.raises(AnywordError, match="none of the 2 images of this shard is there"):
        make(tmp_path, photos, rows)
    for place, said in ((photos, "is empty"), (tmp_path / "nowhere", "no such folder")):
        with pytest.raises(AnywordError, match=said) as caught:
            read_image(place, "good.png", "0")
        assert not isinstance(caught.value, SampleError)


def test_what_the_machine_refuses_is_no_fault_of_a_sample(photos, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(AnywordError, match="Permission denied") as caught:
        read_file(photos, "good.png")
    assert not isinstance(caught.value, SampleError)
    for error in (OSError(28, "No space left on device"), MemoryError(), AnywordError("no key")):
        with pytest.raises(type(error)):
            fault(error)


def test_a_list_with_bytes_that_are_no_text_fails_those_rows_only(tmp_path):
    from lab.training import published

    published.export("voc", tmp_path / "data", "test", 0, 3)
    (names,) = (tmp_path / "data").rglob("ImageSets/Segmentation/*.txt")
    names.write_bytes(names.read_bytes() + b"caf\xe9\n")
    recipe = {"kind": "voc", "root": "data", "split": names.stem}
    samples, _, failures = read(tmp_path, recipe)
    assert len(samples) == 3 and list(failures) == ["row-4"]
