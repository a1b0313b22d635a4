"""Scenes of the embedded world, sampled from a seed: which objects, where, on which grounds, in what relations.

`scene(split, index)` is the same scene on every machine. Splits are disjoint ranges of seeds, so no scene is
stored anywhere. `Level` is the curriculum's knob: what the scenes of a stage of training may hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stages.world import render
from stages.world.layout import LEVELS, PERIOD, Draft, Level, lay_out
from stages.world.render import GROUNDS, SIDE

if TYPE_CHECKING:
    from jaxtyping import Bool, UInt8

SPLITS = {"train": 0, "val": 1_000_000_000, "test": 2_000_000_000}
"""First seed of each split; a split holds a thousand million scenes."""
SPLIT_SIZE = 1_000_000_000

SMALL = 0.02
"""An object that shows less than this share of the image counts as small."""
MAX_OCCLUSION = 0.35


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


def seed_of(split: str, index: int) -> int:
    """The seed of a scene; ValueError outside the split's range."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    if not 0 <= index < SPLIT_SIZE:
        raise ValueError(f"scene index {index} is not in 0..{SPLIT_SIZE - 1}")
    return SPLITS[split] + index


def _shows_pattern(draft: Draft, mask: Bool[np.ndarray, "128 128"]) -> bool:
    if draft.pattern == "plain":
        return False
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return bool(min(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 >= 2 * PERIOD[0])


def _relations(drafts: list[Draft], meeting: str | None) -> list[Relation]:
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
    drafts, meeting = lay_out(rng, level)
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
