"""Label maps: mIoU and mAcc as mmsegmentation counts them (open-mmlab/mmsegmentation 1.2.2, IoUMetric).

Histograms are summed over the whole set in int64 (the original sums float32, which rounds beyond 2^24 pixels).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.score.bootstrap import interval

if TYPE_CHECKING:
    from jaxtyping import Int64, Integer

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


def _iou(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0, :] / (sums[..., 1, :] + sums[..., 2, :] - sums[..., 0, :])


def _accuracy(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0, :] / sums[..., 2, :]


def _nanmean(values: np.ndarray) -> np.ndarray:
    # Not np.nanmean: it warns where every class is undefined.
    found = np.isfinite(values)
    return np.where(found, values, 0.0).sum(axis=-1) / found.sum(axis=-1)
