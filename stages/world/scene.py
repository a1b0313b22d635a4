"""Scenes of the embedded world, sampled from a seed: which objects, where, on which grounds, in what relations.

`scene(split, index)` is the same scene on every machine. Splits are disjoint ranges of seeds, so no scene is
stored anywhere. `Level` is the curriculum's knob: what the scenes of a stage of training may hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stages.world import render
from stages.world.render import COLOURS, GROUNDS, SIDE
from stages.world.shapes import NOUNS, SOLID, Patch, patch, scale_of_area

if TYPE_CHECKING:
    from jaxtyping import Bool, UInt8

SPLITS = {"train": 0, "val": 1_000_000_000, "test": 2_000_000_000}
"""First seed of each split; a split holds a thousand million scenes."""
SPLIT_SIZE = 1_000_000_000

SMALL = 0.02
"""An object that shows less than this share of the image counts as small."""
MAX_OCCLUSION = 0.35
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
    related: float = 0.5
    """Of the scenes with two objects or more: two touch, cover or hold one another."""


LEVELS = {
    "simple": Level(counts=(0.3, 0.4, 0.3), two_grounds=0.0, same_noun=0.0, small=0.05, related=0.1),
    "grounds": Level(counts=(0.2, 0.35, 0.3, 0.15), two_grounds=0.5, same_noun=0.1, small=0.1, related=0.3),
    "full": Level(),
}


@dataclass(frozen=True)
class Instance:
    """One object as it shows: `mask` is exactly its visible pixels."""

    noun: str
    colour: str
    pattern: str
    """plain, striped or dotted."""
    pattern_shows: bool
    """Whether two periods of the pattern show; only then may a caption name it."""
    size: str
    """small, medium or large, by the area drawn."""
    centre: tuple[int, int]
    """Row and column in pixels."""
    mask: Bool[np.ndarray, "128 128"]
    occluded: float
    """Share of the object's area that others hide."""

    @property
    def area(self) -> float:
        """Visible share of the image."""
        return float(self.mask.mean())

    @property
    def small(self) -> bool:
        return self.area < SMALL


@dataclass(frozen=True)
class Ground:
    name: str
    mask: Bool[np.ndarray, "128 128"]
    """Where the ground shows: objects are cut out."""


@dataclass(frozen=True)
class Relation:
    """`subject` is to `object` as `kind` says; both are indices into the scene's instances."""

    kind: str
    """touching, covering, inside, above or left of."""
    subject: int
    object: int


@dataclass(frozen=True)
class Scene:
    split: str
    index: int
    image: UInt8[np.ndarray, "128 128 3"]
    instances: tuple[Instance, ...]
    grounds: tuple[Ground, ...]
    relations: tuple[Relation, ...]

    @property
    def same_noun(self) -> bool:
        """Whether two objects share their noun."""
        return len({instance.noun for instance in self.instances}) < len(self.instances)


@dataclass
class _Draft:
    """An object before it has a place."""

    noun: str
    colour: str
    pattern: str
    size: str
    shape: Patch
    centre: tuple[int, int] = (0, 0)


