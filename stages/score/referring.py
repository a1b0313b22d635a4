"""One mask an expression: gRefCOCO (several, one or no targets) and RefCOCO.

Sources of the semantics: henghuiding/ReLA, gres_model/evaluation/refer_evaluation.py (gRefCOCO); dvlab-research/LISA,
train_ds.py `validate` (RefCOCO).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stages.artifacts.compose import referred, referred_all
from stages.artifacts.masks import Rle, areas, empty, overlap, rle_of, union
from stages.score.bootstrap import Interval, Statistic, interval, ratio
from stages.score.collector import Case, Row, phrases
from stages.score.recipe import Grefcoco, Refcoco

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

PRECISIONS = (0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Expressions:
    """Truth against prediction, one row an expression."""

    image: Sequence[Hashable]
    intersection: Float64[np.ndarray, " expressions"]
    union: Float64[np.ndarray, " expressions"]
    no_target: Bool[np.ndarray, " expressions"]
    """The truth names nothing."""
    predicted_none: Bool[np.ndarray, " expressions"]


def compare(
    image: Sequence[Hashable],
    truth: Sequence[Rle],
    predictions: Sequence[Rle],
    no_target: Sequence[bool] | None = None,
    predicted_none: Sequence[bool] | None = None,
) -> Expressions:
    """Overlaps of each expression's two masks; `predicted_none` and `no_target` default to an empty mask."""
    pairs = [overlap(one, other) for one, other in zip(predictions, truth, strict=True)]
    inside, either = np.asarray(pairs, dtype=np.float64).reshape(-1, 2).T
    return Expressions(
        image=list(image),
        intersection=inside,
        union=either,
        no_target=areas(truth) == 0 if no_target is None else np.asarray(no_target, dtype=bool),
        predicted_none=areas(predictions) == 0 if predicted_none is None else np.asarray(predicted_none, dtype=bool),
    )


def grefcoco(found: Expressions, *, replicates: int = 0, seed: int = 0) -> dict[str, Any]:
    """gIoU, cIoU, Pr@.7/.8/.9 in percent; N_acc, T_acc as fractions (as the official code prints them).

    Nothing meant and nothing predicted: IoU 1, no pixel counted. Nothing meant, something predicted: IoU 0, its
    pixels join the union. A target predicted as none: IoU 0, and the union counts the mask that was still given.
    N_acc and T_acc are 0 where no expression is without target.
    """
    none, said = found.no_target, found.predicted_none
    inside = np.where(none | said, 0.0, found.intersection)
    either = np.where(none & said, 0.0, found.union)
    iou = grefcoco_ious(found)
    target = (~none).astype(np.float64)

    def over(numerator: np.ndarray, denominator: np.ndarray, statistic: Statistic) -> Interval:
        return interval(
            statistic, np.stack([numerator, denominator], axis=1), found.image, replicates=replicates, seed=seed
        )

    ones = np.ones(len(iou))
    figures = {
        "gIoU": over(iou, ones, _percent),
        "cIoU": over(inside, either, _percent),
        "T_acc": over(target * ~said, target, ratio) if none.any() else Interval(0.0, None, None),
        "N_acc": over((none & said) * ones, none * ones, ratio) if none.any() else Interval(0.0, None, None),
    }
    for bound in PRECISIONS:
        figures[f"Pr@{bound}"] = over(target * (iou >= bound), target, _percent)
    return {
        **{name: one.json() for name, one in figures.items()},
        "expressions": len(iou),
        "no_target": int(none.sum()),
    }


def grefcoco_ious(found: Expressions) -> Float64[np.ndarray, " expressions"]:
    """Each expression's IoU as gIoU averages it: 1 where nothing is meant and nothing predicted, 0 where one of the
    two is nothing."""
    none, said = found.no_target, found.predicted_none
    inside = np.where(none | said, 0.0, found.intersection)
    return np.where(none & said, 1.0, _divide(inside, found.union))


