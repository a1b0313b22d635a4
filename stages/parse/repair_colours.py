"""Colours, sides and ordinals, which small pipelines take for verbs, names and adverbs: closed lists tell what they are
wherever they stand."""

from __future__ import annotations

import re

from stages.parse import lists
from stages.parse.surgery import NOUNS, attach, take_over
from stages.parse.tree import Tree, Word

_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|last", re.IGNORECASE)


def repair_colours(tree: Tree) -> None:
    """The tree's colours, sides and ordinals mended, its words changed in place, from left to right."""
    for word in tree.words:
        before, after = tree.near(word, -1), tree.near(word, 1)
        if word.lower in lists.COLOURS:
            _joined_colours(tree, word)
            _colour_as_verb(word, before, after)
            if word.dep == "attr" and not word.having("det"):
                word.pos, word.tag, word.dep = "ADJ", "JJ", "acomp"
            if word.dep == "advmod" and word.head is not None and word.head.lower in lists.DRESSED:
                word.dep = "dobj"
        if word.lower in lists.COLOURS | lists.PATTERNS | lists.DESCRIPTIVE:
            _behind_a_preposition(tree, word, before)
        _size(word, after)
        _ordinal(word)
        _side_of_doing(word)
        _opening_adverb(word, after)


def _joined_colours(tree: Tree, word: Word) -> None:
    """ "red and tan bowl", "tan and grey donut", "skier in tan and orange": a colour joined to a colour is one."""
    head = word.head
    if word.dep == "conj" and head is not None and head.lower in lists.COLOURS and word.pos in NOUNS:
        if not word.having("det", "amod", "compound"):
            word.pos, word.tag = "ADJ", "JJ"
    elif word.dep == "conj" and head is not None and head.lower in lists.FORMS_OF_BE and head.having("acomp"):
        attach(word, head.having("acomp")[-1], "conj")  # "not green but tan"
        word.pos, word.tag = "ADJ", "JJ"
        for joint in head.having("cc"):
            attach(joint, word, "cc")
    elif word.dep == "conj" and head is not None and head.lower == "in" and head.having("pobj"):
        worn = head.having("pobj")[0]
        if worn.lower in lists.COLOURS:
            attach(word, worn, "conj")
            word.pos = "ADJ"
    elif head is None and word.subjects and not word.having("cop", "aux"):
        first = word.subjects[0]  # "worker dressed in grey and purple"
        colours = [one for one in first.subtree() if one.lower in lists.COLOURS]
        other = next((one for one in colours if any(c.index == word.index - 1 for c in one.having("cc"))), None)
        if other is not None:
            attach(first, None, "ROOT")
            attach(word, other, "conj")
            word.pos, word.tag = "ADJ", "JJ"
    elif head is None and word.index == 0 and word.having("cc"):
        near = [c for one in (word, *word.having("conj")) for c in one.children]
        noun = next((c for c in near if c.pos in NOUNS and c.lower not in lists.COLOURS), None)
        if noun is None or noun.dep not in ("conj", "npadvmod", "dep", "appos", "dobj") or noun.having("det"):
            return
        others = [c for c in noun.having("amod", "compound") if c.lower in lists.COLOURS]
        if not others and tree.words[noun.index - 1].lower not in lists.COLOURS:
            return
        for child in near:
            if child is not noun and child.index > noun.index:
                attach(child, noun, child.dep)
        attach(noun, None, "ROOT")
        attach(word, noun, "amod")
        for colour in (word, *word.having("conj")):
            colour.pos, colour.tag = "ADJ", "JJ"


