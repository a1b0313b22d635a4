"""A kill or SIGTERM in the middle of a batch costs minutes, and the result is an undisturbed run's, byte for byte."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis.extra.numpy import arrays
from preloaded import HEAVY
from tiny_models import save_samples, save_tiny

from stages import cli
from stages.artifacts import stopping
from stages.artifacts.kept import Kept

TEXTS = ["a red circle and a blue circle", "the disk is on grass .", "a green square inside a ring"]
STEPS = 16
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return save_samples(tmp_path_factory.mktemp("samples"), TEXTS)


RECIPES = {
    "invert": {"kind": "textual", "draws": 2, "lr": 0.01, "schedule": "linear", "settle": {"every": 4, "draws": 2}},
    "adapt": {"kind": "lora", "rank": 2, "pairs_a_step": 2, "schedule": "linear", "entropy": {}},
}
BATCHES = {"invert": {"batch-size": 2}, "adapt": {}}
RECIPES["invert"]["settle"] |= {"tolerance": 1e-9}


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([*HEAVY, "stages.cli", "stages.commands.stage", "stages.models.unet"])


class Job:
    """A stage in a process of its own, whose imports are done; states are kept after every step.

    No fork of this process: torch refuses gradients there once they were taken here.
    """

    def __init__(self, stage, folder, samples, output, **options):
        recipe = RECIPES[stage] | {"backbone": {"kind": "stable-diffusion", "path": str(folder)}, "steps": STEPS}
        command = ["stage", stage, "--samples", str(samples), "--output", str(output), "--recipe", json.dumps(recipe)]
        command += ["--device", "cpu", "--checkpoint-minutes", "0"]
        command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.states = output.parent / ".parts"
        self.log = tempfile.NamedTemporaryFile("r")  # noqa: SIM115 (closed by `end`)
        self.process = FORKS.Process(target=run, args=(command, self.log.name), daemon=True)
        self.process.start()

    @property
    def status(self):
        return self.process.exitcode

    def running(self):
        return self.process.is_alive()

    def until(self, states, *, of="*"):
        """Wait until so many states were written of a batch."""
        seen = set()
        while len(seen) < states:
            assert self.running(), self.end()
            seen |= {path.name for path in self.states.glob(f"*/state/{of}-*.safetensors")}
            time.sleep(0.005)

    def kill(self, number):
        os.kill(self.process.pid, number)
        return self.end()

    def end(self):
        """What it said, once it has ended."""
        self.process.join()
        with self.log:
            return self.log.read()


def run(command, log):
    """What a job's process does. log: path of what it says."""
    sys.stderr = Path(log).open("w", buffering=1)  # noqa: SIM115 (open to the end)
    os.dup2(sys.stderr.fileno(), 2)
    sys.argv[1:] = command
    cli.main()


def finish(*arguments, **options):
    job = Job(*arguments, **options)
    said = job.end()
    assert job.status == 0, said
    return said


