"""Bootstrap intervals of figures that are made of sums, resampling whole images.

Phrases of one image are not independent, so images are drawn, with all their phrases (cluster bootstrap; Efron &
Tibshirani 1993, chapter 13: percentile intervals). The draws depend on the seed and the number of images only, so
figures over the same images see the same resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.artifacts.seeds import generator

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

Statistic = Callable[[np.ndarray], np.ndarray]
"""Sums [..., columns] to a figure [...]."""

_CELLS = 4_000_000  # resample weights held at once


@dataclass(frozen=True)
class Interval:
    """A figure and the 2.5 % and 97.5 % quantiles of its bootstrap distribution; None where undefined."""

    value: float | None
    low: float | None
    high: float | None

    def json(self) -> dict[str, float | None]:
        return asdict(self)


def resamples(images: int, replicates: int, seed: int) -> Iterator[Int64[np.ndarray, "chunk images"]]:
    """How often each image is drawn, in chunks of replicates; each row sums to `images`."""
    draws = generator(seed, "score", "bootstrap", images)
    rows = max(1, _CELLS // max(1, images))
    for start in range(0, replicates, rows):
        yield draws.multinomial(images, np.full(images, 1.0 / images), size=min(rows, replicates - start))


def interval(
    statistic: Statistic,
    rows: Float64[np.ndarray, "rows columns"],
    images: Sequence[Hashable],
    *,
    replicates: int,
    seed: int,
) -> Interval:
    """A figure of the rows' sums, with its 95 % interval over resampled images.

    `images` names the image of each row. A replicate in which the figure is undefined (a division by zero) is left
    out of the quantiles.
    """
    if len(rows) == 0:
        return Interval(None, None, None)
    sums = sums_by_image(rows, images)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(sums.sum(axis=0)))
        drawn = [np.asarray(statistic(counts @ sums)) for counts in resamples(len(sums), replicates, seed)]
    return quantiles(value, np.concatenate(drawn) if drawn else np.zeros(0))


def sums_by_image(
    rows: Float64[np.ndarray, "rows columns"], images: Sequence[Hashable]
) -> Float64[np.ndarray, "images columns"]:
    """The rows of each image added up, images in the order of their first row."""
    position: dict[Hashable, int] = {}
    at = np.asarray([position.setdefault(one, len(position)) for one in images])
    sums = np.zeros((len(position), rows.shape[1]))
    np.add.at(sums, at, rows)
    return sums


def quantiles(value: float, drawn: Float64[np.ndarray, " replicates"]) -> Interval:
    """The interval of a figure from its values on the resamples."""
    drawn = drawn[np.isfinite(drawn)]
    low, high = (float(one) for one in np.quantile(drawn, [0.025, 0.975])) if len(drawn) else (None, None)
    return Interval(value if np.isfinite(value) else None, low, high)


def ratio(sums: np.ndarray) -> np.ndarray:
    """First column over second: a mean, or intersection over union of a whole set."""
    return sums[..., 0] / sums[..., 1]


def means(
    columns: Mapping[str, Sequence[float]], images: Sequence[Hashable], *, replicates: int, seed: int
) -> dict[str, Interval]:
    """The means of several per-phrase values, each with its interval, all over the same resampled images."""
    count = len(images)
    if count == 0:
        return dict.fromkeys(columns, Interval(None, None, None))
    rows = np.stack([*(np.asarray(one, dtype=np.float64) for one in columns.values()), np.ones(count)], axis=1)
    sums = sums_by_image(rows, images)
    drawn = [counts @ sums for counts in resamples(len(sums), replicates, seed)]
    totals = np.concatenate(drawn) if drawn else np.zeros((0, rows.shape[1]))
    return {name: quantiles(float(rows[:, i].mean()), totals[:, i] / totals[:, -1]) for i, name in enumerate(columns)}


def mean(values: Sequence[float], images: Sequence[Hashable], *, replicates: int, seed: int) -> Interval:
    """The mean of per-phrase values, with its interval over resampled images."""
    return means({"": values}, images, replicates=replicates, seed=seed)[""]


def paired_difference(
    first: Mapping[tuple[str, str, int], float],
    second: Mapping[tuple[str, str, int], float],
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> Interval:
    """Mean of `second` minus mean of `first` over the same phrases, both drawn on the same resampled images.

    Keys are (sample_id, kind, index) of the truth, as `grounding.ious` gives them.

    Raises:
        AnywordError: the two do not score the same phrases.
    """
    if first.keys() != second.keys():
        odd = sorted(first.keys() ^ second.keys())[0]
        raise AnywordError(
            f"sample '{odd[0]}': {odd[1]} {odd[2]} is scored in one experiment only.",
            remedy="Compare experiments on the same samples.",
        )
    keys = sorted(first)
    return mean([second[k] - first[k] for k in keys], [k[0] for k in keys], replicates=replicates, seed=seed)
