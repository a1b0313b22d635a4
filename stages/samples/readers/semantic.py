"""Sets with label maps: Pascal VOC 2012, Pascal Context (59 or 60 classes), COCO-Object.

A sample's text is the list of its candidate classes, joined by commas; its truth is one mask a class that is in the
image. Pixels of no class, and ignored ones, are in no mask: `score` leaves them out. Formats read from
mmsegmentation's converters and GroupViT's convert_coco_object.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.images import opened, read_file
from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.masks import encode
from stages.artifacts.tables import UNNAMED
from stages.samples.images import look_at
from stages.samples.listing import Entry
from stages.samples.reader import DataLocation, Sample, TruthMask
from stages.samples.readers.classes import COCO, CONTEXT, SAID, VOC
from stages.samples.readers.given import head

if TYPE_CHECKING:
    from jaxtyping import UInt8

BACKGROUND = "background"
VOID = 255
"""Ignored pixels. COCO-Object has none: its conversion makes them background."""
LISTS = {
    "voc": [f"{base}ImageSets/Segmentation/{{split}}.txt" for base in ("", "VOC2012/", "VOCdevkit/VOC2012/")],
    "context": [
        f"{base}ImageSets/SegmentationContext/{{split}}.txt"
        for base in ("", "VOC2010/", "VOCdevkit/VOC2010/", "VOC2012/", "VOCdevkit/VOC2012/")
    ],
}
"""Lists of ids below `root`, tried in order."""


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """One entry an image, or one a window of classes where all classes are candidates."""
    if place.root is None:
        raise AnywordError("this dataset needs --root, the folder that holds images and label maps.")
    classes = _classes(recipe)
    windows = [classes]
    if recipe["candidates"] == "all":
        size = recipe["window"]
        windows = [classes[i : i + size] for i in range(0, len(classes), size)]
    known = [value for value, _ in classes] + [0] + ([] if recipe["kind"] == "coco-object" else [VOID])
    for name, image, labels in _files(recipe, place):
        for number, window in enumerate(windows):
            source = {
                "image": image,
                "labels": labels,
                "split": recipe["split"],
                "classes": [list(one) for one in window],
                "present": recipe["candidates"] == "truth",
                "known": sorted(set(known)),
            }
            if recipe["candidates"] == "blip-clip":
                source["choose"] = True
            yield Entry(id=name if len(windows) == 1 else f"{name}/{number + 1}", source=source)


def has_truth(entries: list[Entry]) -> bool:
    return any(one.problem is None for one in entries)


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The sample of an entry; SampleError where image or label map is missing, broken or of another size."""
    if place.root is None:
        raise AnywordError("this dataset needs --root, the folder that holds images and label maps.")
    source = entry.source
    facts = look_at(place.root, source["image"])
    values = read_labels(place.root, source["labels"])
    if values.shape != (facts.height, facts.width):
        raise SampleError(
            f"label map '{source['labels']}' has {values.shape[1]}x{values.shape[0]} pixels, its image "
            f"{facts.width}x{facts.height}."
        )
    there = set(np.unique(values).tolist())
    strange = there.difference(source.get("known", there))
    if strange:
        raise SampleError(
            f"label map '{source['labels']}' holds the value {min(strange)}, which is no class of this dataset.",
            remedy="Use the label maps of the conversion that docs/datasets.md names, or set `classes`.",
        )
    candidates = [(value, name) for value, name in source["classes"] if value in there or not source["present"]]
    if not candidates:
        raise SampleError(f"label map '{source['labels']}' holds none of the classes.", remedy="Leave the image out.")
    text, phrases = listed([name for _, name in candidates])
    truth = [
        TruthMask("phrase", i, encode(values == value)) for i, (value, _) in enumerate(candidates) if value in there
    ]
    # A class that was not chosen is in the image all the same: without it, its pixels would be ignored.
    missed = [(value, name) for value, name in source.get("unchosen", ()) if value in there]
    truth += [TruthMask(UNNAMED, i, encode(values == value), (name,)) for i, (value, name) in enumerate(missed)]
    return Sample(
        image=source["image"],
        sha256=facts.sha256,
        width=facts.width,
        height=facts.height,
        text=text,
        split=source["split"],
        parse=Parse(phrases=phrases),
        truth=tuple(truth),
    )


