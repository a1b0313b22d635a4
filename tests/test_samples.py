"""Samples: what a dataset lists becomes samples, and what is wrong with a row stays with that row."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stages.artifacts import AnywordError, SampleError, ShardReader
from stages.artifacts.images import decode_image, read_image
from stages.artifacts.masks import decode
from stages.artifacts.tables import parse_of
from stages.samples import command
from stages.samples.folder import GivenPhrase, resolve_phrases
from stages.samples.listing import Entry, id_problem, with_unique_ids

RECIPE = {"kind": "folder", "shard_size": 64}


@pytest.fixture(scope="module")
def bomb():
    """A small file that claims 225 million pixels."""
    file = io.BytesIO()
    Image.new("1", (15000, 15000)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photos(tmp_path, bomb):
    """A folder of images: good ones, and each kind of bad one."""
    root = tmp_path / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(root / "good.png")
    (root / "broken.png").write_bytes((root / "good.png").read_bytes()[:200])
    (root / "text.png").write_text("not an image")
    Image.new("RGB", (1, 1)).save(root / "dot.png")
    (root / "bomb.png").write_bytes(bomb)
    outside = tmp_path / "secret.png"
    Image.new("RGB", (4, 4)).save(outside)
    (root / "link.png").symlink_to(outside)
    return root


def make(tmp_path, root, rows, *, table="texts.jsonl", shard_size=64):
    """All shards of a folder dataset, as their Folders."""
    texts = tmp_path / table
    if isinstance(rows, bytes):
        texts.write_bytes(rows)
    elif isinstance(rows, str):
        texts.write_text(rows)
    else:
        texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = tmp_path / "results"
    listed = command.index(
        recipe={**RECIPE, "shard_size": shard_size}, output=results / "index" / "manifest.json", root=root, texts=texts
    )
    folders = []
    for number in range(listed.summary["shards"]):
        output = results / f"{number:05d}" / "manifest.json"
        index = results / "index" / f"{number:05d}" / "manifest.json"
        command.run(index=index, recipe={"kind": "folder"}, output=output, root=root)
        folders.append(ShardReader(output, "samples"))
    return folders


def row(sample_id="a", image="good.png", text="a black cat", **more):
    return {"id": sample_id, "image": image, "text": text, **more}


def test_a_csv_of_texts_becomes_samples(tmp_path, photos):
    (shard,) = make(tmp_path, photos, 'id,image,text\na,good.png,"a cat, black"\n', table="texts.csv")
    (sample,) = shard.table("samples")
    assert (sample["sample_id"], sample["text"], sample["image"]) == ("a", "a cat, black", "good.png")
    assert (sample["width"], sample["height"]) == (30, 20)
    assert shard.failures == {}


BAD = {
    "missing": ({"image": "gone.png"}, "cannot be read"),
    "truncated": ({"image": "broken.png"}, "cannot be decoded"),
    "no image": ({"image": "text.png"}, "cannot be decoded"),
    "a pixel": ({"image": "dot.png"}, "1x1"),
    "a bomb": ({"image": "bomb.png"}, "pixels"),
    "a link out": ({"image": "link.png"}, "outside"),
    "a path out": ({"image": "../secret.png"}, "below the image folder"),
    "an absolute path": ({"image": "/etc/hostname"}, "below the image folder"),
    "no text": ({"text": "  "}, "text is empty"),
    "an id that climbs": ({"sample_id": "../../escape"}, "leads elsewhere"),
    "an id with a newline": ({"sample_id": "a\nb"}, "control character"),
    "no id": ({"sample_id": ""}, "id is empty"),
    "a phrase that is not there": ({"phrases": ["a dog"]}, "does not occur"),
    "masks without phrases": ({"masks": ["good.png"]}, "1 masks for 0 phrases"),
    "a mask of another size": ({"phrases": ["cat"], "masks": ["dot2.png"]}, "its image 30x20"),
    "an unknown column": ({"captoin": "x"}, "captoin"),
}


RAMP = np.linspace(100, 4095, 20 * 30).reshape(20, 30)  # 12 bits of a scanner


def grey(root, name, values, **options):
    Image.fromarray(values).save(root / name, **options)
    return name


def test_a_folder_of_grey_images_of_8_and_16_bits(tmp_path):
    """Medical images: never wrapped, never cut; deep ones are spread over what a model can see."""
    root = tmp_path / "scans"
    root.mkdir()
    deep = [
        grey(root, "ramp.png", RAMP.astype(np.uint16)),
        grey(root, "ramp.tif", RAMP.astype(np.uint16)),
        grey(root, "packed.tif", RAMP.astype(np.uint16), compression="tiff_lzw"),
        grey(root, "high.png", (RAMP + 60_000).astype(np.uint16)),  # would wrap as signed, and vanish as 8 bits
        grey(root, "hounsfield.tif", (RAMP - 1024).astype(np.int32)),
        grey(root, "float.tif", RAMP.astype(np.float32)),
    ]
    plain = [grey(root, name, (RAMP / 32).astype(np.uint8)) for name in ("plain.png", "plain.tif")]
    flat = grey(root, "flat.png", np.full((20, 30), 700, dtype=np.uint16))
    unknown = RAMP.astype(np.float32)
    unknown[0, :2] = np.nan, np.inf
    unknown = grey(root, "unknown.tif", unknown)
    names = [*deep, *plain, flat, unknown]
    (shard,) = make(tmp_path, root, [row(name, name, "a dark lesion") for name in names])
    assert shard.failures == {}
    seen = {one["image"]: read_image(root, one["image"], one["image_sha256"]) for one in shard.table("samples")}
    assert all(pixels.shape == (20, 30, 3) and pixels.dtype == np.uint8 for pixels in seen.values())
    wanted = (RAMP - RAMP.min()) / (RAMP.max() - RAMP.min()) * 255
    for name in deep:
        assert np.abs(seen[name][..., 0] - wanted).max() <= 1, name
    for name in plain:
        np.testing.assert_array_equal(seen[name][..., 2], (RAMP / 32).astype(np.uint8))
    assert not seen[flat].any()
    assert seen[unknown][0, :2, 0].tolist() == [0, 255]
    assert np.abs(seen[unknown][1:, :, 0] - wanted[1:]).max() <= 2


def test_a_grey_tiff_whose_zero_is_white_is_turned_round(tmp_path):
    grey(tmp_path, "a.tif", RAMP.astype(np.uint16), tiffinfo={262: 0})
    data = (tmp_path / "a.tif").read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        assert image.tag_v2[262] == 0
    assert decode_image(data, "a.tif")[0, 0, 0] == 255


def test_what_would_be_cut_or_left_out_of_an_image_is_refused(tmp_path, photos):
    pages = [Image.fromarray((RAMP + i).astype(np.uint16)) for i in range(3)]
    pages[0].save(photos / "stack.tif", save_all=True, append_images=pages[1:])
    (photos / "dark.png").write_bytes(png16(np.stack([RAMP] * 3, axis=-1)))
    (photos / "bright.png").write_bytes(png16(np.stack([RAMP * 16] * 3, axis=-1)))
    rows = [row(name, name) for name in ("stack.tif", "dark.png", "bright.png")]
    (shard,) = make(tmp_path, photos, rows)
    assert [one["image"] for one in shard.table("samples")] == ["bright.png"]
    assert "is a stack of 3 pages" in shard.failures["stack.tif"]
    assert "16-bit colours that use the lower bits only" in shard.failures["dark.png"]


def png16(values):
    """A PNG of 16-bit RGB, which Pillow reads but does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_runs_as_numbers_are_a_mask_too(tmp_path, photos):
    runs = {"size": [20, 30], "counts": [20, 40, 540]}
    short = {"size": [20, 30], "counts": [20, 40, 539]}
    rows = [row(name, phrases=["a black cat"], masks=[mask]) for name, mask in (("a", runs), ("b", short))]
    (shard,) = make(tmp_path, photos, rows)
    (truth,) = shard.table("truth")
    assert decode(truth).sum() == 40 and decode(truth)[:, 1:3].all()
    assert "does not cover its image" in shard.failures["b"]


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_fails_alone_and_in_one_line(tmp_path, photos, case):
    Image.new("L", (5, 5)).save(photos / "dot2.png")
    change, reason = BAD[case]
    (shard,) = make(tmp_path, photos, [row("first"), row(**change), row("last")])
    assert [one["sample_id"] for one in shard.table("samples")] == ["first", "last"]
    assert len(shard.ids) == 3
    ((failed, why),) = shard.failures.items()
    assert failed == shard.ids[1]
    assert reason in why
    assert "\n" not in why


