"""Speed of invert and attend beside their parts and their peers: `python benchmarks/inversion.py [--backbone PATH]`.

Every ratio is taken within this run, the two sides alternating, so that other load on the machine falls on both.
Figures go to benchmarks/results.json under their keys; the plot to benchmarks/inversion.png.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peers import TextualInversionExample, attention_store_pass, inversion_pass

from stages.attend import ddim
from stages.attend.averager import Averager
from stages.invert.recipe import TextualRecipe
from stages.invert.textual import optimise
from stages.learning.recipe import Entropy
from stages.learning.trainable_tokens import trainable_tokens
from stages.models.diffusion import load
from stages.models.face import Condition
from stages.models.reading import AttentionReader
from stages.models.recipe import BackboneRecipe
from stages.models.tokens import Tokens
from stages.models.unet import UNetModel

HERE = Path(__file__).parent
TEXT = "a small striped red circle left of a big blue star on grass"
BATCH = 8
BARS = {"invert_over_bare": ("<=", 1.15), "invert_speedup": (">=", 3.0), "attend_speedup": (">=", 3.0)}


def seconds(function: Callable[[], Any], clock: Callable[[], float]) -> float:
    begin = clock()
    function()
    return clock() - begin


def alternate(sides: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each side, taken in turn, after one unmeasured round."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, function in sides.items():
            taken = seconds(function, clock)
            if turn:
                times[name].append(taken)
    return {name: statistics.median(values) for name, values in times.items()}


class Case:
    """The same images and texts for both sides."""

    def __init__(self, backbone: UNetModel, steps: int, draws: int, batch: int = BATCH) -> None:
        self.backbone = backbone
        self.batch = batch
        self.steps, self.draws = steps, draws
        generator = torch.Generator().manual_seed(0)
        self.pixels = torch.rand(batch, 3, *backbone.image_size, generator=generator) * 2 - 1
        self.latents = backbone.latents(self.pixels)
        self.tokens = Tokens.together([backbone.tokenize(TEXT)] * batch)
        self.trainable = trainable_tokens(backbone, self.tokens, [TEXT] * batch, "content", join=False)
        with torch.no_grad():
            self.condition = backbone.condition(self.tokens, backbone.embed(self.tokens))
            self.empty = backbone.condition(backbone.empty, backbone.embed(backbone.empty))
        self.recipe = TextualRecipe(steps=steps, draws=draws, lr=0.03, lr_unit="table")

    def invert(self, **changes: Any) -> None:
        """The stage's optimisation; changes: keys of the recipe that differ from the diffusion loss alone."""
        ids = [str(n) for n in range(self.batch)]
        recipe = self.recipe.model_copy(update=changes)
        optimise(self.backbone, self.latents, self.trainable, ids, recipe)

    def bare(self) -> None:
        """Forward and backward to the context, nothing else."""
        rows = self.batch * self.draws
        noised = torch.randn(rows, *self.latents.shape[1:])
        target = torch.randn_like(noised)
        timesteps = torch.randint(0, 1000, (rows,))
        for _ in range(self.steps):
            context = self.condition.context.repeat_interleave(self.draws, 0).requires_grad_()
            (self.backbone.predict(noised, timesteps, Condition(context)) - target).square().mean().backward()

    def encode(self) -> None:
        """Text encoder forward and backward, once a step."""
        for _ in range(self.steps):
            embeddings = [one.requires_grad_() for one in self.backbone.embed(self.tokens)]
            self.backbone.condition(self.tokens, embeddings).context.sum().backward()

    def flops(self) -> float:
        """Of one step for the whole batch."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            self.invert(steps=1)
        return float(counter.get_total_flops())


def measure_invert(case: Case, peer: Case, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    (encoding,), ((row, *_),) = case.tokens.encodings, case.trainable.rows
    learned = encoding.input_ids[0, list(row.tokens)]

    def example() -> None:
        trainer = TextualInversionExample(peer.backbone, lr=0.005)
        for _ in range(peer.steps):
            trainer.step(peer.pixels[0], encoding.input_ids[0], learned, peer.draws)

    same = Case(peer.backbone, case.steps, case.draws)
    sides = {
        "invert": case.invert,
        "bare": case.bare,
        "text": case.encode,
        "example": example,
        "same": same.invert,
        "entropy": lambda: case.invert(entropy=Entropy(weight=0.3)),
    }
    times = alternate(sides, repeats, clock)
    flops = case.flops()
    return {
        "invert_over_bare": times["invert"] / times["bare"],
        "invert_with_entropy_over_bare": times["entropy"] / times["bare"],
        "invert_text_encoder_share": times["text"] / times["invert"],
        "invert_speedup": times["example"] * BATCH / times["invert"],
        "invert_speedup_same_dtype": times["example"] * BATCH / times["same"],
        "invert_seconds_image_step": times["invert"] / BATCH / case.steps,
        "example_seconds_image_step": times["example"] / peer.steps,
        "invert_gflop_step_image": flops / BATCH / 1e9,
        "invert_gflops": flops * case.steps / times["invert"] / 1e9,
    }


def measure_attend(case: Case, steps: int, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    backbone = case.backbone
    levels, stored = ddim.ddim_inversion(backbone, case.latents, case.condition, steps)

    def ours(full: bool) -> Callable[[], None]:
        def run() -> None:
            at, latents = levels, stored
            if full:
                at, latents = ddim.ddim_inversion(backbone, case.latents, case.condition, steps)
            averager = Averager(BATCH, (0, 1000))
            ddim.maps_at(AttentionReader(backbone), latents, at, case.condition, averager, rows=8 * BATCH)

        return run

    def theirs(full: bool) -> Callable[[], None]:
        def run() -> None:
            start = stored[-1, :1]
            if full:
                start = inversion_pass(backbone, case.latents[:1], case.condition.select([0]), steps)
            attention_store_pass(backbone, start, case.condition.select([0]), case.empty, steps)

        return run

    sides = {"maps": ours(False), "store": theirs(False), "all": ours(True), "store_all": theirs(True)}
    times = alternate(sides, repeats, clock)
    return {
        "attend_speedup": times["store"] * BATCH / times["maps"],
        "attend_total_speedup": times["store_all"] * BATCH / times["all"],
        "attend_seconds_image": times["all"] / BATCH,
    }


def plot(figures: dict[str, float], path: Path) -> None:
    """The ratios beside their bars."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    names = [
        "invert_over_bare",
        "invert_with_entropy_over_bare",
        "invert_speedup",
        "invert_speedup_same_dtype",
        "attend_speedup",
        "attend_total_speedup",
    ]
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axes.barh(names[::-1], [figures[name] for name in names[::-1]], color="#4477aa")
    for row, name in enumerate(names[::-1]):
        if name in BARS:
            axes.plot([BARS[name][1]] * 2, [row - 0.4, row + 0.4], color="#cc3311")
    axes.set_xlabel("times (the bar to reach in red)")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def save(figures: dict[str, float], path: Path) -> None:
    """Add figures to the file, keeping the others."""
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | figures, indent=2, sort_keys=True) + "\n")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", help="folder of a backbone; default: the embedded one")
    parser.add_argument("--kind", default="embedded", choices=("embedded", "stable-diffusion", "ldm"))
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"), help="of our UNet")
    parser.add_argument("--steps", type=int, default=5, help="inversion steps a measurement")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--chain", type=int, default=10, help="DDIM steps a measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"), help="cpu: on a machine with other load")
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    clock = time.perf_counter if options.clock == "wall" else time.process_time
    recipe = BackboneRecipe(kind=options.kind, path=options.backbone, dtype=options.dtype)
    ours = Case(load(recipe), options.steps, options.draws)
    # The example trains in float32 unless told otherwise; the same-dtype figure runs ours so, too.
    theirs = Case(load(recipe.model_copy(update={"dtype": "float32"})), options.steps, options.draws)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours.invert()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"invert_peak_mb_image": (peak - before) / 1024 / BATCH}
    figures |= measure_invert(ours, theirs, options.repeats, clock)
    figures |= measure_attend(ours, options.chain, options.repeats, clock)
    for name, value in figures.items():
        sign, bar = BARS.get(name, ("", 0.0))
        print(f"{name:30} {value:10.3f}  {f'bar {sign} {bar}' if sign else ''}")  # noqa: T201 (a script's output)
    save(figures, options.output)
    plot(figures, options.output.with_name("inversion.png"))
    return figures


if __name__ == "__main__":
    main()