def choosable(entry: Entry) -> tuple[str, ...]:
    """The classes that a model is to choose from for this entry: all but the background; empty if none is to."""
    classes = entry.source.get("classes", ()) if entry.source.get("choose") else ()
    return tuple(name for value, name in classes if value != 0)


def chosen(entry: Entry, kept: Collection[str]) -> Entry:
    """The entry with the background and the classes of `kept` as its candidates, in the dataset's order."""
    classes = entry.source["classes"]
    named = [one for one in classes if one[0] == 0 or one[1] in kept]
    source = {**entry.source, "classes": named, "unchosen": [one for one in classes if one not in named]}
    return entry.model_copy(update={"source": source})


def listed(names: Sequence[str]) -> tuple[str, tuple[Phrase, ...]]:
    """Names as one text, joined by commas, each a phrase.

    >>> listed(["cat", "potted plant"])[0]
    'cat, potted plant'
    """
    text, phrases = "", []
    for name in names:
        text += ", " if text else ""
        span = Span(start=len(text), end=len(text) + len(name))
        text += name
        phrases.append(Phrase(span=span, root=head(text, span)))
    return text, tuple(phrases)


def read_labels(root: Path, labels: str) -> UInt8[np.ndarray, "height width"]:
    """The values of a label map: a palette image's indices (not its colours), or grey; SampleError otherwise."""
    with opened(read_file(root, labels, "label map"), labels, "label map") as image:
        if image.mode not in ("P", "L"):
            raise SampleError(f"label map '{labels}' is a colour image ({image.mode}).", remedy="Use the indices.")
        return np.asarray(image)


def _classes(recipe: dict[str, Any]) -> list[tuple[int, str]]:
    """Value and spoken name of each class, the background first where it is one."""
    names = recipe["classes"] or {"voc": VOC, "context": CONTEXT, "coco-object": COCO}[recipe["kind"]]
    numbered = [(value, SAID.get(name, name)) for value, name in enumerate(names, start=1)]
    return [(0, BACKGROUND), *numbered] if recipe["background"] else numbered


def _files(recipe: dict[str, Any], place: DataLocation) -> Iterator[tuple[str, str, str]]:
    """Id, image and label map (paths below the root) of each image, in the order of the dataset's own list."""
    kind, split, root = recipe["kind"], recipe["split"], place.root or Path()
    if kind == "coco-object":
        yield from _coco(root, split)
        return
    tried = [one.format(split=split) for one in LISTS[kind]]
    found = next((one for one in tried if (root / one).is_file()), None)
    if found is None:
        raise AnywordError(
            f"no list of split '{split}': tried {', '.join(str(root / one) for one in tried)}.",
            remedy="Set `root` to the folder that holds ImageSets and JPEGImages.",
        )
    base = Path(found).parents[2]
    maps = "SegmentationClassContext" if kind == "context" else recipe["labels"]
    place.note(root / found)
    lines = (root / found).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise AnywordError(f"{root / found}: an empty list.", remedy="Fetch the file again.")
    for name in names:
        stem = f"{name}.jpg" if not (root / base / "JPEGImages" / f"{name}.png").is_file() else f"{name}.png"
        yield name, (base / "JPEGImages" / stem).as_posix(), (base / maps / f"{name}.png").as_posix()


def _coco(root: Path, split: str) -> Iterator[tuple[str, str, str]]:
    """Images of {split}2017 whose map is annotations/{split}2017/{stem}_instanceTrainIds.png, by name."""
    tried = [f"{split}2017", f"images/{split}2017"]
    pictures = next((one for one in tried if (root / one).is_dir()), None)
    maps = f"annotations/{split}2017"
    if pictures is None or not (root / maps).is_dir():
        raise AnywordError(
            f"COCO-Object needs {root / tried[0]} (or {root / tried[1]}) and {root / maps}.",
            remedy="Make the label maps with GroupViT's convert_dataset/convert_coco_object.py.",
        )
    for path in sorted((root / pictures).iterdir()):
        if path.suffix.lower() in (".jpg", ".png"):
            yield path.stem, f"{pictures}/{path.name}", f"{maps}/{path.stem}_instanceTrainIds.png"
