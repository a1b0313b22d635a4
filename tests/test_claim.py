"""One writer a result: a second one waits for the first, and takes over when that one is gone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from stages.artifacts import claim
from stages.artifacts.claim import claimed, mine

HOLD = """
import sys, time
from pathlib import Path
from stages.artifacts.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder's claim for a time."""
    started = []

    def start(seconds):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), str(seconds)], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_writer_waits_for_the_first(tmp_path, holder):
    process = holder(1.5)
    with claimed(tmp_path):
        assert process.poll() is not None or not process.wait(timeout=5)
    assert not list(tmp_path.iterdir())


def test_a_writer_that_was_killed_here_is_followed_at_once(tmp_path, holder):
    process = holder(600)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    started = time.monotonic()
    with claimed(tmp_path):
        assert time.monotonic() - started < 5


def elsewhere(tmp_path):
    other = replace(mine(), machine="another start of another machine", host="node7", job="42")
    (tmp_path / claim.NAME).write_text(json.dumps(asdict(other)))
    return other


def test_a_writer_elsewhere_is_followed_when_its_claim_is_touched_no_more(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(claim, "STALE_AFTER", 1.5)
    elsewhere(tmp_path)
    alive = time.monotonic() + 2.5

    def touch():
        while time.monotonic() < alive:
            os.utime(tmp_path / claim.NAME)
            time.sleep(0.2)

    beating = threading.Thread(target=touch)
    beating.start()
    with caplog.at_level("INFO", logger="anyword"), claimed(tmp_path):
        assert time.monotonic() > alive + 1
    beating.join()
    assert "on node7, SLURM job 42 works on it; waiting" in caplog.text


def test_a_claim_that_was_only_half_written_does_not_block_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "STALE_AFTER", 1.0)
    (tmp_path / claim.NAME).write_text('{"token": "a')
    with claimed(tmp_path):
        pass


def test_of_many_that_take_over_one_works_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "STALE_AFTER", 0.5)
    monkeypatch.setattr(claim, "BEAT", 0.1)
    monkeypatch.setattr(claim, "_LOOK", 0.01)
    elsewhere(tmp_path)
    inside, most, turns = [], [], []

    def work():
        with claimed(tmp_path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()
            turns.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) == 8
    assert max(most) == 1


def test_the_log_keeps_every_attempt_and_names_the_signal(tmp_path):
    from tiny_workflow import ROOT

    log = tmp_path / "log"
    logged = [str(ROOT / "workflow" / "bin" / "logged"), str(log)]
    assert subprocess.run([*logged, "sh", "-c", "echo one; exit 3"], stderr=subprocess.DEVNULL).returncode == 3
    log.unlink()  # as Snakemake does with a job's log before it runs the job again
    assert subprocess.run([*logged, "echo", "two"]).returncode == 0
    killed = subprocess.run([*logged, "sh", "-c", "kill -9 $$"], stderr=subprocess.DEVNULL)
    assert killed.returncode == 137
    running = subprocess.Popen(
        [*logged, "sh", "-c", "trap 'echo kept; exit 7' TERM; echo on; while :; do sleep .1; done"],
        # A shell cannot trap what is ignored when it begins, as SIGINT is where these tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while "on\n" not in log.read_text():
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=60) == 7
    lines = [line.partition(",")[0] for line in log.read_text().splitlines()]
    wanted = ["=== attempt 1", "one", "=== attempt 2", "two", "=== attempt 3", "=== ended by signal 9"]
    assert lines == [*wanted, "=== attempt 4", "on", "=== SIGINT came", "kept"]
