"""How people write words of grammar short or run them together, spelled out for a parser.

Only the copy that a parser reads changes: every character of it keeps the place that it came from.
"""

from __future__ import annotations

import re

_FORMS = re.compile(
    r"""(?<![\w/])(?:
    (?P<without>w/o(?:ut)?(?!\w)) | (?P<with>w/(?=\s|\w)|w(?=\s\w)) | (?P<number>\#(?=\d)) |
    (?P<joined>(?:infront|ontop|nextto|inbetween|infrontof|ontopof)(?!\w)) |
    (?P<run>(?:in|on|of|at|by|with|behind|under|near|wearing|holding|riding|eating|carrying)
        (?P<on>a|the|left|right|top|bottom|back|front)(?!\w))
    ) | (?<=\w)[(\[](?=\w) | (?<=\w)[)\]](?=\w)""",
    re.VERBOSE | re.IGNORECASE,
)
_JOINED = {
    "infront": "in front",
    "infrontof": "in front of",
    "ontop": "on top",
    "ontopof": "on top of",
    "nextto": "next to",
    "inbetween": "between",
}


def spelled_out(text: str, places: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """ "w/ hat", "w/o shoes", "infront of", "#7" as "with hat", "without shoes", "in front of", "7".

    `places[i]` is where the i-th character stands in the text as given, for the text taken and the text returned.
    """
    parts: list[str] = []
    found: list[int] = []
    done = 0
    for match in _FORMS.finditer(text):
        begin, end = match.span()
        parts.append(text[done:begin])
        found += places[done:begin]
        full = _full(match)
        if match.lastgroup == "with" and end < len(text) and not text[end].isspace():
            full += " "
        parts.append(full)
        found += [places[begin + i] for i in _along(full, end - begin)]
        done = end
    return "".join([*parts, text[done:]]), (*found, *places[done:])


def _along(full: str, length: int) -> list[int]:
    """Where each character of a long form stands in its short form of `length` characters: letter by letter from
    the end where it has as many, else evenly."""
    letters = sum(not c.isspace() for c in full)
    if letters > length:
        return [length * i // len(full) for i in range(len(full))]
    ranks = [sum(not c.isspace() for c in full[i:]) for i in range(len(full))]
    return [min(length - max(rank, 1), length - 1) for rank in ranks]


def _full(match: re.Match[str]) -> str:
    if match.lastgroup == "joined":
        return _JOINED[match.group().lower()]
    if match.lastgroup == "run":
        return f"{match.group().removesuffix(match['on'])} {match['on']}"
    if match.lastgroup is None:  # a bracket between letters
        return f" {match.group()} "
    return {"with": "with", "without": "without", "number": ""}[match.lastgroup]
