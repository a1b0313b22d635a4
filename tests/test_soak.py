"""Runs that die, run out of disk or meet each other lose nothing and leave nothing half done.

A few of each here; `make soak` (KILLS=100) does many. Each run is a process of its own, killed at a seeded moment
between its beginning and its end.
"""

import os
import random
import signal
import subprocess
import time

import pytest
from preloaded import python
from tiny_shard import files, prepare

from stages.artifacts.publication import NEW

KILLS = int(os.environ.get("KILLS", "3"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("base"))


def start(base, root, *more):
    """The pipeline as a process; it has begun when this returns."""
    root.with_suffix(".pid").unlink(missing_ok=True)
    with root.with_suffix(".log").open("a") as log:
        command = [python(), "-m", "tiny_shard", str(base), str(root), *more]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    while not root.with_suffix(".pid").is_file() or not root.with_suffix(".pid").read_text():
        time.sleep(0.01)
    return process, int(root.with_suffix(".pid").read_text())


def end(run):
    return run[0].wait(timeout=300)


@pytest.fixture(scope="module")
def undisturbed(base, tmp_path_factory):
    """What a run makes that is left alone, and the seconds it takes."""
    root = tmp_path_factory.mktemp("undisturbed") / "tiny"
    began = time.monotonic()
    assert end(start(base, root)) == 0, root.with_suffix(".log").read_text()
    return files(root), time.monotonic() - began


def finished(root):
    """Results that stand, by where their manifests are or are about to be: which file each is."""
    kept = ("parse", "invert", "attend", "prompt", "segment")
    manifests = [path for path in root.rglob("manifest.json") if set(kept) & set(path.parts)]
    place = {path: path.parent.parent / path.name if path.parent.name == NEW else path for path in manifests}
    return {place[path]: path.stat().st_ino for path in manifests}


def check_the_next_run(base, root, wanted):
    assert end(start(base, root)) == 0, root.with_suffix(".log").read_text()
    assert files(root) == wanted  # hidden ones too: no claim, no part, nothing half written


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_any_moment_is_finished_by_the_next_and_nothing_is_made_again(
    base, tmp_path, undisturbed, number
):
    wanted, seconds = undisturbed
    moments = random.Random(f"kill {number}")
    root = tmp_path / "tiny"
    done = {}
    for _ in range(1 + number % 2):
        running = start(base, root)
        time.sleep(moments.uniform(0, seconds))
        try:
            os.kill(running[1], signal.SIGTERM if number % 3 == 2 else signal.SIGKILL)
        except ProcessLookupError:
            assert running[0].wait() == 0  # it was faster than the first one
        running[0].wait()
        done |= finished(root)
    check_the_next_run(base, root, wanted)
    assert {path: inode for path, inode in finished(root).items() if path in done} == done


@pytest.mark.parametrize("disk", [1000, 3000])
def test_a_full_disk_ends_the_run_and_the_next_one_finishes_it(base, tmp_path, undisturbed, disk):
    root = tmp_path / "tiny"
    assert end(start(base, root, str(disk))) != 0
    check_the_next_run(base, root, undisturbed[0])


def test_two_runs_at_once_on_one_folder_make_one_result(base, tmp_path, undisturbed):
    root = tmp_path / "tiny"
    runs = [start(base, root), start(base, root)]
    assert [end(run) for run in runs] == [0, 0], root.with_suffix(".log").read_text()
    assert files(root) == undisturbed[0]
