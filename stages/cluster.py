"""What a job asks of a cluster, and what the head of a run needs to know about it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from stages.config import Workflow

SECONDS = {"samples": 0.5, "parse": 2.0, "invert": 470.0, "attend": 30.0, "prompt": 0.2, "segment": 6.0}
"""Seconds an image where the configuration says nothing. Inversion's are the paper's for 1 100 steps on one GPU, and
follow the recipe's steps."""
_START = 15  # minutes for a job to begin: imports, models
_MARGIN = 1.5


def minutes(workflow: Workflow, stage: str, dataset: str, recipe: str, attempt: int) -> int:
    """Minutes to ask for one shard of a stage: images × seconds an image, with a margin, growing with each attempt up
    to the limit that the configuration states.

    recipe: the inverter's name, where the stage is invert.
    """
    execution = workflow.config.execution
    seconds = execution.seconds_an_image.get(stage)  # type: ignore[call-overload]
    if seconds is None:
        seconds = SECONDS[stage]
        if stage == "invert":
            seconds *= workflow.recipes["inverters"][recipe].get("steps", 1100) / 1100
    images = workflow.recipes["datasets"][dataset]["shard_size"]
    return grown(_START + math.ceil(images * seconds * _MARGIN / 60), attempt, execution.limits.minutes)


def grown(first: int, attempt: int, limit: int | None) -> int:
    """What an attempt asks for: more than the one before, and never over the limit, for a job that asks for more than
    a partition gives waits for ever."""
    return min(first * attempt, limit) if limit else first * attempt


def know(settings: Any) -> None:
    """Set the head of a run on SLURM right, before it submits anything; elsewhere do nothing.

    Where a cluster keeps no accounts, jobs are asked for with squeue: `sacct` is there, fails, and the head would wait
    for ever. SIGTERM ends the head as Ctrl-C does, its jobs cancelled: by itself Snakemake would wait for all of them.
    """
    if not hasattr(settings, "status_command"):
        return
    if settings.status_command == "sacct" and not _keeps_accounts():
        settings.status_command = "squeue"
        sys.stderr.write("This cluster keeps no accounts (sacct fails): jobs are followed by squeue.\n")
    signal.signal(signal.SIGTERM, _interrupt)


def runs_in(folder: Path) -> dict[str, list[str]]:
    """SLURM jobs, waiting or at work, that runs started in `folder` submitted, by the run's id; none where there is no
    SLURM. (Snakemake calls all jobs of a run by that id.)"""
    try:
        told = subprocess.run(["squeue", "--me", "-h", "-o", "%i|%j|%Z"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    runs: dict[str, list[str]] = {}
    for line in told.stdout.splitlines():
        job, name, place = line.split("|", 2)
        if Path(place) == folder:
            runs.setdefault(name, []).append(job)
    return runs


def cancel(runs: Mapping[str, Sequence[str]]) -> None:
    """Cancel the jobs of these runs."""
    for run in runs:
        subprocess.run(["scancel", "--name", run], check=False)


def _keeps_accounts() -> bool:
    try:
        return subprocess.run(["sacct", "-n", "-X", "-S", "now"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
