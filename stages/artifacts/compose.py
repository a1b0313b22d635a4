"""From a mask a phrase to the one answer that a dataset asks for.

RefCOCO wants the mask of the phrase that the expression is about, gRefCOCO the union of all that it names (or
nothing), a semantic set one label a pixel; GranDf takes the masks phrase by phrase, as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import ArtifactError
from stages.artifacts.masks import decode

if TYPE_CHECKING:
    from jaxtyping import Int32

Row = Mapping[str, Any]
UNCLAIMED = -1

# What may stand between two phrases of a list: "the man, the dog and a cat".
_JOINED = re.compile(r"\s*(?:,|;|/|&|\+|\band\b|\bor\b|\bas well as\b|\balong with\b|\btogether with\b)[\s,]*", re.I)


def answers(wanted: Sequence[Row], predictions: Sequence[Row]) -> list[int | None]:
    """For each wanted target the position of the prediction that answers it, or None; all of one sample and kind.

    A prediction answers a phrase whose root noun its span covers (a predicate: whose span it covers), and at most
    one. Equal roots go first, so that a long phrase does not take the place of the one that means the noun; then
    the wanted in order, each with the first prediction left.

    >>> whole = dict(start=0, end=24, root_start=6, root_end=12)     # "a red circle by a square": root circle
    >>> parts = [dict(start=0, end=12, root_start=6, root_end=12), dict(start=16, end=24, root_start=18, root_end=24)]
    >>> answers(parts, [whole])
    [0, None]
    """
    found: list[int | None] = [None] * len(wanted)
    free = dict.fromkeys(range(len(predictions)))
    for fits in (_same_root, _covers_root):
        for position, one in enumerate(wanted):
            if found[position] is None:
                at = next((i for i in free if fits(predictions[i], one)), None)
                if at is not None:
                    found[position] = at
                    del free[at]
    return found


def referred(predictions: Sequence[Row], index: int | None) -> Row | None:
    """The mask of the phrase that the expression is about: the parser's `referred`, else the first phrase."""
    phrases = [row for row in predictions if row["kind"] == "phrase"]
    return next((row for row in phrases if row["index"] == index), phrases[0] if phrases else None)


def referred_all(predictions: Sequence[Row], index: int | None, text: str) -> list[Row]:
    """The masks of everything that the expression names: the referred phrase and those listed with it.

    Two phrases are listed together when only a comma or "and" stands between them; a phrase that merely describes
    ("the man behind the dog") is not part of the answer.
    """
    first = referred(predictions, index)
    if first is None:
        return []
    phrases = sorted((row for row in predictions if row["kind"] == "phrase"), key=lambda row: row["start"])
    chosen = [first]
    at = phrases.index(first)
    for direction in (phrases[at + 1 :], phrases[:at][::-1]):
        last = first
        for row in direction:
            before, after = (last, row) if row["start"] >= last["end"] else (row, last)
            if _JOINED.fullmatch(text[before["end"] : after["start"]]) is None:
                break
            chosen.append(row)
            last = row
    return chosen


def label_map(
    rows: Sequence[Row], labels: Sequence[int], height: int, width: int, *, unclaimed: int = UNCLAIMED
) -> Int32[np.ndarray, "height width"]:
    """One label a pixel; where masks overlap, that of the highest score (the earlier one among equals).

    Rows without a score (truth) all count the same.

    Raises:
        ArtifactError: a mask of another size.
    """
    image = np.full((height, width), unclaimed, dtype=np.int32)
    order = sorted(range(len(rows)), key=lambda i: (rows[i].get("score") or 0.0, -i))
    for i in order:
        if (rows[i]["height"], rows[i]["width"]) != (height, width):
            raise ArtifactError(
                f"a mask of {rows[i]['height']}x{rows[i]['width']} in an image of {height}x{width} (height x width)."
            )
        image[decode(rows[i])] = labels[i]
    return image


def _same_root(prediction: Row, wanted: Row) -> bool:
    return bool(prediction["root_start"] == wanted["root_start"] and prediction["root_end"] == wanted["root_end"])


def _covers_root(prediction: Row, wanted: Row) -> bool:
    return bool(prediction["start"] <= wanted["root_start"] and wanted["root_end"] <= prediction["end"])
