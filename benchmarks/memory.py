"""What every stage takes of a card, counted without weights and without a GPU: `python benchmarks/memory.py`.

Rows go to benchmarks/memory.json as `{stage, model, dtype, rows, peak_gib, card, least_gib}`: stages' defaults, rows as
the product decides them (stages/models/memory.py), for Stable Diffusion 1.5, 2.1 (768), latent diffusion and SAM's
ViT-H on a card of 16 GiB, for larger families on one of 80 GiB; and the least
that a stage takes, by one image and one row.

--check runs one step of invert on this machine, on random weights in the shape of --backbone, and holds the process's
highest memory against what is counted for the same call; the figures go to benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from gpu import save_random
from inversion import Case, save

from stages.adapt.recipe import LoraRecipe
from stages.artifacts.recipes import validated
from stages.attend.recipe import AttenderRecipe
from stages.invert.recipe import TextualRecipe
from stages.learning.recipe import Entropy
from stages.models.diffusion import load
from stages.models.memory import GIB
from stages.models.published import SHAPES
from stages.models.recipe import BackboneRecipe
from stages.reckoning import Need, of_segment_anything, of_stage

HERE = Path(__file__).parent
SMALL = ("stable-diffusion", "ldm")
CARD, LARGE_CARD, NOTHING = 16, 80, 1e-6
"""GiB."""


def backbone_of(shape: str) -> BackboneRecipe:
    return BackboneRecipe(kind=SHAPES[shape]["kind"], path=shape)


def every() -> list[dict[str, Any]]:
    found = []
    for shape in SHAPES:
        backbone = backbone_of(shape)
        small = backbone.kind in SMALL
        stages: list[tuple[str, str, Any]] = [
            ("invert", "invert", TextualRecipe(backbone=backbone)),
            ("invert, with entropy", "invert", TextualRecipe(backbone=backbone, entropy=Entropy())),
            *([("adapt", "adapt", LoraRecipe(backbone=backbone))] if small else []),
            *(
                (f"attend, {kind}", "attend", validated("attend", {"kind": kind, "backbone": backbone}, AttenderRecipe))
                for kind in (("direct", "ddim", "null-text") if small else ("direct",))
            ),
        ]
        for name, stage, recipe in stages:
            card = CARD if small else LARGE_CARD
            need = of_stage(stage, recipe, card=card, shape=shape)
            least = of_stage(stage, recipe, card=NOTHING, batch=1, shape=shape)
            found.append(row(Need(**{**asdict(need), "stage": name}), card, least))
    sam, least = of_segment_anything("vit_h", card=CARD), of_segment_anything("vit_h", card=NOTHING, batch=1)
    return [*found, row(sam, CARD, least)]


def row(need: Need, card: int, least: Need) -> dict[str, Any]:
    say(need)
    return {**asdict(need), "card": card, "least_gib": least.peak_gib}


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """docs/backbones.md's table: a line a model; rows of a call and GiB, and the least GiB of invert and of attend."""
    stages = ("invert", "invert, with entropy", "attend, direct")
    lines = ["| model | card | " + " | ".join(stages) + " | least |", "|---" * (len(stages) + 3) + "|"]
    for model in dict.fromkeys(one["model"] for one in rows if one["stage"] == "invert"):
        own = {one["stage"]: one for one in rows if one["model"] == model}
        cells = [f"{own[stage]['rows']}, {own[stage]['peak_gib']:.1f}" for stage in stages]
        least = f"{own['invert']['least_gib']:.1f}, {own['attend, direct']['least_gib']:.1f}"
        lines.append(f"| {model} | {own['invert']['card']} | {' | '.join(cells)} | {least} |")
    return "\n".join(lines)


def say(need: Need) -> None:
    sys.stdout.write(f"{need.stage:22} {need.model:32} {need.dtype:9} {need.rows:3d} rows {need.peak_gib:6.2f} GiB\n")
    sys.stdout.flush()


def check(shape: str, images: int, draws: int) -> dict[str, float]:
    """One step of invert in a process of its own, which never held the random weights in float32."""
    with tempfile.TemporaryDirectory() as folder:
        save_random(shape, Path(folder))
        command = [sys.executable, __file__, "--measure", folder, "--backbone", shape]
        command += ["--images", str(images), "--draws", str(draws)]
        found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def measure(shape: str, folder: str, images: int, draws: int) -> dict[str, float]:
    """The highest resident memory of a step beyond what the process has without the model, and what is counted."""
    torch.set_num_threads(1)
    model = load(BackboneRecipe(kind=SHAPES[shape]["kind"], path=folder, dtype="bfloat16"))
    case = Case(model, 1, draws, images)
    model.memory.limit = 1000.0  # everything is one call, and counted
    given = case.condition.with_context(case.condition.context.clone().requires_grad_())
    beside = partial(learned_condition, case)
    rows = model.rows_that_fit(case.latents.repeat_interleave(draws, dim=0), given, (), beside=beside)
    ((row, texts),) = model.memory.taken.values()
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = psutil.Process().memory_info().rss - model.memory.weights
    Path("/proc/self/clear_refs").write_text("5")  # the highest counts from here
    case.invert(steps=1)
    lines = Path("/proc/self/status").read_text().splitlines()
    (highest,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    counted = model.memory.weights + texts + rows * row
    return {"rows": rows, "counted_gib": counted / GIB, "measured_gib": (highest - before) / GIB}


def learned_condition(case: Case) -> object:
    return case.backbone.condition(case.tokens, [one.requires_grad_() for one in case.backbone.embed(case.tokens)])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="one real step on this machine instead")
    parser.add_argument("--backbone", default="sd15", choices=("sd15", "sd21", "ldm"), help="of --check")
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--output", type=Path, default=HERE / "memory.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        found = measure(options.backbone, options.measure, options.images, options.draws)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    if options.check:
        found = check(options.backbone, options.images, options.draws)
        sys.stdout.write(json.dumps(found) + "\n")
        save({"memory_check": {options.backbone: found}}, HERE / "results.json")
        return
    options.output.write_text(json.dumps(every(), indent=2) + "\n")


if __name__ == "__main__":
    main()
