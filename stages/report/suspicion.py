"""How suspicious a mask is without truth: one number from its figures, by a rule that a study fitted and measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

RULE: dict[str, tuple[float, float, float]] = {
    "score": (0.9, 0.1, -1.0),
    "shared": (0.1, 0.2, 1.0),
}
"""By figure: mean and standard deviation over the masks that the rule was fitted on, and its weight."""
BIAS = -2.0


def suspicion(figures: Mapping[str, float]) -> float:
    """0 to 1; a figure that is not there counts as ordinary.

    figures: of one phrase's mask (`stages.report.figures`).
    """
    total = BIAS
    for name, (mean, deviation, weight) in RULE.items():
        if name in figures:
            total += weight * max(-4.0, min(4.0, (figures[name] - mean) / deviation))
    return 1.0 / (1.0 + math.exp(-total))
