"""The formats: each function writes one into a new folder and returns how many masks it wrote.

What comes from data (ids, phrases) never becomes a file name, except where the format demands the image's id and the
id is a plain one.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.artifacts.atomic import write_bytes, write_json
from stages.artifacts.compose import label_map
from stages.artifacts.errors import AnywordError
from stages.artifacts.masks import decode, rle_of
from stages.export.results import Exported, Mask

log = logging.getLogger("anyword")

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


def coco(samples: Iterable[Exported], out: Path) -> int:
    """coco_results.json: the list that `COCO.loadRes` takes (RLE, box, real scores; `phrase` beside them), and
    coco_images.json: the data set that it loads into. A category is a phrase's words."""
    images: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for one in samples:
        images.append(
            {
                "id": one.number,
                "file_name": one.sample["image"],
                "width": one.sample["width"],
                "height": one.sample["height"],
                "sample_id": one.id,
                "caption": one.sample["text"],
            }
        )
        for mask in one.phrases:
            category = categories.setdefault(mask.phrase.lower(), len(categories) + 1)
            results.append(
                {
                    "image_id": one.number,
                    "category_id": category,
                    "segmentation": _segmentation(mask),
                    "bbox": _box(mask),
                    "score": _score(mask),
                    "phrase": mask.phrase,
                    "start": mask.row["start"],
                    "end": mask.row["end"],
                }
            )
    names = [{"id": number, "name": name} for name, number in categories.items()]
    write_json(out / "coco_images.json", {"images": images, "categories": names, "annotations": []})
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
            "phrases": [mask.phrase for mask in one.phrases],
            "pred_masks": [_segmentation(mask) for mask in one.phrases],
        }
        write_bytes(out / f"{one.id}.json", json.dumps(value, ensure_ascii=False).encode())
        count += len(one.phrases)
    return count


def saco(samples: Iterable[Exported], out: Path) -> int:
    """saco_predictions.json, the COCO dialect of SA-Co: an "image" is an image with one `text_input`; no annotation
    means that nothing is meant. Boxes and areas are fractions of the image, as there."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
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
            x, y, w, h = _box(mask)
            if w * h == 0:
                continue
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "segmentation": _segmentation(mask),
                    "bbox": [x / width, y / height, w / width, h / height],
                    "area": _area(mask) / (width * height),
                    "iscrowd": 0,
                    "score": _score(mask),
                }
            )
    write_json(
        out / "saco_predictions.json",
        {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]},
    )
    return len(annotations)


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
        image = Image.fromarray(values.astype(np.uint8), mode="P")
        image.putpalette(_palette())
        _save(out / f"{one.number:06d}.png", image)
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
            lines.append({"file": name, **_line(one, mask)})
    _write_csv(out / "masks.csv", ["file", *COLUMNS], lines)
    return len(lines)


COLUMNS = (
    *("sample_id", "image", "width", "height", "kind", "index", "start", "end", "phrase"),
    *("area", "x", "y", "box_width", "box_height", "score"),
)


def table_csv(samples: Iterable[Exported], out: Path) -> int:
    """masks.csv: a line a mask, without its pixels."""
    lines = [_line(one, mask) for one in samples for mask in one.masks]
    _write_csv(out / "masks.csv", COLUMNS, lines)
    return len(lines)


def parquet(samples: Iterable[Exported], out: Path) -> int:
    """masks.parquet: the same columns, and `counts` (COCO RLE)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = [{**_line(one, mask), "counts": mask.row["counts"]} for one in samples for mask in one.masks]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(lines, schema=_schema()), sink, compression="zstd")
    write_bytes(out / "masks.parquet", sink.getvalue())
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


def _schema() -> Any:
    import pyarrow as pa

    text, whole, real = pa.string(), pa.int32(), pa.float64()
    kinds = {"sample_id": text, "image": text, "kind": text, "phrase": text, "score": real}
    return pa.schema([*((name, kinds.get(name, whole)) for name in COLUMNS), ("counts", text)])


def _line(one: Exported, mask: Mask) -> dict[str, Any]:
    x, y, width, height = (int(value) for value in _box(mask))
    return {
        "sample_id": one.id,
        "image": one.sample["image"],
        "width": one.sample["width"],
        "height": one.sample["height"],
        **{name: mask.row[name] for name in ("kind", "index", "start", "end")},
        "phrase": mask.phrase,
        "area": _area(mask),
        "x": x,
        "y": y,
        "box_width": width,
        "box_height": height,
        "score": _score(mask),
    }


def _segmentation(mask: Mask) -> dict[str, Any]:
    return {"size": [mask.row["height"], mask.row["width"]], "counts": mask.row["counts"]}


def _score(mask: Mask) -> float:
    return float(mask.row["score"] or 0.0)


def _area(mask: Mask) -> int:
    from pycocotools import mask as coco_mask

    return int(coco_mask.area(rle_of(mask.row)))


def _box(mask: Mask) -> list[float]:
    from pycocotools import mask as coco_mask

    return [float(value) for value in coco_mask.toBbox(rle_of(mask.row))]


def _own_phrase(one: Exported, index: int) -> str:
    span = one.sample["phrases"][index]["span"]
    return str(one.sample["text"][span["start"] : span["end"]]).lower()


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
    sink = io.BytesIO()
    image.save(sink, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, sink.getvalue())


def _write_csv(path: Path, columns: Iterable[str], lines: Iterable[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_bytes(path, text.getvalue().encode())