def test_a_repeated_id_fails_under_a_new_name(tmp_path, photos):
    (shard,) = make(tmp_path, photos, [row("a"), row("b"), row("a", text="another")])
    assert shard.ids == ["a", "b", "a#2"]
    assert list(shard.failures) == ["a#2"]
    assert [one["text"] for one in shard.table("samples")] == ["a black cat"] * 2


def test_a_line_that_is_no_json_fails_alone(tmp_path, photos):
    (shard,) = make(tmp_path, photos, json.dumps(row("a")) + "\n{broken\n")
    assert shard.ids == ["a", "line-2"]
    assert "line 2" in shard.failures["line-2"]


def test_phrases_and_masks_become_truth(tmp_path, photos):
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[5:9, 2:20] = 255
    Image.fromarray(mask).save(photos / "mask.png")
    rows = [row(text="a black cat and a cat", phrases=["black cat", "cat"], masks=[None, "mask.png"])]
    (shard,) = make(tmp_path, photos, rows)
    (sample,) = shard.table("samples")
    (truth,) = shard.table("truth")
    assert [phrase.span.of(sample["text"]) for phrase in parse_of(sample).phrases] == ["black cat", "cat"]
    assert (truth["index"], truth["start"], truth["end"]) == (1, 18, 21)
    assert np.array_equal(decode(truth), mask > 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,text\nx,y\n", "lacks the column id"),
        ("id,image,text,colour\na,b,c,d\n", "unknown column 'colour'"),
        ("", "lacks the column"),
        ("id,image,text\n", "no rows"),
    ],
)
def test_a_table_that_is_wrong_as_a_whole_is_refused(tmp_path, photos, text, said):
    with pytest.raises(AnywordError, match=said):
        make(tmp_path, photos, text, table="texts.csv")


