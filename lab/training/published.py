"""The embedded world written out as the published datasets are: their folders, their files, their quirks.

Reading such a folder back with the dataset's reader gives the samples and truth that went in, which is how each
reader is tested whole. Images are PNG (a JPEG would not be the same image), masks RLE (polygons would not be exact).
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.artifacts.masks import encode
from stages.world.render import GROUNDS
from stages.world.sample import WorldSample, sample
from stages.world.scene import Scene
from stages.world.shapes import NOUNS

if TYPE_CHECKING:
    from jaxtyping import Bool, UInt8

CLASSES = (*NOUNS, *GROUNDS)
"""Names of the label maps' values from 1 on; sets with a background class have objects only, and ground is 0."""


def export(form: str, out: Path, split: str, first: int, count: int) -> list[str]:
    """Write scenes `first` to `first + count` of a split below `out`; gives the lines to put into a configuration.

    Raises:
        AnywordError: `out` holds something already, or there is no such format.
    """
    if form not in FORMATS:
        raise AnywordError(f"format '{form}' is none of {', '.join(FORMATS)}.")
    if out.exists() and any(out.iterdir()):
        raise AnywordError(f"{out}: is not empty.", remedy="Name a new folder.")
    return FORMATS[form](out, split, range(first, first + count))


def referring_sample(split: str, index: int) -> WorldSample:
    """The scene's short referring expression, as RefCOCO has them."""
    return sample(split, index, register="referring")


def expressions(split: str, index: int) -> Iterator[tuple[str, list[int], Bool[np.ndarray, "128 128"]]]:
    """Three expressions of a scene for gRefCOCO, each with the instances that it means and their union: one object;
    all of them; one that is not there."""
    one, all_of_them = referring_sample(split, index), sample(split, index, register="numbered")
    drawn = one.scene
    cases = [(one.text, list(one.caption.names[one.parse.referred or 0].instances))]
    cases.append((all_of_them.text, list(range(len(drawn.instances)))))
    absent = next(noun for noun in NOUNS if noun not in {thing.noun for thing in drawn.instances})
    cases.append((f"the {absent}", []))
    for text, instances in cases:
        yield text, instances, union(drawn, instances)


def union(drawn: Scene, instances: list[int]) -> Bool[np.ndarray, "128 128"]:
    """Visible pixels of any of the instances."""
    mask = np.zeros(drawn.image.shape[:2], dtype=bool)
    for number in instances:
        mask |= drawn.instances[number].mask
    return mask


def labels(drawn: Scene, grounds: bool) -> UInt8[np.ndarray, "128 128"]:
    """Each pixel's class: 1 + its place in CLASSES; without `grounds`, ground is 0."""
    values = np.zeros(drawn.image.shape[:2], dtype=np.uint8)
    for ground in drawn.grounds if grounds else ():
        values[ground.mask] = 1 + CLASSES.index(ground.name)
    for thing in drawn.instances:
        values[thing.mask] = 1 + CLASSES.index(thing.noun)
    return values


def _grandf(out: Path, split: str, indices: range) -> list[str]:
    part = "test" if split == "test" else "val"  # the pair exists for these two
    images: list[dict[str, Any]] = []
    captions: list[dict[str, Any]] = []
    masks: list[dict[str, Any]] = []
    for index in indices:
        one = sample(split, index)
        _picture(out / "GranDf_HA_images" / "val_test" / f"{one.id}.png", one.image)
        images.append({"id": one.id, "file_name": f"{one.id}.png", **_size(one.image)})
        spans = [phrase.span.of(one.text) for phrase in one.parse.phrases]
        captions.append({"id": len(captions) + 1, "image_id": one.id, "caption": one.text, "labels": spans})
        for truth in one.truth:
            if truth.kind == "phrase":
                segmentation = _rle(truth.mask)
                common = {"id": len(masks) + 1, "image_id": one.id, "category_id": 1, "iscrowd": 0}
                masks.append({**common, "segmentation": segmentation, "area": int(truth.mask.sum())})
    folder = out / "annotations" / "val_test"
    _json(folder / f"{part}_gcg_coco_caption_gt.json", {"images": images, "annotations": captions})
    categories = [{"id": 1, "name": "object"}]
    _json(folder / f"{part}_gcg_coco_mask_gt.json", {"images": images, "annotations": masks, "categories": categories})
    return ["kind: grandf", f"root: {out}", f"texts: {out}", f"split: {part}"]


