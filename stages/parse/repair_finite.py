"""The finite verb of a sentence that has none: a word in -s between a subject and what follows is read as a plural ("a
chef slices tomatoes", "a girl carrying flowers smiles"), and nothing but the full stop tells that a verb is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stages.parse import lists
from stages.parse.surgery import NOUNS, OF_THE_NOUN, attach
from stages.parse.tree import FINITE, Tree, Word

_OPENS = ("DET", "ADP", "PUNCT", "ADV", "NUM", "SCONJ")
"""What may stand behind a finite verb, and hardly behind a noun that is its own phrase's last but one."""


def repair_finite(tree: Tree) -> None:
    """Every sentence without a finite verb given one, if a word can be it."""
    for sentence in _sentences(tree):
        if sentence[-1].text == "." and not any(map(_is_finite, sentence)):
            verb = next((word for word in sentence if _can_lead(word, tree, sentence)), None)
            if verb is not None:
                _lead(verb, tree, sentence)


def _sentences(tree: Tree) -> Iterator[Sequence[Word]]:
    begin = 0
    for word in tree.words:
        if word.text in (".", "!", "?", ";") or word.index + 1 == len(tree.words):
            yield tree.words[begin : word.index + 1]
            begin = word.index + 1


def _is_finite(word: Word) -> bool:
    relative = word.dep in ("relcl", "acl:relcl")
    return word.pos in ("VERB", "AUX") and not relative and (word.tag in FINITE or bool(word.having("aux", "auxpass")))


def _can_lead(word: Word, tree: Tree, sentence: Sequence[Word]) -> bool:
    before, after = tree.words[word.index - 1], tree.words[min(word.index + 1, len(tree.words) - 1)]
    if word.index <= sentence[0].index or word.pos not in NOUNS or not word.lower.endswith("s"):
        return False
    if word.tag not in ("NNS", "NN", "NNP") or word.lower.endswith("ss") or before.pos not in NOUNS:
        return False
    object_behind = after.pos in NOUNS and after.tag == "NNS" and word.tag == "NNS"
    article = any(one.pos in ("DET", "PRON", "NUM") for one in tree.words[sentence[0].index : before.index])
    plural = word.tag != "NN" or word.lower in lists.MOTIONS
    return plural and article and (after.pos in _OPENS or after.tag == "PRP$" or object_behind)


def _lead(verb: Word, tree: Tree, sentence: Sequence[Word]) -> None:
    """The verb leads its sentence; its subject is the sentence's first noun, its object a noun right behind it."""
    before = tree.words[verb.index - 1]
    first = next((one for one in sentence if one.pos in NOUNS and not _modifies_next(one, tree, verb)), before)
    whole = verb.head if verb.head is not None and verb.head.index > verb.index and verb.dep == "compound" else None
    head, dep = verb.head, verb.dep
    for child in [*(whole.children if whole else ()), *verb.children]:
        if child.index < before.index and child.dep in OF_THE_NOUN:
            attach(child, before, child.dep)
    if before is not first and before.head is verb:
        inner = head if whole is None else None
        attach(before, inner if inner is not None else first, dep if inner is not None else "nmod")
    verb.pos, verb.tag = "VERB", "VBZ"
    attach(verb, None, "ROOT")
    if first.head is not None or first is not verb:
        attach(first, verb, "nsubj")
    beside = [*verb.children, *(c for c in first.children if c.having("det"))]
    target = whole or next((c for c in beside if c.dep in ("appos", "dep", "list") and c.index > verb.index), None)
    if target is not None and target is not first:
        attach(target, verb, "obj")


def _modifies_next(word: Word, tree: Tree, verb: Word) -> bool:
    after = tree.words[word.index + 1] if word.index + 1 < len(tree.words) else None
    return (
        after is not None and after is not verb and after.pos in NOUNS and word.dep in ("compound", "amod", "nmod:desc")
    )
