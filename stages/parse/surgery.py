"""Moving words of a tree: what every repair is made of. Labels and heads change, no word is added, no offset moves."""

from __future__ import annotations

from stages.parse.tree import Word

NOUNS = ("NOUN", "PROPN")
OF_THE_NOUN = frozenset("det amod nummod nmod:poss poss compound case nmod:desc det:predet predet prep".split())
"""Labels of what stands before a noun and belongs to it (and, of a preposition, behind it)."""


def attach(word: Word, head: Word | None, dep: str) -> None:
    """Hang a word, with all that depends on it, on another head. Where that depends on the word, what leads to it from
    the word takes the word's place first, so that no word ever comes to depend on itself."""
    if head is word:
        return
    if head is not None and is_above(word, head):
        top = head
        while top.head is not word and top.head is not None:
            top = top.head
        attach(top, word.head, word.dep)
    if word.head is not None:
        word.head.children.remove(word)
    word.head, word.dep = head, dep if head is not None else "ROOT"
    if head is not None:
        head.children.append(word)
        head.children.sort(key=lambda child: child.index)


def is_above(word: Word, other: Word) -> bool:
    """Whether `other` depends on `word`, at whatever distance."""
    while other.head is not None:
        other = other.head
        if other is word:
            return True
    return False


def take_over(new: Word, old: Word, dep: str = "compound") -> None:
    """`new` takes the place of `old` in the tree, with all that belongs to it; `old` becomes its modifier."""
    attach(new, old.head, old.dep)
    for child in list(old.children):
        if child is not new:
            attach(child, new, child.dep)
    attach(old, new, dep)


def as_noun(word: Word) -> None:
    """A word read as something else is a noun; what it was taken to do is said of it ("suitcase standing upright")."""
    word.pos, word.tag = "NOUN", "NNS" if word.tag == "NNS" else "NN"
    for child in word.having("xcomp"):
        if child.tag == "VBG":
            child.dep = "acl"
