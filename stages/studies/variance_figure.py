"""The scatter plot of Figures 3 and 10: standard deviation of the IoU over its mean, a dot an expression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stages.studies.variance import Bounds, Spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"without": "without inversion", "with": "with inversion", "full": "full"}
_COLOURS = {"without": "#0072b2", "with": "#e69f00", "full": "#009e73"}
# Blue, orange and green of Okabe and Ito's palette, told apart by the colour-blind; shapes say it once more.
_SHAPES = {"without": "o", "with": "^", "full": "s"}


def scatter(by_setting: Mapping[str, Sequence[Spread]], bounds: Bounds) -> Figure:
    """One colour a setting, its mean as a large mark, the bounds of easy and hard as lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for setting, every in by_setting.items():
        style: dict[str, Any] = {"color": _COLOURS[setting], "marker": _SHAPES[setting]}
        means, stds = [one.mean for one in every], [one.std for one in every]
        axes.scatter(means, stds, s=16, alpha=0.45, linewidths=0, label=NAMES[setting], **style)
        if every:
            centre = (sum(means) / len(means), sum(stds) / len(stds))
            axes.scatter(*centre, s=110, edgecolors="black", linewidths=1.2, zorder=3, **style)
    line: dict[str, Any] = {"color": "#888888", "linewidth": 0.8, "linestyle": ":"}
    axes.plot([bounds.easy_mean, bounds.easy_mean, 1.0], [0.0, bounds.easy_std, bounds.easy_std], **line)
    axes.plot([bounds.hard_mean, bounds.hard_mean, 1.0], [0.0, bounds.hard_std, bounds.hard_std], **line)
    box: dict[str, Any] = {"fontsize": 8, "color": "#555555"}
    axes.text(0.99, bounds.easy_std - 0.004, "easy", ha="right", va="top", **box)
    axes.text(0.99, bounds.hard_std - 0.004, "medium", ha="right", va="top", **box)
    axes.text(0.99, bounds.hard_std + 0.004, "hard", ha="right", va="bottom", **box)
    axes.set(xlabel="IoU mean over an expression's texts", ylabel="IoU standard deviation")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.01, 0.52))
    axes.legend(loc="upper left", frameon=False)
    return figure
