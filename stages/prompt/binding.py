"""Points bound by grammar: adjectives join their noun, other nouns become negatives (section 2.4).

The words' maps come by their characters, the phrases by theirs; offsets are all that joins the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.maps import mean_map, resized
from stages.artifacts.seeds import generator
from stages.prompt.recipe import PrompterRecipe
from stages.prompt.regions import draw, high_response, scaled

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    Map = Float[np.ndarray, "rows columns"]
    Region = Bool[np.ndarray, "rows columns"]

BACKGROUND = (-1, -1)
"""In place of a word's characters: the point comes from no word."""


@dataclass(frozen=True)
class Point:
    """A prompt for the segmenter: x and y in 0..1 of the image, label 1 inside the target and 0 outside."""

    x: float
    y: float
    label: int
    word: tuple[int, int]
    """Characters of the word whose map gave the point."""


@dataclass(frozen=True)
class _Focus:
    """Where one phrase is: its scaled map, the region of high response, and its positive points."""

    response: Map
    region: Region
    positives: tuple[Point, ...]


def bind(
    parse: Parse,
    maps: Mapping[tuple[int, int], Float[np.ndarray, "height width"]],
    recipe: PrompterRecipe,
    sample_id: str,
) -> dict[tuple[str, int], list[Point]]:
    """The points of every target, ("phrase", index) or ("predicate", index); no points where no map responds.

    maps: by (start, end) of each word of the text, all of one size.
    """
    foci = _foci(parse, maps, recipe, sample_id)
    points: dict[tuple[str, int], list[Point]] = {}
    for index, focus in enumerate(foci):
        others = [other for other in range(len(foci)) if _exclusive(parse, recipe, index, other)]
        negatives = _negatives(focus.region, [foci[other] for other in others], recipe)
        if len(parse.phrases) == 1:
            negatives += _background(focus, recipe, sample_id, index)
        points["phrase", index] = [*focus.positives, *negatives] if focus.positives else []
    for index, predicate in enumerate(parse.predicates if recipe.predicates else ()):
        joined = sorted({i for i in (predicate.subject, predicate.object) if i is not None})
        positives = [point for i in joined for point in foci[i].positives]
        rest = [i for i in range(len(foci)) if i not in joined and all(_exclusive(parse, recipe, j, i) for j in joined)]
        region = np.any([foci[i].region for i in joined], axis=0) if joined else np.zeros((1, 1), dtype=bool)
        negatives = _negatives(region, [foci[i] for i in rest], recipe)
        points["predicate", index] = [*positives, *negatives] if positives else []
    return points


def _foci(
    parse: Parse,
    maps: Mapping[tuple[int, int], Float[np.ndarray, "height width"]],
    recipe: PrompterRecipe,
    sample_id: str,
) -> list[_Focus]:
    """Where each phrase is, from its words' maps and, with competition, against the other phrases'."""
    nouns = [_map_of(phrase.root, maps, recipe.resolution) for phrase in parse.phrases]
    adjectives = [
        [(span, _map_of(span, maps, recipe.resolution)) for span in phrase.adjectives] for phrase in parse.phrases
    ]
    joined = []
    for noun, own in zip(nouns, adjectives, strict=True):
        use = recipe.adjectives and recipe.noun_map == "joined" and own
        joined.append(scaled(noun * np.mean([values for _, values in own], axis=0)) if use else noun)
    if recipe.exclusion and recipe.competition > 0:
        rivals = [
            [joined[other] for other in range(len(joined)) if _exclusive(parse, recipe, index, other)]
            for index in range(len(joined))
        ]
        joined = [
            scaled(np.maximum(own - recipe.competition * np.max(others, axis=0), 0.0)) if others else own
            for own, others in zip(joined, rivals, strict=True)
        ]
    return [
        _focus(phrase, joined[index], adjectives[index] if recipe.adjectives else [], recipe, (sample_id, index))
        for index, phrase in enumerate(parse.phrases)
    ]


def _focus(
    phrase: Phrase,
    noun: Map,
    adjectives: list[tuple[Span, Map]],
    recipe: PrompterRecipe,
    name: tuple[str, int],
) -> _Focus:
    """One phrase's region and positives. As many points with adjectives as without: only their maps differ."""
    region = high_response(noun, recipe.threshold)
    count = max(2, 1 + len(phrase.adjectives)) if recipe.positive_points == "paper" else recipe.positive_points
    sources = [(phrase.root, region, noun)]
    for span, values in adjectives:
        response = scaled(values * noun) if recipe.adjective_map == "joined" else values
        own = high_response(response, recipe.threshold)
        if own.any():
            sources.append((span, own, response))
    positives: list[Point] = []
    for turn, (span, own, response) in enumerate(sources):
        share = len(range(turn, count, len(sources)))
        cells = draw(own, response, share, recipe.sampling, generator(recipe.seed, "prompt", *name, span.start))
        positives += [Point(float(x), float(y), 1, (span.start, span.end)) for x, y in cells]
    return _Focus(noun, region, tuple(positives))


def _map_of(span: Span, maps: Mapping[tuple[int, int], np.ndarray], resolution: int) -> Map:
    """The min-max-scaled mean of the maps of the words that a span touches; zeros where it touches none."""
    mean = mean_map(maps, span.start, span.end)
    if mean is None:
        return np.zeros((resolution, resolution))
    return scaled(resized(mean, (resolution, resolution)))


def _exclusive(parse: Parse, recipe: PrompterRecipe, one: int, other: int) -> bool:
    """Whether two phrases name different things: not itself, nor (by default) an owner and what it owns."""
    if one == other or not recipe.exclusion:
        return False
    related = parse.phrases[one].possessor == other or parse.phrases[other].possessor == one
    return recipe.possessors_exclusive or not related


def _negatives(region: Region, others: list[_Focus], recipe: PrompterRecipe) -> list[Point]:
    """The positives of other phrases, as negatives, but for those within the target's own region."""
    negatives = []
    for other in others:
        taken = 0
        for point in other.positives:
            row, column = int(point.y * region.shape[0]), int(point.x * region.shape[1])
            if taken == recipe.negatives_a_phrase or (recipe.drop_contested and region[row, column]):
                continue
            negatives.append(Point(point.x, point.y, 0, point.word))
            taken += 1
    return negatives


def _background(focus: _Focus, recipe: PrompterRecipe, sample_id: str, index: int) -> list[Point]:
    """Negatives from where a lone phrase does not respond."""
    draws = generator(recipe.seed, "background", sample_id, index)
    low, high = recipe.background_points
    count = int(draws.integers(low, high + 1))
    rim = ndimage.binary_dilation(focus.region, iterations=2)
    away = (focus.response <= recipe.background_threshold) & ~rim
    cells = draw(away, focus.response, count, "uniform", draws)
    return [Point(float(x), float(y), 0, BACKGROUND) for x, y in cells]
