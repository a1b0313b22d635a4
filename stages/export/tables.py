"""The tables of an export: a line a mask, and a line a sample, as CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.artifacts.atomic import write_bytes
from stages.artifacts.masks import rle_of
from stages.export.results import CONFIDENCE, Exported, Mask

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    *("sample_id", "image", "width", "height", "kind", "index", "start", "end", "phrase"),
    *("area", "x", "y", "box_width", "box_height", "score", *CONFIDENCE, "probability", "nothing"),
)
"""Of a mask. contrast, attention, agreement: how far it can be trusted (docs/no-target.md), empty where segment did not
say; probability, nothing: the no-target decision's, empty without one."""
SAMPLE_COLUMNS = (
    *("sample_id", "image", "width", "height", "text", "split", "state", "reason"),
    *("phrases", "answered", "mark", "note"),
)
"""Of a sample; every sample of the dataset has its line. `phrases` counts those that have a mask, `answered` those
whose mask has a pixel: 0 is the answer "nothing". mark, note: a person's, by --marks."""

_TEXT = ("sample_id", "image", "kind", "phrase", "text", "split", "state", "reason", "counts", "mark", "note")
_REAL = ("score", *CONFIDENCE, "probability")


def table_csv(samples: Iterable[Exported], out: Path) -> int:
    """masks.csv: a line a mask, without its pixels; samples.csv: a line a sample, also of those without a mask."""
    masks, listing = _lines(samples)
    write_csv(out / "masks.csv", COLUMNS, masks)
    write_csv(out / "samples.csv", SAMPLE_COLUMNS, listing)
    return len(masks)


def parquet(samples: Iterable[Exported], out: Path) -> int:
    """masks.parquet and samples.parquet: the same columns, and the masks' `counts` (COCO RLE)."""
    masks, listing = _lines(samples, pixels=True)
    _write_parquet(out / "masks.parquet", (*COLUMNS, "counts"), masks)
    _write_parquet(out / "samples.parquet", SAMPLE_COLUMNS, listing)
    return len(masks)


def line(one: Exported, mask: Mask) -> dict[str, Any]:
    """The columns of a mask."""
    x, y, width, height = (int(value) for value in box(mask))
    return {
        "sample_id": one.id,
        "image": one.sample["image"],
        "width": one.sample["width"],
        "height": one.sample["height"],
        **{name: mask.row[name] for name in ("kind", "index", "start", "end")},
        "phrase": mask.phrase,
        "area": area(mask),
        "x": x,
        "y": y,
        "box_width": width,
        "box_height": height,
        "score": score(mask),
        **{name: mask.row.get(name) for name in CONFIDENCE},
        "probability": mask.probability,
        "nothing": mask.nothing,
    }


def confidence(mask: Mask) -> dict[str, float]:
    """What is known of how far a mask can be trusted, beside its score."""
    found = {**{name: mask.row.get(name) for name in CONFIDENCE}, "probability": mask.probability}
    return {name: float(value) for name, value in found.items() if value is not None}


def score(mask: Mask) -> float:
    return float(mask.row["score"] or 0.0)


def area(mask: Mask) -> int:
    """Pixels."""
    from pycocotools import mask as coco_mask

    return int(coco_mask.area(rle_of(mask.row)))


def box(mask: Mask) -> list[float]:
    """x, y, width, height in pixels."""
    from pycocotools import mask as coco_mask

    return [float(value) for value in coco_mask.toBbox(rle_of(mask.row))]


def write_csv(path: Path, columns: Iterable[str], lines: Iterable[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_bytes(path, text.getvalue().encode())


def _lines(samples: Iterable[Exported], *, pixels: bool = False) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    masks: list[dict[str, Any]] = []
    listing: list[dict[str, Any]] = []
    for one in samples:
        found = [line(one, mask) for mask in one.masks]
        listing.append(
            {
                "sample_id": one.id,
                **{name: one.sample[name] for name in ("image", "width", "height", "text", "split")},
                "state": "done" if one.failed is None else "failed",
                "reason": one.failed,
                "phrases": len(one.phrases),
                "answered": sum(row["kind"] == "phrase" and row["area"] > 0 for row in found),
                "mark": one.mark.mark if one.mark else None,
                "note": one.mark.note if one.mark else None,
            }
        )
        if pixels:
            found = [{**row, "counts": mask.row["counts"]} for row, mask in zip(found, one.masks, strict=True)]
        masks += found
    return masks, listing


def _write_parquet(path: Path, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(_fields(columns))), sink, compression="zstd")
    write_bytes(path, sink.getvalue())


def _fields(columns: Sequence[str]) -> Iterator[tuple[str, pa.DataType]]:
    import pyarrow as pa

    for name in columns:
        kind = pa.string() if name in _TEXT else pa.float64() if name in _REAL else pa.int32()
        yield name, pa.bool_() if name == "nothing" else kind
