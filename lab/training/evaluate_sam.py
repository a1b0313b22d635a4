"""How well the embedded SAM cuts objects out of test scenes, from true points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.world.scene import scene

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from segment_anything.modeling import Sam

SEED = 17
_CLASSES = {"small": (0.0, 0.02), "medium": (0.02, 0.06), "large": (0.06, 1.0)}


def pick(mask: Bool[np.ndarray, "h w"], count: int, rng: np.random.Generator) -> Int[np.ndarray, "count 2"]:
    """Pixels of a mask as (x, y), each as likely as another."""
    rows, columns = np.nonzero(mask)
    chosen = rng.integers(len(rows), size=count)
    return np.stack([columns[chosen], rows[chosen]], axis=1)


def evaluate_model(sam: Sam, scenes: int, split: str = "test") -> dict[str, float]:
    """Mean IoU of visible objects, and of grounds, prompted as SamPredictor's users prompt.

    `sam_iou_1`: one point inside the mask, the mask of highest predicted IoU among three. `sam_iou_4`: two points
    inside and two outside, the single mask. Points are drawn evenly, seeded by the scene.
    """
    from segment_anything import SamPredictor

    predictor = SamPredictor(sam)
    found: dict[str, list[float]] = {}
    for number in range(scenes):
        drawn = scene(split, number)
        rng = np.random.default_rng((SEED, number))
        predictor.set_image(drawn.image)
        regions = [("object", instance.mask) for instance in drawn.instances]
        regions += [("ground", ground.mask) for ground in drawn.grounds]
        for what, mask in regions:
            one = pick(mask, 1, rng)
            four = np.concatenate([pick(mask, 2, rng), pick(~mask, 2, rng)]) if not mask.all() else None
            figures = {"1": _iou(predictor, one.astype(float), np.ones(1, int), mask)}
            if four is not None:
                figures["4"] = _iou(predictor, four.astype(float), np.array([1, 1, 0, 0]), mask)
            for key, value in figures.items():
                if what == "ground":
                    found.setdefault(f"sam_iou_{key}_ground", []).append(value)
                    continue
                size = next(name for name, (low, high) in _CLASSES.items() if low <= mask.mean() < high)
                found.setdefault(f"sam_iou_{key}", []).append(value)
                found.setdefault(f"sam_iou_{key}_{size}", []).append(value)
    return {key: float(np.mean(values)) for key, values in sorted(found.items())}


def _iou(
    predictor: object,
    points: Float[np.ndarray, "k 2"],
    labels: Int[np.ndarray, " k"],
    truth: Bool[np.ndarray, "h w"],
) -> float:
    masks, scores, _ = predictor.predict(points, labels, multimask_output=len(points) == 1)  # type: ignore[attr-defined]
    mask = masks[int(scores.argmax())]
    return float((mask & truth).sum() / (mask | truth).sum())


def evaluate(scenes: int = 300, split: str = "test", folder: Path = Path("models/sam")) -> dict[str, float]:
    """`evaluate_model` of the weights in `folder`."""
    from stages.models.sam import load

    return evaluate_model(load("embedded", folder).model, scenes, split)
