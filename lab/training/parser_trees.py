"""Trees of words: how a template caption is grown, and read off as words, tags, heads and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Node:
    """A word with its dependents; those in `left` stand before it, those in `right` after it."""

    word: str
    pos: str
    tag: str
    dep: str = "dep"
    left: list[Node] = field(default_factory=list)
    right: list[Node] = field(default_factory=list)
    glued: bool = False
    """No space before this word (punctuation, "'s", the parts of a hyphenated word)."""

    def named(self, dep: str) -> Node:
        self.dep = dep
        return self


@dataclass(frozen=True)
class Row:
    """One word of a grown caption; `head` is the index of its head among the rows, itself at the root."""

    word: str
    pos: str
    tag: str
    head: int
    dep: str
    glued: bool


def rows(roots: Sequence[Node]) -> list[Row]:
    """The words of several trees in the order in which they are read."""
    order: list[Node] = []

    def visit(node: Node) -> None:
        for child in node.left:
            visit(child)
        order.append(node)
        for child in node.right:
            visit(child)

    for root in roots:
        visit(root)
    place = {id(node): index for index, node in enumerate(order)}
    head = {id(child): place[id(node)] for node in order for child in (*node.left, *node.right)}
    return [
        Row(n.word, n.pos, n.tag, head.get(id(n), place[id(n)]), "ROOT" if id(n) not in head else n.dep, n.glued)
        for n in order
    ]


def case(preposition: str) -> Node:
    return Node(preposition, "ADP", "IN", "case")


def det(article: str) -> Node:
    return Node(article, "DET", "DT", "det")


def cc(word: str) -> Node:
    return Node(word, "CCONJ", "CC", "cc")


def comma() -> Node:
    return Node(",", "PUNCT", ",", "punct", glued=True)


def stop() -> Node:
    return Node(".", "PUNCT", ".", "punct", glued=True)


def hyphen() -> Node:
    return Node("-", "PUNCT", "HYPH", "punct", glued=True)


def cased(row: Row, word: str) -> Row:
    return Row(word, row.pos, row.tag, row.head, row.dep, row.glued)


def third_person(verb: str) -> str:
    """ "touch" → "touches", "carry" → "carries"."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")


def gerund(verb: str) -> str:
    """ "slice" → "slicing", "chop" → "chopping"."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    one_syllable = len(re.findall("[aeiou]+", verb)) == 1
    doubled = one_syllable and verb[-1] in "bdgmnprt" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    return verb + (verb[-1] if doubled else "") + "ing"


def written(words: Sequence[Row]) -> tuple[str, list[bool]]:
    """The text of a caption, and for each word whether a space follows it."""
    spaces = [i + 1 < len(words) and not words[i + 1].glued for i in range(len(words))]
    # The right half of a hyphenated word is glued to the hyphen, not to what stands before the word.
    text = "".join(row.word + (" " if space else "") for row, space in zip(words, spaces, strict=True))
    return text, spaces
