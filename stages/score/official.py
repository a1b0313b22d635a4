"""The official figures of a dataset from the tables of its shards: collected sample by sample, then evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from stages.artifacts.compose import answers, label_map, referred, referred_all
from stages.artifacts.masks import Rle, areas, empty, rle_of, union
from stages.artifacts.tables import UNNAMED, parse_of, targets_of
from stages.score import average_precision, grandf, referring, semantic
from stages.score.recipe import GranDf, Grefcoco, Refcoco, Scorer, Semantic

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """All that is known of one sample; `predictions` is empty where it failed on the way."""

    sample: Row
    """Its row of the samples table."""
    truth: Sequence[Row]
    predictions: Sequence[Row]
    referred: int | None
    """Index of the phrase that the experiment's parser takes the expression to be about."""


class Collector(Protocol):
    columns: ClassVar[tuple[str, ...]]

    def add(self, case: Case) -> None: ...

    def figures(self) -> dict[str, Any]: ...

    def rows(self) -> Iterator[Row]:
        """What the figures are made of, a row of `columns` an image, expression or class; after `figures`."""
        ...


def collector_of(recipe: Scorer) -> Collector | None:
    """What collects the figures of a recipe's kind; None for plain grounding."""
    if isinstance(recipe, GranDf):
        return GranDfFigures(recipe)
    if isinstance(recipe, Grefcoco | Refcoco):
        return Referring(recipe)
    return _Semantic(recipe) if isinstance(recipe, Semantic) else None


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
        wanted, given = _phrases(case.truth), _phrases(case.predictions)
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
        similarity = grandf.bert_similarity(self.recipe.similarity) if self.recipe.similarity else grandf.equality
        matching = average_precision.Matching(truth, self.masks)
        one, scored = matching.detections(scored=False), matching.detections(average_precision.COCO_THRESHOLDS)
        found = grandf.evaluate(truth, labels, self.masks, self.captions, similarity=similarity, found=one, **options)
        found["AP50_real_scores"] = scored.first().interval(**options).json()
        found["mAP"] = scored.interval(**options).json()
        self.miou = found.pop("mIoU_per_image")
        return found

    def rows(self) -> Iterator[Row]:
        for wanted, given in zip(self.labels, self.captions, strict=True):
            name = wanted["image_id"]
            counts = {"phrases": len(wanted["labels"]), "predictions": len(given["labels"])}
            yield {"sample_id": name, **counts, "miou": self.miou[name]}


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
        meant = [row for row in _phrases(case.truth) if about is None or row["index"] == about]
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
    def expressions(self) -> referring.Expressions:
        """Truth against answer of all that was added, in order; asked for once everything is."""
        none = None if isinstance(self.recipe, Refcoco) else self.none
        return referring.compare(self.image, self.truth, self.masks, predicted_none=none)

    def figures(self) -> dict[str, Any]:
        evaluate = referring.refcoco if isinstance(self.recipe, Refcoco) else referring.grefcoco
        return evaluate(self.expressions, replicates=self.recipe.replicates, seed=self.recipe.seed)

    def rows(self) -> Iterator[Row]:
        found = self.expressions
        ious = referring.refcoco_ious(found) if isinstance(self.recipe, Refcoco) else referring.grefcoco_ious(found)
        for i, sample in enumerate(self.samples):
            yield {
                **sample,
                "target": int(not found.no_target[i]),
                "answered": int(not found.predicted_none[i]),
                "intersection": int(found.intersection[i]),
                "union": int(found.union[i]),
                "iou": float(ious[i]),
            }


@dataclass
class _Image:
    """One image of a semantic set; where the classes do not fit into one text, the samples of all its windows."""

    sample: Row
    names: list[str]
    truth: list[tuple[Row, str]] = field(default_factory=list)
    masks: list[tuple[Row, str]] = field(default_factory=list)


@dataclass
class _Semantic:
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
        targets = _phrases(targets_of(sample["sample_id"], parse_of(dict(sample))))
        names = [sample["text"][row["start"] : row["end"]].lower() for row in targets]
        given = _phrases(case.predictions)
        self.open.names += names
        self.open.truth += [(row, names[row["index"]]) for row in _phrases(case.truth)]
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
        found = semantic.evaluate(stacked, self.images, replicates=self.recipe.replicates, seed=self.recipe.seed)
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
            for rows, unclaimed in ((one.truth, semantic.IGNORE_ALL), (one.masks, rest))
        )
        counts = semantic.histogram(truth, prediction, len(number), semantic.IGNORE_ALL)
        for name in number:
            self.classes.setdefault(name, len(self.classes))
        self.counted.append({name: tuple(counts[:, i].tolist()) for name, i in number.items() if counts[:, i].any()})
        self.images.append(one.sample["image_sha256"])


def _phrases(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["kind"] == "phrase"]
