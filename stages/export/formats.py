"""The formats: each function writes one into a new folder and returns how many masks it wrote.

A mask of which the no-target decision says "nothing" comes without a pixel (`results.read`): formats that can leave an
answer out do so, in the others it is empty.

What comes from data (ids, phrases) never becomes a file name, except where the format demands the image's id and the
id is a plain one.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stages.artifacts.atomic import write_bytes, write_json
from stages.artifacts.coco import coco_head
from stages.artifacts.compose import label_map
from stages.artifacts.errors import AnywordError
from stages.artifacts.masks import decode
from stages.export.results import Exported, Mask
from stages.export.tables import COLUMNS, area, box, confidence, line, parquet, score, table_csv, write_csv

if TYPE_CHECKING:
    from jaxtyping import Int32

log = logging.getLogger("anyword")

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


def coco(samples: Iterable[Exported], out: Path) -> int:
    """coco.json: a data set with the masks as its annotations, as torchvision, supervision, datumaro and FiftyOne open
    it; and coco_results.json: the same as the list that `COCO.loadRes` takes. A category is a phrase's words.

    Results name no box: pycocotools would take its area for the mask's. An image of several sentences is one image with
    the first one's: readers refuse a file that is listed twice. Every annotation names its own sample and sentence.
    """
    images: dict[str, dict[str, Any]] = {}
    results: list[dict[str, Any]] = []
    more: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for one in samples:
        image = images.setdefault(
            one.sample["image"],
            {
                "id": one.number,
                "file_name": one.sample["image"],
                "width": one.sample["width"],
                "height": one.sample["height"],
                "sample_id": one.id,
                "caption": one.sample["text"],
            },
        )
        for mask in one.meant:
            category = categories.setdefault(mask.phrase.lower(), len(categories) + 1)
            results.append(
                {
                    "image_id": image["id"],
                    "category_id": category,
                    "segmentation": _segmentation(mask),
                    "score": score(mask),
                    "sample_id": one.id,
                    "phrase": mask.phrase,
                    "start": mask.row["start"],
                    "end": mask.row["end"],
                    **confidence(mask),
                }
            )
            caption = one.sample["text"]
            more.append({"caption": caption, "bbox": box(mask), "area": area(mask), "iscrowd": 0})
    annotations = [{"id": at, **one, **own} for at, (one, own) in enumerate(zip(results, more, strict=True), start=1)]
    whole = {**coco_head(categories), "images": list(images.values()), "annotations": annotations}
    write_json(out / "coco.json", whole)
    write_json(out / "coco_results.json", results)
    return len(results)


def glamm(samples: Iterable[Exported], out: Path) -> int:
    """{id}.json an image: {image_id, caption, phrases, pred_masks}, as GLaMM's eval/gcg/evaluate.py reads them.

    A failed sample gets its file too, without masks: the script stops at a missing one.
    """
    count = 0
    for one in samples:
        if _PLAIN.fullmatch(one.id) is None:
            raise AnywordError(
                f"sample '{one.id}': this format names files by id, and this id is no plain file name.",
                remedy="Use another format, or ids of letters, digits, '_', '-' and '.'.",
            )
        value = {
            "image_id": one.id,
            "caption": one.sample["text"],
            "phrases": [mask.phrase for mask in one.meant],
            "pred_masks": [_segmentation(mask) for mask in one.meant],
        }
        write_bytes(out / f"{one.id}.json", json.dumps(value, ensure_ascii=False).encode())
        count += len(one.meant)
    return count


def saco(samples: Iterable[Exported], out: Path) -> int:
    """saco_predictions.json, the list that sam3/eval/cgf1_eval.py takes, and saco_images.json, the data set it belongs
    to, in SA-Co's dialect of COCO: an "image" is an image with one `text_input`, and one without a prediction says that
    nothing is meant. Boxes and areas are fractions of the image, as there."""
    images: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for one in samples:
        width, height = one.sample["width"], one.sample["height"]
        for mask in one.phrases:
            number = len(images) + 1
            images.append(
                {
                    "id": number,
                    "file_name": one.sample["image"],
                    "text_input": mask.phrase,
                    "width": width,
                    "height": height,
                    "sample_id": one.id,
                }
            )
            x, y, w, h = box(mask)
            if w * h == 0:
                continue
            predictions.append(
                {
                    "image_id": number,
                    "category_id": 1,
                    "segmentation": _segmentation(mask),
                    "bbox": [x / width, y / height, w / width, h / height],
                    "area": area(mask) / (width * height),
                    "score": score(mask),
                    **confidence(mask),
                }
            )
    write_json(out / "saco_images.json", {**coco_head({"object": 1}), "images": images, "annotations": []})
    write_json(out / "saco_predictions.json", predictions)
    return len(predictions)


def index_png(samples: Iterable[Exported], out: Path) -> int:
    """{number}.png a sample, a palette image: 0 where no mask is, else the class of the best mask there; and
    classes.json: number by class. Classes are the dataset's own phrases (a label set's class names)."""
    classes: dict[str, int] = {}
    listing = []
    count = 0
    for one in samples:
        chosen = sorted(one.answers.items())
        rows = [one.masks[at].row for _, at in chosen]
        names = [_own_phrase(one, index) for index, _ in chosen]
        labels = [classes.setdefault(name, len(classes) + 1) for name in names]
        if len(classes) > 255:
            raise AnywordError(
                f"more than 255 different phrases (sample '{one.id}'): an index PNG has no room for them.",
                remedy="This format is for label sets; use coco or mask-png for free text.",
            )
        values = label_map(rows, labels, one.sample["height"], one.sample["width"], unclaimed=0)
        write_bytes(out / f"{one.number:06d}.png", index_png_of(values))
        listing.append({"file": f"{one.number:06d}.png", "sample_id": one.id, "image": one.sample["image"]})
        count += len(rows)
    write_json(out / "classes.json", classes)
    write_json(out / "images.json", listing)
    return count


def mask_png(samples: Iterable[Exported], out: Path) -> int:
    """{number}/{k}.png a phrase (white on black), and masks.csv that says which is which."""
    lines = []
    for one in samples:
        for k, mask in enumerate(one.phrases, start=1):
            name = f"{one.number:06d}/{k:02d}.png"
            _save(out / name, Image.fromarray(decode(mask.row).astype(np.uint8) * 255))
            lines.append({"file": name, **line(one, mask)})
    write_csv(out / "masks.csv", ["file", *COLUMNS], lines)
    return len(lines)


FORMATS: dict[str, Callable[[Iterable[Exported], Path], int]] = {
    "coco": coco,
    "glamm": glamm,
    "saco": saco,
    "index-png": index_png,
    "mask-png": mask_png,
    "csv": table_csv,
    "parquet": parquet,
}

TABLES = frozenset({"csv", "parquet"})
"""Formats that have a line for every sample, also for one whose image could not be read."""


def _segmentation(mask: Mask) -> dict[str, Any]:
    return {"size": [mask.row["height"], mask.row["width"]], "counts": mask.row["counts"]}


def _own_phrase(one: Exported, index: int) -> str:
    span = one.sample["phrases"][index]["span"]
    return str(one.sample["text"][span["start"] : span["end"]]).lower()


def index_png_of(values: Int32[np.ndarray, "height width"]) -> bytes:
    """A label map of values up to 255 as a palette PNG."""
    image = Image.fromarray(values.astype(np.uint8), mode="P")
    image.putpalette(_palette())
    return _png(image)


def _palette() -> list[int]:
    """VOC's colour map: the bits of the index, spread over the channels from the top."""
    colours = []
    for index in range(256):
        colour, rest = [0, 0, 0], index
        for shift in range(7, -1, -1):
            colour = [value | ((rest >> channel & 1) << shift) for channel, value in enumerate(colour)]
            rest >>= 3
        colours += colour
    return colours


def _save(path: Path, image: Image.Image) -> None:
    write_bytes(path, _png(image))


def _png(image: Image.Image) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()
