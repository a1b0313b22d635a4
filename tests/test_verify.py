"""`anyword verify` names every damage to every file of every result; the reader of that file refuses it."""

import json
import logging
import re
import shutil
from functools import partial

import pytest
from tiny_shard import prepare, run
from toy_results import write_results
from typer.testing import CliRunner

from stages.artifacts import ArtifactError, ShardReader, ShardWriter, Stage
from stages.artifacts.manifest import read_manifest
from stages.artifacts.publication import COPY
from stages.artifacts.shard_reader import check_lineage
from stages.artifacts.verify import results_below
from stages.cli import app
from stages.report.command import run as report
from stages.score.command import run as score

ROWS = [("a", "a red circle on grass"), ("b", "a blue star")]
DAMAGES = ("flip", "truncate", "delete", "swap", "append")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    """Three datasets that went through every stage: a folder's, a list of classes by InvSeg, and one of drawn images
    with truth, adapter and score."""
    root = tmp_path_factory.mktemp("whole") / "results"
    run(base, root / "photos", ROWS)
    label(base, tmp_path_factory.mktemp("labels"), root / "labels")
    drawn = root / "drawn"
    shards = write_results(drawn)
    named = {"experiment": "toy", "shards": shards, "parser": "truth", "inverter": "toy", "attender": "toy"}
    folder = drawn / "experiments" / "toy"
    score(root=drawn, recipe={"kind": "grounding"}, output=folder / "score" / "manifest.json", **named)
    page = {"recipe": {"kind": "page"}, "output": folder / "report" / "manifest.json"}
    report(root=drawn, experiment="toy", shards=shards, **page)
    samples = {f"samples-{n:05d}": ShardReader(drawn / "samples" / f"{n:05d}", "samples") for n in range(shards)}
    output = drawn / "adapt" / "lora" / "manifest.json"
    adapter = ShardWriter(Stage(name="adapt", version="1"), {}, output, inputs=samples, ids=["first"])
    weights = {"adapter_model.safetensors": b"weights", "adapter_config.json": b"{}"}
    adapter.publish({name: partial(_write, data) for name, data in weights.items()})
    return root


def label(base, folder, root):
    """Label maps by InvSeg, whose embeddings are the encoder's output, with the maps of every step."""
    config = json.loads((base / "config.json").read_text())
    config["inverters"]["tiny"] = {"kind": "invseg", "backbone": "tiny", "steps": 2}
    config["attenders"]["tiny"]["keep"] = "steps"
    config["segmenters"]["tiny"] = {"kind": "argmax"}
    (folder / "config.json").write_text(json.dumps(config))
    made = run(folder, root, [("a", "circle, grass")], images=base / "images")
    assert b'"space":"output"' in (made["invert"].parent / "embeddings.safetensors").read_bytes()[:2000]
    assert (made["attend"].parent / "maps.zarr" / "parts").is_dir()


def _write(data, path):
    path.write_bytes(data)


@pytest.fixture
def results(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "results")
    return tmp_path / "results"


def verify(folder, *options):
    said = CliRunner().invoke(app, ["verify", str(folder), *options])
    logging.getLogger("anyword").propagate = True  # a command keeps its log to itself; caplog listens above
    return said


def damage(path, how, others):
    data = path.read_bytes()
    if how == "flip":
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :])
    elif how == "truncate":
        path.write_bytes(data[:-1])
    elif how == "append":
        path.write_bytes(data + b"\n")
    elif how == "delete":
        path.unlink()
    else:
        path.write_bytes(next(other for other in others if other != data))  # another of its name; else of any


