"""Seconds and memory by stage of the embedded demo, run afresh: `python benchmarks/demo.py [--scenes N] [--json F]`.

Snakemake's own benchmark files are read, so process start and model load are in the figures, as a user meets them.
What of all cores' seconds went into computing is told by the jobs' logs; the rest of a job is its imports, its models
and its files, and what no job took is Snakemake, and cores that waited. Bar: 512 scenes, all but computing <= 15 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import yaml

from stages.artifacts.results import LOGS, stage_of_log

ROOT = Path(__file__).resolve().parents[1]


def computed(log: Path) -> float:
    """Seconds that a stage took for its batches, by the progress in its log: no import and no loading is in them."""
    told = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return sum({one["stage"]: one["seconds"] for one in told if one["done"] == one["total"]}.values())


def measure(scenes: int, shard_size: int, cores: int) -> tuple[dict[str, dict[str, float]], float]:
    """What each stage took, and the seconds that all took by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "bench.yaml"
        config.write_text(yaml.safe_dump({"datasets": {"demo": {"count": scenes, "shard_size": shard_size}}}))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
        command += ["--cores", str(cores), "--configfile", str(config), "--quiet", "all"]
        began = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        clock = time.perf_counter() - began
        return by_stage(Path(folder) / LOGS), clock


def by_stage(logs: Path) -> dict[str, dict[str, float]]:
    """By stage: jobs, their seconds together, those of them spent on batches, and the largest resident memory of one in
    MB."""
    empty = {"jobs": 0, "seconds": 0.0, "computing": 0.0, "max_rss_mb": 0.0}
    found: dict[str, dict[str, float]] = defaultdict(lambda: dict(empty))
    for path in sorted(logs.rglob("*.tsv")):
        with path.open(newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        stage = found[stage_of_log(path, logs)]
        stage["jobs"] += 1
        stage["seconds"] += float(row["s"])
        stage["computing"] += computed(path.with_suffix(".log"))
        memory = float(row["max_rss"]) if row["max_rss"] not in ("NA", "-") else 0.0
        stage["max_rss_mb"] = max(stage["max_rss_mb"], memory)
    return dict(found)


def account(stages: dict[str, dict[str, float]], clock: float) -> dict[str, float]:
    """Where the seconds of the clock went. A job of two threads takes both cores: jobs run one after another then, and
    their seconds may be added up; where they overlapped, each counts by its share."""
    jobs = sum(one["seconds"] for one in stages.values())
    share = min(1.0, clock / jobs)
    computing = share * sum(one["computing"] for one in stages.values())
    # Scoring and drawing the page have no batches: all of them is work that was asked for.
    computing += share * sum(one["seconds"] for name, one in stages.items() if name in ("score", "report"))
    parts = {
        "clock": clock,
        "computing": computing,
        "starting": share * jobs - computing,
        "between": clock - share * jobs,
    }
    return {name: round(seconds, 1) for name, seconds in parts.items()} | {"other": round(1 - computing / clock, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=8, help="test scenes of the embedded world")
    parser.add_argument("--shard-size", type=int, default=64, help="scenes a job, which starts and loads models once")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    found, clock = measure(arguments.scenes, arguments.shard_size, arguments.cores)
    spent = account(found, clock)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    sys.stdout.write(f"{arguments.scenes} scenes, {arguments.shard_size} a job, two experiments, {machine}\n\n")
    sys.stdout.write(
        "| stage | jobs | seconds | of it batches | seconds a scene | most memory, MB |\n|---|---|---|---|---|---|\n"
    )
    for stage, row in sorted(found.items(), key=lambda one: -one[1]["seconds"]):
        each = row["seconds"] / arguments.scenes
        line = f"| {stage} | {row['jobs']} | {row['seconds']:.1f} | {row['computing']:.1f} | {each:.2f} "
        line += f"| {row['max_rss_mb']:.0f} |\n"
        sys.stdout.write(line)
    told = "{clock} s by the clock: {computing} computing, {starting} for imports, models and files, {between} between"
    sys.stdout.write(f"\n{told.format(**spent)} jobs; {spent['other']:.0%} not computing.\n")
    if arguments.json:
        given = {"scenes": arguments.scenes, "shard_size": arguments.shard_size}
        arguments.json.write_text(json.dumps({**given, "stages": found, "account": spent}, indent=2) + "\n")


if __name__ == "__main__":
    main()
