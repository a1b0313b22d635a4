"""One class a pixel: that whose map responds most (InvSeg, "Overall Optimization Process")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts import ModelRecord, SampleError
from stages.artifacts.language import Parse
from stages.artifacts.maps import mean_map, resized
from stages.segment.recipe import ArgmaxRecipe
from stages.segment.segmenter import Cut, Request, Target

if TYPE_CHECKING:
    from jaxtyping import Float

    Maps = Mapping[tuple[int, int], Float[np.ndarray, "rows columns"]]


class Argmax:
    """Phrases shared out over the image; a mask's score is the mean response inside it."""

    models: Mapping[str, ModelRecord] = {}

    def __init__(self, recipe: ArgmaxRecipe) -> None:
        self.recipe = recipe

    def cuts(self, requests: Sequence[Request]) -> Iterator[Mapping[Target, Cut] | SampleError]:
        for request in requests:
            yield label_map(request.parse, request.maps or {}, request.size, self.recipe)


def load(recipe: ArgmaxRecipe, device: str) -> Argmax:
    return Argmax(recipe)


def records(recipe: ArgmaxRecipe) -> Mapping[str, ModelRecord]:
    return {}


def label_map(parse: Parse, maps: Maps, size: tuple[int, int], recipe: ArgmaxRecipe) -> dict[Target, Cut]:
    """The pixels of each phrase, ("phrase", index), no two of which share one.

    Maps are enlarged to the image's size and then compared: the other way round, borders follow the maps' cells. Of
    equal responses the earlier phrase has the pixel; a phrase without a map, or whose map is constant, has none. A
    pixel where the strongest response is under `recipe.threshold`, or every map at its least, is nobody's.
    """
    responses = [resized(response(maps, one.span.start, one.span.end), size) for one in parse.phrases]
    if not responses:
        return {}
    stacked = np.stack(responses)
    winner, strongest = stacked.argmax(axis=0), stacked.max(axis=0)
    taken = (strongest > 0) & (strongest >= recipe.threshold)
    found: dict[Target, Cut] = {}
    for index, own in enumerate(responses):
        mask = (winner == index) & taken
        found["phrase", index] = Cut(mask, float(own[mask].mean()) if mask.any() else 0.0)
    return found


def response(maps: Maps, start: int, end: int) -> Float[np.ndarray, "rows columns"]:
    """The mean of a phrase's words' maps, stretched to 0..1 (the norm of equation 2); zeros where it has none."""
    mean = mean_map(maps, start, end)
    if mean is None:
        return np.zeros(next(iter(maps.values())).shape if maps else (1, 1))
    low, high = float(mean.min()), float(mean.max())
    return np.zeros_like(mean) if high <= low else (mean - low) / (high - low)
