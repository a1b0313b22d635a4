"""Label maps: mIoU and mAcc as mmsegmentation counts them (open-mmlab/mmsegmentation 1.2.2, IoUMetric).

Histograms are summed over the whole set in int64 (the original sums float32, which rounds beyond 2^24 pixels).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stages.artifacts.compose import answers, label_map
from stages.artifacts.errors import AnywordError
from stages.artifacts.tables import UNNAMED, parse_of, targets_of
from stages.score.bootstrap import interval
from stages.score.collector import Case, Row, phrases
from stages.score.recipe import Semantic

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64, Integer

IGNORE = 255
IGNORE_ALL = -2
"""Ignored pixels of label maps made from masks, where 255 may be a class."""


def histogram(
    truth: Integer[np.ndarray, "height width"],
    prediction: Integer[np.ndarray, "height width"],
    classes: int,
    ignore: int = IGNORE,
) -> Int64[np.ndarray, "3 classes"]:
    """Pixels of each class in both, in the prediction, and in the truth; pixels whose truth is `ignore` are left out.

    A predicted label beyond the classes is a wrong pixel of none of them.

    Raises:
        AnywordError: label maps of two shapes.
    """
    if truth.shape != prediction.shape:
        raise AnywordError(f"a label map of {prediction.shape} is compared with a truth of {truth.shape}.")
    kept = truth != ignore
    truth, prediction = truth[kept].astype(np.int64), prediction[kept].astype(np.int64)

    def count(labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels[(labels >= 0) & (labels < classes)], minlength=classes)

    return np.stack([count(truth[truth == prediction]), count(prediction), count(truth)])


def evaluate(
    histograms: Iterable[Int64[np.ndarray, "3 classes"]],
    images: Sequence[Hashable],
    *,
    replicates: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """mIoU and mAcc (fractions, with intervals) over a set, IoU and Acc of each class (None: undefined).

    A class that is neither in truth nor prediction is left out of the mean; one that is only predicted counts IoU 0
    and has no accuracy. `classes_counted` says over how many classes each mean runs: on small sets fewer than all.
    """
    stacked = np.stack(list(histograms)).astype(np.float64)  # image, 3, class
    rows = stacked.reshape(len(stacked), -1)
    total = stacked.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        iou, accuracy = _iou(total), _accuracy(total)
    shape = stacked.shape[1:]

    def over(figure: Any) -> dict[str, float | None]:
        def statistic(sums: np.ndarray) -> np.ndarray:
            return _nanmean(figure(sums.reshape(*sums.shape[:-1], *shape)))

        return interval(statistic, rows, images, replicates=replicates, seed=seed).json()

    return {
        "mIoU": over(_iou),
        "mAcc": over(_accuracy),
        "IoU": [None if np.isnan(one) else float(one) for one in iou],
        "Acc": [None if np.isnan(one) else float(one) for one in accuracy],
        "classes_counted": {"mIoU": int(np.isfinite(iou).sum()), "mAcc": int(np.isfinite(accuracy).sum())},
        "images": len(stacked),
    }


@dataclass
class _Image:
    """One image of a semantic set; where the classes do not fit into one text, the samples of all its windows."""

    sample: Row
    names: list[str]
    truth: list[tuple[Row, str]] = field(default_factory=list)
    masks: list[tuple[Row, str]] = field(default_factory=list)


@dataclass
class LabelMaps:
    """Classes are the texts of the samples' own phrases; pixels that no truth mask covers are ignored.

    Samples of one image follow one another and are one label map.
    """

    recipe: Semantic
    classes: dict[str, int] = field(default_factory=dict)
    counted: list[dict[str, tuple[int, int, int]]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    open: _Image | None = None
    accuracy: dict[str, dict[str, float]] = field(default_factory=dict)
    """IoU and Acc by class, once `figures` has been called."""

    columns: ClassVar[tuple[str, ...]] = ("class", "IoU", "Acc")

    def add(self, case: Case) -> None:
        sample = case.sample
        if self.open is None or self.open.sample["image"] != sample["image"]:
            self._close()
            self.open = _Image(sample, [] if self.recipe.background is None else [self.recipe.background])
        targets = phrases(targets_of(sample["sample_id"], parse_of(dict(sample))))
        names = [sample["text"][row["start"] : row["end"]].lower() for row in targets]
        given = phrases(case.predictions)
        self.open.names += names
        self.open.truth += [(row, names[row["index"]]) for row in phrases(case.truth)]
        # Classes that are in the image and not among its candidates: nothing can find them, and they count.
        missed = [(row, row["tags"][0].lower()) for row in case.truth if row["kind"] == UNNAMED]
        self.open.names += [name for _, name in missed]
        self.open.truth += missed
        self.open.masks += [(given[at], names[i]) for i, at in enumerate(answers(targets, given)) if at is not None]

    def figures(self) -> dict[str, Any]:
        self._close()
        stacked = np.zeros((len(self.counted), 3, len(self.classes)), dtype=np.int64)
        for i, one in enumerate(self.counted):
            for name, counts in one.items():
                stacked[i, :, self.classes[name]] = counts
        found = evaluate(stacked, self.images, replicates=self.recipe.replicates, seed=self.recipe.seed)
        for name in ("IoU", "Acc"):
            found[name] = self.accuracy[name] = dict(zip(self.classes, found[name], strict=True))
        return found

    def rows(self) -> Iterator[Row]:
        for name in self.classes:
            yield {"class": name, **{figure: by_class[name] for figure, by_class in self.accuracy.items()}}

    def _close(self) -> None:
        """Count the pixels of the open image."""
        one, self.open = self.open, None
        if one is None:
            return
        size = (one.sample["height"], one.sample["width"])
        number = {name: i for i, name in enumerate(dict.fromkeys(one.names))}  # this image's labels
        rest = -1 if self.recipe.background is None else number[self.recipe.background]
        truth, prediction = (
            label_map([row for row, _ in rows], [number[name] for _, name in rows], *size, unclaimed=unclaimed)
            for rows, unclaimed in ((one.truth, IGNORE_ALL), (one.masks, rest))
        )
        counts = histogram(truth, prediction, len(number), IGNORE_ALL)
        for name in number:
            self.classes.setdefault(name, len(self.classes))
        self.counted.append({name: tuple(counts[:, i].tolist()) for name, i in number.items() if counts[:, i].any()})
        self.images.append(one.sample["image_sha256"])


def collector(recipe: Semantic) -> LabelMaps:
    return LabelMaps(recipe)


def mean_iou(sums: Float64[np.ndarray, "*sets 3 classes"]) -> Float64[np.ndarray, "*sets"]:
    """mIoU of sets whose histograms are added up, over the classes that are in truth or prediction."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_nanmean(_iou(sums)))  # one set gives a number


def _iou(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0, :] / (sums[..., 1, :] + sums[..., 2, :] - sums[..., 0, :])


def _accuracy(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0, :] / sums[..., 2, :]


def _nanmean(values: np.ndarray) -> np.ndarray:
    # Not np.nanmean: it warns where every class is undefined.
    found = np.isfinite(values)
    return np.where(found, values, 0.0).sum(axis=-1) / found.sum(axis=-1)
