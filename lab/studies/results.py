"""docs/results.md's tables, made of the figures in docs/figures: `anyword study tables`.

A table stands between `<!-- table NAME -->` and `<!-- end -->`; what is around them is prose. All figures are of one
state: the same versions of the stages, the same recipes. A study notes them where it is given `--json` (`made_by`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.studies import inversion_tables, invseg, ladder
from lab.studies.table import markdown
from stages import REPOSITORY
from stages.artifacts.errors import AnywordError

DOCS = REPOSITORY / "docs"
_TABLE = re.compile(r"(<!-- table (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """A table of the page: which command measures it, and how its figures are shown."""

    command: str
    """It writes `docs/figures/NAME.json`, given `--json`."""
    shown: Callable[[Mapping[str, Any]], str]


def _parsers(found: Mapping[str, Any]) -> str:
    said = {
        "truth": "the dataset's own phrases",
        "spacy": "spaCy, the embedded pipeline",
        "spacy-sm": "spaCy, en_core_web_sm 3.8.0",
        "scripted": "a scripted server, one answer in ten wrong (no language model)",
    }
    measured = {name: one for name, one in found.items() if isinstance(one, Mapping) and "predicate_iou" in one}
    rows = [
        [said.get(name, name), one["miou"], one["predicate_iou"], "–" if one["seconds"] is None else one["seconds"]]
        for name, one in sorted(measured.items(), key=lambda item: [*said, item[0]].index(item[0]))
    ]
    lines = [markdown(["parser", "mIoU of noun phrases", "mIoU of predicates", "seconds for all texts"], rows), ""]
    return "\n".join([*lines, f"{found['samples']} scenes. Not run here: {', '.join(sorted(found['not_run']))}."])


def _batches(found: Mapping[str, Any]) -> str:
    head = ["scenes", "masks", "lowest IoU of a mask in a batch of 8 with itself in a batch of 1", "mean"]
    return markdown(
        head, [[found["batch_samples"], found["batch_masks"], found["batch_iou_min"], found["batch_iou_mean"]]]
    )


CLAIMS = {
    "ladder": Claim("anyword study ladder --samples 200", ladder.table),
    "lora": Claim(
        "anyword study inversion --part lora --split test --samples 200 --synonyms 1 "
        "--config workflow/studies/embedded.yaml --attender short",
        inversion_tables.shown,
    ),
    "readings": Claim(
        "anyword study inversion --part readings --split test --samples 64 --synonyms 1 "
        "--config workflow/studies/embedded.yaml --attender short",
        inversion_tables.shown,
    ),
    "parsers": Claim("anyword study parsers --samples 200 --noise ''", _parsers),
    "batches": Claim("anyword study batches --samples 24", _batches),
    "invseg": Claim("anyword study invseg --samples 200 --tables 0", invseg.shown),
    "invseg-tables": Claim("anyword study invseg --samples 200 --conditions '' --tables 48", invseg.shown),
    "invseg-former": Claim(
        "anyword study invseg --samples 200 --tables 0 --backbone former/models/backbone",
        invseg.shown,
    ),
}


def read_figures(folder: Path) -> dict[str, dict[str, Any]]:
    """The figures of every claim by name.

    Raises:
        AnywordError: a file is absent or no JSON, or its figures are of another state than the others'.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, claim in CLAIMS.items():
        path = folder / f"{name}.json"
        try:
            found[name] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise AnywordError(f"{path}: no figures there.", remedy=f"{claim.command} --json {path}") from None
        first = next(iter(found.values()))
        if "made" not in found[name] or found[name]["made"] != first["made"]:
            raise AnywordError(
                f"{path}: is of other stage versions or recipes than {next(iter(found))}.json.",
                remedy=f"{claim.command} --json {path}",
            )
    return found


def rendered(page: str, figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with its tables made anew; AnywordError where a table has no figures, or figures have no table."""
    names = [match["name"] for match in _TABLE.finditer(page)]
    odd = set(names) ^ set(figures)
    if odd:
        raise AnywordError(f"table '{sorted(odd)[0]}': stands in the page, or among the figures, only.")

    def table(match: re.Match[str]) -> str:
        name = match["name"]
        made = f"`{CLAIMS[name].command}`"
        return f"{match[1]}{CLAIMS[name].shown(figures[name])}\n\n{made}\n{match[3]}"

    return _TABLE.sub(table, page)


def tables(
    docs: Annotated[Path, typer.Option(help="Folder of results.md and of figures/, a JSON file a table.")] = DOCS,
) -> None:
    """Make the tables of docs/results.md anew from docs/figures."""
    page = docs / "results.md"
    page.write_text(rendered(page.read_text(encoding="utf-8"), read_figures(docs / "figures")), encoding="utf-8")
    typer.echo(f"wrote {page}. Figures are made by:")
    for name, claim in CLAIMS.items():
        typer.echo(f"  {claim.command} --json {docs / 'figures' / name}.json")
