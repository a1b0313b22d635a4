"""The key of a language model's server: from the environment, fit for a header, and kept out of all that is said."""

from __future__ import annotations

import os

from stages.artifacts import AnywordError

_PART = 8
"""Letters of a key in a row that give it away: servers quote keys in part."""
_SHORTEST = 4
"""Shorter ones are words such as "no", and no secret."""


class Key:
    def __init__(self, value: str = "") -> None:
        self.value = value
        self._parts = {value[i : i + _PART] for i in range(len(value) - _PART + 1)}

    @classmethod
    def of_environment(cls, name: str) -> Key:
        """The key in an environment variable, white space around it left out; none where there is none. AnywordError
        where no header can carry it."""
        value = os.environ.get(name, "").strip()
        bad = next((at for at, letter in enumerate(value, start=1) if not "!" <= letter <= "~"), None)
        if bad is not None:
            raise AnywordError(
                f"parser: the key in {name} holds a letter that no key has, the {bad}th of {len(value)}.",
                remedy="Copy the key again: letters, digits and signs of ASCII, no spaces.",
            )
        return cls(value)

    def scrubbed(self, text: str) -> str:
        """The text with the key, and every part of it of eight letters or more, replaced by "…".

        >>> Key("sk-0123456789").scrubbed("wrong: sk-0123456789 (…23456789)")
        'wrong: … (……)'
        """
        if len(self.value) < _SHORTEST:
            return text
        if len(self.value) < _PART:
            return text.replace(self.value, "…")
        shown: list[str] = []
        hidden = 0  # letters before this place are part of the key
        for at, letter in enumerate(text):
            if text[at : at + _PART] in self._parts:
                if at >= hidden:
                    shown.append("…")
                hidden = max(hidden, at + _PART)
            if at >= hidden:
                shown.append(letter)
        return "".join(shown)
