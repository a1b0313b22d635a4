"""A dataset's own figures, from the tables of its shards: collected sample by sample, then evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

from stages.artifacts.recipes import implementation
from stages.score.recipe import ScorerRecipe

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """All that is known of one sample; `predictions` is empty where it failed on the way."""

    sample: Row
    """Its row of the samples table."""
    truth: Sequence[Row]
    predictions: Sequence[Row]
    referred: int | None
    """Index of the phrase that the experiment's parser takes the expression to be about."""


class Collector(Protocol):
    columns: ClassVar[tuple[str, ...]]

    def add(self, case: Case) -> None: ...

    def figures(self) -> dict[str, Any]: ...

    def rows(self) -> Iterator[Row]:
        """What the figures are made of, a row of `columns` an image, expression or class; after `figures`."""
        ...


class Module(Protocol):
    """What the module of a scorer's recipe offers."""

    def collector(self, recipe: Any) -> Collector | None:
        """What collects the dataset's own figures; None where the figures of every phrase are all."""


def collector_of(recipe: ScorerRecipe) -> Collector | None:
    """What collects the figures of a recipe's kind; None for plain grounding."""
    return cast(Module, implementation(recipe)).collector(recipe)


def phrases(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["kind"] == "phrase"]
