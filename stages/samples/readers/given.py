"""What the readers of annotation files share: finding folders, phrases in texts, COCO segmentations, samples.

A reader turns its format into entries of one shape (`entry`), and `sample` makes samples of them, so that a shard's
job needs the images only, not the annotation files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.language import Parse, Phrase, Span, words
from stages.artifacts.masks import Rle, columns_of, union
from stages.samples.images import look_at
from stages.samples.listing import Entry, image_problem, quote, text_problem
from stages.samples.reader import DataLocation, Sample, TruthMask

# A noun phrase's head stands before the first of these: "the man | in a hat", "a boy | holding the cup".
_AFTER_HEAD = re.compile(
    r"(?i)^(?:of|in|on|at|with|without|by|to|from|behind|near|next|under|over|above|below|beside|between|against|"
    r"around|along|inside|outside|across|through|among|for|that|which|who|whose|whom|where|is|are|was|were|has|have|"
    r"and|or|wearing|holding|sitting|standing|riding|carrying|looking|facing|playing|lying|eating|using|walking|"
    r"leaning|talking|touching|covering|closest|nearest|not)$"
)
# Places and articles are no heads where a noun stands before them: "man left", "circle left of the star".
_PLACE = frozenset({"left", "right", "far", "front", "top", "bottom", "middle", "center", "centre", "only"})
_NO_NOUN = _PLACE | {"the", "a", "an", "in", "on", "at", "to"}


def folder_of(place: Path | None, conventions: Sequence[str], what: str) -> Path:
    """The first of the known folder layouts below `place`; AnywordError that names all that were tried."""
    if place is None:
        raise AnywordError(f"this dataset needs the folder of its {what}.", remedy="Set `root` and `texts`.")
    for name in conventions:
        if (place / name).is_dir():
            return place / name
    tried = ", ".join(str(place / name) for name in conventions)
    raise AnywordError(f"no {what}: tried {tried}.", remedy=f"Set the path to the folder that holds the {what}.")


def file_of(place: Path | None, conventions: Sequence[str], what: str) -> Path:
    """Like `folder_of`, for a file."""
    if place is None:
        raise AnywordError(f"this dataset needs its {what}.", remedy="Set `texts`.")
    for name in conventions:
        if (place / name).is_file():
            return place / name
    tried = ", ".join(str(place / name) for name in conventions)
    raise AnywordError(f"no {what}: tried {tried}.", remedy="Set `texts` to the folder that holds it.")


def read_json(path: Path, kind: type, place: DataLocation) -> Any:
    """A JSON file whose top level is a `kind`, noted in `place`; AnywordError where it is not."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else error
        raise AnywordError(f"{path}: no JSON ({why}).", remedy="Fetch the file again.") from None
    if not isinstance(value, kind):
        raise AnywordError(f"{path}: holds no {kind.__name__} at its top level.", remedy="Is it the right file?")
    place.note(path)
    return value


def head(text: str, span: Span) -> Span:
    """The root noun of a phrase for which a dataset gives none: the last word before a preposition or a clause.

    >>> [head(t, Span(start=0, end=len(t))).of(t) for t in ("left man in the red hat", "cup left of it", "the left")]
    ['man', 'cup', 'left']
    """
    inside = list(words(span.of(text)))
    named = [word for word in inside if word.of(span.of(text))[0].isalnum()]
    cut = next((i for i, word in enumerate(named) if i and _AFTER_HEAD.match(word.of(span.of(text)))), len(named))
    if not named:
        return span
    said = [word.of(span.of(text)).lower() for word in named]
    at = cut - 1
    while at > 0 and said[at] in _PLACE:
        at -= 1
    root = named[cut - 1 if said[at] in _NO_NOUN else at]
    return Span(start=span.start + root.start, end=span.start + root.end)


def find(text: str, phrases: Iterable[str]) -> list[Span | None]:
    """Where each phrase occurs as whole words: reading on from the one before it, else anywhere that is still free;
    exactly, else in any case. None where it does not occur.

    >>> [s and s.start for s in find("A cat and a cat", ["a cat", "a cat", "dog"])]
    [10, 0, None]
    """
    found: list[Span | None] = []
    cursor = 0
    for phrase in phrases:
        pattern = re.escape(phrase.strip())
        pattern = (r"(?<!\w)" if phrase.strip()[:1].isalnum() else "") + pattern
        pattern += r"(?!\w)" if phrase.strip()[-1:].isalnum() else ""
        span = None
        if phrase.strip():
            for flags in (0, re.IGNORECASE):
                places = [Span(start=m.start(), end=m.end()) for m in re.finditer(pattern, text, flags)]
                free = [one for one in places if not any(one.overlaps(other) for other in found if other)]
                ahead = [one for one in free if one.start >= cursor]
                span = next(iter(ahead or free), None)
                if span:
                    break
        if span:
            cursor = span.end
        found.append(span)
    return found


def entry(
    name: str,
    *,
    image: str,
    text: str,
    spans: Sequence[Span | str],
    masks: Sequence[tuple[int, list[Any]]],
    split: str,
    size: tuple[int, int] | None = None,
    referred: int | None = None,
    tags: Sequence[str] = (),
) -> Entry:
    """An entry of the common shape. A span given as a string is a phrase that is not in the text: the entry fails.

    `masks` are (index of the phrase, COCO segmentations to unite); `size` is (height, width) as the annotations say.
    """
    missing = next((one for one in spans if isinstance(one, str)), None)
    problem = image_problem(image) or text_problem(text)
    if problem is None and missing is not None:
        problem = f"phrase {quote(missing)} is not in its text {quote(text)}."
    source = {
        "image": image,
        "text": text,
        "split": split,
        "tags": list(tags),
        "phrases": [[one.start, one.end] for one in spans if isinstance(one, Span)],
        "referred": referred,
        "size": list(size) if size else None,
        "masks": [[index, parts] for index, parts in masks],
    }
    return Entry(id=name, source={} if problem else source, problem=problem)


