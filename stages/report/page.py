"""The HTML of the report: one template, everything from data escaped, script and style allowed by their hash only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from stages.report.draw import COLOURS
from stages.report.view import Card

if TYPE_CHECKING:
    from jinja2 import Template

FAILURES_SHOWN = 200


@dataclass(frozen=True)
class PageName:
    """One page of the site: its file, and the running numbers of its samples."""

    number: int
    name: str
    first: int
    last: int


def pages_of(count: int, size: int) -> list[PageName]:
    """The pages of `count` samples; at least one. Names are numbers: nothing of the data becomes a path."""
    starts = range(0, max(count, 1), size)
    return [
        PageName(i, "index.html" if i == 1 else f"page-{i:04d}.html", start + 1, min(start + size, count))
        for i, start in enumerate(starts, start=1)
    ]


def render(
    *,
    experiment: str,
    page: PageName,
    pages: Sequence[PageName],
    cards: Sequence[Card],
    total: int,
    shown: int,
    failures: Sequence[Mapping[str, str]],
    provenance: Sequence[Mapping[str, Any]],
    score: Mapping[str, Any] | None,
    worst: Sequence[Mapping[str, Any]],
) -> str:
    """One page's HTML. `score` is what score.json holds, or None where there is no truth."""
    style, script = (files("stages.report").joinpath("templates", name).read_text() for name in ("page.css", "page.js"))
    return _template().render(
        experiment=experiment,
        page=page,
        pages=pages,
        cards=cards,
        total=total,
        shown=shown,
        failures=failures,
        failures_shown=FAILURES_SHOWN,
        provenance=provenance,
        score=None if score is None else _figures(score),
        worst=worst,
        colours=len(COLOURS),
        css=_own(style),
        js=_own(script),
        css_hash=_allowed(style),
        js_hash=_allowed(script),
    )


@lru_cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("stages.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html")


def _own(text: str) -> Any:
    """Our own style and script, the only text that is not escaped."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 (a file of this package)


def _allowed(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _figures(score: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the score table: every figure of score.json that has an interval, by group and tag."""
    rows = []
    names = {"miou": "mIoU", "miou_matched_by_iou": "mIoU, matched by IoU", "iou_over_half": "IoU over .5"}
    for group in ("phrases", "predicates"):
        found = score[group]
        if not found["count"]:
            continue
        for key, name in names.items():
            rows.append(_figure(f"{group}: {name}", found["count"], found[key]))
        if found["pointed"]:
            rows.append(_figure(f"{group}: pointing", found["pointed"], found["pointing"]))
        rows += [
            _figure(f"{group} tagged {tag}: mIoU", one["count"], one["miou"]) for tag, one in found["tags"].items()
        ]
    official = score.get("official", {})
    rows += [
        _figure(f"{official['kind']}: {name}", "", one)
        for name, one in official.items()
        if isinstance(one, dict) and "low" in one
    ]
    return {"rows": rows, "predictions": score["predictions"], "extra": score["extra"]}


def _figure(name: str, count: int | str, figure: Mapping[str, float | None]) -> dict[str, Any]:
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    return {
        "name": name,
        "count": count,
        "value": "undefined" if value is None else f"{value:.3f}",
        "interval": "" if low is None or high is None else f"{low:.3f} to {high:.3f}",
    }
