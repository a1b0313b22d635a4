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
from stages.samples.listing import Entry, listed
from stages.samples.reader import DataLocation
from stages.samples.readers.given import entry, file_of, find, folder_of, has_truth, keyed, read_json, records, sample

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
        data = read_json(path, dict, place)
        images, annotations = (records(data, key, path) for key in ("images", "annotations"))
        yield from _flickr(images, _of_images(annotations), folder, split)
    elif part == "refcocog":
        yield from _refcocog(read_json(path, list, place), folder, split)
    else:
        yield from _grounded(read_json(path, list, place), folder, split)


def _evaluation(place: DataLocation, split: str, folder: Path) -> Iterator[Entry]:
    """The pair that the official figures are of: a caption file, and a mask file in the same order."""
    bases = [f"{base}val_test/" for base in ANNOTATIONS] + [""]
    paths = [
        file_of(place.texts, [f"{base}{split}_gcg_coco_{kind}_gt.json" for base in bases], f"{kind}s of {split}")
        for kind in ("caption", "mask")
    ]
    captions, masks = (read_json(path, dict, place) for path in paths)
    said = keyed("image_id", reversed(records(captions, "annotations", paths[0])))
    found = _of_images(records(masks, "annotations", paths[1]))
    for number, image in enumerate(records(captions, "images", paths[0])):
        name = str(image.get("id", f"record-{number:06d}"))
        yield listed(name, partial(_captioned, name, image, said, found, folder, split))


def _of_images(annotations: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    """Annotations by the image that they say they belong to."""
    found: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for one in annotations:
        found[str(one.get("image_id"))].append(one)
    return found


def _captioned(
    name: str,
    image: dict[str, Any],
    said: dict[Any, dict[str, Any]],
    found: dict[Any, list[dict[str, Any]]],
    folder: Path,
    split: str,
) -> Entry:
    one, own = said.get(image["id"]), [one["segmentation"] for one in found[str(image["id"])]]
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


def _grounded(found: list[Any], folder: Path, split: str) -> Iterator[Entry]:
    """GranDf_HA and OpenPsg: {file_name, caption, groundings: {phrase: {token_positives, rle_masks}}}."""
    for number, record in enumerate(found):
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


def _refcocog(found: list[Any], folder: Path, split: str) -> Iterator[Entry]:
    """RefCOCOg_GCG: one-key dicts {id: {img_file_name, caption, refs: [{sentence, segmentation}]}}."""
    for number, record in enumerate(found):
        for one in record.values() if isinstance(record, dict) else [record]:
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


def _flickr(
    images: list[dict[str, Any]], found: dict[Any, list[dict[str, Any]]], folder: Path, split: str
) -> Iterator[Entry]:
    """flickr_mergedGT: COCO with captions on the images; several boxes of one phrase are one phrase here."""
    for number, image in enumerate(images):
        name = _name(image, "file_name", number)
        yield listed(name, partial(_boxed, name, image, found, folder, split))


def _boxed(name: str, image: dict[str, Any], found: dict[Any, list[dict[str, Any]]], folder: Path, split: str) -> Entry:
    """What the official reader leaves out is left out: short captions (a failed row), ignored annotations, and those
    without an area or outside of the image. Of several spans the first is taken."""
    text, width, height = image["caption"], int(image["width"]), int(image["height"])
    if len(text.split(" ")) < 3:
        return Entry(id=name, problem="its caption has fewer than three words: the official reader leaves it out.")
    parts: dict[tuple[int, int], list[Any]] = {}
    for one in found[str(image["id"])]:
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


def _name(record: Any, key: str, number: int) -> str:
    """A unique id: captions repeat images."""
    name = str(record.get(key, "")) if isinstance(record, dict) else ""
    return f"{Path(name).stem or 'record'}-{number:06d}"
