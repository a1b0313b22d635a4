"""GranDf's figures for grounded captions (GCG), with the semantics of GLaMM's own evaluation.

Source of the semantics: mbzuai-oryx/groundingLMM, eval/gcg/evaluate.py. Everything is in COCO's dicts, the format
of the dataset's own files: `mask_truth` {images, annotations[id, image_id, category_id 1, segmentation]},
`caption_truth` {images, annotations[image_id, labels]}, mask predictions [{image_id, segmentation, score}], caption
predictions [{image_id, labels}]; a mask's phrase is the label at its position.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.artifacts.masks import areas, iou_matrix, rle_of
from stages.score.bootstrap import Interval, quantiles, resamples

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

Similarity = Callable[[str, str], float]
THRESHOLD = 0.5  # of IoU and of text similarity alike
COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU .5 to .95, over which COCO's mAP is the mean."""


def equality(one: str, other: str) -> float:
    """Text similarity without a model: 1 for the same string, else 0."""
    return float(one == other)


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


def detections(
    mask_truth: Mapping[str, Any],
    predictions: Sequence[Mapping[str, Any]],
    thresholds: Sequence[float] = (THRESHOLD,),
) -> Detections:
    """Match detections to truths with pycocotools (segm, category 1, at most 100 an image) at each IoU threshold.

    Official runs give every detection the score 1.0. Ties then keep the order of images (by their id's text) and of
    detections in the file, and AP depends on that order; with real scores it does not. Truths and predictions of
    another category than 1 play no part.

    Raises:
        AnywordError: a prediction for an image that the truth does not list.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    predictions = [one for one in predictions if _counted(one)]
    known = {image["id"] for image in mask_truth["images"]}
    stray = next((one["image_id"] for one in predictions if one["image_id"] not in known), None)
    if stray is not None:
        raise AnywordError(f"a prediction names image '{stray}', which the truth does not list.")
    ids = sorted(known)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth = COCO()
        truth.dataset = {
            "images": [{"height": 0, "width": 0, **one} for one in mask_truth["images"]],  # read, never used
            "categories": [{"id": 1, "name": "object"}],
            "annotations": [_annotation(one) for one in mask_truth["annotations"] if _counted(one)],
        }
        truth.createIndex()
        counts = np.asarray([len(truth.imgToAnns[one]) for one in ids], dtype=np.int64)
        if not predictions:  # loadRes raises IndexError on an empty list
            none = np.zeros((len(thresholds), 0), dtype=bool)
            return Detections(none, none, np.zeros(0, dtype=np.int64), counts)
        found = truth.loadRes(
            [
                {
                    "image_id": one["image_id"],
                    "category_id": 1,
                    "segmentation": rle_of(one["segmentation"]),
                    "score": one.get("score", 1.0),
                }
                for one in predictions
            ]
        )
        evaluation = COCOeval(truth, found, "segm")
        evaluation.params.catIds = [1]
        # Only what AP needs: one of four area ranges, and for AP50 one of ten thresholds.
        evaluation.params.iouThrs = np.asarray(thresholds)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
    position = {one: i for i, one in enumerate(ids)}
    counts[:] = 0  # what pycocotools counted is what counts: it keeps truths that share an id by that id
    hit, counted, score, image = [], [], [], []
    for one in evaluation.evalImgs:
        if one is not None:
            at = position[_plain(one["image_id"])]
            hit.append(one["dtMatches"].astype(bool))
            counted.append(~one["dtIgnore"].astype(bool))
            score.append(np.asarray(one["dtScores"], dtype=np.float64))
            image.append(np.full(len(one["dtScores"]), at, dtype=np.int64))
            counts[at] = int((np.asarray(one["gtIgnore"]) == 0).sum())
    order = np.argsort(-np.concatenate(score), kind="mergesort")  # stable: ties keep the order of images
    kept = np.concatenate(counted, axis=1)[:, order]
    return Detections(np.concatenate(hit, axis=1)[:, order] & kept, kept, np.concatenate(image)[order], counts)


def image_ious(
    truth: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]
) -> Float64[np.ndarray, "truths predictions"]:
    """IoU of every pair of one image. Two empty masks give NaN (officially 0/0), which ends the searches below."""
    one, other = ([rle_of(mask["segmentation"]) for mask in masks] for masks in (truth, predictions))
    ious = iou_matrix(one, other)
    ious[np.ix_(areas(one) == 0, areas(other) == 0)] = np.nan
    return ious


def image_miou(ious: Float64[np.ndarray, "truths predictions"]) -> float:
    """Mean IoU of the pairs of one image, matched one to one by falling IoU.

    What stays without a partner, on either side, costs nothing; an image without a pair counts 0. Text plays no part.
    """
    left = ious.T  # officially predictions are the rows, which decides between equal IoUs
    paired = []
    while left.size > 0 and np.max(left) > 0:
        row, column = divmod(int(np.argmax(left)), left.shape[1])
        paired.append(left[row, column])
        left = np.delete(np.delete(left, row, axis=0), column, axis=1)
    return float(np.mean(paired)) if paired else 0.0


def image_recall(
    ious: Float64[np.ndarray, "truths predictions"],
    labels: Sequence[str],
    predicted_labels: Sequence[str],
    similarity: Similarity = equality,
) -> int:
    """True positives of one image: pairs by falling IoU, until one has IoU or text similarity under .5.

    The first pair that fails ends the search (it is not skipped), so a wrong phrase on the best mask costs all
    pairs after it. Where the masks outnumber their phrases, and such a mask comes up, the image counts 0.
    """
    left = ious.copy()
    pairs = 0
    while left.size > 0:
        row, column = divmod(int(np.argmax(left)), left.shape[1])
        if left[row, column] < THRESHOLD:
            break
        if row >= len(labels) or column >= len(predicted_labels):
            return 0
        if similarity(labels[row], predicted_labels[column]) < THRESHOLD:
            break
        pairs += 1
        left[row, :] = 0
        left[:, column] = 0
    return pairs


def evaluate(
    mask_truth: Mapping[str, Any],
    caption_truth: Mapping[str, Any],
    predictions: Sequence[Mapping[str, Any]],
    captions: Sequence[Mapping[str, Any]],
    *,
    similarity: Similarity = equality,
    replicates: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """AP50, mIoU and recall (each a fraction with its interval), and `mIoU_per_image`.

    `AP50` takes the scores of `predictions` as they are: 1.0 throughout for the official figure, and where there are
    none; it is None without any truth (officially -1). An image with no entry in `captions` is left out of recall,
    its truths too, as the official function leaves it out: an image that answered nothing has an entry without labels.
    Of truths that share an id the last one counts, in mIoU and recall, since the official code keeps them by id.
    """
    found = detections(mask_truth, predictions)
    kept = {one["id"]: one for one in mask_truth["annotations"]}
    truth_of, masks_of = _by_image(kept.values()), _by_image(predictions)
    labels_of = {one["image_id"]: one["labels"] for one in reversed(caption_truth["annotations"])}
    given_of = {one["image_id"]: one["labels"] for one in reversed(captions)}
    ids = [image["id"] for image in caption_truth["images"]]
    ious = [image_ious(truth_of[one], masks_of[one]) for one in ids]
    miou = np.asarray([image_miou(one) for one in ious])
    positives = np.asarray([len(labels_of.get(one, ())) if one in given_of else 0 for one in ids])
    hits = np.asarray(
        [
            image_recall(matrix, labels_of.get(one, ()), given_of.get(one, ()), similarity)
            for one, matrix in zip(ids, ious, strict=True)
        ]
    )
    drawn_miou, drawn_recall = [np.zeros(0)], [np.zeros(0)]
    if ids:
        for chunk in resamples(len(ids), replicates, seed):
            drawn_miou.append(chunk @ miou / len(ids))
            with np.errstate(invalid="ignore"):
                drawn_recall.append(chunk @ hits / (chunk @ positives))
    recall = float(hits.sum() / positives.sum()) if positives.sum() else 0.0
    return {
        "AP50": found.interval(replicates=replicates, seed=seed).json(),
        "mIoU": quantiles(float(miou.mean()) if ids else 0.0, np.concatenate(drawn_miou)).json(),
        "recall": quantiles(recall, np.concatenate(drawn_recall)).json(),
        "mIoU_per_image": dict(zip(ids, miou.tolist(), strict=True)),
        "images": len(ids),
    }


def bert_similarity(folder: str) -> Similarity:
    """Cosine of mean-pooled last hidden states of a local BERT (the official text similarity: bert-base-uncased)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        raise AnywordError(
            f"similarity '{folder}': no BERT can be loaded from there ({error}).",
            remedy="Give the folder of a local copy, or leave the key out for equality of strings.",
        ) from error
    vectors: dict[str, Any] = {}

    def vector(text: str) -> Any:
        if text not in vectors:
            with torch.inference_mode():
                inputs = tokenizer(text, return_tensors="pt", max_length=512, truncation=True)
                vectors[text] = model(**inputs).last_hidden_state[0].mean(dim=0)
        return vectors[text]

    def similarity(one: str, other: str) -> float:
        return float(torch.nn.functional.cosine_similarity(vector(one), vector(other), dim=0))

    return similarity


def _counted(one: Mapping[str, Any]) -> bool:
    return bool(one.get("category_id", 1) == 1)


def _annotation(one: Mapping[str, Any]) -> dict[str, Any]:
    from pycocotools import mask as coco

    rle = rle_of(one["segmentation"])
    area = one["area"] if "area" in one else int(coco.area(rle))
    return {**one, "segmentation": rle, "category_id": 1, "iscrowd": one.get("iscrowd", 0), "area": area}


def _by_image(annotations: Iterable[Mapping[str, Any]]) -> defaultdict[Hashable, list[Mapping[str, Any]]]:
    grouped: defaultdict[Hashable, list[Mapping[str, Any]]] = defaultdict(list)
    for one in annotations:
        grouped[one["image_id"]].append(one)
    return grouped


def _plain(name: Any) -> Any:
    return name.item() if isinstance(name, np.generic) else name
