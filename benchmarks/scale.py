"""What large datasets cost before and beside the computing: `python benchmarks/scale.py [--samples N] [--shards N]`.

- status: `anyword status` of an experiment of --shards shards of 64 samples, every stage done;
- listing: `anyword stage index` of a table of --samples rows;
- dry_run: `snakemake -n` of that dataset in shards of 1 000, listed and nothing more;
- submissions: what the SLURM profile would submit for 1 000 shards, with its groups and without, as Snakemake's dry run
  of it says.

Each is a process of its own, whose seconds and highest memory are taken; no image is there and none is read. Bars: 5 s;
60 s and 500 MB; 20 s and 500 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from stages import REPOSITORY
from stages.artifacts import Stage
from stages.artifacts.atomic import sha256_file
from stages.artifacts.manifest import FileRecord, Manifest, SampleState, fingerprint, write_manifest
from stages.artifacts.publication import COPY
from stages.artifacts.results import Results, shard_name
from stages.config import stage_of
from stages.plan import READS

Figures = dict[str, float]
PROFILE = REPOSITORY / "workflow" / "profiles" / "slurm"
OF_SHARD = 64
STAGES = {"phrases": "parse", "embeddings": "invert", "maps": "attend", "points": "prompt", "masks": "segment"}
FILES = ["maps/c/0/0/0", "maps/zarr.json", "start/c/0", "start/zarr.json", "end/c/0", "end/zarr.json", "zarr.json"]


def measured(command: list[str], folder: Path) -> tuple[Figures, str]:
    """Seconds by the clock, seconds of processors and the highest memory of a process, and what it said."""
    with (folder / "said.txt").open("w+b") as said:
        started = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, code, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(code)
        said.seek(0)
        told = said.read().decode()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{told[-3000:]}")
    cpu = used.ru_utime + used.ru_stime
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mb": round(used.ru_maxrss / 1024)}, told


def write_results(results: Results, shards: int) -> None:
    """Manifests of an experiment whose every stage is done, with the files and folders that `status` might look at."""
    hashes: dict[tuple[str, str], str] = {}

    def write(path: Path, stage: Stage, inputs: dict[str, str], ids: list[str], files: list[str], **more: Any) -> str:
        manifest = Manifest(
            stage=stage,
            recipe={"kind": "bench"},
            inputs=inputs,
            fingerprint=fingerprint(stage, {"kind": "bench"}, {}, inputs),
            samples=tuple(SampleState(id=one, state="done", key="0" * 24) for one in ids),
            files={name: FileRecord(size=1, sha256="0" * 64) for name in files},
            **more,
        )
        write_manifest(path, manifest)
        (path.parent / COPY).hardlink_to(path)
        for name in files:
            (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
            (path.parent / name).touch()
        return sha256_file(path)

    index, samples = stage_of("samples", "INDEX"), stage_of("samples")
    write(results.index, index, {}, [], [], summary={"shards": shards})
    for shard in map(shard_name, range(shards)):
        ids = [f"{shard}-{number:06d}" for number in range(OF_SHARD)]
        listed = write(results.listing(shard), index, {}, ids, ["listing.json"])
        hashes["samples", shard] = write(
            results.samples(shard), samples, {"index": listed}, ids, ["samples.parquet", "truth.parquet"]
        )
        made = {
            "phrases": results.phrases("bench", shard),
            "embeddings": results.embeddings("bench", shard),
            "maps": results.maps("bench", "bench", shard),
            "points": results.points("bench", shard),
            "masks": results.masks("bench", shard),
        }
        for name, path in made.items():
            reads = READS.get(name, ("samples", "points"))
            inputs = {one: hashes[one, shard] for one in reads}
            files = [f"maps.zarr/{one}" for one in FILES] if name == "maps" else [f"{name}.parquet"]
            hashes[name, shard] = write(path, stage_of(STAGES[name]), inputs, ids, files)


def status(folder: Path, shards: int) -> Figures:
    with mock.patch("os.fsync"):
        write_results(Results(folder / "results" / "bench"), shards)
    found, told = measured([sys.executable, "-m", "stages", "status", "--json"], folder)
    stages = json.loads(told)["stages"]
    if len(stages) != 6 or any(one["done"] != shards or one["stale"] for one in stages):
        raise SystemExit(f"not what lies there: {told[:2000]}")
    return {"shards": shards, **found}


def _table(folder: Path, samples: int) -> Path:
    path = folder / "texts.csv"
    with path.open("w") as file:
        file.write("id,image,text\n")
        for number in range(samples):
            name = f"sa_{number:07d}"
            file.write(
                f'{name},{number // 1000:04d}/{name}.jpg,"a black cat number {number} on a red sofa, by a window"\n'
            )
    return path


def _write_dataset(folder: Path, samples: int) -> dict[str, str]:
    """A table, an empty folder of images, and mine.yaml; the dataset."""
    (folder / "images").mkdir()
    data = {"kind": "folder", "root": "images", "texts": str(_table(folder, samples))}
    chosen = {"parser": "spacy", "inverter": "paper", "attender": "direct", "prompter": "papers", "segmenter": "vit_h"}
    photos = {"experiments": {"photos": {"dataset": "photos", **chosen}}, "targets": ["photos"]}
    (folder / "mine.yaml").write_text(yaml.safe_dump({"datasets": {"photos": data}, **photos}))
    return data


def listing(folder: Path, samples: int, shard_size: int = 1000) -> Figures:
    data = _write_dataset(folder, samples)
    recipe = json.dumps({"kind": "folder", "shard_size": shard_size})
    output = Results(Path("results/photos")).index
    command = [sys.executable, "-m", "stages", "stage", "index", "--recipe", recipe, "--root", data["root"]]
    found, _ = measured([*command, "--texts", data["texts"], "--output", str(output)], folder)
    return {"samples": samples, **found}


def dry_run(folder: Path, samples: int) -> Figures:
    listing(folder, samples)
    found, told = _planned(folder, "--cores", "2", "--quiet", "rules")
    return {"samples": samples, "jobs": int(re.findall(r"^total +(\d+)", told, flags=re.MULTILINE)[0]), **found}


def submissions(folder: Path, shards: int) -> Figures:
    """Of shards of one sample, since what is submitted does not depend on their size."""
    listing(folder, shards, shard_size=1)
    found = {}
    profile = yaml.safe_load((PROFILE / "config.yaml").read_text())
    alone = {key: value for key, value in profile.items() if key not in ("groups", "group-components")}
    for name, chosen in (("grouped", profile), ("alone", alone)):
        (folder / name).mkdir()
        (folder / name / "config.yaml").write_text(yaml.safe_dump(chosen))
        _, told = _planned(folder, "--profile", str(folder / name))
        found[name] = len(re.findall(r"^(?:\[.*\] Group job |(?:rule|checkpoint) (?!all:))", told, flags=re.MULTILINE))
    return {"shards": shards, **found}


def _planned(folder: Path, *options: str) -> tuple[Figures, str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--dry-run"]
    return measured([*command, "--configfile", str(folder / "mine.yaml"), *options], folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", default=["status", "listing", "dry_run", "submissions"])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("scale.json"))
    options = parser.parse_args()
    parts: dict[str, Callable[[Path], Figures]] = {
        "status": lambda folder: status(folder, options.shards),
        "listing": lambda folder: listing(folder, options.samples),
        "dry_run": lambda folder: dry_run(folder, options.samples),
        "submissions": lambda folder: submissions(folder, 1000),
    }
    found = json.loads(options.output.read_text()) if options.output.is_file() else {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = parts[name](Path(folder))
        sys.stdout.write(f"{name}: {json.dumps(found[name])}\n")
        sys.stdout.flush()
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