def test_a_dataset_that_grows_leaves_finished_shards_as_they_were(tmp_path, photos):
    rows = [row(f"s{number}") for number in range(5)]
    before = [folder.sha256 for folder in make(tmp_path, photos, rows, shard_size=2)]
    after = [folder.sha256 for folder in make(tmp_path, photos, [*rows, row("s5"), row("s6")], shard_size=2)]
    assert (len(before), len(after)) == (3, 4)
    assert after[:2] == before[:2]
    assert after[2] != before[2]


def test_no_manifest_names_a_place_of_this_machine(tmp_path, photos):
    (shard,) = make(tmp_path, photos, [row()])
    for path in (tmp_path / "results").rglob("*.json"):
        assert str(tmp_path) not in path.read_text()
    assert str(tmp_path) not in json.dumps(shard.table("samples"))


def test_a_phrase_given_as_a_string_is_found_as_whole_words_reading_on():
    first, second = resolve_phrases("the cart, a car and a car", ("car", "car"))
    assert (first.span.start, second.span.start) == (12, 22)
    with pytest.raises(SampleError, match="does not occur"):
        resolve_phrases("a car", ("car", "car"))


@given(st.text(max_size=40), st.integers(0, 60), st.integers(0, 60))
def test_given_offsets_point_into_the_text_or_are_refused(text, start, end):
    try:
        (phrase,) = resolve_phrases(text, (GivenPhrase.model_construct(start=start, end=end),))
    except SampleError:
        assert not 0 <= start < end <= len(text)
    else:
        assert phrase.span.of(text) == text[start:end]


@given(st.lists(st.one_of(st.sampled_from(["a", "a#2", "row-1", "", ".."]), st.text(max_size=8)), max_size=12))
def test_ids_are_unique_and_safe_whatever_comes_in(ids):
    made = list(with_unique_ids(Entry(id=one) for one in ids))
    assert len(made) == len(ids)
    assert len({entry.id for entry in made}) == len(ids)
    assert all(id_problem(entry.id) is None for entry in made)


