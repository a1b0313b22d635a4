"""Which stages an experiment needs, and what each reads, runs by and writes: the rules of the workflow in Python.

`anyword segment` runs this plan in its own process; the rules ask `needs` what takes part in an experiment.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.artifacts.claim import claimed
from stages.artifacts.results import Results
from stages.config import Workflow

READS = {
    "phrases": ("samples",),
    "embeddings": ("samples",),
    "maps": ("samples", "embeddings"),
    "points": ("samples", "phrases", "maps"),
}
"""What each result is made from; the masks, as their segmenter says."""


def needs(workflow: Workflow, experiment: str) -> frozenset[str]:
    """The results that an experiment's masks come of, by name (`phrases`, `maps`, …): a segmenter that reads words
    alone needs nothing of attention. Phrases are among them always: the page shows them."""
    found: set[str] = set()
    asked = ["samples", "phrases", *workflow.segment_reads(experiment)]
    while asked:
        name = asked.pop()
        found.add(name)
        asked += [one for one in READS.get(name, ()) if one not in found]
    return frozenset(found)


def places(workflow: Workflow, experiment: str, results: Results, shard: str) -> dict[str, Path]:
    """The manifest of each result of an experiment's shard, by its name, in the order of the stages."""
    chosen = workflow.experiment(experiment)
    return {
        "samples": results.samples(shard),
        "phrases": results.phrases(chosen.parser, shard),
        "embeddings": results.embeddings(chosen.inverter, shard),
        "maps": results.maps(chosen.inverter, chosen.attender, shard),
        "points": results.points(experiment, shard),
        "masks": results.masks(experiment, shard),
    }


@dataclass(frozen=True)
class Step:
    """A stage on one shard: arguments of its command."""

    stage: str
    output: Path
    arguments: dict[str, Any]

    def run(self) -> None:
        """Run the stage in this process; one whose result is there already, unchanged, says so and returns."""
        room, function = ("samples", "index") if self.stage == "index" else (self.stage, "run")
        command = getattr(importlib.import_module(f"stages.{room}.command"), function)
        with claimed(self.output.parent):
            command(output=self.output, **self.arguments)


def steps(
    workflow: Workflow,
    experiment: str,
    results: Results,
    shard: str,
    *,
    images: Path,
    texts: Path,
    adapter: Path | None = None,
    device: str = "auto",
) -> Iterator[Step]:
    """The stages of one shard of a `folder` dataset in order, up to the report over this shard alone.

    adapter: manifest of the adapter that the experiment's inverter names.
    """
    chosen = workflow.experiment(experiment)
    needed = needs(workflow, experiment)

    def recipe(section: str, name: str) -> dict[str, Any]:
        return {"recipe": json.loads(workflow.recipe(section, name))}

    made = places(workflow, experiment, results, shard)

    def read(names: tuple[str, ...]) -> dict[str, Any]:
        return {name: made[name] for name in names}

    on_images = {"images": images, "device": device}
    fitted = {**on_images, "adapter": adapter}
    yield Step("index", results.index, {**recipe("datasets", chosen.dataset), "root": images, "texts": texts})
    reader = {"index": results.listing(shard), "recipe": json.loads(workflow.reader(chosen.dataset)), "root": images}
    yield Step("samples", made["samples"], reader)
    yield Step("parse", made["phrases"], {**read(READS["phrases"]), **recipe("parsers", chosen.parser)})
    if "embeddings" in needed:
        inverter = recipe("inverters", chosen.inverter)
        yield Step("invert", made["embeddings"], {**read(READS["embeddings"]), **inverter, **fitted})
    if "maps" in needed:
        attender = {"recipe": json.loads(workflow.attend_recipe(chosen.inverter, chosen.attender))}
        yield Step("attend", made["maps"], {**read(READS["maps"]), **attender, **fitted})
    if "points" in needed:
        yield Step("prompt", made["points"], {**read(READS["points"]), **recipe("prompters", chosen.prompter)})
    reads = read(("samples", *workflow.segment_reads(experiment)))
    segmenter = recipe("segmenters", chosen.segmenter)
    yield Step("segment", made["masks"], {**reads, **segmenter, **on_images})
    page = {"root": results.folder, "experiment": experiment, "shards": 1, "images": images}
    yield Step("report", results.report(experiment), {**page, **recipe("reporters", chosen.reporter)})
