"""What a text denies: a colour that something is said not to have must not find it in the image."""

from __future__ import annotations

import re

from stages.parse import lists
from stages.parse.tree import Tree, Word

_NOT = frozenset("not n't nt never nor neither".split())
_DEGREES = frozenset("very so really quite completely all entirely too that".split())
_HYPHENED = re.compile(r"(?:non|not)[-‐‑]\w", re.IGNORECASE)


def is_denied(word: Word, tree: Tree) -> bool:
    """Whether an adjective is said not to hold: "isn't black", "not black or white", "non-red"."""
    if _HYPHENED.match(word.text) or _is_negated(word, tree):
        return True
    clause = word.head
    if word.dep in ("acomp", "attr", "xcomp", "oprd", "obj", "dobj") and clause is not None:
        return _is_negated(clause, tree)
    if word.dep == "pobj" and clause is not None:  # "not in red", "isn't in red"
        said = clause.head is not None and clause.head.pos in ("AUX", "VERB") and _is_negated(clause.head, tree)
        return said or _is_negated(clause, tree)
    if word.dep == "conj" and clause is not None and clause.pos in ("ADJ", "VERB", "NOUN"):
        joints = [c.lower for one in (word, clause) for c in one.having("cc")]
        return "but" not in joints and is_denied(clause, tree)
    return False


def _is_negated(word: Word, tree: Tree) -> bool:
    if any(
        child.lower in _NOT and child.dep in ("neg", "advmod", "cc", "preconj", "cc:preconj") for child in word.children
    ):
        return not any(child.lower == "only" for child in word.children)
    at = word.index - 1
    while at >= 0 and tree.words[at].lower in _DEGREES:
        at -= 1
    return at >= 0 and word.pos == "ADJ" and tree.words[at].lower in _NOT


def is_absent(noun: Word, tree: Tree) -> bool:
    """Whether a thing is said not to be there: "without a hat", "no dogs", "not wearing a hat", "not the dog"."""
    if noun.case == "without" or any(c.lower == "no" for c in noun.having("det")):
        return True
    if any(c.lower == "not" and c.index < noun.index for c in noun.having("neg", "advmod")) and not noun.having("cop"):
        return True
    verb = noun.head
    wanted = noun.dep in ("obj", "dobj") and verb is not None and verb.pos == "VERB"
    return wanted and verb is not None and verb.lower not in lists.TAKING and _is_negated(verb, tree)
