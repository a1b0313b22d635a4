"""Time and memory of scoring 100 000 run-length masks of 640x480: `python benchmarks/score.py [--masks N]`.

Grounding, GranDf (AP50, mIoU, recall) and gRefCOCO figures over the same artifact folders, read and verified from
disk, five phrases an image, each mask a blob of some hundred runs. Bars: 60 s and 2 GB each, on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from stages.artifacts import ShardReader, ShardWriter, Stage
from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.masks import encode
from stages.artifacts.results import Results, shard_name
from stages.artifacts.tables import targets_of, write_table

HEIGHT, WIDTH, PHRASES, SHARD = 480, 640, 5, 1000
TEXT = " ".join(f"a thing{i}" for i in range(PHRASES))


def blobs(count: int, draw: np.random.Generator) -> list[dict[str, object]]:
    """Ellipses with ragged edges."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    found = []
    for _ in range(count):
        cx, cy, rx, ry = draw.uniform((120, 90, 40, 40), (520, 390, 200, 150))
        ragged = draw.normal(0, 0.02, (HEIGHT, WIDTH)).astype(np.float32)
        found.append(encode(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ragged < 1))
    return found


def write(root: Path, masks: int) -> int:
    draw = np.random.default_rng(0)
    shapes = blobs(400, draw)
    spans = [Span(start=9 * i, end=9 * i + 8) for i in range(PHRASES)]
    roots = [Span(start=9 * i + 2, end=9 * i + 8) for i in range(PHRASES)]
    parse = Parse(phrases=tuple(Phrase(span=s, root=r) for s, r in zip(spans, roots, strict=True)), referred=0)
    samples = masks // PHRASES
    shards = -(-samples // SHARD)
    for shard in range(shards):
        ids = [f"sa_{i}" for i in range(shard * SHARD, min(samples, (shard + 1) * SHARD))]
        rows, truth, found = [], [], []
        for one in ids:
            rows.append(
                {"sample_id": one, "image": f"{one}.png", "image_sha256": one, "width": WIDTH, "height": HEIGHT}
                | {"text": TEXT, "split": "test", **parse.row(), "tags": []}
            )
            for target in targets_of(one, parse):
                picked, near = draw.integers(0, len(shapes)), draw.random() < 0.6
                truth.append({**target, **shapes[picked], "tags": []})
                other = picked if near else draw.integers(0, len(shapes))
                found.append({**target, **shapes[other], "score": float(draw.random())})
        results, name = Results(root), shard_name(shard)
        job = ShardWriter(Stage(name="samples", version="1"), {}, results.samples(name), inputs={}, ids=ids)
        job.publish(
            {
                "samples.parquet": lambda path, rows=rows: write_table(path, "samples", rows),
                "truth.parquet": lambda path, rows=truth: write_table(path, "truth", rows),
            }
        )
        source = ShardReader(results.samples(name), "samples")
        output = results.masks("bench", name)
        job = ShardWriter(Stage(name="segment", version="1"), {}, output, inputs={"samples": source})
        job.publish({"masks.parquet": lambda path, rows=found: write_table(path, "masks", rows)})
    return shards


def measure(root: Path, shards: int, kind: str) -> None:
    from stages.score.command import run

    started, used = time.perf_counter(), time.process_time()
    run(root=root, experiment="bench", shards=shards, recipe={"kind": kind}, output=root / kind / "manifest.json")
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    figures = {"kind": kind, "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_gb": round(peak, 2)}
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=100_000)
    masks = parser.parse_args().masks
    spawn = multiprocessing.get_context("spawn")  # a process each, so that peaks are each kind's own
    with tempfile.TemporaryDirectory() as folder:
        shards = write(Path(folder), masks)
        for kind in ("grounding", "grandf", "grefcoco"):
            process = spawn.Process(target=measure, args=(Path(folder), shards, kind))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(process.exitcode)


if __name__ == "__main__":
    main()