def refcoco(found: Expressions, *, replicates: int = 0, seed: int = 0) -> dict[str, Any]:
    """cIoU (whole-set intersection over union, "oIoU" elsewhere) and gIoU (mean over expressions), as fractions.

    LISA's arithmetic, its 1e-5 and 1e-10 in the denominators included; both masks empty: IoU 1.
    """
    iou = refcoco_ious(found)
    sums = np.stack([found.intersection, found.union], axis=1)
    means = np.stack([iou, np.ones(len(iou))], axis=1)
    whole = interval(_lisa, sums, found.image, replicates=replicates, seed=seed)
    return {
        "cIoU": whole.json(),
        "gIoU": interval(ratio, means, found.image, replicates=replicates, seed=seed).json(),
        "expressions": len(iou),
    }


def refcoco_ious(found: Expressions) -> Float64[np.ndarray, " expressions"]:
    """Each expression's IoU as LISA's gIoU averages it."""
    return found.intersection / (found.union + 1e-5) + (found.union == 0)


@dataclass
class Referring:
    """The truth is the mask of the dataset's own referred phrase (all its masks where it names none); a truth
    without pixels, or without a row, means that nothing is meant."""

    recipe: Grefcoco | Refcoco
    samples: list[Row] = field(default_factory=list)
    image: list[str] = field(default_factory=list)
    truth: list[Rle] = field(default_factory=list)
    masks: list[Rle] = field(default_factory=list)
    none: list[bool] = field(default_factory=list)

    columns: ClassVar[tuple[str, ...]] = ("sample_id", "text", "target", "answered", "intersection", "union", "iou")

    def add(self, case: Case) -> None:
        sample, recipe = case.sample, self.recipe
        self.samples.append({"sample_id": sample["sample_id"], "text": sample["text"]})
        size = (sample["height"], sample["width"])
        # Expressions of one image are not independent, so images, not expressions, are what the bootstrap draws.
        self.image.append(sample["image_sha256"])
        about = sample["referred"]
        meant = [row for row in phrases(case.truth) if about is None or row["index"] == about]
        self.truth.append(union((rle_of(row) for row in meant), *size))
        if isinstance(recipe, Refcoco):
            one = referred(case.predictions, case.referred)
            chosen = [] if one is None else [one]
        else:
            chosen = referred_all(case.predictions, case.referred, sample["text"])
            chosen = [row for row in chosen if (row["score"] or 0.0) >= recipe.no_target_score]
            if recipe.no_target is not None:
                chosen = [row for row in chosen if recipe.no_target.means_something(row)]
        mask = union((rle_of(row) for row in chosen), *size)
        nothing = isinstance(recipe, Grefcoco) and int(areas([mask])[0]) <= recipe.no_target_area
        self.masks.append(empty(*size) if nothing else mask)
        self.none.append(nothing)

    @cached_property
    def expressions(self) -> Expressions:
        """Truth against answer of all that was added, in order; asked for once everything is."""
        none = None if isinstance(self.recipe, Refcoco) else self.none
        return compare(self.image, self.truth, self.masks, predicted_none=none)

    def figures(self) -> dict[str, Any]:
        evaluate = refcoco if isinstance(self.recipe, Refcoco) else grefcoco
        return evaluate(self.expressions, replicates=self.recipe.replicates, seed=self.recipe.seed)

    def rows(self) -> Iterator[Row]:
        found = self.expressions
        ious = refcoco_ious(found) if isinstance(self.recipe, Refcoco) else grefcoco_ious(found)
        for i, sample in enumerate(self.samples):
            yield {
                **sample,
                "target": int(not found.no_target[i]),
                "answered": int(not found.predicted_none[i]),
                "intersection": int(found.intersection[i]),
                "union": int(found.union[i]),
                "iou": float(ious[i]),
            }


def collector(recipe: Grefcoco | Refcoco) -> Referring:
    return Referring(recipe)


def _percent(sums: np.ndarray) -> np.ndarray:
    return 100.0 * ratio(sums)


def _lisa(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / (sums[..., 1] + 1e-10)


def _divide(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.divide(one, other, out=np.zeros_like(one), where=other > 0)
