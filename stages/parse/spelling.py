"""Misspelt words of grammar: what a parser goes by when the nouns are new to it.

Only how a word is read changes, never the text: the parser sees "wearnig" under the norm "wearing", and every offset
stays. Names of things are left as they are; they may be new words ("kittytoi").
"""

from __future__ import annotations

from functools import lru_cache

KNOWN = frozenset(
    """behind beside between under above below inside front near around through across against along beneath onto
    toward towards within without next with from left right middle bottom corner background foreground the and that
    which while wearing holding sitting standing riding walking running carrying looking playing eating flying
    throwing catching hitting swinging reading using watching feeding chasing drinking touching pushing pulling
    lying laying leaning jumping sleeping hanging driving parked seated placed perched covered filled surrounded
    dressed stacked decorated mounted wrapped following facing smiling swimming surfing skiing kneeling crouching
    posing talking waiting grazing resting floating kicking cutting petting brushing climbing crossing pointing
    back top side first closest
    black white brown green yellow orange purple striped wooden large small little young second third""".split()
)
_REAL = frozenset("form paying fling raving haning ridding beings laing tying being fist closet tops sides".split())
"""Words in their own right that are one slip away from a known one."""


@lru_cache(maxsize=1)
def _slips() -> dict[str, str]:
    """Every word that is one slip away from a known one: two letters changed places, one missing or doubled inside."""
    found: dict[str, str | None] = {}
    for word in sorted(KNOWN):
        forms = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)}
        if len(word) > 4:
            forms |= {word[:i] + word[i + 1 :] for i in range(1, len(word) - 1)}
        if len(word) > 3:
            forms |= {word[:i] + word[i] + word[i:] for i in range(1, len(word))}
        if word.endswith("ing"):
            forms.add(word[:-1])  # "sittin"
        for form in forms - KNOWN - _REAL:
            found[form] = word if form not in found else None  # two readings: none
    return {form: word for form, word in found.items() if word is not None}


def reading(word: str) -> str | None:
    """The known word that a misspelt one stands for; None where the word is not misspelt, or not known how."""
    return _slips().get(word.lower())
