"""The formats between stages: what is written is read back, what is damaged is refused, what was done is kept."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.artifacts import ArtifactError, Outcome, SampleError, ShardReader, ShardWriter, Stage, attempt
from stages.artifacts.language import Parse, Phrase, Predicate, Span, words
from stages.artifacts.maps import WordMaps, read_maps, write_maps
from stages.artifacts.seeds import seed_of
from stages.artifacts.tables import parse_of, read_table, write_table

TOY = Stage(name="toy", version="1")


def make(output, ids=("a", "b", "c"), recipe=None, inputs=None, process=None, batch_size=2, stage=TOY):
    writer = ShardWriter(stage, recipe or {"x": 1}, output, inputs=inputs or {}, ids=ids)
    writer.run(
        process or (lambda batch: [Outcome([{"p": p}], {"v": np.full(2, p)}) for p in batch]), batch_size=batch_size
    )
    rows = [{"sample_id": writer.ids[p], "notes": [str(int(o.tensors["v"].sum()))]} for p, o in writer.outcomes.items()]
    rows = [{**row, "phrases": [], "predicates": [], "referred": None} for row in rows]
    writer.publish({"phrases.parquet": lambda path: write_table(path, "phrases", rows)})
    return ShardReader(output, stage.name)


def test_equal_results_are_equal_bytes(tmp_path):
    one, two = make(tmp_path / "1" / "manifest.json"), make(tmp_path / "2" / "manifest.json")
    assert one.sha256 == two.sha256
    assert str(tmp_path) not in (one.path / "manifest.json").read_text()


def test_a_kill_between_batches_loses_only_the_running_batch(tmp_path):
    seen = []

    def killed(batch):
        seen.append(list(batch))
        if 2 in batch:
            raise KeyboardInterrupt
        return [Outcome([], {"v": np.full(2, p)}) for p in batch]

    output = tmp_path / "shard" / "manifest.json"
    with pytest.raises(KeyboardInterrupt):
        make(output, process=killed)
    assert not output.exists()
    resumed = []
    folder = make(output, process=lambda batch: resumed.extend(batch) or [Outcome([], {"v": np.full(2, 2)})])
    assert seen == [[0, 1], [2]]
    assert resumed == [2]
    assert [row["notes"] for row in folder.table("phrases")] == [["0"], ["2"], ["4"]]
    assert not list((tmp_path / "shard").glob(".parts/*"))


def test_a_damaged_part_is_computed_again(tmp_path):
    output = tmp_path / "manifest.json"
    with pytest.raises(RuntimeError):
        make(output, process=lambda batch: _fail_on(batch, 2))
    (part,) = (tmp_path / ".parts").rglob("*.safetensors")
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    again = []
    make(output, process=lambda batch: again.extend(batch) or [Outcome([], {"v": np.zeros(2)}) for _ in batch])
    assert again == [0, 1, 2]


def _fail_on(batch, position):
    if position in batch:
        raise RuntimeError("broken program")
    return [Outcome([], {"v": np.full(2, p)}) for p in batch]


def test_one_sample_fails_alone_and_later_stages_carry_its_reason(tmp_path):
    def process(batch):
        return [attempt(_refuse_b, p) for p in batch]

    first = make(tmp_path / "1" / "manifest.json", process=process)
    assert first.failures == {"b": "sample is bad. Mend it."}
    second = make(
        tmp_path / "2" / "manifest.json",
        ids=None,
        inputs={"toy": first},
        process=lambda batch: [Outcome([], {"v": np.zeros(1)}) for _ in batch],
    )
    assert second.failures == {"b": "in toy: sample is bad. Mend it."}
    assert [row["sample_id"] for row in second.table("phrases")] == ["a", "c"]


def _refuse_b(position):
    if position == 1:
        raise SampleError("sample is bad.", remedy="Mend it.")
    return Outcome([], {"v": np.zeros(1)})


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_readers_refuse_a_file_that_is_not_the_manifest_s(tmp_path, damage):
    folder = make(tmp_path / "manifest.json")
    path = tmp_path / "phrases.parquet"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    elif damage == "truncate":
        path.write_bytes(data[:-3])
    else:
        path.unlink()
    with pytest.raises(ArtifactError, match=r"phrases\.parquet.*--repair.*run toy again"):
        folder.table("phrases")


def test_inputs_of_another_lineage_are_refused_by_name(tmp_path):
    samples = make(tmp_path / "s" / "manifest.json", stage=Stage(name="samples", version="1"))
    others = make(tmp_path / "o" / "manifest.json", ids=("z",), stage=Stage(name="samples", version="1"))
    maps = make(tmp_path / "m" / "manifest.json", ids=None, inputs={"samples": samples})
    with pytest.raises(ArtifactError, match="maps was made from another samples"):
        ShardWriter(TOY, {}, tmp_path / "x" / "manifest.json", inputs={"samples": others, "maps": maps})


def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path):
    outside = tmp_path / "keep.txt"
    outside.write_text("keep")
    output = tmp_path / "shard" / "manifest.json"
    make(output)
    manifest = json.loads(output.read_text())
    manifest["files"]["../keep.txt"] = {"size": 4, "sha256": "0" * 64}
    output.write_text(json.dumps(manifest))
    make(output)
    assert outside.read_text() == "keep"


def test_manifest_of_another_stage_or_no_json_is_one_line(tmp_path):
    make(tmp_path / "manifest.json")
    with pytest.raises(ArtifactError, match="'toy' where 'invert' is expected"):
        ShardReader(tmp_path / "manifest.json", "invert")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError) as error:
        ShardReader(tmp_path, "toy")
    assert "\n" not in str(error.value)


def test_maps_round_trip_and_a_missing_or_flipped_chunk_is_an_error(tmp_path):
    count = 300
    maps = WordMaps(
        maps=np.random.default_rng(0).random((count, 16, 16), dtype=np.float32),
        sample=np.arange(count, dtype=np.int32) // 5,
        start=np.arange(count, dtype=np.int32),
        end=np.arange(count, dtype=np.int32) + 3,
    )
    write_maps(tmp_path / "maps.zarr", maps)
    back = read_maps(tmp_path / "maps.zarr")
    np.testing.assert_array_equal(back.maps, maps.maps)
    assert set(back.of_sample(1)) == {(i, i + 3) for i in range(5, 10)}
    chunk = sorted((tmp_path / "maps.zarr" / "maps" / "c").rglob("*"))[-1]
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(ArtifactError, match="run attend again"):
        read_maps(tmp_path / "maps.zarr")
    chunk.unlink()
    with pytest.raises(ArtifactError, match="1 of 2 chunks"):
        read_maps(tmp_path / "maps.zarr")


def test_maps_that_are_all_zero_are_written_too(tmp_path):
    zeros = np.zeros((2, 16, 16), np.float32)
    index = np.zeros(2, np.int32)
    write_maps(tmp_path / "m.zarr", WordMaps(zeros, index, index, index + 1))
    assert read_maps(tmp_path / "m.zarr").maps.shape == (2, 16, 16)


def test_no_words_at_all_is_a_valid_shard(tmp_path):
    none = np.zeros(0, np.int32)
    write_maps(tmp_path / "m.zarr", WordMaps(np.zeros((0, 16, 16), np.float32), none, none, none))
    assert len(read_maps(tmp_path / "m.zarr").maps) == 0


@given(st.text(max_size=80))
def test_words_are_in_order_disjoint_and_leave_out_only_space(text):
    found = list(words(text))
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    kept = {i for span in found for i in range(span.start, span.end)}
    assert all(character.isspace() for i, character in enumerate(text) if i not in kept)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=4), st.data())
def test_parses_survive_the_table(tmp_path_factory, spans, data):
    phrases = tuple(
        Phrase(span=Span(start=s, end=s + n), root=Span(start=s, end=s + n), adjectives=(Span(start=s, end=s + 1),))
        for s, n in spans
    )
    index = data.draw(st.none() | st.integers(0, len(phrases) - 1)) if phrases else None
    parse = Parse(
        phrases=phrases, predicates=(Predicate(span=Span(start=0, end=1), subject=index),), referred=index, notes=("n",)
    )
    path = tmp_path_factory.mktemp("t") / "phrases.parquet"
    write_table(path, "phrases", [{"sample_id": "a/b \n", **parse.row()}])
    (row,) = read_table(path, "phrases")
    assert parse_of(row) == parse.checked("x" * 100)


@given(st.lists(st.integers() | st.text(max_size=5), min_size=1, max_size=3))
def test_seeds_depend_on_every_part_and_its_type(parts):
    assert 0 <= seed_of(*parts) < 2**63
    assert seed_of(*parts) != seed_of(*parts, 0)
    assert seed_of(1) != seed_of("1")


def test_maps_say_what_they_are_and_open_in_xarray(tmp_path):
    import xarray

    from stages.artifacts.maps import WordMaps, described, read_maps, write_maps

    maps = WordMaps(
        np.arange(3 * 4, dtype=np.float32).reshape(3, 2, 2),
        *(np.array(one, dtype=np.int32) for one in ([0, 0, 1], [0, 2, 4], [1, 5, 8])),
    )
    rows = {"a": {"text": "a cat", "height": 3, "width": 5}, "b": {"text": "the dog.", "height": 2, "width": 2}}
    write_maps(tmp_path / "maps.zarr", maps, described(maps, ["a", "b", "failed"], rows, {"kind": "direct"}))
    data = xarray.open_zarr(tmp_path / "maps.zarr", consolidated=False)
    assert data["maps"].dims == ("word", "row", "column") and data["sample"].dims == ("word",)
    assert data.attrs["words"] == ["a", "cat", "dog."] and data.attrs["samples"] == ["a", "b", "failed"]
    assert data.attrs["image_sizes"] == [[3, 5], [2, 2], [0, 0]] and data.attrs["recipe"] == {"kind": "direct"}
    np.testing.assert_array_equal(data["maps"].values, read_maps(tmp_path / "maps.zarr").maps)