def files(manifest):
    return {p.relative_to(manifest.parent): p.read_bytes() for p in manifest.parent.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def undisturbed(folder, samples, tmp_path_factory):
    made = {}
    for stage in RECIPES:
        output = tmp_path_factory.mktemp(stage) / "manifest.json"
        finish(stage, folder, samples, output, **BATCHES[stage])
        made[stage] = files(output)
        assert not list(output.parent.glob(".parts"))
    return made


@pytest.mark.parametrize("stage", RECIPES)
def test_a_kill_in_the_middle_of_a_batch_costs_a_step(stage, folder, samples, tmp_path, undisturbed):
    output = tmp_path / "manifest.json"
    job = Job(stage, folder, samples, output, **BATCHES[stage])
    job.until(states=3)
    job.kill(signal.SIGKILL)
    assert not output.exists()
    said = finish(stage, folder, samples, output, **BATCHES[stage])
    found = int(re.search(rf"(\d+) of {STEPS} steps found from an earlier run", said)[1])
    assert 2 <= found < STEPS
    assert files(output) == undisturbed[stage]


@pytest.mark.parametrize(("stage", "images"), [("invert", "0 of 3 images and "), ("adapt", "")])
def test_sigterm_ends_the_step_and_keeps_it(stage, images, folder, samples, tmp_path, undisturbed):
    output = tmp_path / "manifest.json"
    job = Job(stage, folder, samples, output, **BATCHES[stage])
    job.until(states=3)
    began = time.monotonic()
    said = job.kill(signal.SIGTERM)
    assert time.monotonic() - began < 25  # SLURM kills after 30 s
    assert job.status == 143
    last = said.splitlines()[-1]
    line = re.fullmatch(rf"anyword: stopped by SIGTERM after {images}(\d+) of {STEPS} steps; kept", last)
    assert line, said
    said = finish(stage, folder, samples, output, **BATCHES[stage])
    assert f"{line[1]} of {STEPS} steps found from an earlier run" in said
    assert files(output) == undisturbed[stage]


def test_sigterm_in_the_second_batch_counts_the_images_of_the_first(folder, samples, tmp_path, undisturbed):
    output = tmp_path / "manifest.json"
    job = Job("invert", folder, samples, output, **BATCHES["invert"])
    job.until(states=2, of="000002")
    said = job.kill(signal.SIGTERM)
    assert re.search(rf"stopped by SIGTERM after 2 of 3 images and \d+ of {STEPS} steps; kept\n$", said)
    finish("invert", folder, samples, output, **BATCHES["invert"])
    assert files(output) == undisturbed["invert"]


def test_a_step_that_takes_too_long_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.2)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    try:
        stopping.listen()
        kept = Kept(tmp_path, "whole", minutes=0)
        kept.found(["a"])
        with pytest.raises(stopping.Stopped, match=r"^stopped by SIGTERM after 2 of 9 steps; kept$"), kept.steps(9):
            kept.after(1, lambda: {"x": np.zeros(1)})
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGALRM, before[1])
        stopping._State.came = False


def test_a_rules_log_ends_with_what_was_kept_and_so_does_the_terminal(tmp_path):
    """SLURM sends SIGTERM to all processes of a job: the shell around a stage waits for it."""
    work = (
        "import signal, sys, time\n"
        "def stop(*_):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('kept', flush=True)\n"
    )
    command = [ROOT / "workflow/bin/logged", tmp_path / "log", sys.executable, "-c", work + "time.sleep(60)"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "log").is_file() or "kept" not in (tmp_path / "log").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.communicate(timeout=30)[1] == "kept\n"
    assert process.returncode == 143


@given(strategies.dictionaries(strategies.text("ab.", min_size=1), arrays(np.float32, (2, 3)), max_size=3))
def test_a_state_comes_back_bit_for_bit(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("state")
    kept = Kept(folder, "000000", minutes=0)
    assert kept.found(["a", "b"]) is None
    with kept.steps(9) as steps:
        assert steps == range(9)
        kept.after(3, lambda: state)
    other = Kept(folder, "000000")
    found = other.found(["a", "b"])
    assert found.keys() == state.keys()
    assert all(found[name].tobytes() == value.tobytes() for name, value in state.items())
    with other.steps(9) as steps:
        assert steps == range(4, 9)


def test_a_state_of_other_samples_or_a_damaged_one_is_not_used(tmp_path, caplog):
    kept = Kept(tmp_path, "000000", minutes=0)
    kept.found(["a"])
    kept.after(0, lambda: {"x": np.ones(3)})
    assert Kept(tmp_path, "000000").found(["b"]) is None
    assert Kept(tmp_path, "000001").found(["a"]) is None
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert Kept(tmp_path, "000000").found(["a"]) is None
    assert "damaged, its steps are computed again" in caplog.text
    kept.after(1, lambda: {"x": np.zeros(3)})
    assert len(list(tmp_path.iterdir())) == 1  # the last state is the only one
    kept.forget()
    assert not list(tmp_path.iterdir())


def test_states_are_kept_by_the_clock(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    kept, written = Kept(tmp_path, "whole", minutes=5), []
    kept.found(["a"])
    with kept.steps(1000) as steps:
        for step in steps:
            now[0] += 7.0
            kept.after(step, lambda step=step: written.append(step) or {"x": np.zeros(1)})
    assert written[:3] == [42, 85, 128]  # every 43 steps of 7 s