def _behind_a_preposition(tree: Tree, word: Word, before: Word | None) -> None:
    """ "below dotted blue square", "next to yellow bus": a quality that stands behind a preposition and has an object
    is that noun's."""
    thing = next((c for c in word.having("dobj", "obj") if c.index > word.index), None)
    if thing is None or before is None or thing.having("det") or word.having("nsubj", "cop"):
        return
    if word.dep == "pobj" and before is word.head:
        preposition = before
    elif before.lower == "to" and before.head is word and before.index:
        preposition = before
        attach(before, tree.words[before.index - 1], "prep")
        before.pos, before.tag = "ADP", "IN"
    else:
        return
    attach(thing, preposition, "pobj")
    for child in list(word.children):
        if child.index > word.index:
            attach(child, thing, child.dep)
    attach(word, thing, "amod")
    word.pos, word.tag = "ADJ", "JJ"


def _size(word: Word, after: Word | None) -> None:
    """ "a large striped box", with the size as a degree of the stripes."""
    noun = after.head if after is not None and after.dep in ("amod", "compound") else None
    if after is None or word.dep != "advmod" or word.head is not after or noun is None or noun.pos not in NOUNS:
        return
    if word.lower in lists.SIZES and after.lower not in lists.ENDOWED:
        attach(word, noun, "amod")
        word.pos, word.tag = "ADJ", "JJ"


def _colour_as_verb(word: Word, before: Word | None, after: Word | None) -> None:
    """ "grey one", "brown girl blue donut", with the colour as a verb or a sentence."""
    if word.head is not None or after is None or word.having("cop", "aux"):
        return
    thing = after if after.head is word and after.dep in ("dobj", "obj", "nummod", "oprd") else None
    if thing is None or thing.having("det") or not (thing.pos in NOUNS or thing.lower == "one"):
        return
    if word.index == 0:
        take_over(thing, word, "amod")
        word.pos, word.tag = "ADJ", "JJ"
    elif before is not None and before in word.subjects:
        attach(before, None, "ROOT")
        for child in list(word.children):
            if child is not thing:
                attach(child, before if child.index < word.index else thing, child.dep)
        attach(thing, before, "list")
        attach(word, thing, "amod")
        word.pos, word.tag = "ADJ", "JJ"


def _ordinal(word: Word) -> None:
    """ "first donut from the bottom", "horse last from right", with the ordinal as an adverb."""
    noun = word.head
    if _ORDINAL.fullmatch(word.text) is None or word.dep not in ("advmod", "npadvmod") or noun is None:
        return
    plain = noun.pos == "VERB" and noun.index == 0 and noun.tag in ("VB", "VBP") and not noun.having("dobj", "obj")
    if plain or noun.pos in ("X", "ADV"):
        noun.pos, noun.tag = "NOUN", "NN"
    if noun.pos in NOUNS:
        word.dep, word.pos, word.tag = "amod", "ADJ", "JJ"


def _side_of_doing(word: Word) -> None:
    """ "umpire watching left", "boy pulling a cart": a side says where, a participle behind a noun is that noun's."""
    verb = word.head
    if word.lower in lists.POSITIONS and word.dep in ("acomp", "oprd") and verb is not None and verb.tag == "VBG":
        word.pos, word.tag, word.dep = "ADV", "RB", "advmod"
    elif word.dep == "pcomp" and word.tag == "VBG" and verb is not None and verb.pos in NOUNS:
        word.dep = "acl"


def _opening_adverb(word: Word, after: Word | None) -> None:
    """ "skateboard on right", "donut closest to …", with the thing as an adverb of what follows."""
    top = word.head
    if word.index or word.pos != "ADV" or word.tag != "RB" or word.lower in lists.ADVERBS | lists.POSITIONS:
        return
    if top is None or top is not after or top.head is not None or word.dep != "advmod" or top.pos in (*NOUNS, "VERB"):
        return
    attach(word, None, "ROOT")
    attach(top, word, "prep" if top.pos == "ADP" else "amod")
    word.pos, word.tag = "NOUN", "NN"
    if top.pos == "ADV":
        top.pos = "ADJ"
    side = next((c for c in top.children if c.lower in lists.POSITIONS), None)
    if top.pos == "ADP" and side is not None and not top.having("pobj"):
        side.dep = "pobj"
        side.pos, side.tag = "NOUN", "NN"