def test_scenes_of_the_world_are_samples_with_exact_truth(tmp_path):
    recipe = {"kind": "world", "split": "test", "first": 3, "count": 3, "shard_size": 2}
    listed = command.index(recipe=recipe, output=tmp_path / "index" / "manifest.json")
    assert (listed.summary["shards"], listed.summary["truth"]) == (2, True)
    output = tmp_path / "00001" / "manifest.json"
    index = tmp_path / "index" / "00001" / "manifest.json"
    command.run(index=index, recipe={"kind": "world"}, output=output)
    shard = ShardReader(output, "samples")
    (sample,) = shard.table("samples")
    assert sample["sample_id"] == "test-000005"
    pixels = read_image(shard.path, sample["image"], sample["image_sha256"])
    assert pixels.shape == (sample["height"], sample["width"], 3)
    phrases = [row for row in shard.table("truth") if row["kind"] == "phrase"]
    assert len(phrases) == len(sample["phrases"]) > 0
    assert all(decode(row).shape == pixels.shape[:2] and decode(row).any() for row in phrases)
    first = shard.sha256
    command.run(index=index, recipe={"kind": "world"}, output=output)
    assert ShardReader(output, "samples").sha256 == first


def test_a_world_dataset_may_say_synonyms_in_training_and_is_the_same_where_it_does_not(tmp_path):
    def texts(name, **options):
        recipe = {"kind": "world", "split": "train", "first": 0, "count": 6, "shard_size": 6, **options}
        command.index(recipe=recipe, output=tmp_path / name / "index" / "manifest.json")
        index = tmp_path / name / "index" / "00000" / "manifest.json"
        command.run(index=index, recipe={"kind": "world"}, output=tmp_path / name / "all" / "manifest.json")
        return ShardReader(tmp_path / name / "all", "samples").table("samples")

    plain, silent, always = texts("plain"), texts("silent", synonyms=None), texts("always", synonyms=1.0)
    listed = [(tmp_path / name / "index" / "00000" / "listing.json").read_bytes() for name in ("plain", "silent")]
    assert listed[0] == listed[1] and b"synonyms" not in listed[0]
    assert plain == silent
    assert not any("synonym" in row["tags"] for row in plain)
    tagged = [row for row in always if "synonym" in row["tags"]]
    assert tagged
    assert {row["sample_id"] for row in always if row not in tagged} == {
        row["sample_id"] for row, other in zip(plain, always, strict=True) if row["text"] == other["text"]
    }


def test_braces_in_a_folders_name_are_its_own_or_said_to_be_snakemakes(tmp_path):
    from tiny_workflow import snakemake

    place = tmp_path / "photos {2024}"
    place.mkdir()
    Image.new("RGB", (8, 8)).save(place / "a.png")
    (place / "texts.jsonl").write_text(json.dumps(row(image="a.png")) + "\n")
    (tmp_path / "linked").symlink_to(place)
    own = {"kind": "folder", "root": str(place), "texts": str(place / "texts.jsonl")}
    target = "results/own/samples/00000/manifest.json"
    done = snakemake(tmp_path, {"datasets": {"own": own}}, target, check=False)
    assert done.returncode and "braces stand for wildcards" in done.stdout + done.stderr
    own["texts"] = str(tmp_path / "linked" / "texts.jsonl")
    snakemake(tmp_path, {"datasets": {"own": own}}, target)
    assert ShardReader(tmp_path / "results/own/samples/00000", "samples").failures == {}


def test_a_recipe_written_by_hand_takes_its_defaults_and_is_checked(tmp_path):
    made = command.index(recipe={"kind": "world", "count": 2}, output=tmp_path / "index" / "manifest.json")
    assert made.summary["samples"] == 2 and made.recipe["shard_size"] == 64
    with pytest.raises(AnywordError, match=r"samples recipe\.count: Input should be a valid integer"):
        command.index(recipe={"kind": "world", "count": "two"}, output=tmp_path / "other" / "manifest.json")
    with pytest.raises(AnywordError, match="kind is 'nothing'"):
        command.index(recipe={"kind": "nothing"}, output=tmp_path / "other" / "manifest.json")
