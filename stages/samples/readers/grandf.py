"""GranDf (grounded captions): the val and test pair, and the four schemas of its training parts.

Formats read from mbzuai-oryx/groundingLMM: eval/gcg/evaluate.py and dataset/gcg_datasets/GranDf_gcg_ds.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.artifacts.language import Span
from stages.samples.listing import Entry
from stages.samples.reader import Place
from stages.samples.readers.given import entry, file_of, find, folder_of, has_truth, read_json, sample

__all__ = ["entries", "has_truth", "sample"]

ANNOTATIONS = ("annotations/", "GranDf/annotations/", "")
IMAGES = {
    "gcg": ("GranDf_HA_images/val_test", "GranDf/GranDf_HA_images/val_test", "val_test", ""),
    "ha": ("GranDf_HA_images/train", "GranDf/GranDf_HA_images/train", "train", ""),
    "psg": ("coco_2017/train2017", "train2017", ""),
    "refcocog": ("coco_2014/train2014", "train2014", ""),
    "flickr": ("flikcr_30k/train", "flickr_30k/train", "flickr30k/train", "train", ""),  # the first is how it is spelt
}
FILES = {
    "ha": {"train": "GranDf_HA_GCG_train.json"},
    "psg": {"train": "OpenPsgGCG_train.json", "val": "OpenPsgGCG_val.json"},
    "refcocog": {"train": "RefCOCOg_GCG_train.json", "val": "RefCOCOg_GCG_val.json"},
    "flickr": {"train": "flickr_mergedGT_GCG_train.json", "val": "flickr_mergedGT_GCG_val.json"},
}


def entries(recipe: dict[str, Any], place: Place) -> Iterator[Entry]:
    """One entry an image with its caption; phrases are the caption's own spans."""
    part, split = recipe["part"], recipe["split"]
    folder = folder_of(place.root, IMAGES[part], "images").relative_to(place.root or Path())
    if part == "gcg":
        yield from _evaluation(place, split, folder)
        return
    name = FILES[part][split]
    path = file_of(place.texts, [f"{base}train/{name}" for base in ANNOTATIONS] + [name], name)
    if part == "flickr":
        yield from _flickr(read_json(path, dict), folder, split)
    elif part == "refcocog":
        yield from _refcocog(read_json(path, list), folder, split)
    else:
        yield from _grounded(read_json(path, list), folder, split)


def _evaluation(place: Place, split: str, folder: Path) -> Iterator[Entry]:
    """The pair that the official figures are of: a caption file, and a mask file in the same order."""
    bases = [f"{base}val_test/" for base in ANNOTATIONS] + [""]
    captions, masks = (
        read_json(
            file_of(place.texts, [f"{base}{split}_gcg_coco_{kind}_gt.json" for base in bases], f"{kind}s of {split}"),
            dict,
        )
        for kind in ("caption", "mask")
    )
    said = {one["image_id"]: one for one in reversed(captions["annotations"])}
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for one in masks["annotations"]:
        found[one["image_id"]].append(one["segmentation"])
    for image in captions["images"]:
        name = str(image["id"])
        one = said.get(image["id"])
        if one is None:
            yield Entry(id=name, problem="the caption file has no caption of this image.")
            continue
        labels, own = one["labels"], found[image["id"]]
        if len(labels) != len(own):
            yield Entry(id=name, problem=f"{len(labels)} phrases but {len(own)} masks.")
            continue
        spans = _spans(one["caption"], labels)
        yield entry(
            name,
            image=(folder / (image.get("file_name") or f"{name}.jpg")).as_posix(),
            text=one["caption"],
            spans=spans,
            masks=[(i, [mask]) for i, mask in enumerate(own)],
            split=split,
        )


def _grounded(records: list[dict[str, Any]], folder: Path, split: str) -> Iterator[Entry]:
    """GranDf_HA and OpenPsg: {file_name, caption, groundings: {phrase: {token_positives, rle_masks}}}.

    Captions were stripped of quotes after their spans were counted, so a span is believed only where it says the
    phrase; otherwise the phrase is looked for.
    """
    for number, record in enumerate(records):
        text = record["caption"].strip('"').strip()
        spans: list[Span | str] = []
        for phrase, one in record["groundings"].items():
            start, end = one.get("token_positives") or (-1, -1)
            fits = 0 <= start < end and text[start:end] == phrase
            spans.append(Span(start=start, end=end) if fits else (find(text, [phrase])[0] or phrase))
        masks = [(i, one["rle_masks"]) for i, one in enumerate(record["groundings"].values())]
        image = (folder / record["file_name"]).as_posix()
        yield entry(_name(record["file_name"], number), image=image, text=text, spans=spans, masks=masks, split=split)


def _refcocog(records: list[dict[str, Any]], folder: Path, split: str) -> Iterator[Entry]:
    """RefCOCOg_GCG: one-key dicts {id: {img_file_name, caption, refs: [{sentence, segmentation}]}}."""
    for number, record in enumerate(records):
        for one in record.values():
            text, refs = one["caption"].strip('"').strip(), one["refs"]
            yield entry(
                _name(one["img_file_name"], number),
                image=(folder / one["img_file_name"]).as_posix(),
                text=text,
                spans=_spans(text, [ref["sentence"] for ref in refs]),
                masks=[(i, [ref["segmentation"]]) for i, ref in enumerate(refs)],
                split=split,
            )


def _flickr(data: dict[str, Any], folder: Path, split: str) -> Iterator[Entry]:
    """flickr_mergedGT: COCO with captions on the images; several boxes of one phrase are one phrase here."""
    found: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for one in data["annotations"]:
        if not one.get("ignore"):
            found[one["image_id"]].append(one)
    for number, image in enumerate(data["images"]):
        text = image["caption"]
        parts: dict[tuple[int, int], list[Any]] = {}
        for one in found[image["id"]]:
            start, end = one["tokens_positive"][0]
            parts.setdefault((start, end), []).append(one["sam_mask"])
        spans = [Span(start=s, end=e) if 0 <= s < e <= len(text) else f"characters {s}:{e}" for s, e in parts]
        yield entry(
            f"{_name(image['file_name'], number)}",
            image=(folder / image["file_name"]).as_posix(),
            text=text,
            spans=spans,
            masks=list(enumerate(parts.values())),
            split=split,
            size=(image["height"], image["width"]),
        )


def _spans(text: str, phrases: list[str]) -> list[Span | str]:
    return [span or phrase for span, phrase in zip(find(text, phrases), phrases, strict=True)]


def _name(file: str, number: int) -> str:
    """A unique id: captions repeat images."""
    return f"{Path(file).stem}-{number:06d}"
