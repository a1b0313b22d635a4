"""GranDf (grounded captions): the val and test pair, and the four schemas of its training parts.

Formats read from mbzuai-oryx/groundingLMM: eval/gcg/evaluate.py and dataset/gcg_datasets/GranDf_gcg_ds.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stages.artifacts.language import Span
from stages.samples.listing import Entry
from stages.samples.reader import DataLocation
from stages.samples.readers.given import entry, file_of, find, folder_of, has_truth, listed, read_json, sample

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


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """One entry an image with its caption; phrases are the caption's own spans."""
    part, split = recipe["part"], recipe["split"]
    folder = folder_of(place.root, IMAGES[part], "images").relative_to(place.root or Path())
    if part == "gcg":
        yield from _evaluation(place, split, folder)
        return
    name = FILES[part][split]
    path = file_of(place.texts, [f"{base}train/{name}" for base in ANNOTATIONS] + [name], name)
    if part == "flickr":
        yield from _flickr(read_json(path, dict, place), folder, split)
    elif part == "refcocog":
        yield from _refcocog(read_json(path, list, place), folder, split)
    else:
        yield from _grounded(read_json(path, list, place), folder, split)


def _evaluation(place: DataLocation, split: str, folder: Path) -> Iterator[Entry]:
    """The pair that the official figures are of: a caption file, and a mask file in the same order."""
    bases = [f"{base}val_test/" for base in ANNOTATIONS] + [""]
    captions, masks = (
        read_json(
            file_of(place.texts, [f"{base}{split}_gcg_coco_{kind}_gt.json" for base in bases], f"{kind}s of {split}"),
            dict,
            place,
        )
        for kind in ("caption", "mask")
    )
    said = {one["image_id"]: one for one in reversed(captions["annotations"])}
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for one in masks["annotations"]:
        found[one["image_id"]].append(one["segmentation"])
    for image in captions["images"]:
        name = str(image["id"])
        yield listed(name, partial(_captioned, name, image, said.get(image["id"]), found[image["id"]], folder, split))


def _captioned(
    name: str, image: dict[str, Any], one: dict[str, Any] | None, own: list[Any], folder: Path, split: str
) -> Entry:
    if one is None:
        return Entry(id=name, problem="the caption file has no caption of this image.")
    if len(one["labels"]) != len(own):
        return Entry(id=name, problem=f"{len(one['labels'])} phrases but {len(own)} masks.")
    return entry(
        name,
        image=(folder / (image.get("file_name") or f"{name}.jpg")).as_posix(),
        text=one["caption"],
        spans=_spans(one["caption"], one["labels"]),
        masks=[(i, [mask]) for i, mask in enumerate(own)],
        split=split,
    )


def _grounded(records: list[dict[str, Any]], folder: Path, split: str) -> Iterator[Entry]:
    """GranDf_HA and OpenPsg: {file_name, caption, groundings: {phrase: {token_positives, rle_masks}}}."""
    for number, record in enumerate(records):
        name = _name(record, "file_name", number)
        yield listed(name, partial(_grounding, name, record, folder, split))


def _grounding(name: str, record: dict[str, Any], folder: Path, split: str) -> Entry:
    """Captions were stripped of quotes after their spans were counted, so a span is believed only where it says the
    phrase, as it stands or moved by what was stripped; otherwise the phrase is looked for."""
    whole = record["caption"]
    text = whole.strip('"').strip()
    moved = whole.index(text)
    spans: list[Span | str] = []
    for phrase, one in record["groundings"].items():
        start, end = one.get("token_positives") or (0, 0)
        places = [(start - shift, end - shift) for shift in (0, moved)]
        fits = [Span(start=s, end=e) for s, e in places if 0 <= s < e and text[s:e].lower() == phrase.lower()]
        spans.append(fits[0] if fits else find(text, [phrase])[0] or phrase)
    return entry(
        name,
        image=(folder / record["file_name"]).as_posix(),
        text=text,
        spans=spans,
        masks=[(i, one["rle_masks"]) for i, one in enumerate(record["groundings"].values())],
        split=split,
    )


def _refcocog(records: list[dict[str, Any]], folder: Path, split: str) -> Iterator[Entry]:
    """RefCOCOg_GCG: one-key dicts {id: {img_file_name, caption, refs: [{sentence, segmentation}]}}."""
    for number, record in enumerate(records):
        for one in record.values():
            name = _name(one, "img_file_name", number)
            yield listed(name, partial(_described, name, one, folder, split))


def _described(name: str, one: dict[str, Any], folder: Path, split: str) -> Entry:
    text, refs = one["caption"].strip('"').strip(), one["refs"]
    return entry(
        name,
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
        found[one["image_id"]].append(one)
    for number, image in enumerate(data["images"]):
        name = _name(image, "file_name", number)
        yield listed(name, partial(_boxed, name, image, found[image["id"]], folder, split))


def _boxed(name: str, image: dict[str, Any], annotations: list[dict[str, Any]], folder: Path, split: str) -> Entry:
    """What the official reader leaves out is left out: short captions (a failed row), ignored annotations, and those
    without an area or outside of the image. Of several spans the first is taken."""
    text, width, height = image["caption"], int(image["width"]), int(image["height"])
    if len(text.split(" ")) < 3:
        return Entry(id=name, problem="its caption has fewer than three words: the official reader leaves it out.")
    parts: dict[tuple[int, int], list[Any]] = {}
    for one in annotations:
        if not one.get("ignore") and _inside(one, width, height):
            start, end = one["tokens_positive"][0]
            parts.setdefault((start, end), []).append(one["sam_mask"])
    return entry(
        name,
        image=(folder / image["file_name"]).as_posix(),
        text=text,
        spans=[Span(start=s, end=e) if 0 <= s < e <= len(text) else f"characters {s}:{e}" for s, e in parts],
        masks=list(enumerate(parts.values())),
        split=split,
        size=(height, width),
    )


def _inside(one: dict[str, Any], width: int, height: int) -> bool:
    x, y, w, h = one["bbox"]
    across, down = min(x + w, width) - max(x, 0), min(y + h, height) - max(y, 0)
    return bool(min(across, down) > 0 and one.get("area", w * h) > 0 and min(w, h) >= 1)


def _spans(text: str, phrases: list[str]) -> list[Span | str]:
    """Where each phrase stands. Phrases may lie within one another and be repeated more often than they are said."""
    apart = find(text, phrases)
    return [span or find(text, [one])[0] or one for span, one in zip(apart, phrases, strict=True)]


def _name(record: dict[str, Any], key: str, number: int) -> str:
    """A unique id: captions repeat images."""
    return f"{Path(str(record.get(key, ''))).stem or 'record'}-{number:06d}"
