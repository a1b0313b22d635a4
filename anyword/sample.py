"""One image and its sentence: what the pipeline says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.artifacts.maps import mean_map, resized

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, UInt8

    Map = Float32[np.ndarray, "height width"]


@dataclass(frozen=True)
class Word:
    """A word of the sentence: `text[start:end]`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Point:
    """A point that Segment Anything was prompted by, in pixels of the image, pixel centres at .5."""

    x: float
    y: float
    inside: bool


@dataclass(frozen=True)
class Target:
    """A phrase or predicate that was asked for, and its mask."""

    kind: str
    """phrase or predicate."""
    index: int
    """Counted within its kind."""
    text: str
    start: int
    end: int
    score: float | None
    """What the segmenter thinks of its mask: of SAM the IoU that it predicts."""
    points: tuple[Point, ...]
    _row: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def mask(self) -> Bool[np.ndarray, "height width"]:
        """Pixels of the image, decoded anew each time."""
        from stages.artifacts.masks import decode

        return decode(self._row)


@dataclass(frozen=True)
class Score:
    """How a truth of the dataset was answered."""

    kind: str
    index: int
    start: int
    end: int
    phrase: str
    iou: float
    pointing: bool | None
    """Whether the word's map peaks inside; None where that was not scored."""


@dataclass(frozen=True)
class Sample:
    """What the pipeline says of one image and its sentence; a sample that failed has a reason and no targets."""

    id: str
    text: str
    image_path: Path
    height: int
    width: int
    targets: tuple[Target, ...]
    """Phrases, then predicates."""
    scores: tuple[Score, ...] = ()
    """By truth, where the experiment was scored."""
    failed: str | None = None
    """Why nothing was made of it, in one line."""
    _maps: Mapping[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    _image: tuple[Path, str, str] = field(default=(Path(), "", ""), repr=False, compare=False)
    _keep: object = field(default=None, repr=False, compare=False)

    @property
    def phrases(self) -> tuple[Target, ...]:
        return tuple(one for one in self.targets if one.kind == "phrase")

    @property
    def predicates(self) -> tuple[Target, ...]:
        return tuple(one for one in self.targets if one.kind == "predicate")

    @property
    def words(self) -> tuple[Word, ...]:
        """Every word of the sentence in order; punctuation marks count as words."""
        from stages.artifacts.language import words

        return tuple(Word(one.of(self.text), one.start, one.end) for one in words(self.text))

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """The image in RGB. AnywordError where it is not where `images` says, or has changed since."""
        from stages.artifacts.images import read_image

        return read_image(*self._image)

    @property
    def maps(self) -> Mapping[tuple[int, int], Map]:
        """Attention by (start, end) of each word, on the grid on which it is stored; empty where none took part."""
        return self._maps

    def map(self, word: str | Word | Target | Sequence[int], *, full: bool = False) -> Map:
        """Attention of a word, or the mean over the words that a span (start, end) touches.

        word: the word itself where the sentence has it once, else a Word, a Target, or (start, end) in characters.
        full: at the image's size, bilinearly, instead of the stored grid.

        Raises:
            AnywordError: the word is not there, or more than once; no map touches the span.
        """
        start, end = self._span(word)
        mean = mean_map(self._maps, start, end)
        if mean is None:
            raise AnywordError(
                f"sample '{self.id}': no map of characters {start}:{end}.",
                remedy="It has none that attention took part in." if not self._maps else "Give the span of a word.",
            )
        return (resized(mean, (self.height, self.width)) if full else mean).astype(np.float32)

    def _span(self, word: str | Word | Target | Sequence[int]) -> tuple[int, int]:
        if isinstance(word, (Word, Target)):
            return word.start, word.end
        if not isinstance(word, str):
            start, end = word
            return int(start), int(end)
        found = [one for one in self.words if one.text == word]
        if len(found) == 1:
            return found[0].start, found[0].end
        where = ", ".join(f"({one.start}, {one.end})" for one in found)
        raise AnywordError(
            f"sample '{self.id}': its sentence has the word '{word}' {len(found)} times.",
            remedy=f"Give one of {where}." if found else f"It has {', '.join(one.text for one in self.words)}.",
        )
