"""How suspicious a mask is without truth: one number of a few figures, by a rule that `anyword study suspicion` fitted
and measured (docs/audit.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

FAR = 4.0
"""Deviations from its mean beyond which a figure says no more."""


@cache
def rule() -> dict[str, Any]:
    """`bias`, and `terms`: of each figure the mean and deviation over the masks that the rule was fitted on, and its
    weight."""
    found: dict[str, Any] = json.loads(files("stages.report").joinpath("suspicion.json").read_bytes())
    return found


def suspicion(figures: Mapping[str, float]) -> float:
    """0 to 1; a figure that is not there counts as ordinary.

    figures: of one phrase's mask (`stages.report.figures`).
    """
    total = rule()["bias"]
    for term in rule()["terms"]:
        if term["figure"] in figures:
            apart = (figures[term["figure"]] - term["mean"]) / term["deviation"]
            total += term["weight"] * max(-FAR, min(FAR, apart))
    return 1.0 / (1.0 + math.exp(-total))
