"""Progress: a bar on a terminal, JSON lines in a log, and words on the terminal of a workflow whose jobs write logs."""

import json
import logging
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from stages.artifacts import progress

ROOT = Path(__file__).parents[1]
WORK = """
import logging
logging.basicConfig(level=logging.INFO)
from stages.artifacts.progress import track
for batch in track([[1, 2], [3]], "invert 00000", 4, size=len, done=1): pass
"""


@pytest.fixture
def often(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    caplog.set_level(logging.INFO, "anyword")


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_log_has_json_lines_that_count_samples_not_batches(capsys, often):
    assert list(progress.track([[1, 2], [3]], "invert", 4, size=len, done=1)) == [[1, 2], [3]]
    found = lines(capsys)
    assert [(one["stage"], one["done"], one["total"]) for one in found] == [
        ("invert", 3, 4),
        ("invert", 4, 4),
        ("invert", 4, 4),
    ]
    assert found[0]["rate"] > 0 and found[0]["eta"] is not None and found[-1]["eta"] == 0


def test_a_long_batch_tells_its_share(capsys, often):
    for _ in progress.track([[1, 2]], "invert", 2, size=len):
        progress.within(0.25)
    assert [one["done"] for one in lines(capsys)] == [0.5, 2, 2]
    progress.within(0.5)  # nothing is in hand
    assert lines(capsys) == []


def test_work_that_an_error_ended_takes_nothing_from_what_comes_after_it(capsys, often):
    """What an error left is cleared away when its traceback is, which may be in the middle of the next work."""
    left = iter(progress.track([1], "before"))
    next(left)
    for _ in progress.track([1, 2], "after"):
        if left is not None:
            left.close()
        left = None
        progress.within(0.5)
    assert [one["done"] for one in lines(capsys) if one["stage"] == "after"] == [0.5, 1, 1.5, 2, 2]


def test_the_steps_of_an_inversion_are_such_shares(capsys, often, tmp_path):
    from stages.artifacts import Outcome, ShardWriter, Stage

    writer = ShardWriter(Stage(name="invert", version="1"), {}, tmp_path / "0" / "manifest.json", inputs={}, ids=["a"])

    def process(batch):
        kept = writer.kept(batch)
        with kept.steps(4) as steps:
            for step in steps:
                kept.after(step, dict)
        return [Outcome()]

    writer.run(process, batch_size=1)
    assert [one["done"] for one in lines(capsys)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_quiet_says_nothing(capsys, often, caplog):
    caplog.set_level(logging.WARNING, "anyword")
    assert list(progress.track([1, 2], "invert")) == [1, 2] and lines(capsys) == []


def on_a_terminal(*command):
    """What a command writes where its stderr is a terminal."""
    own, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}
    running = subprocess.Popen(command, stderr=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    found = b""
    with suppress(OSError):  # the other side is closed
        while part := os.read(own, 65536):
            found += part
    assert running.wait(timeout=60) == 0
    os.close(own)
    return found.decode()


def test_a_terminal_has_one_line_a_stage():
    said = on_a_terminal(sys.executable, "-c", WORK)
    assert "invert 00000" in said and "4 of 4" in said and "/s" in said and "{" not in said


def test_a_job_tells_its_log_in_json_and_the_workflows_terminal_in_words(tmp_path):
    log = tmp_path / "job.log"
    said = on_a_terminal(str(ROOT / "workflow/bin/logged"), str(log), sys.executable, "-c", WORK)
    assert "invert 00000: 4 of 4, " in said and "done" in said
    assert json.loads(log.read_text().splitlines()[-1])["done"] == 4
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [str(ROOT / "workflow/bin/logged"), str(log), sys.executable, "-c", WORK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == done.stdout == ""
