"""What a segmenter is: a new kind is a module with `load`, and its model in `recipe.py`, which names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np

from stages.artifacts import ModelRecord, SampleError
from stages.artifacts.language import Parse

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

T = TypeVar("T")
Target = tuple[str, int]
"""("phrase", index) or ("predicate", index)."""


@dataclass(frozen=True)
class Request:
    """One sample; of points, maps and phrases there is what the recipe reads."""

    text: str
    size: tuple[int, int]
    """Height and width of the image."""
    image: Callable[[], UInt8[np.ndarray, "height width 3"]]
    """Reads the image; SampleError where it cannot be had."""
    targets: Sequence[Mapping[str, Any]]
    """Rows of the points table; without points, every phrase and predicate."""
    parse: Parse = field(default_factory=Parse)
    maps: Mapping[tuple[int, int], Float[np.ndarray, "rows columns"]] | None = None
    """By (start, end) of each word of the text."""


class Cut(NamedTuple):
    """A target's mask at the image's size, and the segmenter's own score of it."""

    mask: Bool[np.ndarray, "height width"]
    score: float


class Segmenter(Protocol):
    """A loaded segmenter; `models` are the weights that take part."""

    models: Mapping[str, ModelRecord]

    def cuts(self, requests: Sequence[Request]) -> Iterator[Mapping[Target, Cut] | SampleError]:
        """The masks of each request, in order, made as they are asked for; targets may be left out. A sample that
        cannot be segmented gives its SampleError; the rest go on."""


class Module(Protocol):
    """What the module of a segmenter's recipe offers."""

    def load(self, recipe: Any, device: str) -> Segmenter:
        """AnywordError with the remedy where something is missing."""

    def records(self, recipe: Any) -> Mapping[str, ModelRecord]:
        """The records of the models that `load` would load, from their files alone."""


def each(function: Callable[[Request], T], requests: Iterable[Request]) -> Iterator[T | SampleError]:
    """`function` of every request, its SampleError in the place of a result."""
    for request in requests:
        try:
            yield function(request)
        except SampleError as error:
            yield error