def records(data: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    """The records under a key of an annotation file, those left out that are none; AnywordError without the key."""
    value = data.get(key)
    if not isinstance(value, list):
        raise AnywordError(f"{path}: has no list '{key}'.", remedy="Is it the right file?")
    return [one for one in value if isinstance(one, dict)]


def keyed(key: str, found: Iterable[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Records by a number or name of theirs; one without it can be meant by no row, which then says so."""
    return {one[key]: one for one in found if isinstance(one.get(key), str | int)}


def has_truth(entries: list[Entry]) -> bool:
    return any("masks" in one.source for one in entries)


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The sample of an entry of the common shape; SampleError where image or masks do not fit."""
    if place.root is None:
        raise AnywordError("this dataset needs --root, the folder of its images.")
    source = entry.source
    facts = look_at(place.root, source["image"])
    text = source["text"]
    phrases = []
    for start, end in source["phrases"]:
        span = Span(start=start, end=end)
        phrases.append(Phrase(span=span, root=head(text, span)))
    height, width = source["size"] or (facts.height, facts.width)
    if (height, width) != (facts.height, facts.width):
        raise SampleError(
            f"image '{source['image']}' has {facts.width}x{facts.height} pixels, its annotations say {width}x{height}.",
            remedy="Use the images that the annotations were made for.",
        )
    truth = tuple(
        TruthMask("phrase", index, columns_of(segmentation(parts, height, width)), tuple(source["tags"]))
        for index, parts in source["masks"]
    )
    return Sample(
        image=source["image"],
        sha256=facts.sha256,
        width=width,
        height=height,
        text=text,
        split=source["split"],
        parse=Parse(phrases=tuple(phrases), referred=source["referred"]),
        tags=tuple(source["tags"]),
        truth=truth,
    )


def segmentation(parts: list[Any], height: int, width: int) -> Rle:
    """COCO segmentations as one mask: RLE (compressed or not) and lists of polygons or of RLE, united.

    Overlapping polygons stay one mask (adding them, as REFER does, gives pixels of value 2 that some metrics then
    drop). Polygons of an odd length or under three corners are left out, as ReLA does.

    Raises:
        SampleError: nothing usable is left, a corner is no number or far outside, or an RLE is of another size or
            broken.
    """
    from pycocotools import mask as coco

    found: list[Rle] = []
    for part in parts:
        if isinstance(part, dict):
            found.append(coco_rle(part, height, width))
        elif isinstance(part, list):
            found += [coco_rle(one, height, width) for one in part if isinstance(one, dict)]
            polygons = [one for one in part if isinstance(one, list) and len(one) >= 6 and len(one) % 2 == 0]
            for polygon in polygons:
                _check_corners(polygon, height, width)
            found += coco.frPyObjects(polygons, height, width) if polygons else []
    if not found:
        raise SampleError("a mask has neither a polygon of three corners nor an RLE.", remedy="Mend its annotation.")
    return union(found, height, width)


def _check_corners(polygon: list[Any], height: int, width: int) -> None:
    """SampleError for a corner that pycocotools would die of, or take gigabytes for: it walks every edge in fifths of
    pixels, whether it is in the image or not, and takes a NaN for the smallest integer."""
    for at, value in enumerate(polygon):
        side = height if at % 2 else width
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -side <= value <= 2 * side:  # false for NaN, too
            raise SampleError(
                f"a polygon has a corner at {'xy'[at % 2]} = {quote(str(value))}, its image is {width}x{height}.",
                remedy="Mend its annotation.",
            )


def coco_rle(part: dict[str, Any], height: int, width: int) -> Rle:
    """COCO's RLE, its runs compressed or not; SampleError where it is of another size or does not fill it."""
    from pycocotools import mask as coco

    counts, size = part.get("counts"), part.get("size")
    if size != [height, width] or not isinstance(counts, str | list):
        raise SampleError(f"a mask's RLE is of size {size!s:.60}, its image of [{height}, {width}].")
    if isinstance(counts, list):
        if any(not isinstance(one, int) or one < 0 for one in counts) or sum(counts) != height * width:
            raise SampleError("a mask's RLE does not cover its image.", remedy="Mend its annotation.")
        return dict(coco.frPyObjects({"size": [height, width], "counts": counts}, height, width))
    if _pixels(counts) != height * width:
        raise SampleError("a mask's RLE does not cover its image.", remedy="Mend its annotation.")
    return {"size": [height, width], "counts": counts.encode("ascii")}


def _pixels(counts: str) -> int:
    """Pixels that a compressed RLE covers (-1 if it is no RLE): pycocotools would read past a wrong one.

    Six bits a character from '0' on, little end first, bit 5 says that more follow, the last one's bit 4 is the sign;
    from the fourth run on they are differences to the run two before (cocoapi, maskApi.c, rleFrString).
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 40:
            return -1
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            if len(runs) > 2:
                value += runs[-2]
            if value < 0:
                return -1
            runs.append(value)
            value = shift = 0
    return sum(runs) if shift == 0 else -1
