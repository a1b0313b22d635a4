"""RefCOCO, RefCOCO+, RefCOCOg and gRefCOCO: one sample a sentence.

Formats read from lichengunc/refer (refer.py) and henghuiding/ReLA (gres_model/data/datasets/grefer.py). What is not
as it seems: a ref's `file_name` is not an image's name (the image is found by `image_id` in instances.json), all
images are COCO's train2014, also those of val and test, and `refs(*).p` is a pickle, read here without running any
of what a pickle can run.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from stages.artifacts.errors import AnywordError
from stages.artifacts.language import Span
from stages.samples.listing import Entry, listed
from stages.samples.reader import DataLocation
from stages.samples.readers.given import entry, file_of, folder_of, has_truth, keyed, read_json, records, sample

__all__ = ["entries", "has_truth", "sample"]

IMAGES = (
    "images/mscoco/images/train2014",
    "images/train2014",
    "coco_2014/train2014",
    "coco2014/train2014",
    "train2014",
    "",
)
"""Where users of REFER, ReLA, GLaMM keep the images, below `root`."""


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """One entry a sentence of the split, in the order of the refs file; AnywordError where files are missing."""
    name, split = recipe["name"], recipe["split"]
    general = recipe["kind"] == "grefcoco"
    refs_name = "grefs" if general else "refs"
    by = recipe["by"]
    refs_file = file_of(
        place.texts,
        [f"{folder}{refs_name}({by}).{suffix}" for folder in (f"{name}/", "") for suffix in ("json", "p")],
        f"references of {name} by {by}",
    )
    instances_file = file_of(refs_file.parent, ["instances.json"], "instances.json")
    instances = read_json(instances_file, dict, place)
    refs = read_json(refs_file, list, place) if refs_file.suffix == ".json" else read_pickle(refs_file)
    if refs_file.suffix == ".p":
        place.note(refs_file)
    folder = folder_of(place.root, IMAGES, "images").relative_to(place.root or Path())
    images = keyed("id", records(instances, "images", instances_file))
    annotations = keyed("id", records(instances, "annotations", instances_file))
    refs = [one for one in refs if isinstance(one, dict)]
    wanted = [one for one in refs if _in_split(str(one.get("split")), split)]
    if not wanted:
        there = sorted({str(one.get("split")) for one in refs})
        raise AnywordError(f"{refs_file}: no reference of split '{split}'.", remedy=f"It has {', '.join(there)}.")
    read = partial(_expression, images, annotations, folder, recipe)
    for number, ref in enumerate(wanted):
        sentences = ref.get("sentences")
        if not isinstance(sentences, list):
            yield Entry(id=f"{ref.get('ref_id', number)}", problem="its reference has no sentences.")
            continue
        for at, sentence in enumerate(sentences):
            said = sentence if isinstance(sentence, dict) else {}
            identifier = f"{ref.get('ref_id', number)}-{said.get('sent_id', at)}"
            yield listed(identifier, partial(read, identifier, ref, said))


def _expression(
    images: dict[int, dict[str, Any]],
    annotations: dict[int, dict[str, Any]],
    folder: Path,
    recipe: dict[str, Any],
    identifier: str,
    ref: dict[str, Any],
    sentence: dict[str, Any],
) -> Entry:
    """The entry of one sentence. Nothing is meant where `ann_id` is [-1] (gRefCOCO)."""
    general = recipe["kind"] == "grefcoco"
    text = str(sentence.get(recipe["sentence"]) or "").strip()
    image = images.get(ref["image_id"])
    if image is None:
        return Entry(id=identifier, problem=f"image {ref['image_id']} is not in instances.json.")
    ids = ref["ann_id"] if isinstance(ref["ann_id"], list) else [ref["ann_id"]]
    targets = [annotations.get(one) for one in ids if one != -1]
    if None in targets:
        missing = next(one for one in ids if one != -1 and one not in annotations)
        return Entry(id=identifier, problem=f"annotation {missing} is not in instances.json.")
    parts = [one["segmentation"] for one in targets if one and not (general and one.get("iscrowd"))]
    tags = ["no_target"] if not targets else ["several"] if len(targets) > 1 else []
    return entry(
        identifier,
        image=(folder / image["file_name"]).as_posix(),
        text=text,
        spans=[Span(start=0, end=len(text))] if text else [],
        masks=[(0, parts)] if targets else [],
        split=str(ref["split"]),
        size=(int(image["height"]), int(image["width"])),
        referred=0,
        tags=tags,
    )


def read_pickle(path: Path) -> list[dict[str, Any]]:
    """A pickle of lists, dicts, strings and numbers; AnywordError where it holds (or would run) anything else."""
    data = path.read_bytes()
    error: Exception | None = None
    for encoding in ("utf-8", "latin1"):  # written by Python 2, whose strings are bytes
        try:
            value = _Plain(io.BytesIO(data), encoding=encoding).load()
        except UnicodeDecodeError as one:
            error = one
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError) as one:
            raise AnywordError(f"{path}: refused ({one}).", remedy="Fetch the file again.") from None
        else:
            if isinstance(value, list) and all(isinstance(one, dict) for one in value):
                return value
            raise AnywordError(f"{path}: holds no list of references.", remedy="Fetch the file again.")
    raise AnywordError(f"{path}: its strings cannot be decoded ({error}).")


class _Plain(pickle.Unpickler):
    """Reads plain values only: no name is ever looked up, so nothing is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, but references are plain lists and dicts")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it asks for a persistent object")


def _in_split(one: str, wanted: str) -> bool:
    """REFER's rule (refer.py, getRefIds): "test" is testA and testB together."""
    if wanted in ("testA", "testB", "testC"):
        return one.startswith("test") and wanted[-1] in one
    return "test" in one if wanted == "test" else one == wanted
