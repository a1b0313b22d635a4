"""A study's experiments without Snakemake and diffusion models: samples, parse and score are the real stages, masks are
made of the truth, or by the real segment stage where the recipe takes words alone."""

from __future__ import annotations

import json
from pathlib import Path

from stages.artifacts import Outcome, ShardReader, ShardWriter, Stage
from stages.artifacts.masks import decode, encode
from stages.artifacts.tables import parse_of, targets_of, write_table
from stages.config import Workflow, merged
from stages.parse.command import run as run_parse
from stages.samples.command import index
from stages.samples.command import run as run_samples
from stages.score.command import run as run_score


def run_directly(base, added, *, masks_of):
    """Every experiment of `added`, up to its score. masks_of(experiment, sample_id, truth mask) gives each mask."""
    workflow = Workflow(merged(base, added))
    for name in added["experiments"]:
        one = workflow.experiment(name)
        samples = shard_of(workflow, one.dataset)
        root = samples.path.parents[1]
        parsed = root / "parse" / one.parser / "00000" / "manifest.json"
        run_parse(samples=samples.path, recipe={"kind": "truth"}, output=parsed)
        own = root / "experiments" / name
        output = own / "segment" / "00000" / "manifest.json"
        recipe = json.loads(workflow.recipe("segmenters", one.segmenter))
        if workflow.segment_reads(name) == ("phrases",):
            from stages.segment.command import run as run_segment

            run_segment(samples=samples.path, phrases=parsed, recipe=recipe, output=output, device="cpu")
        else:
            _masks_of_truth(name, {"samples": samples, "phrases": ShardReader(parsed, "parse")}, output, masks_of)
        scorer = json.loads(workflow.recipe("scorers", one.scorer)) | {"replicates": 10}
        at = own / "score" / "manifest.json"
        run_score(root=root, experiment=name, shards=1, recipe=scorer, output=at, parser=one.parser)


def shard_of(workflow, dataset):
    """The samples of a dataset that fits into one shard, made by the stage."""
    place = {key: Path(value) for key, value in workflow.data_location(dataset).items()}
    root = Path("results") / dataset / "samples"
    recipe = {**json.loads(workflow.recipe("datasets", dataset)), "shard_size": 64}
    index(recipe=recipe, output=root / "index" / "manifest.json", **place)
    listed, output = root / "index" / "00000" / "manifest.json", root / "00000" / "manifest.json"
    run_samples(index=listed, recipe={"kind": recipe["kind"]}, output=output, root=place.get("root"))
    return ShardReader(output, "samples")


def _masks_of_truth(name, inputs, output, masks_of):
    truth = {(r["sample_id"], r["kind"], r["index"]): r for r in inputs["samples"].table("truth")}
    rows = []
    for row in inputs["phrases"].table("phrases"):
        for target in targets_of(row["sample_id"], parse_of(row)):
            wanted = truth.get((row["sample_id"], target["kind"], target["index"]))
            if wanted is not None:
                mask = masks_of(name, row["sample_id"], decode(wanted))
                rows.append(target | encode(mask) | {"score": 0.5})
    writer = ShardWriter(Stage(name="segment", version="1"), {}, output, inputs=inputs)
    writer.run(lambda batch: [Outcome()] * len(batch), batch_size=64)
    writer.publish({"masks.parquet": lambda path: write_table(path, "masks", rows)})
