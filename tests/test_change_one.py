"""Change one sample, and only that one is computed again; what comes out is what a run from scratch makes."""

import json
import logging

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_shard import ROWS, prepare, run

from stages.artifacts import ShardReader
from stages.artifacts.embeddings import unpack
from stages.artifacts.maps import read_maps

COSTLY = ("invert", "attend", "segment")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("base"))


def same(one, two):
    """Whether two runs made the same: tables of texts by their bytes, vectors and maps up to the rounding that the
    number of images in a step decides."""
    for stage in ("samples", "parse"):
        assert one[stage].read_bytes() == two[stage].read_bytes()
    for name in ("invert", "attend", "prompt", "segment"):
        assert ShardReader(one[name], name).ids == ShardReader(two[name], name).ids
        assert ShardReader(one[name], name).keys == ShardReader(two[name], name).keys
    left, right = (load_file(made["invert"].with_name("embeddings.safetensors")) for made in (one, two))
    assert left.keys() == right.keys()
    for name, values in left.items():
        np.testing.assert_allclose(values, right[name], rtol=1e-4, atol=1e-5)
    left, right = (read_maps(made["attend"].with_name("maps.zarr")) for made in (one, two))
    np.testing.assert_array_equal(left.start, right.start)
    np.testing.assert_allclose(left.maps, right.maps, rtol=1e-3, atol=1e-5)


def results_of(made, name):
    """What every stage says of one sample, bit for bit."""
    position = ShardReader(made["samples"], "samples").ids.index(name)
    vectors = unpack(made["invert"].with_name("embeddings.safetensors"))(position)
    maps = read_maps(made["attend"].with_name("maps.zarr")).of_sample(position)
    masks = [row for row in ShardReader(made["segment"], "segment").table("masks") if row["sample_id"] == name]
    arrays = {key: values.tobytes() for key, values in {**vectors, **maps}.items()}
    return arrays, masks


def kept(caplog):
    """How many samples each stage kept, as its log says; a stage that is silent computed all."""
    found = {}
    for record in caplog.records:
        stage, _, rest = record.getMessage().partition(": ")
        if "unchanged, kept" in rest and rest[0].isdigit():
            found[stage] = int(rest.split()[0])
    return found


@pytest.mark.parametrize(
    "rows",
    [ROWS, ROWS[2::-1], [ROWS[0], ("b", "a blue circle"), ROWS[2]], ROWS[1:3]],
    ids=["appended", "reversed", "one text edited", "one removed"],
)
def test_only_what_changed_is_computed(base, tmp_path, caplog, rows):
    before = run(base, tmp_path / "grown", ROWS[:3])
    unchanged = {name: results_of(before, name) for name, text in ROWS[:3] if (name, text) in rows}
    with caplog.at_level(logging.INFO, logger="anyword"):
        grown = run(base, tmp_path / "grown", rows)
    assert kept(caplog) == dict.fromkeys(COSTLY, len(unchanged))
    assert {name: results_of(grown, name) for name in unchanged} == unchanged
    same(grown, run(base, tmp_path / "fresh", rows))


def test_a_repaired_photo_is_the_only_one_computed(base, tmp_path, caplog):
    images = tmp_path / "images"
    images.mkdir()
    for name, _ in ROWS[:3]:
        (images / f"{name}.png").write_bytes((base / "images" / f"{name}.png").read_bytes())
    (images / "b.png").write_bytes(b"\x89PNG no picture")
    run(base, tmp_path / "out", ROWS[:3], images)
    (images / "b.png").write_bytes((base / "images" / "b.png").read_bytes())
    with caplog.at_level(logging.INFO, logger="anyword"):
        mended = run(base, tmp_path / "out", ROWS[:3], images)
    assert kept(caplog) == dict.fromkeys(COSTLY, 2)
    same(mended, run(base, tmp_path / "fresh", ROWS[:3]))


def test_a_result_of_before_samples_had_keys_is_read_and_made_again_whole(base, tmp_path, caplog):
    made = run(base, tmp_path / "out", ROWS[:3])
    for path in made.values():
        value = json.loads(path.read_text())
        del value["seal"]
        for sample in value["samples"]:
            del sample["key"]
        path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        path.with_name(".published.json").unlink(missing_ok=True)
    with caplog.at_level(logging.INFO, logger="anyword"):
        again = run(base, tmp_path / "out", ROWS[:2])
    assert kept(caplog) == {}
    same(again, run(base, tmp_path / "fresh", ROWS[:2]))
