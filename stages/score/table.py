"""A score as the few lines that a person reads first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_FIGURES = {
    "miou": "mIoU",
    "miou_matched_by_iou": "mIoU by best IoU",
    "iou_over_half": "IoU over .5",
    "pointing": "pointing",
}


def text_table(score: Mapping[str, Any]) -> str:
    """The figures with their intervals as aligned lines."""
    rows = list(_rows(score))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{name:<{widths[0]}}  {count:>{widths[1]}}  {value:<{widths[2]}}".rstrip() for name, count, value in rows]
    head = f"{score['samples']} samples, {score['failed']} failed; {score['extra']} predictions without a truth"
    return "\n".join([f"experiment {score['experiment']}: {head}", *lines])


def _rows(score: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield "", "n", "value (95 % interval)"
    for group in ("phrases", "predicates"):
        found = score[group]
        if not found["count"]:
            continue
        for key, name in _FIGURES.items():
            if found[key]["value"] is not None:
                count = found["pointed"] if key == "pointing" else found["count"]
                yield f"{group}: {name}", str(count), _interval(found[key])
        for tag, one in found["tags"].items():
            yield f"{group} tagged {tag}: mIoU", str(one["count"]), _interval(one["miou"])
    for name, one in score.get("official", {}).items():
        if isinstance(one, dict) and "low" in one:
            yield f"{score['official']['kind']}: {name}", "", _interval(one)


def _interval(figure: Mapping[str, float | None]) -> str:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if value is None:
        return "undefined"
    return f"{value:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else "")
