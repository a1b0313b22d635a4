"""Sides as people type them ("left guy", "foot bottom left", "bag right of the surfboard"), which pipelines take for
verbs or for what the text is about. Called by the repairs of fragments, word by word."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.surgery import NOUNS, attach, is_above, take_over
from stages.parse.tree import Tree, Word


def left_as_verb(word: Word, before: Word | None, after: Word | None, *, sentence: bool) -> None:
    """ "woman left", "man left of the tree", "bear looking left", "mans left arm": who left, left something."""
    verb = word.pos == "VERB" or bool(word.having("dobj", "obj"))
    if word.lower != "left" or not verb or word.having("aux"):
        return
    going = next((c for c in word.having("auxpass", "aux:pass") if c.lower.endswith("ing")), None)
    if going is not None and word.subjects:  # "bus going left"
        noun = word.subjects[0]
        attach(noun, word.head, word.dep)
        attach(going, noun, "acl")
        attach(word, going, "advmod")
        going.pos, going.tag, word.pos, word.tag = "VERB", "VBG", "ADV", "RB"
        return
    if after is not None and after.lower == "of":
        word.pos, word.tag = "ADV", "RB"
        if word.head is None and before is not None and before.head is word:
            attach(before, None, "ROOT")
            attach(word, before, "advmod")
        elif word.dep in ("acl", "amod", "relcl"):
            word.dep = "advmod"
        return
    if before is not None and before.text == "," and word.subjects and not sentence:
        before = word.subjects[0]  # "bottom row, left chair"
    if before is None or word.tag == "VBG" or before.lower in lists.POSITIONS:
        return
    if before.pos == "VERB" and before.tag == "VBG" and word.head is before:
        word.pos, word.tag, word.dep = "ADV", "RB", "advmod"
        return
    if before not in word.subjects or before.pos not in NOUNS:
        return
    thing = after if after is not None and after.pos in NOUNS and after.head is word else None
    if thing is not None:
        attach(thing, word.head, word.dep)
        owner = before.lower in lists.OWNERS or thing.lower in lists.PARTS - {"side"}
        for child in list(word.children):
            if child is not before:
                attach(child, thing, child.dep)
        if owner:
            attach(before, thing, "nmod:poss")
        else:  # "elephant left side"
            attach(before, thing.head, thing.dep)
            attach(thing, before, "list")
        attach(word, thing, "amod")
    elif not sentence and not word.having("dobj", "obj"):
        attach(before, word.head, word.dep)
        for child in list(word.children):
            attach(child, before, child.dep)
        attach(word, before, "amod")
    else:
        return
    word.pos, word.tag = "ADJ", "JJ"


def side_at_the_head(word: Word, before: Word | None, after: Word | None) -> None:
    """ "kid right", "giraffe left", with the side as what it is."""
    sides = ("left", "right", "middle", "center", "centre", "top", "bottom")
    if word.lower not in sides or word.head is not None or before is None or before.head is not word:
        return
    if before.dep not in ("compound", "amod", "nmod", "nsubj") or word.having("det", "cop", "case"):
        return
    if before.lower in lists.POSITIONS or before.lower in ("far", "on", "to") or before.pos not in (*NOUNS, "ADJ", "X"):
        return
    if before.pos == "ADJ" and before.index:
        return
    take_over(before, word, "amod")
    before.pos = "NOUN" if before.pos != "PROPN" else before.pos
    word.pos, word.tag = "ADJ", "JJ"


def sides_before(tree: Tree) -> None:
    """ "bottom left lamb", with the side as what is told of."""
    count = 0
    while count < len(tree.words) and tree.words[count].lower in lists.POSITIONS - {"side"}:
        count += 1
    noun = tree.words[count] if 0 < count < len(tree.words) else None
    if noun is None or noun.pos not in NOUNS or noun.lower in lists.ROWS or noun.head not in tree.words[:count]:
        return
    if noun.dep not in ("appos", "dobj", "obj", "npadvmod", "nmod", "dep", "list", "advmod") or noun.case:
        return
    top = noun.head
    while top is not None and top.head is not None:
        top = top.head
    if top not in tree.words[:count] or top is None or (top.subjects and top.subjects[0].index > count):
        return
    attach(noun, None, "ROOT")
    for side in tree.words[:count]:
        for child in list(side.children):
            if child.index > noun.index:
                attach(child, noun, child.dep)
        attach(side, noun, "amod")
        side.pos, side.tag = "ADJ", "JJ"


def sides_behind(tree: Tree, word: Word) -> None:
    """ "foot bottom left", "chair farthest left": sides in a row, the last read as what the first word is."""
    sides = lists.POSITIONS - {"side"} | lists.FAR
    if word.lower not in lists.POSITIONS or word.head is not None or word.having("cop", "det", "case"):
        return
    first = word.index
    while first and tree.words[first - 1].lower in sides:
        first -= 1
    noun = tree.words[first - 1] if first else None
    if noun is None or first == word.index or noun.pos not in NOUNS or not is_above(word, noun) or noun.case:
        return
    attach(noun, None, "ROOT")
    for child in list(word.children):
        if child.index < first or child.index > word.index:
            attach(child, noun, child.dep)
    for side in tree.words[first : word.index + 1]:
        if side.lower != "far":
            attach(side, noun, "amod")
            side.pos, side.tag = "ADJ", "JJS" if side.lower in lists.FAR else "JJ"
        else:
            attach(side, tree.words[side.index + 1], "advmod")


def looking_aside(word: Word, before: Word | None) -> None:
    """ "sheep looking left", with the side as what the sheep is."""
    if word.lower not in lists.POSITIONS or word.head is not None or before is None or before.tag != "VBG":
        return
    noun = before.head
    if noun is None or noun.head is not word or noun.dep != "nsubj":
        return
    attach(noun, None, "ROOT")
    for child in list(word.children):
        attach(child, noun, child.dep)
    attach(word, before, "advmod")
    word.pos, word.tag = "ADV", "RB"


def side_of(word: Word, before: Word | None, after: Word | None) -> None:
    """ "the cake right of the tree", with the cake as part of the side's name."""
    if word.lower not in ("left", "right") or word.pos not in NOUNS or after is None or after.lower != "of":
        return
    if before is None or before.pos not in NOUNS:
        return
    if word.head is before and word.dep in ("appos", "dep", "list", "conj", "npadvmod"):
        word.pos, word.tag, word.dep = "ADV", "RB", "advmod"
    if before.head is not word or before.dep not in ("compound", "npadvmod"):
        return
    attach(before, word.head, word.dep)
    for child in list(word.children):
        if child.index < before.index:
            attach(child, before, child.dep)
    attach(word, before, "advmod")
    word.pos, word.tag = "ADV", "RB"
