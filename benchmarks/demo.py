"""Seconds and memory by stage of the embedded demo, run afresh: `python benchmarks/demo.py [--scenes N] [--json F]`.

Snakemake's own benchmark files are read, so process start and model load are in the figures, as a user meets them.
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
from collections import defaultdict
from pathlib import Path

import yaml

from stages.artifacts.results import LOGS, stage_of_log

ROOT = Path(__file__).resolve().parents[1]


def measure(scenes: int, cores: int) -> dict[str, dict[str, float]]:
    """By stage: jobs, their seconds together, and the largest resident memory of one in MB."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: {"jobs": 0, "seconds": 0.0, "max_rss_mb": 0.0})
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "bench.yaml"
        config.write_text(yaml.safe_dump({"datasets": {"demo": {"count": scenes}}}))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
        command += ["--cores", str(cores), "--configfile", str(config), "--quiet", "all"]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        logs = Path(folder) / LOGS
        for path in sorted(logs.rglob("*.tsv")):
            with path.open(newline="") as file:
                row = next(csv.DictReader(file, delimiter="\t"))
            stage = found[stage_of_log(path, logs)]
            stage["jobs"] += 1
            stage["seconds"] += float(row["s"])
            memory = float(row["max_rss"]) if row["max_rss"] not in ("NA", "-") else 0.0
            stage["max_rss_mb"] = max(stage["max_rss_mb"], memory)
    return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=8, help="test scenes of the embedded world")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    found = measure(arguments.scenes, arguments.cores)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    sys.stdout.write(f"{arguments.scenes} scenes, two experiments, {machine}\n\n")
    sys.stdout.write("| stage | jobs | seconds | seconds a scene | most memory, MB |\n|---|---|---|---|---|\n")
    for stage, row in sorted(found.items(), key=lambda one: -one[1]["seconds"]):
        each = row["seconds"] / arguments.scenes
        line = f"| {stage} | {row['jobs']} | {row['seconds']:.1f} | {each:.2f} | {row['max_rss_mb']:.0f} |\n"
        sys.stdout.write(line)
    if arguments.json:
        arguments.json.write_text(json.dumps({"scenes": arguments.scenes, "stages": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