def _refcoco(out: Path, split: str, indices: range) -> list[str]:
    refs = []
    scenes = {index: referring_sample(split, index) for index in indices}
    folder = out / "refcoco"
    annotations = _instances(folder, out, {index: one.scene for index, one in scenes.items()})
    for number, (index, one) in enumerate(scenes.items()):
        (instance,) = one.caption.names[one.parse.referred or 0].instances
        refs.append(_ref(number, index, split, annotations[index, instance], [one.text]))
    # As the original: a pickle in a protocol that Python 2 reads.
    (folder / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    return ["kind: refcoco", f"root: {out}", f"texts: {out}", f"split: {_published(split)}"]


def _grefcoco(out: Path, split: str, indices: range) -> list[str]:
    refs: list[dict[str, Any]] = []
    folder = out / "grefcoco"
    annotations = _instances(folder, out, {index: referring_sample(split, index).scene for index in indices})
    for index in indices:
        for text, instances, _ in expressions(split, index):
            ids = [annotations[index, one] for one in instances] or [-1]
            refs.append(_ref(len(refs), index, split, ids, [text]))
    _json(folder / "grefs(unc).json", refs)
    return ["kind: grefcoco", f"root: {out}", f"texts: {out}", f"split: {_published(split)}"]


def _voc(out: Path, split: str, indices: range) -> list[str]:
    base = out / "VOCdevkit" / "VOC2012"
    _label_maps(split, indices, base / "JPEGImages", base / "SegmentationClass", "{}.png", grounds=False)
    _list(base / "ImageSets" / "Segmentation" / f"{split}.txt", split, indices)
    return ["kind: voc", f"root: {out}", f"split: {split}", f"classes: [{', '.join(NOUNS)}]"]


def _context(out: Path, split: str, indices: range) -> list[str]:
    base = out / "VOCdevkit" / "VOC2010"
    _label_maps(split, indices, base / "JPEGImages", base / "SegmentationClassContext", "{}.png", grounds=True)
    _list(base / "ImageSets" / "SegmentationContext" / f"{split}.txt", split, indices)
    return ["kind: context", f"root: {out}", f"split: {split}", f"classes: [{', '.join(CLASSES)}]"]


def _coco_object(out: Path, split: str, indices: range) -> list[str]:
    maps = out / "annotations" / f"{split}2017"
    _label_maps(split, indices, out / f"{split}2017", maps, "{}_instanceTrainIds.png", grounds=False)
    return ["kind: coco-object", f"root: {out}", f"split: {split}", f"classes: [{', '.join(NOUNS)}]"]


FORMATS: dict[str, Callable[[Path, str, range], list[str]]] = {
    "grandf": _grandf,
    "grefcoco": _grefcoco,
    "refcoco": _refcoco,
    "voc": _voc,
    "context": _context,
    "coco-object": _coco_object,
}


def _instances(folder: Path, out: Path, scenes: dict[int, Scene]) -> dict[tuple[int, int], int]:
    """instances.json and the images of train2014 (where all of RefCOCO's are); annotation id by (index, instance)."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    ids: dict[tuple[int, int], int] = {}
    for index, drawn in scenes.items():
        name = f"COCO_train2014_{index:012d}.png"
        _picture(out / "images" / "mscoco" / "images" / "train2014" / name, drawn.image)
        images.append({"id": index, "file_name": name, **_size(drawn.image)})
        for number, thing in enumerate(drawn.instances):
            ids[index, number] = len(annotations) + 1
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": 1 + NOUNS.index(thing.noun),
                    "iscrowd": 0,
                    "segmentation": _rle(thing.mask),
                    "area": int(thing.mask.sum()),
                }
            )
    categories = [{"id": 1 + i, "name": noun, "supercategory": "shape"} for i, noun in enumerate(NOUNS)]
    _json(folder / "instances.json", {"images": images, "annotations": annotations, "categories": categories})
    return ids


def _ref(number: int, image: int, split: str, annotation: int | list[int], texts: list[str]) -> dict[str, Any]:
    # `file_name` is not an image's name in the original either.
    sentences = [
        {"raw": text, "sent": text.lower(), "sent_id": number, "tokens": text.lower().split()} for text in texts
    ]
    return {
        "ref_id": number,
        "ann_id": annotation,
        "image_id": image,
        "category_id": 1,
        "file_name": f"COCO_train2014_{image:012d}_{number}.jpg",
        "split": _published(split),
        "sent_ids": [number],
        "sentences": sentences,
    }


def _published(split: str) -> str:
    return "testA" if split == "test" else split


def _label_maps(split: str, indices: range, images: Path, maps: Path, name: str, *, grounds: bool) -> None:
    from PIL import Image

    for index in indices:
        one = sample(split, index)
        _picture(images / f"{one.id}.png", one.image)
        values = Image.fromarray(labels(one.scene, grounds), mode="P")
        # VOC's palette: indices are what counts, colours are for the eye.
        values.putpalette([255 * (value >> bit & 1) for value in range(256) for bit in range(3)])
        maps.mkdir(parents=True, exist_ok=True)
        values.save(maps / name.format(one.id))


def _list(path: Path, split: str, indices: range) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{split}-{index:06d}\n" for index in indices))


def _picture(path: Path, pixels: UInt8[np.ndarray, "height width 3"]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _size(pixels: np.ndarray) -> dict[str, int]:
    return {"height": int(pixels.shape[0]), "width": int(pixels.shape[1])}


def _rle(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    columns = encode(mask)
    return {"size": [columns["height"], columns["width"]], "counts": columns["counts"]}
