"""Average precision of masks as COCO has it, by pycocotools' own matching, over all images at once.

Everything is in COCO's dicts: the truth {images, annotations[id, image_id, category_id 1, segmentation]}, detections
[{image_id, segmentation, score}].
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.artifacts.masks import rle_of
from stages.score.bootstrap import Interval, quantiles, resamples

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

AP50 = (0.5,)
COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU .5 to .95, over which COCO's mAP is the mean."""


@dataclass(frozen=True)
class Detections:
    """What average precision is made of, over all images, a row an IoU threshold; detections by falling score."""

    hit: Bool[np.ndarray, "thresholds detections"]
    counts: Bool[np.ndarray, "thresholds detections"]
    """False where the detection fell on a crowd, which is neither right nor wrong."""
    image: Int64[np.ndarray, " detections"]
    """Position of the detection's image."""
    truths: Int64[np.ndarray, " images"]
    """Number of truths of each image."""

    def first(self) -> Detections:
        """At the first threshold alone."""
        return replace(self, hit=self.hit[:1], counts=self.counts[:1])

    def average_precision(self, draws: Int64[np.ndarray, " images"] | None = None) -> float:
        """COCO's AP (101 recalls), the mean over the thresholds; each image counted `draws` times (once by default)."""
        truths = int(self.truths.sum() if draws is None else (self.truths * draws).sum())
        if truths == 0:
            return float("nan")
        weight = np.ones(len(self.image)) if draws is None else draws[self.image].astype(np.float64)
        reached = _hits_for_recalls(truths)
        found = np.cumsum(weight)
        whole = bool(self.counts.all())  # without crowds the same detections count at every threshold
        precisions = [
            _precision(np.cumsum(hit * weight), found if whole else np.cumsum(counts * weight), reached)
            for hit, counts in zip(self.hit, self.counts, strict=True)
        ]
        return float(np.mean(precisions))

    def interval(self, *, replicates: int, seed: int) -> Interval:
        drawn = [
            self.average_precision(draws) for chunk in resamples(len(self.truths), replicates, seed) for draws in chunk
        ]
        return quantiles(self.average_precision(), np.asarray(drawn, dtype=np.float64))


def _hits_for_recalls(truths: int) -> Float64[np.ndarray, " recalls"]:
    """How many hits reach each of COCO's 101 recalls, by its own comparison (hits / truths >= recall)."""
    recalls = np.linspace(0.0, 1.0, 101)
    least = np.ceil(recalls * truths)
    least += least / truths < recalls
    return least - ((least - 1) / truths >= recalls)


def _precision(
    hits: Float64[np.ndarray, " detections"],
    found: Float64[np.ndarray, " detections"],
    reached: Float64[np.ndarray, " recalls"],
) -> float:
    """AP at one threshold: the precision at each recall, the best there or at a higher one; 0 where none gets there.

    hits, found: running counts of detections that are right, and of all.
    """
    at = np.searchsorted(hits, reached, side="left")
    at = at[at < len(hits)]
    if not len(at):
        return 0.0
    best = np.maximum.reduceat(hits / (found + np.spacing(1)), at)
    return float(np.maximum.accumulate(best[::-1]).sum() / len(reached))


