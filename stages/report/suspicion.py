"""How suspicious a mask is without truth: one number of a few figures, by a rule that `anyword study suspicion` fitted
and measured (docs/audit.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

PROBABILITIES = ("peak", "attention")
"""Figures that are read by their logarithm: how high attention goes depends on the model's words and cells, by a
factor."""


@cache
def rule() -> dict[str, Any]:
    """`bias`, and `terms`: of each figure the mean and deviation over the masks that the rule was fitted on, and its
    weight."""
    found: dict[str, Any] = json.loads(files("stages.report").joinpath("suspicion.json").read_bytes())
    return found


def scaled(name: str, value: float) -> float:
    """A figure as the rule reads it."""
    return math.log2(max(value, 1e-6)) if name in PROBABILITIES else value


def suspicion(figures: Mapping[str, float]) -> float:
    """Log-odds that a mask is wrong, by the scenes that the rule was fitted on: elsewhere an order, no probability. A
    figure that is not there counts as ordinary.

    figures: of one phrase's mask (`stages.report.figures`).
    """
    total: float = rule()["bias"]
    for term in rule()["terms"]:
        if term["figure"] in figures:
            value = scaled(term["figure"], figures[term["figure"]])
            total += term["weight"] * (value - term["mean"]) / term["deviation"]
    return total
