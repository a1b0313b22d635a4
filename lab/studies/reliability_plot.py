"""Predicted against observed, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any


def draw(found: Mapping[str, Any], form: str) -> bytes:
    """The reliability diagram of a no-target study (`no_target.figures`) as 'png' or 'svg'; equal figures give equal
    bytes.

    Above, each decision's observed share against its predicted probability, a point a bin, its size the bin's samples;
    on the diagonal a probability is honest. Below, how often `all` gives which probability.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "no-target", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 5.6), layout="constrained", dpi=150)
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        above.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for name, one in found["calibration"].items():
            rows = [row for row in one["reliability"] if row["count"]]
            x, y = [row["predicted"] for row in rows], [row["observed"] for row in rows]
            sizes = [10 + 90 * row["count"] / found["expressions"] for row in rows]
            strong = name == "all"
            line = above.plot(x, y, linewidth=1.5 if strong else 0.8, alpha=1 if strong else 0.6)[0]
            label = f"{name} (ECE {one['ECE']['value']:.3f})"
            above.scatter(x, y, s=sizes, color=line.get_color(), alpha=1 if strong else 0.6, label=label)
        above.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="observed share with a target")
        above.legend(fontsize=8, loc="upper left", frameon=False)
        rows = found["calibration"]["all"]["reliability"]
        width = 1 / len(rows)
        below.bar([row["from"] for row in rows], [row["count"] for row in rows], width, align="edge", edgecolor="white")
        below.set(xlabel="predicted probability that the object is there", ylabel="expressions")
        out = io.BytesIO()
        figure.savefig(out, format=form, metadata={"Date": None} if form == "svg" else {"Software": None})
    return out.getvalue()