def seed_of(split: str, index: int) -> int:
    """The seed of a scene; ValueError outside the split's range."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    if not 0 <= index < SPLIT_SIZE:
        raise ValueError(f"scene index {index} is not in 0..{SPLIT_SIZE - 1}")
    return SPLITS[split] + index


def _draft(rng: np.random.Generator, noun: str, colour: str, size: str, pattern: str | None = None) -> _Draft:
    low, high = _AREAS[size]
    radius = scale_of_area(noun, rng.uniform(low, high) * _PIXELS)
    angle = rng.uniform(-0.25, 0.25)
    if noun in ("crescent", "arrow") and rng.random() < 0.5:
        angle += np.pi
    shape = patch(noun, radius, angle)
    if pattern is None:
        fits = min(shape.extent()) >= 2 * PERIOD[0] + 2
        pattern = str(rng.choice(["plain", "striped", "dotted"], p=[0.36, 0.32, 0.32])) if fits else "plain"
    return _Draft(noun, colour, pattern, size, shape)


def _sizes(rng: np.random.Generator, count: int, level: Level) -> list[str]:
    share = (level.small, (1 - level.small) * 0.45, (1 - level.small) * 0.55)
    return [str(size) for size in rng.choice(["small", "medium", "large"], size=count, p=share)]


def _draft_all(rng: np.random.Generator, level: Level) -> tuple[list[_Draft], str | None]:
    """The objects of a scene, and how the first two of them are to meet."""
    count = int(rng.choice(len(level.counts), p=level.counts)) + 1
    nouns = [str(noun) for noun in rng.permutation(NOUNS)[:count]]
    # A colour word comes before its noun, so no causal text encoder can tell two red things apart by "red".
    repeat = bool(rng.random() < level.repeated_colour)
    colours = [str(colour) for colour in rng.choice(list(COLOURS), size=count, replace=repeat)]
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


def _free_place(rng: np.random.Generator, draft: _Draft, taken: Bool[np.ndarray, "128 128"], tries: int = 24) -> bool:
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


def _area_of(draft: _Draft, margin: float) -> Bool[np.ndarray, "128 128"]:
    """Pixels within `margin` pixels of the object."""
    area = np.zeros((SIDE, SIDE), dtype=bool)
    there, here = draft.shape.window(*draft.centre, SIDE)
    area[there] = draft.shape.distance[here] < margin
    return area


def _place_meeting(rng: np.random.Generator, first: _Draft, second: _Draft, meeting: str) -> bool:
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


def _lay_out(rng: np.random.Generator, level: Level) -> tuple[list[_Draft], str | None]:
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


def _shows_pattern(draft: _Draft, mask: Bool[np.ndarray, "128 128"]) -> bool:
    if draft.pattern == "plain":
        return False
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return bool(min(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 >= 2 * PERIOD[0])


def _relations(drafts: list[_Draft], meeting: str | None) -> list[Relation]:
    """How objects stand to one another: the planned meeting, and above and left of where they are plain."""
    relations = []
    if meeting:
        relations.append(Relation(meeting, 1, 0))
    extents = [draft.shape.extent() for draft in drafts]
    for a in range(len(drafts)):
        for b in range(len(drafts)):
            if a == b or (meeting and {a, b} == {0, 1}):
                continue
            down = drafts[b].centre[0] - drafts[a].centre[0]
            right = drafts[b].centre[1] - drafts[a].centre[1]
            if down > (extents[a][0] + extents[b][0]) / 2 and abs(right) < 0.5 * down:
                relations.append(Relation("above", a, b))
            if right > (extents[a][1] + extents[b][1]) / 2 and abs(down) < 0.5 * right:
                relations.append(Relation("left of", a, b))
    return relations


def _contact(one: Bool[np.ndarray, "128 128"], other: Bool[np.ndarray, "128 128"]) -> bool:
    """Whether the visible parts lie within three pixels of one another."""
    rows, columns = one.nonzero()
    return any(
        other[(rows + down).clip(0, SIDE - 1), (columns + right).clip(0, SIDE - 1)].any()
        for down in range(-3, 4)
        for right in range(-3, 4)
        if abs(down) + abs(right) <= 3
    )


def _paint_grounds(
    rng: np.random.Generator, level: Level
) -> tuple[np.ndarray, list[tuple[str, Bool[np.ndarray, "128 128"]]]]:
    names = [str(name) for name in rng.permutation(GROUNDS)[:2]]
    crops = [
        render.ground_pixels(name, (int(rng.integers(2 * SIDE)), int(rng.integers(2 * SIDE))), rng.uniform(0.93, 1.06))
        for name in names
    ]
    turn, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-18, 18)
    wave, phase = rng.uniform(0, 4), rng.uniform(0, 2 * np.pi)
    if rng.random() >= level.two_grounds:
        return crops[0].copy(), [(names[0], np.ones((SIDE, SIDE), dtype=bool))]
    line = render.shore(turn, offset, wave, phase)
    second = line > 0
    return render.blend_grounds(crops[0], crops[1], line), [(names[0], ~second), (names[1], second)]


def scene(split: str, index: int, level: Level | str = "full") -> Scene:
    """The scene of a split's index, the same wherever it is drawn.

    Raises ValueError for an unknown split or level, or an index outside the split.
    """
    if isinstance(level, str):
        if level not in LEVELS:
            raise ValueError(f"level {level!r} is not one of {', '.join(LEVELS)}")
        level = LEVELS[level]
    rng = np.random.default_rng(seed_of(split, index))
    canvas, grounds = _paint_grounds(rng, level)
    drafts, meeting = _lay_out(rng, level)
    for draft in drafts:
        share = None
        if draft.pattern != "plain":
            turn = rng.uniform(-0.4, 0.4) + (np.pi / 2 if rng.random() < 0.5 else 0)
            share = render.pattern_share(
                draft.pattern, draft.shape.half, rng.uniform(*PERIOD), turn, (rng.random(), rng.random())
            )
        render.draw(canvas, draft.shape, draft.centre, draft.colour, rng.uniform(0.92, 1.04), share)
    masks = render.visible([(draft.shape, draft.centre) for draft in drafts])
    if meeting == "touching" and not _contact(masks[1], masks[0]):
        meeting = None  # they met at a horn finer than a pixel, which does not show
    instances = tuple(
        Instance(
            noun=draft.noun,
            colour=draft.colour,
            pattern=draft.pattern,
            pattern_shows=_shows_pattern(draft, mask),
            size=draft.size,
            centre=draft.centre,
            mask=mask,
            occluded=1 - int(mask.sum()) / draft.shape.area,
        )
        for draft, mask in zip(drafts, masks, strict=True)
    )
    bare = ~np.logical_or.reduce(masks)
    return Scene(
        split=split,
        index=index,
        image=render.as_bytes(canvas),
        instances=instances,
        grounds=tuple(Ground(name, mask & bare) for name, mask in grounds),
        relations=tuple(_relations(drafts, meeting)),
    )
