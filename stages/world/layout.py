"""Where a scene's objects go: what they are, and places where they keep apart, touch, cover or hold one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stages.world.render import COLOURS, SIDE
from stages.world.shapes import NOUNS, SOLID, Patch, patch, scale_of_area

if TYPE_CHECKING:
    from jaxtyping import Bool

PERIOD = (12.0, 14.0)
"""Least and greatest period of stripes and dots in pixels: more than one cell of a 16×16 map."""

_PIXELS = SIDE * SIDE
_AREAS = {"small": (0.009, 0.0185), "medium": (0.033, 0.06), "large": (0.065, 0.125)}
_GAP = 4  # pixels kept free between objects that are not meant to meet
_CONTACT = 1.6  # outlines nearer than this touch


@dataclass(frozen=True)
class Level:
    """What scenes may hold: shares are probabilities."""

    counts: tuple[float, ...] = (0.2, 0.3, 0.3, 0.2)
    """Share of scenes with one, two, three, four objects."""
    two_grounds: float = 0.62
    same_noun: float = 0.32
    """Of the scenes with two objects or more: two share the noun."""
    small: float = 0.15
    """Of the objects outside relations: these are small (with those inside others, one in six is)."""
    repeated_colour: float = 0.2
    """Of the scenes: colours are drawn with replacement, so that two objects may share one."""
    palette: int = 0
    """Where not 0, all objects' colours are drawn from this many: sharing one is the rule."""
    related: float = 0.5
    """Of the scenes with two objects or more: two touch, cover or hold one another."""


LEVELS = {
    "simple": Level(counts=(0.3, 0.4, 0.3), two_grounds=0.0, same_noun=0.0, small=0.05, related=0.1),
    "full": Level(),
    "alike": Level(palette=2, counts=(0.05, 0.35, 0.35, 0.25)),
}


@dataclass
class Draft:
    """An object before it has a place."""

    noun: str
    colour: str
    pattern: str
    size: str
    shape: Patch
    centre: tuple[int, int] = (0, 0)


def _draft(rng: np.random.Generator, noun: str, colour: str, size: str, pattern: str | None = None) -> Draft:
    low, high = _AREAS[size]
    radius = scale_of_area(noun, rng.uniform(low, high) * _PIXELS)
    angle = rng.uniform(-0.25, 0.25)
    if noun in ("crescent", "arrow") and rng.random() < 0.5:
        angle += np.pi
    shape = patch(noun, radius, angle)
    if pattern is None:
        fits = min(shape.extent()) >= 2 * PERIOD[0] + 2
        pattern = str(rng.choice(["plain", "striped", "dotted"], p=[0.36, 0.32, 0.32])) if fits else "plain"
    return Draft(noun, colour, pattern, size, shape)


def _sizes(rng: np.random.Generator, count: int, level: Level) -> list[str]:
    share = (level.small, (1 - level.small) * 0.45, (1 - level.small) * 0.55)
    return [str(size) for size in rng.choice(["small", "medium", "large"], size=count, p=share)]


def _draft_all(rng: np.random.Generator, level: Level) -> tuple[list[Draft], str | None]:
    """The objects of a scene, and how the first two of them are to meet."""
    count = int(rng.choice(len(level.counts), p=level.counts)) + 1
    nouns = [str(noun) for noun in rng.permutation(NOUNS)[:count]]
    # A colour word comes before its noun, so no causal text encoder can tell two red things apart by "red".
    repeat = bool(rng.random() < level.repeated_colour)
    colours = [str(colour) for colour in rng.choice(list(COLOURS), size=count, replace=repeat)]
    if level.palette:
        colours = [str(colour) for colour in rng.choice(colours[: level.palette], size=count)]
    sizes = _sizes(rng, count, level)
    meeting: str | None = None
    patterns: list[str | None] = [None] * count
    if count >= 2 and rng.random() < level.same_noun:
        a, b = rng.choice(count, size=2, replace=False)
        nouns[b] = nouns[a]
        if rng.random() < 0.2:
            sizes[a] = sizes[b] = "large"
            colours[b] = colours[a]
            patterns[a], patterns[b] = "plain", str(rng.choice(["striped", "dotted"]))
        else:
            if colours[b] == colours[a]:
                colours[b] = str(rng.choice([colour for colour in COLOURS if colour not in colours]))
    if count >= 2 and rng.random() < level.related:
        meeting = str(rng.choice(["touching", "covering", "inside"]))
        if meeting == "inside" and nouns[0] not in SOLID:
            solid = [number for number in range(1, count) if nouns[number] in SOLID]
            if solid:
                number = solid[0]
                nouns[0], nouns[number] = nouns[number], nouns[0]
                colours[0], colours[number] = colours[number], colours[0]
                sizes[0], sizes[number] = sizes[number], sizes[0]
                patterns[0], patterns[number] = patterns[number], patterns[0]
            else:
                meeting = "covering"
        if meeting == "inside":
            sizes[0] = "large"
            if sizes[1] != "small":
                sizes[1] = "small" if rng.random() < 0.35 else "medium"
            patterns[1] = patterns[1] if patterns[1] == "plain" else None
        if meeting in ("covering", "inside") and colours[0] == colours[1]:
            colours[1] = str(rng.choice([colour for colour in COLOURS if colour not in colours]))
    drafts = [_draft(rng, *parts) for parts in zip(nouns, colours, sizes, patterns, strict=True)]
    return drafts, meeting


