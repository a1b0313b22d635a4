"""The scatter plot of Figure 10: IoU mean over standard deviation, a dot an expression, the best at the top left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.studies.variance import Bounds, Spread

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
        axes.scatter(stds, means, s=16, alpha=0.45, linewidths=0, label=NAMES[setting], **style)
        if every:
            centre = (sum(stds) / len(stds), sum(means) / len(means))
            axes.scatter(*centre, s=110, edgecolors="black", linewidths=1.2, zorder=3, **style)
    line: dict[str, Any] = {"color": "#888888", "linewidth": 0.8, "linestyle": ":"}
    box: dict[str, Any] = {"fontsize": 8, "color": "#555555", "va": "top"}
    for mean, std in ((bounds.easy_mean, bounds.easy_std), (bounds.hard_mean, bounds.hard_std)):
        axes.plot([0.0, std, std], [mean, mean, 1.0], **line)
    axes.text(bounds.easy_std - 0.004, 0.995, "easy", ha="right", **box)
    axes.text(bounds.hard_std - 0.004, 0.995, "medium", ha="right", **box)
    axes.text(bounds.hard_std + 0.004, 0.995, "hard", ha="left", **box)
    axes.set(xlabel="standard deviation of an expression's IoU over its texts", ylabel="mean of it")
    axes.set(xlim=(-0.01, 0.51), ylim=(-0.02, 1.02))
    axes.legend(loc="lower right", frameon=False)
    return figure