class Matching:
    """Detections to be matched to truths by pycocotools (segm, category 1, at most 100 an image).

    Official runs give every detection the score 1.0. Ties then keep the order of images (by their id's text) and of
    detections in the file, and AP depends on that order; with real scores it does not. Truths and predictions of
    another category than 1 play no part. IoUs are computed once for all scores and thresholds asked for.

    Raises:
        AnywordError: a prediction for an image that the truth does not list.
    """

    def __init__(self, mask_truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> None:
        from pycocotools.coco import COCO

        predictions = [one for one in predictions if _counted(one)]
        known = {image["id"] for image in mask_truth["images"]}
        stray = next((one["image_id"] for one in predictions if one["image_id"] not in known), None)
        if stray is not None:
            raise AnywordError(f"a prediction names image '{stray}', which the truth does not list.")
        self._ids = sorted(known)
        self._ious: dict[Hashable, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
            self._truth = COCO()
            self._truth.dataset = {
                "images": [{"height": 0, "width": 0, **one} for one in mask_truth["images"]],  # read, never used
                "categories": [{"id": 1, "name": "object"}],
                "annotations": [_annotation(one) for one in mask_truth["annotations"] if _counted(one)],
            }
            self._truth.createIndex()
            self._found = None
            if predictions:  # loadRes raises IndexError on an empty list
                self._found = self._truth.loadRes([_result(one) for one in predictions])
        self._scores = [one.get("score", 1.0) for one in predictions]

    def detections(self, thresholds: Sequence[float] = AP50, *, scored: bool = True) -> Detections:
        """The matching at each threshold by the detections' own scores, or with 1.0 throughout (`scored` false)."""
        if self._found is None:
            none = np.zeros((len(thresholds), 0), dtype=bool)
            every = np.asarray([len(self._truth.imgToAnns[one]) for one in self._ids], dtype=np.int64)
            return Detections(none, none, np.zeros(0, dtype=np.int64), every)
        for one, score in zip(self._found.dataset["annotations"], self._scores, strict=True):
            one["score"] = score if scored else 1.0
        position = {one: i for i, one in enumerate(self._ids)}
        truths = np.zeros(len(self._ids), dtype=np.int64)
        hit, counted, scores, image = [], [], [], []
        for one in self._evaluated(thresholds):
            if one is not None:
                at = position[_plain(one["image_id"])]
                hit.append(one["dtMatches"].astype(bool))
                counted.append(~one["dtIgnore"].astype(bool))
                scores.append(np.asarray(one["dtScores"], dtype=np.float64))
                image.append(np.full(len(one["dtScores"]), at, dtype=np.int64))
                truths[at] = int((np.asarray(one["gtIgnore"]) == 0).sum())
        order = np.argsort(-np.concatenate(scores), kind="mergesort")  # stable: ties keep the order of images
        kept = np.concatenate(counted, axis=1)[:, order]
        return Detections(np.concatenate(hit, axis=1)[:, order] & kept, kept, np.concatenate(image)[order], truths)

    def _evaluated(self, thresholds: Sequence[float]) -> list[dict[str, Any] | None]:
        """What pycocotools says of each image."""
        from pycocotools import mask as coco
        from pycocotools.cocoeval import COCOeval

        shared = self._ious

        class Evaluation(COCOeval):
            def computeIoU(self, imgId: Hashable, catId: int) -> Any:  # noqa: N802, N803 (the library's names)
                """The base class's, a row a detection by falling score, from IoUs kept in the detections' order."""
                truth, found = self._gts[imgId, catId], self._dts[imgId, catId]
                if imgId not in shared:
                    masks = ([one["segmentation"] for one in side] for side in (found, truth))
                    shared[imgId] = coco.iou(*masks, [int(one["iscrowd"]) for one in truth])
                order = np.argsort([-one["score"] for one in found], kind="mergesort")[: self.params.maxDets[-1]]
                return shared[imgId][order] if len(shared[imgId]) else []

        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = Evaluation(self._truth, self._found, "segm")
            evaluation.params.catIds = [1]
            # Only what AP needs: one of four area ranges, and for AP50 one of ten thresholds.
            evaluation.params.iouThrs = np.asarray(thresholds)
            evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
            evaluation.evaluate()
        return list(evaluation.evalImgs)


def _counted(one: Mapping[str, Any]) -> bool:
    return bool(one.get("category_id", 1) == 1)


def _annotation(one: Mapping[str, Any]) -> dict[str, Any]:
    from pycocotools import mask as coco

    rle = rle_of(one["segmentation"])
    area = one["area"] if "area" in one else int(coco.area(rle))
    return {**one, "segmentation": rle, "category_id": 1, "iscrowd": one.get("iscrowd", 0), "area": area}


def _result(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"image_id": one["image_id"], "category_id": 1, "segmentation": rle_of(one["segmentation"])}


def _plain(name: Any) -> Any:
    return name.item() if isinstance(name, np.generic) else name
