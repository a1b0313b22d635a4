"""`anyword segment`: one image and one sentence through all stages, in this process.

The workflow's own plan runs on a shard of one sample, so what comes out is what the workflow makes. Results stay below
the output folder, and a stage keeps what it would only make again: same version, recipe, models and inputs.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts.atomic import write_bytes, write_folder, write_json
from stages.artifacts.coco import coco_head
from stages.artifacts.compose import label_map
from stages.artifacts.errors import AnywordError
from stages.artifacts.language import looks_foreign
from stages.artifacts.manifest import NAME
from stages.artifacts.results import Results, shard_name
from stages.artifacts.shard_reader import ShardReader

log = logging.getLogger("anyword")

DATASET = "image"
SHARD = shard_name(0)
OVERLAY_COLOURS = ((230, 57, 70), (29, 119, 190), (46, 160, 67), (245, 166, 35), (142, 68, 173), (0, 170, 160))


def segment(
    image: Path,
    text: str,
    out: Path,
    *,
    classes: Sequence[str] = (),
    config: Mapping[str, Any],
    experiment: str,
    adapter: Path | None = None,
    device: str = "auto",
) -> Path:
    """Masks (PNG), overlay, COCO JSON and page of one image and its sentence, below `out`; the page's path.

    classes: what a text that is a list names, each a phrase; labels.png then holds their numbers, from 1 on.
    config: a whole configuration; of `experiment`, which it must hold, the recipes are taken, not the dataset.
    adapter: folder or manifest of a trained adapter of the text encoder, for the inverter to use.

    Raises:
        AnywordError: the sample cannot be processed; the message says in which stage and why.
    """
    from stages.config import Workflow
    from stages.plan import steps

    if re.match(r"[a-z]+:/", str(image)):  # a path has lost one of two slashes
        raise AnywordError(f"{image}: an address, not a file.", remedy="Download the image first; nothing is fetched.")
    if image.is_dir():
        raise AnywordError(
            f"{image}: a folder.", remedy="Give one image, or run all of them: anyword init FOLDER, anyword run."
        )
    if not image.is_file():
        raise AnywordError(f"{image}: no such file.", remedy="Give the path of an image.")
    if not text.strip():
        raise AnywordError("the text is empty.", remedy="Write what the image shows.")
    if looks_foreign(text):
        log.warning("the text does not look English; the parsers here are English ones, and phrases may be nonsense")
    root = out / "stages" / DATASET
    table = root / "texts.jsonl"
    dataset = {"kind": "folder", "root": str(image.parent.resolve()), "texts": str(table)}
    chosen = config["experiments"][experiment]
    inverter = dict(config["inverters"][chosen["inverter"]])
    adapters: dict[str, Any] = {}
    if adapter is not None:
        trained = ShardReader(adapter, "adapt")
        adapter = trained.path / NAME
        adapters = {"given": {**trained.manifest.recipe, "dataset": DATASET}}
        inverter["adapter"] = "given"
    elif inverter.get("adapter"):
        raise AnywordError(
            f"inverter '{chosen['inverter']}' uses adapter '{inverter['adapter']}', which one image cannot train.",
            remedy="Give the trained one's folder with --adapter (results/DATASET/adapt/NAME).",
        )
    workflow = Workflow(
        {
            **config,
            "datasets": {DATASET: dataset},
            "adapters": adapters,
            "inverters": {chosen["inverter"]: inverter},  # others may name adapters of other datasets
            "experiments": {experiment: {**chosen, "dataset": DATASET}},
            "targets": [experiment],
        }
    )
    out.mkdir(parents=True, exist_ok=True)
    row = {"id": "image", "image": image.name, "text": text, **({"phrases": list(classes)} if classes else {})}
    write_bytes(table, (json.dumps(row) + "\n").encode())
    results = Results(root)
    places: dict[str, Any] = {"images": image.parent, "texts": table, "adapter": adapter}
    for step in steps(workflow, experiment, results, SHARD, **places, device=device):
        log.info("%s", step.stage)
        step.run()
        _stop_at_failure(step.output, step.stage)
    _write_masks(results.masks(experiment, SHARD), results.samples(SHARD), image, text, out, listed=bool(classes))
    return _write_index(results.page(experiment), out)


def _stop_at_failure(output: Path, stage: str) -> None:
    for state in json.loads(output.read_text())["samples"]:
        if state["state"] == "failed":
            raise AnywordError(f"{stage}: {state['reason']}")


def _write_masks(masks: Path, samples: Path, image: Path, text: str, out: Path, *, listed: bool) -> None:
    """`masks/*.png`, `overlay.png` and `coco.json` (a COCO dataset: one category a phrase); of a class list also
    `labels.png`, and a legend in the overlay."""
    from PIL import Image
    from pycocotools import mask as coco

    from stages.artifacts.images import decode_image
    from stages.export.formats import index_png_of
    from stages.legend import with_legend

    rows = ShardReader(masks, "segment").table("masks")
    (sample,) = ShardReader(samples, "samples").table("samples")
    pixels = decode_image(image.read_bytes(), image.name).astype(np.float32)
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}  # a phrase that is said twice is one category: readers refuse two of one name
    files: dict[str, bytes] = {}
    for number, row in enumerate(rows, start=1):
        rle = {"size": [row["height"], row["width"]], "counts": row["counts"].encode()}
        mask = coco.decode(rle).astype(bool)
        phrase = text[row["start"] : row["end"]]
        name = f"{number:02d}_{re.sub(r'[^a-z0-9]+', '-', phrase.lower()).strip('-')[:40] or row['kind']}.png"
        buffer = io.BytesIO()
        Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, format="png")
        files[name] = buffer.getvalue()
        colour = np.array(OVERLAY_COLOURS[(number - 1) % len(OVERLAY_COLOURS)], np.float32)
        if row["kind"] == "phrase":
            pixels[mask] = 0.5 * pixels[mask] + 0.5 * colour
        category = categories.setdefault(phrase.lower(), len(categories) + 1)
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": category,
                "phrase": phrase,
                "segmentation": {"size": rle["size"], "counts": row["counts"]},
                "area": int(mask.sum()),
                "bbox": [float(v) for v in coco.toBbox(rle)],
                "iscrowd": 0,
                "score": row["score"],
                "start": row["start"],
                "end": row["end"],
                "kind": row["kind"],
                "mask": f"masks/{name}",
            }
        )
    overlay = pixels.round().astype(np.uint8)
    if listed:
        phrases = [row for row in rows if row["kind"] == "phrase"]
        overlay = with_legend(
            overlay,
            [
                (text[row["start"] : row["end"]], OVERLAY_COLOURS[n % len(OVERLAY_COLOURS)])
                for n, row in enumerate(rows)
                if row["kind"] == "phrase"
            ],
        )
        numbers = [row["index"] + 1 for row in phrases]
        labels = label_map(phrases, numbers, sample["height"], sample["width"], unclaimed=0)
        if labels.max() <= 255:  # an index PNG has no more
            write_bytes(out / "labels.png", index_png_of(labels))
    write_folder(out / "masks", files)
    buffer = io.BytesIO()
    Image.fromarray(overlay).save(buffer, format="png")
    write_bytes(out / "overlay.png", buffer.getvalue())
    images = [{"id": 1, "file_name": image.name, "width": sample["width"], "height": sample["height"], "text": text}]
    write_json(out / "coco.json", {**coco_head(categories), "images": images, "annotations": annotations})


def _write_index(page: Path, out: Path) -> Path:
    """out/index.html, which leads to the sample on the page."""
    target = f"{page.relative_to(out).as_posix()}#id=image"
    text = (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>anyword</title>'
        f'<meta http-equiv="refresh" content="0; url={target}"><p><a href="{target}">The page</a></p></html>\n'
    )
    write_bytes(out / "index.html", text.encode())
    return out / "index.html"
