"""Masks from attention maps alone: what plain Segment Anyword shows before SAM refines it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts import ModelRecord, SampleError
from stages.artifacts.language import Parse, Span
from stages.artifacts.maps import mean_map, resized
from stages.segment.recipe import AttentionRecipe
from stages.segment.segmenter import Cut, Request, Target

if TYPE_CHECKING:
    from jaxtyping import Float

    Maps = Mapping[tuple[int, int], Float[np.ndarray, "rows columns"]]


class Thresholded:
    """The words' maps themselves, cut; a mask's score is the mean response inside it."""

    models: Mapping[str, ModelRecord] = {}

    def __init__(self, recipe: AttentionRecipe) -> None:
        self.options = recipe.model_dump(exclude={"kind"})

    def cuts(self, requests: Sequence[Request]) -> Iterator[Mapping[Target, Cut] | SampleError]:
        for request in requests:
            yield masks(request.parse, request.maps or {}, request.size, **self.options)


def load(recipe: AttentionRecipe, device: str) -> Thresholded:
    return Thresholded(recipe)


def records(recipe: AttentionRecipe) -> Mapping[str, ModelRecord]:
    return {}


def masks(
    parse: Parse, maps: Maps, size: tuple[int, int], *, threshold: float, words: str, predicates: bool
) -> dict[Target, Cut]:
    """Mask and mean response inside it of every target, ("phrase", index) or ("predicate", index).

    maps: by (start, end) of each word of the text, all of one size. size: height and width of the image. A map is
    min-max-scaled, enlarged bilinearly, and cut at `threshold`; a constant one gives an empty mask.
    """
    responses = [response(phrase.root, phrase.adjectives, maps, words) for phrase in parse.phrases]
    enlarged = [resized(one, size) for one in responses]
    found: dict[Target, Cut] = {("phrase", index): _cut(one, threshold) for index, one in enumerate(enlarged)}
    for index, predicate in enumerate(parse.predicates if predicates else ()):
        members = [enlarged[i] for i in (predicate.subject, predicate.object) if i is not None]
        joined = np.max(members, axis=0) if members else np.zeros(size)
        found["predicate", index] = _cut(joined, threshold)
    return found


def response(noun: Span, adjectives: tuple[Span, ...], maps: Maps, words: str) -> Float[np.ndarray, "rows columns"]:
    """A phrase's map in 0..1: its noun's, or the 'mean' or 'product' of its noun's and its adjectives'."""
    own = _of_span(noun, maps)
    if words == "noun" or not adjectives:
        return own
    every = [own, *(_of_span(span, maps) for span in adjectives)]
    return _scaled(np.mean(every, axis=0) if words == "mean" else np.prod(every, axis=0))


def _of_span(span: Span, maps: Maps) -> Float[np.ndarray, "rows columns"]:
    """The scaled mean of the maps of the words that a span touches; zeros where it touches none."""
    mean = mean_map(maps, span.start, span.end)
    if mean is None:
        return np.zeros(next(iter(maps.values())).shape if maps else (1, 1))
    return _scaled(mean)


def _scaled(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return np.zeros_like(values) if high <= low else (values - low) / (high - low)


def _cut(values: np.ndarray, threshold: float) -> Cut:
    mask = (values >= threshold) & (values > 0)
    return Cut(mask, float(values[mask].mean()) if mask.any() else 0.0)
