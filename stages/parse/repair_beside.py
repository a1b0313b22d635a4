"""Nouns and qualities side by side in fragments ("kid blue shirt", "umbrella blue", "sleeping cat"): which leads."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.surgery import NOUNS, attach, take_over
from stages.parse.tree import Tree, Word

_BEHIND = frozenset("open closed shut empty full asleep awake alone".split())
"""Qualities that stand bare behind their noun as well as colours do."""


def repair_beside(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """One word with what stands beside it mended, in place."""
    _doing(word, after)
    _striped(word, before, after)
    _wearer(tree, word, after)
    _colour_at_the_head(word, before, after)


def _wearer(tree: Tree, word: Word, after: Word | None) -> None:
    """ "kid blue shirt", "guy red hat", "green cactus pink pot": a noun before a quality of another noun is no part of
    that one's name; it leads, and the other is set beside it."""
    noun = word.head
    doing = (one for one in (word, after) if one is not None and one.lower.endswith("ing"))
    if any(one.lower not in lists.THINGS_IN_ING for one in doing):
        return  # "diamond touching striped square": see repair_gerunds
    if noun is None or after is None or noun.pos not in NOUNS or after.index >= noun.index or word.index > after.index:
        return
    if noun is after and noun.lower in lists.COLOURS and noun.dep == "compound" and noun.head is not None:
        noun = noun.head  # "black umpire purple chair", one on the other
    misread = word.dep in ("nmod", "compound", "amod", "nmod:desc") or (word.dep == "nsubj" and not noun.having("cop"))
    named = word.pos in NOUNS or (word.pos in ("VERB", "ADJ") and word.index == 0 and word.tag in ("VB", "JJ"))
    if not misread or not named or word.lower in lists.COLOURS | lists.PATTERNS | lists.SHADES | lists.POSITIONS:
        return
    if word.pos == "ADJ" and word.dep != "nmod" and word.lower not in lists.ACTORS:
        return
    quality = after.lower in lists.COLOURS | lists.PATTERNS | lists.DESCRIPTIVE or (
        after.pos == "ADJ" and after.tag == "JJ"
    )
    if not quality or after.head is not noun or after.dep not in ("amod", "compound", "nmod", "nmod:desc"):
        return
    if any(c.dep in ("det", "poss", "nmod:poss", "case", "cc", "punct") for c in noun.lefts) or noun.dep == "pobj":
        return
    attach(word, noun.head, noun.dep)
    for child in list(noun.children):
        if child.index < word.index:
            attach(child, word, child.dep)
    attach(noun, word, "list")
    word.pos = "PROPN" if word.pos == "PROPN" else "NOUN"
    after.dep, after.pos = "amod", "ADJ"


def _striped(word: Word, before: Word | None, after: Word | None) -> None:
    """ "kid striped shirt", with the quality as what the kid does."""
    if word.pos != "VERB" or word.lower not in lists.DESCRIPTIVE or before not in word.subjects or before is None:
        return
    thing = after if after is not None and after.head is word and after.dep in ("dobj", "obj") else None
    if thing is None or thing.having("det"):
        return
    attach(before, word.head, word.dep)
    for child in list(word.children):
        if child is not thing:
            attach(child, before, "amod" if child.lower in lists.POSITIONS else child.dep)
            if child.lower in lists.POSITIONS:
                child.pos, child.tag = "ADJ", "JJ"
    attach(thing, before, "list")
    attach(word, thing, "amod")
    word.pos, word.tag = "ADJ", "JJ"


def _colour_at_the_head(word: Word, before: Word | None, after: Word | None) -> None:
    """ "umbrella blue", "car blue on right", with the colour as what it is."""
    verb = word.pos in ("VERB", "ADV") and not word.having("dobj", "obj", "advmod", "prep", "aux")
    said = word.pos in ("NOUN", "PROPN", "ADJ") or verb
    if word.lower not in lists.COLOURS | _BEHIND or not said or word.head is not None:
        return
    if before is None or before.head is not word or before.dep not in ("compound", "amod", "nmod", "nsubj"):
        return
    if before.pos not in NOUNS or word.having("cop", "det", "case") or before.lower in lists.COLOURS | lists.SHADES:
        return
    if after is not None and after.pos in NOUNS:
        return
    take_over(before, word, "amod")
    word.pos, word.tag = "ADJ", "JJ"


def _doing(word: Word, after: Word | None) -> None:
    """ "sleeping cat on bed", "moving train": what cannot be done to anything is how the noun behind it is."""
    if word.index or word.pos != "VERB" or word.tag != "VBG" or word.head is not None or after is None:
        return
    thing = after if after.head is word and after.dep in ("dobj", "obj", "acomp", "nsubj", "xcomp") else None
    still = word.lower in lists.INTRANSITIVE or word.lower in lists.GOING
    if thing is None or not still or thing.pos not in NOUNS or thing.having("det", "poss", "nmod:poss"):
        return
    take_over(thing, word, "amod")