def every_file(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def one_of_each(files):
    """Of the files that differ in their shard or their number only, the last."""
    return list({re.sub(r"\d{5,}", "N", str(path)): path for path in files}.values())


def read_all(root):
    """Read everything as the stages do: by the readers that check it, each result with what it was made from."""
    for folder in results_below(root):
        stage = read_manifest(folder / "manifest.json").stage.name
        reader = ShardReader(folder, stage)
        for name in reader.manifest.files:
            reader.file(name)


def test_whole_results_are_whole(results):
    found = verify(results)
    assert found.exit_code == 0, found.output
    assert "nothing bad" in found.output
    read_all(results)


@pytest.mark.parametrize("how", DAMAGES)
def test_every_damage_to_every_file_is_found_and_refused(results, how):
    files = every_file(results)
    kinds = {path.name if path.suffix != "" else path.parent.name for path in files}
    assert {"manifest.json", COPY, "listing.json", "samples.parquet", "truth.parquet", "phrases.parquet"} <= kinds
    assert {"embeddings.safetensors", "zarr.json", "points.parquet", "masks.parquet", "index.html"} <= kinds
    assert {"score.json", "scores.csv", "adapter_model.safetensors"} <= kinds
    contents = {path: path.read_bytes() for path in files}
    named = {name: [data for path, data in contents.items() if path.name == name] for name in {p.name for p in files}}
    for path in one_of_each(files):
        data = contents[path]
        damage(path, how, sorted(contents.values(), key=lambda other, name=path.name: other not in named[name]))
        dataset = results / path.relative_to(results).parts[0]
        said = verify(dataset)
        assert said.exit_code == 1, f"{how} of {path}"
        assert any(line.startswith(f"{path}: ") for line in said.output.splitlines()), f"{how} of {path}\n{said.output}"
        if path.name != COPY and (how, path.name) != ("swap", "manifest.json"):
            with pytest.raises(ArtifactError):
                read_all(dataset)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    assert verify(results).exit_code == 0


def test_a_swapped_manifest_of_the_same_stage_is_refused_by_who_reads_its_files_or_what_it_was_made_from(results):
    one, two = (results / "drawn" / "samples" / shard for shard in ("00000", "00001"))
    (one / "manifest.json").write_bytes((two / "manifest.json").read_bytes())
    with pytest.raises(ArtifactError):
        ShardReader(one, "samples").file("samples.parquet")


@pytest.mark.parametrize("stage", ["samples", "invert/toy"])
def test_swapped_shards_are_named_and_refused(results, stage):
    """Both folders are whole in themselves; what was made from one lies beside the other."""
    one, two = (results / "drawn" / stage / shard for shard in ("00000", "00001"))
    one.rename(results / "aside")
    two.rename(one)
    (results / "aside").rename(two)
    said = verify(results)
    assert said.exit_code == 1
    assert "was made from another" in said.output
    maps = ShardReader(results / "drawn" / "attend" / "toy" / "toy" / "00000", "attend")
    name, folder = ("samples", one) if stage == "samples" else ("embeddings", one)
    with pytest.raises(ArtifactError, match="was made from another"):
        check_lineage({name: ShardReader(folder, stage.partition("/")[0]), "maps": maps})


def test_a_file_of_nobody_is_named_and_repair_takes_it_alone(results):
    foreign = results / "photos" / "samples" / "00000" / "old.parquet"
    foreign.write_text("left over")
    said = verify(results)
    assert f"{foreign}: samples: no manifest lists it." in said.output
    before = set(every_file(results))
    verify(results, "--repair")
    assert before - set(every_file(results)) == {foreign}
    assert verify(results).exit_code == 0


def test_repair_removes_what_is_bad_and_the_next_run_makes_just_that(base, tmp_path, caplog):
    made = run(base, tmp_path / "photos", ROWS)
    before = {path: path.read_bytes() for path in every_file(tmp_path)}
    bad = made["attend"].parent / "maps.zarr" / "zarr.json"
    bad.write_bytes(b"{}")
    said = verify(tmp_path, "--repair")
    assert said.exit_code == 0
    assert str(bad) in said.output
    with caplog.at_level("INFO", logger="anyword"):
        run(base, tmp_path / "photos", ROWS)
    assert {path: path.read_bytes() for path in every_file(tmp_path)} == before
    kept = {line.partition(":")[0] for line in caplog.messages if line.endswith(": unchanged, kept")}
    assert kept == {"parse", "invert", "prompt", "segment"}


def test_a_part_alone_can_be_verified(results):
    said = verify(results / "drawn" / "experiments")
    assert said.exit_code == 0, said.output
    (results / "drawn" / "samples" / "00000" / "manifest.json").unlink()
    (results / "drawn" / "samples" / "00000" / COPY).unlink()
    said = verify(results / "drawn" / "experiments")
    assert "was made from another samples" in said.output


def test_a_manifest_whose_words_were_changed_is_refused(results):
    path = results / "photos" / "samples" / "index" / "manifest.json"
    value = json.loads(path.read_text())
    value["summary"]["shards"] = 0
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    with pytest.raises(ArtifactError, match="altered after it was written"):
        read_manifest(path, "index")
