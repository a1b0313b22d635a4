"""How results appear: whole or not at all, whenever the writer dies; what stands is not taken back nor made twice."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_artifacts import TOY, make

from stages.artifacts import Outcome, ShardReader, ShardWriter, Stage, unchanged
from stages.artifacts.publication import COPY, NEW, published

FIRST = Stage(name="first", version="1")


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


class Killed(BaseException):
    """What no code catches by mistake."""


def kill_at(monkeypatch, number):
    """Let the `number`-th change of the file system, from now on, be the last before a kill."""
    left = [number]

    def wrapped(function):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*arguments, **options)

        return call

    for owner, name in ((Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, wrapped(getattr(owner, name)))
    return left


def job(output, process=None, x=2):
    """A job as a stage does it: keep what is published, else compute and publish."""
    source = ShardReader(output.parents[1] / "first" / "manifest.json", "first")
    if unchanged(TOY, {"x": x}, output, inputs={"first": source}):
        return
    make(output, ids=None, recipe={"x": x}, inputs={"first": source}, process=process)


def test_a_kill_at_any_moment_of_publication_loses_nothing(tmp_path, monkeypatch):
    def fresh(root):
        make(root / "first" / "manifest.json", stage=FIRST)
        job(root / "toy" / "manifest.json", x=1)  # an earlier result lies there

    fresh(tmp_path / "whole")
    job(tmp_path / "whole" / "toy" / "manifest.json")
    wanted = files(tmp_path / "whole")
    moments = 0
    while True:
        root = tmp_path / f"at{moments}"
        fresh(root)
        with monkeypatch.context() as patch:
            left = kill_at(patch, moments)
            with contextlib.suppress(Killed):
                job(root / "toy" / "manifest.json")
            done = left[0] >= 0
        if done:
            break
        computed = []
        job(root / "toy" / "manifest.json", lambda batch, seen=computed: seen.extend(batch) or _batch(batch))
        assert files(root) == wanted, f"killed at change {moments}"
        moments += 1
    assert moments > 15


def _batch(batch):
    return [Outcome([{"p": p}], {"v": np.full(2, p)}) for p in batch]


def _kill_where_whole(folder):
    if (folder / NEW / "manifest.json").is_file():
        raise Killed


def test_what_stands_whole_is_not_computed_again_after_a_kill(tmp_path, monkeypatch):
    make(tmp_path / "first" / "manifest.json", stage=FIRST)
    output = tmp_path / "toy" / "manifest.json"
    with monkeypatch.context() as patch:
        patch.setattr("stages.artifacts.publication.settle", _kill_where_whole)
        with pytest.raises(Killed):
            job(output)
    assert not output.exists()
    job(output, lambda batch: pytest.fail("computed again"))
    assert len(ShardReader(output, "toy").table("phrases")) == 3


def test_a_manifest_that_snakemake_took_away_comes_back_and_nothing_runs(tmp_path):
    make(tmp_path / "first" / "manifest.json", stage=FIRST)
    output = tmp_path / "toy" / "manifest.json"
    job(output)
    before = files(tmp_path)
    written = (output.parent / "phrases.parquet").stat().st_mtime_ns
    output.unlink()
    job(output, lambda batch: pytest.fail("computed again"))
    assert files(tmp_path) == before
    assert (output.parent / "phrases.parquet").stat().st_mtime_ns == written


def test_an_equal_result_is_never_taken_back(tmp_path):
    output = tmp_path / "toy" / "manifest.json"
    make(output)
    before = output.stat()
    make(output)
    after = output.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("taken", [False, True], ids=["manifest there", "manifest taken away by Snakemake"])
def test_files_of_an_earlier_result_go_and_are_not_certified(tmp_path, taken):
    output = tmp_path / "toy" / "manifest.json"

    def publish(version, names):
        writer = ShardWriter(Stage(name="toy", version=version), {}, output, inputs={}, ids=["a"])
        writer.publish({name: lambda path: path.write_text("x") for name in names})

    publish("1", ["both.txt", "old.txt"])
    (tmp_path / "toy" / "mine.txt").write_text("a user's own file, listed by nobody")
    if taken:
        output.unlink()
    publish("2", ["both.txt"])
    assert set(ShardReader(output, "toy").manifest.files) == {"both.txt"}
    assert {path.name for path in output.parent.iterdir()} == {"manifest.json", COPY, "both.txt", "mine.txt"}


@pytest.mark.parametrize("name", ["manifest.json", COPY])
def test_a_damaged_manifest_is_replaced_by_its_copy_and_the_other_way_round(tmp_path, name):
    make(tmp_path / "first" / "manifest.json", stage=FIRST)
    output = tmp_path / "toy" / "manifest.json"
    job(output)
    before = files(tmp_path)
    output.with_name(name).write_bytes(before[f"toy/{name}"].replace(b"done", b"gone", 1))
    job(output, lambda batch: pytest.fail("computed again"))
    assert files(tmp_path) == before
    assert published(output, "toy").sha256 == ShardReader(output, "toy").sha256