def _free_place(rng: np.random.Generator, draft: Draft, taken: Bool[np.ndarray, "128 128"], tries: int = 24) -> bool:
    """Give the object a place inside the image that touches nothing taken; False where none was found."""
    height, width = draft.shape.extent()
    low_y, low_x = height // 2 + 3, width // 2 + 3
    for _ in range(tries):
        centre = int(rng.integers(low_y, SIDE - low_y)), int(rng.integers(low_x, SIDE - low_x))
        if _fits(draft.shape, centre) and not _meets(draft.shape, centre, taken):
            draft.centre = centre
            return True
    return False


def _fits(shape: Patch, centre: tuple[int, int]) -> bool:
    """Whether the whole shape lies inside the image, two pixels from its border."""
    there, here = shape.window(*centre, SIDE)
    del there
    rows, columns = here
    cut = shape.inside[rows, columns]
    return int(cut.sum()) == shape.area and not (
        (rows.start > 0 and cut[:2].any())
        or (columns.start > 0 and cut[:, :2].any())
        or (rows.stop < shape.inside.shape[0] and cut[-2:].any())
        or (columns.stop < shape.inside.shape[1] and cut[:, -2:].any())
    )


def _meets(shape: Patch, centre: tuple[int, int], taken: Bool[np.ndarray, "128 128"]) -> bool:
    there, here = shape.window(*centre, SIDE)
    return bool((taken[there] & shape.inside[here]).any())


def _area_of(draft: Draft, margin: float) -> Bool[np.ndarray, "128 128"]:
    """Pixels within `margin` pixels of the object."""
    area = np.zeros((SIDE, SIDE), dtype=bool)
    there, here = draft.shape.window(*draft.centre, SIDE)
    area[there] = draft.shape.distance[here] < margin
    return area


def _place_meeting(rng: np.random.Generator, first: Draft, second: Draft, meeting: str) -> bool:
    """Move the second object to where it touches, covers or lies inside the first."""
    below = _area_of(first, 0.0)
    size = int(below.sum())
    if meeting == "inside":
        if second.shape.area > 0.33 * size:
            return False
        reach = max(2, int(np.sqrt(size) * 0.12))
        for _ in range(8):
            step = rng.integers(-reach, reach + 1, size=2)
            second.centre = first.centre[0] + int(step[0]), first.centre[1] + int(step[1])
            there, here = second.shape.window(*second.centre, SIDE)
            if not (second.shape.inside[here] & ~below[there]).any():
                return True
        return False
    near = _area_of(first, _CONTACT)
    turn = rng.uniform(0, 2 * np.pi)
    start = first.shape.half + second.shape.half
    wanted = rng.uniform(0.14, 0.27)
    for distance in range(start, 0, -1):
        centre = (
            first.centre[0] + round(distance * np.sin(turn)),
            first.centre[1] + round(distance * np.cos(turn)),
        )
        if not (0 <= centre[0] < SIDE and 0 <= centre[1] < SIDE):
            continue
        there, here = second.shape.window(*centre, SIDE)
        inside = second.shape.inside[here]
        if meeting == "touching":
            if (near[there] & inside).any():
                second.centre = centre
                return not (below[there] & inside).any() and _fits(second.shape, centre)
        else:
            hidden = int((below[there] & inside).sum()) / size
            if hidden > 0.33:
                return False
            if hidden >= wanted:
                second.centre = centre
                return _fits(second.shape, centre)
    return False


def lay_out(rng: np.random.Generator, level: Level) -> tuple[list[Draft], str | None]:
    """Objects with their places; drawn anew until all of them fit."""
    drafts, meeting = _draft_all(rng, level)
    for attempt in range(1, 40):
        taken = np.zeros((SIDE, SIDE), dtype=bool)
        placed = 0
        for number, draft in enumerate(drafts):
            if number == 1 and meeting:
                ok = any(_place_meeting(rng, drafts[0], draft, meeting) for _ in range(6))
            else:
                ok = _free_place(rng, draft, taken)
            if not ok:
                break
            taken |= _area_of(draft, _GAP)
            placed += 1
        if placed == len(drafts):
            return drafts, meeting
        if attempt % 8 == 0:
            drafts, meeting = _draft_all(rng, level)
    # Forty crowded drafts in a row: one object always fits.
    draft = drafts[0]
    draft.centre = (SIDE // 2, SIDE // 2)
    return [draft], None
