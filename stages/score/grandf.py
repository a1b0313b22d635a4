"""GranDf's figures for grounded captions (GCG), with the semantics of GLaMM's own evaluation.

Source of the semantics: mbzuai-oryx/groundingLMM, eval/gcg/evaluate.py. Everything is in COCO's dicts, the format
of the dataset's own files: `mask_truth` {images, annotations[id, image_id, category_id 1, segmentation]},
`caption_truth` {images, annotations[image_id, labels]}, mask predictions [{image_id, segmentation, score}], caption
predictions [{image_id, labels}]; a mask's phrase is the label at its position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.artifacts.masks import areas, iou_matrix, rle_of
from stages.models.pretrained import pretrained
from stages.score.average_precision import COCO_THRESHOLDS, Detections, Matching
from stages.score.bootstrap import quantiles, resamples
from stages.score.collector import Case, Row, phrases
from stages.score.recipe import GranDf

if TYPE_CHECKING:
    from jaxtyping import Float64

Similarity = Callable[[str, str], float]
THRESHOLD = 0.5  # of IoU and of text similarity alike


def equality(one: str, other: str) -> float:
    """Text similarity without a model: 1 for the same string, else 0."""
    return float(one == other)


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
    found: Detections | None = None,
    replicates: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """AP50, mIoU and recall (each a fraction with its interval), and `mIoU_per_image`.

    `AP50` takes the scores of `predictions` as they are (1.0 throughout for the official figure, and where there are
    none), or is that of `found`, where they were matched already; it is None without any truth (officially -1). An
    image with no entry in `captions` is left out of recall,
    its truths too, as the official function leaves it out: an image that answered nothing has an entry without labels.
    Of truths that share an id the last one counts, in mIoU and recall, since the official code keeps them by id.
    """
    found = Matching(mask_truth, predictions).detections() if found is None else found
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


@dataclass
class GranDfFigures:
    """GLaMM's figures: AP50 in the official order, AP50 and mAP (.5 to .95) with the masks' scores, mIoU, recall."""

    recipe: GranDf
    images: list[dict[str, Any]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    masks: list[dict[str, Any]] = field(default_factory=list)
    captions: list[dict[str, Any]] = field(default_factory=list)
    miou: dict[str, float] = field(default_factory=dict)
    """By image, once `figures` has been called."""

    columns: ClassVar[tuple[str, ...]] = ("sample_id", "phrases", "predictions", "miou")

    def add(self, case: Case, said: str | None = None) -> None:
        """One image. `said` is the text that the predictions' phrases are of, where it is not the truth's own."""
        name, text = case.sample["sample_id"], case.sample["text"]
        said = text if said is None else said
        wanted, given = phrases(case.truth), phrases(case.predictions)
        self.images.append({"id": name, "height": case.sample["height"], "width": case.sample["width"]})
        for row in wanted:
            # Ids start at 1: pycocotools takes a truth of id 0 for no match.
            self.truth.append({"id": len(self.truth) + 1, "image_id": name, "segmentation": rle_of(row)})
        self.labels.append({"image_id": name, "labels": [text[row["start"] : row["end"]] for row in wanted]})
        self.masks += [{"image_id": name, "segmentation": rle_of(row), "score": row["score"] or 0.0} for row in given]
        self.captions.append({"image_id": name, "labels": [said[row["start"] : row["end"]] for row in given]})

    def figures(self) -> dict[str, Any]:
        options = {"replicates": self.recipe.replicates, "seed": self.recipe.seed}
        truth = {"images": self.images, "annotations": self.truth}
        labels = {"images": self.images, "annotations": self.labels}
        similarity = bert_similarity(self.recipe.similarity) if self.recipe.similarity else equality
        matching = Matching(truth, self.masks)
        one, scored = matching.detections(scored=False), matching.detections(COCO_THRESHOLDS)
        found = evaluate(truth, labels, self.masks, self.captions, similarity=similarity, found=one, **options)
        found["AP50_real_scores"] = scored.first().interval(**options).json()
        found["mAP"] = scored.interval(**options).json()
        self.miou = found.pop("mIoU_per_image")
        return found

    def rows(self) -> Iterator[Row]:
        for wanted, given in zip(self.labels, self.captions, strict=True):
            name = wanted["image_id"]
            counts = {"phrases": len(wanted["labels"]), "predictions": len(given["labels"])}
            yield {"sample_id": name, **counts, "miou": self.miou[name]}


def collector(recipe: GranDf) -> GranDfFigures:
    return GranDfFigures(recipe)


def bert_similarity(folder: str) -> Similarity:
    """Cosine of mean-pooled last hidden states of a local BERT (the official text similarity: bert-base-uncased)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise AnywordError(
            f"similarity '{folder}': no BERT can be loaded from there ({error}).",
            remedy="Give the folder of a local copy, or leave the key out for equality of strings.",
        ) from error
    # Heads that it was trained with, and the pooler, take no part.
    model = pretrained(AutoModel, Path(folder), spare=r"cls\.|(bert\.)?pooler\.")
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


def _by_image(annotations: Iterable[Mapping[str, Any]]) -> defaultdict[Hashable, list[Mapping[str, Any]]]:
    grouped: defaultdict[Hashable, list[Mapping[str, Any]]] = defaultdict(list)
    for one in annotations:
        grouped[one["image_id"]].append(one)
    return grouped
