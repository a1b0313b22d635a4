"""Families of diffusion models at the size of tests: what each gives, and seconds a step of inversion on this machine.

    python -m benchmarks.backbones        # writes benchmarks/backbones.json and prints docs/backbones.md's table

Random weights, so nothing is said of quality; a step is one image, eight noise draws, forward and backward, one thread.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
DRAWS, TIMES = 8, 20


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests"))  # where the tiny models are made
    from tiny_families import KINDS, save_family
    from tiny_models import save_tiny

    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("ldm", "stable-diffusion", *KINDS):
            path = Path(folder, kind)
            save_family(path, kind) if kind in KINDS else save_tiny(path, kind)
            found[kind] = measured(kind, path)
    machine = f"{platform.processor() or platform.machine()}, one thread, torch {torch.__version__.split('+')[0]}"
    result = {"machine": machine, "draws": DRAWS, "families": found}
    (ROOT / "benchmarks" / "backbones.json").write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(as_markdown(result) + "\n")


def measured(kind: str, path: Path) -> dict[str, Any]:
    """What a tiny model gives, and the least of some timings of a step."""
    from stages.models.diffusion import load
    from stages.models.recipe import BackboneRecipe

    model = load(BackboneRecipe(kind=kind, path=str(path), resolution=32))
    seconds = min(step(model) for _ in range(TIMES))
    facts = model.facts()
    gives = set.intersection(*(set(layer.gives) for layer in model.layers))
    return {
        "encoders": [facts[key].split(",")[0] for key in facts if key.startswith("text encoder")],
        "grids": sorted({layer.side for layer in model.layers}, reverse=True),
        "predicts": facts["predicts"],
        "columns": model.condition(model.empty, model.embed(model.empty)).context.shape[1],
        "readings": sorted(gives),
        "seconds_a_step": round(seconds, 4),
    }


def step(model: Any) -> float:
    """Seconds of one image's step: encoding the text, the passes of its draws, and the gradients of the words."""
    begin = time.perf_counter()
    tokens = model.tokenize("a red circle on grass")
    embeddings = [one.requires_grad_() for one in model.embed(tokens)]
    latents = model.latents(torch.zeros(1, 3, *model.image_size)).repeat(DRAWS, 1, 1, 1)
    at = torch.linspace(100, 900, DRAWS).round()
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    noised = model.path.noised(latents, noise, at.long())
    predicted = model.predict(noised, at.long(), model.condition(tokens, embeddings).repeat(DRAWS))
    torch.autograd.grad((predicted - model.path.target(latents, noise, at.long())).square().mean(), embeddings)
    return time.perf_counter() - begin


def as_markdown(result: dict[str, Any]) -> str:
    lines = ["| kind | text encoders | grids | predicts | readings | seconds a step |", "|---|---|---|---|---|---|"]
    for kind, one in result["families"].items():
        grids = ", ".join(f"{side}²" for side in one["grids"])
        cells = (", ".join(one["encoders"]), grids, one["predicts"], str(len(one["readings"])), one["seconds_a_step"])
        lines.append(f"| `{kind}` | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
