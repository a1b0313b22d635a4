"""The page of N samples, made and measured in Debian's chromium: `python benchmarks/page.py --samples N`.

Scenes of the embedded world go through samples, parse, prompt, segment (maps thresholded), score and report; only their
maps are made up, from the truth, some of them wrong. Then a browser opens the page as a file: seconds until its first
samples are drawn, and the longest that a filter takes until the gallery shows what is left. Bars at 10 000 samples, on
two cores: 2 s and 0.3 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from stages import REPOSITORY
from stages.artifacts import ShardReader, ShardWriter, Stage
from stages.artifacts.language import words
from stages.artifacts.maps import WordMaps, write_maps
from stages.artifacts.masks import decode
from stages.artifacts.results import Results, shard_name
from stages.prompt.command import run as prompt
from stages.report.command import run as report
from stages.samples.command import index
from stages.samples.command import run as samples
from stages.score.command import run as score
from stages.segment.command import run as segment

NAME, SHARD, GRID = "bench", 500, 16
QUERIES = ("word:disk", "iou<.5", "suspicion>.2 -tag:small", "red circle", 'phrase:"a blue square" contrast<2', "")


def write(root: Path, count: int) -> Path:
    """The results of `count` scenes below `root`, up to the page, whose path is returned."""
    from stages.parse.command import run as parse

    results = Results(root)
    index(
        recipe={"kind": "world", "split": "test", "first": 0, "count": count, "shard_size": SHARD}, output=results.index
    )
    shards = -(-count // SHARD)
    for name in map(shard_name, range(shards)):
        samples(index=results.listing(name), recipe={"kind": "world"}, output=results.samples(name))
        parse(samples=results.samples(name), recipe={"kind": "truth"}, output=results.phrases(NAME, name))
        _attend(results, name)
        read = {"samples": results.samples(name), "phrases": results.phrases(NAME, name)}
        maps = results.maps(NAME, NAME, name)
        prompt(**read, maps=maps, recipe={"kind": "points"}, output=results.points(NAME, name))
        segment(**read, maps=maps, recipe={"kind": "attention"}, output=results.masks(NAME, name))
    grounding = {"kind": "grounding", "replicates": 20}
    score(root=root, experiment=NAME, shards=shards, recipe=grounding, output=results.score(NAME), parser=NAME)
    return report(root=root, experiment=NAME, shards=shards, recipe={"kind": "page"}, output=results.report(NAME))


def _attend(results: Results, name: str) -> None:
    """Maps that look where the truth of a word's phrase is, or, one in ten, where another's is."""
    source = ShardReader(results.samples(name), "samples")
    truth: dict[str, list[dict[str, object]]] = {}
    for row in source.table("truth"):
        if row["kind"] == "phrase":
            truth.setdefault(row["sample_id"], []).append(row)
    draw = np.random.default_rng(int(name))
    maps, position, starts, ends = [], [], [], []
    for row in source.table("samples"):
        own = truth.get(row["sample_id"], [])
        cells = [_cells(one) for one in own]
        wrong = draw.random() < 0.1
        for word in words(row["text"]):
            of = next((i for i, one in enumerate(own) if one["start"] <= word.start < one["end"]), None)
            base = 0.02 * draw.random((GRID, GRID))
            if of is not None:
                base += 0.3 * cells[(of + 1) % len(cells) if wrong else of]
            maps.append(base.astype(np.float32))
            position.append(source.ids.index(row["sample_id"]))
            starts.append(word.start)
            ends.append(word.end)
    found = WordMaps(np.stack(maps), *(np.asarray(one, dtype=np.int32) for one in (position, starts, ends)))
    job = ShardWriter(Stage(name="attend", version="1"), {}, results.maps(NAME, NAME, name), inputs={"samples": source})
    job.publish({"maps.zarr": lambda path: write_maps(path, found)})


def _cells(row: dict[str, object]) -> np.ndarray:
    mask = decode(row)
    rows, columns = (side // GRID for side in mask.shape)
    return mask[: rows * GRID, : columns * GRID].reshape(GRID, rows, GRID, columns).mean(axis=(1, 3))


def measure(page: Path, repeats: int) -> dict[str, float]:
    """Seconds to load (the median of `repeats`) and to filter (the longest of QUERIES, each the median)."""
    from browser import browser, errors

    loads, filters = [], {query: [] for query in QUERIES}
    with browser() as driver:
        for _ in range(repeats):
            driver.get("about:blank")
            start = time.perf_counter()
            driver.get(page.as_uri())
            while not driver.execute_script(LOADED):
                time.sleep(0.005)
            loads.append(time.perf_counter() - start)
            for query in QUERIES:
                filters[query].append(driver.execute_async_script(FILTERED, query) / 1000)
        complaints = errors(driver)
    if complaints:
        raise SystemExit(f"the console complains: {complaints[:3]}")
    return {
        "load_s": round(float(np.median(loads)), 3),
        "filter_s": round(max(float(np.median(one)) for one in filters.values()), 3),
    }


# The first cards are there, and the first sheet of thumbnails is decoded.
LOADED = """
const card = document.querySelector(".card .layer");
if (!card || document.documentElement.dataset.ready !== "true") return false;
if (!window.sheet) {
  window.sheet = new Image();
  window.sheet.src = getComputedStyle(card).backgroundImage.slice(5, -2);
}
return window.sheet.complete;
"""
# A filter is asked for as a person does; it is answered once the browser has drawn two frames after it.
FILTERED = """
const [query, done] = arguments;
const start = performance.now();
go({ q: query, view: "gallery", id: null }, { replace: true });
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the results here; a page that is there is measured again")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("page.json"))
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from browser import unavailable

    if why := unavailable():
        parser.error(why)
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.folder or Path(temporary)) / f"{NAME}-{options.samples}"
        page = Results(root).page(NAME)
        if not page.is_file():
            page = write(root, options.samples)
        files = [path for path in page.parent.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        row = {"samples": options.samples, **measure(page, options.repeats), "files": len(files), "bytes": size}
    found = json.loads(options.output.read_text()) if options.output.is_file() else []
    rest = [one for one in found if one["samples"] != row["samples"]]
    options.output.write_text(json.dumps(sorted([*rest, row], key=lambda one: one["samples"]), indent=1) + "\n")
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
