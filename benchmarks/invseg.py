"""Speed of InvSeg beside the bare UNet, and of its loss beside a matrix of S: `python benchmarks/invseg.py`.

--backbone is a folder in diffusers' layout, `embedded`, or `sd15`: random weights in the shape of Stable Diffusion 1.5,
which are as fast as trained ones. The loss is that of 64 x 64 cells, as the paper has them. The paper's 7.9 s an image
(15 steps) are of Stable Diffusion on a GPU that it does not name; `--device cuda` measures its row. Ratios are taken
within the run, the sides alternating; figures go to benchmarks/results.json, below `invseg`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu import save_random
from inversion import HERE, alternate

from stages.invert.invseg import Seen, learn
from stages.invert.recipe import InvSegRecipe
from stages.learning.clustering import Distances, cluster_loss
from stages.models.devices import choose_device
from stages.models.diffusion import load
from stages.models.face import Condition
from stages.models.inputs import Inputs
from stages.models.recipe import BackboneRecipe
from stages.models.tokens import Tokens

TEXT = "dog, grass, sky, background"
STEPS = 15
PAPER = 7.9


class Case:
    """One image, the same views for both sides."""

    def __init__(self, recipe: BackboneRecipe, steps: int, side: int, device: torch.device) -> None:
        self.model = model = load(recipe, device)
        self.recipe = InvSegRecipe(steps=steps, side=side)
        pixels = torch.rand(1, 3, *model.image_size, generator=torch.Generator().manual_seed(0)) * 2 - 1
        tokens = Tokens.together([model.tokenize(TEXT)])
        self.inputs = Inputs((0,), (0,), model.latents(pixels.to(device)), pixels.to(device), tokens, {})
        with torch.no_grad():
            self.condition = model.condition(tokens, model.embed(tokens)).repeat(self.recipe.views)
        self.views, _ = Seen(model, self.inputs.pixels, ["a"], self.recipe).at(0)

    def invseg(self) -> None:
        learn(self.model, self.inputs, [TEXT], ["a"], self.recipe)

    def encode(self) -> None:
        Seen(self.model, self.inputs.pixels, ["a"], self.recipe).at(0)

    def bare(self) -> None:
        """Forward and backward of the views to the context, nothing else."""
        timesteps = torch.tensor([50, 150], device=self.views.device)
        for _ in range(self.recipe.steps):
            context = self.condition.context.detach().clone().requires_grad_()
            self.model.predict(self.views, timesteps, Condition(context)).square().mean().backward()


def measure(case: Case, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    times = alternate({"invseg": case.invseg, "bare": case.bare, "encode": case.encode}, repeats, clock)
    step = (times["invseg"] - times["encode"]) / case.recipe.steps
    image, bare = times["encode"] + STEPS * step, STEPS * times["bare"] / case.recipe.steps
    return {
        "over_bare": image / bare,
        "seconds_image": image,
        "seconds_step": step,
        "encode_share": times["encode"] / image,
        "paper_seconds_image": PAPER,
    }


def loss_by_matrix(maps: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """The same loss with S made, by a product of P and its logarithm."""
    logs = own.clamp_min(1e-8).log()
    self_ = (own * logs).sum(-1)
    crossed = own @ logs.T
    distance = self_[:, None] + self_[None] - crossed - crossed.T
    anchors = torch.sigmoid(4 * (maps - 0.5))
    pairs = anchors @ distance @ maps.T / (anchors.sum(-1)[:, None] * maps.sum(-1)[None])
    count = len(maps)
    return pairs.diagonal().mean() - 2 * pairs.tril(-1).sum() / (count * (count - 1))


def measure_loss(side: int, repeats: int, clock: Callable[[], float], device: torch.device) -> dict[str, float]:
    cells, classes = side * side, 5
    generator = torch.Generator().manual_seed(0)
    own = torch.randn(cells, cells, generator=generator).softmax(-1).to(device)
    maps = torch.rand(classes, cells, generator=generator).to(device).requires_grad_()

    def ours() -> None:
        cluster_loss(maps, Distances.of(own), scale=4.0, centre=0.5).backward()

    times = alternate({"ours": ours, "matrix": lambda: loss_by_matrix(maps, own).backward()}, repeats, clock)
    return {"loss_seconds": times["ours"], "loss_matrix_over_ours": times["matrix"] / times["ours"]}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="sd15", help="embedded, sd15, or a folder of Stable Diffusion")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"), help="of the UNet")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=2, help="steps a measurement")
    parser.add_argument("--side", type=int, default=64, help="cells a side in the loss")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    with tempfile.TemporaryDirectory() as scratch:
        path = options.backbone
        if path == "sd15":
            path = str(save_random("sd15", Path(scratch)))
        kind = {"kind": "embedded"} if path == "embedded" else {"kind": "stable-diffusion", "path": path}
        case = Case(BackboneRecipe.model_validate(kind | {"dtype": options.dtype}), options.steps, options.side, device)
        figures = measure(case, options.repeats, clock)
    figures |= measure_loss(options.side, options.repeats, clock, device)
    for name, value in figures.items():
        print(f"{name:24} {value:10.3f}{'  bar <= 1.3' if name == 'over_bare' else ''}")  # noqa: T201 (a script's output)
    known = json.loads(options.output.read_text()) if options.output.exists() else {}
    row = f"{options.backbone}, {device.type}, {options.side} x {options.side}"
    rows = known.get("invseg", {}) | {row: figures | {"torch_threads": torch.get_num_threads()}}
    options.output.write_text(json.dumps(known | {"invseg": rows}, indent=2, sort_keys=True) + "\n")
    return figures


if __name__ == "__main__":
    main()
