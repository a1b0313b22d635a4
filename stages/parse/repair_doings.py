"""What somebody does, or what is done, in a fragment that a pipeline takes for one long name ("man feeding giraffe",
"waiter smiling and pouring wine", "skier in grey jacket waving", "wall painted blue")."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.surgery import NOUNS, attach, is_above
from stages.parse.tree import Tree, Word


def repair_doings(tree: Tree) -> None:
    """The tree's participles hung on who they are said of, its words changed in place."""
    if tree.is_sentence:
        return
    for word in tree.words:
        before = tree.near(word, -1)
        _painted(word, before)
        _fed(word, before)
        _doing_both(word, before)
        _with_both(tree, word)
        _doing_at_the_head(word)


def _painted(word: Word, before: Word | None) -> None:
    """ "wall painted blue", read as who painted."""
    if word.tag != "VBD" or not word.lower.endswith("ed") or before is None or before not in word.subjects:
        return
    colour = next((c for c in word.having("dobj", "obj", "acomp", "oprd") if c.lower in lists.COLOURS), None)
    if colour is None or colour.having("det") or word.having("aux") or before.pos not in NOUNS:
        return
    attach(before, word.head, word.dep)
    attach(word, before, "acl")
    word.tag, colour.pos, colour.tag, colour.dep = "VBN", "ADJ", "JJ", "oprd"


def _fed(word: Word, before: Word | None) -> None:
    """ "man feeding giraffe", with the man as part of the giraffe's name though he feeds something, and "dude drinking
    beer", where he drinks nothing."""
    if before is None or word.pos not in NOUNS or not (word.lefts or word.head):
        return
    if before.tag == "VBG" and before.dep == "acl" and before.head in word.having("compound", "amod", "nmod"):
        first = before.head
        if first is None or before.having("dobj", "obj", "prep"):
            return
        attach(first, word.head, word.dep)
        for child in list(word.children):
            if child.index < first.index:
                attach(child, first, child.dep)
        attach(word, before, "dobj")
        return
    lead = word.head
    named = before.head is word and before.dep in ("compound", "amod") and before.lower.endswith("ing")
    if named and lead is not None and lead.index < before.index and word.dep in ("dobj", "obj", "npadvmod", "appos"):
        between = [*lead.children, *word.children, *(c for one in word.children for c in one.children)]
        sides = [one for one in between if lead.index < one.index < before.index]
        if any(one.lower not in lists.POSITIONS for one in sides):
            return
        if lead.pos in NOUNS and before.lower not in lists.THINGS_IN_ING:
            for one in sides:
                attach(one, lead, "amod")
                one.pos, one.tag = "ADJ", "JJ"
            attach(before, lead, "acl")
            before.pos, before.tag = "VERB", "VBG"
            attach(word, before, "dobj")


def _doing_both(word: Word, before: Word | None) -> None:
    """ "waiter smiling and pouring wine", with the wine as what is told of."""
    one = before.head if before is not None and before.dep == "conj" and before.lower.endswith("ing") else None
    if one is None or before is None or one.tag != "VBG" or word.pos not in NOUNS or not word.lefts:
        return
    first = next((c for c in (*one.children, one.head) if c in word.lefts or c in one.lefts), None)
    if first is None or first.pos not in NOUNS or before.having("dobj", "obj") or not is_above(word, before):
        return
    attach(first, word.head, word.dep)
    attach(one, first, "acl")
    before.pos, before.tag = "VERB", "VBG"
    attach(word, before, "dobj")


def _with_both(tree: Tree, word: Word) -> None:
    """ "person with snowboard and grey scarf", with the scarf as what the person is."""
    first = next(iter(word.subjects), None)
    if word.pos not in NOUNS or word.head is not None or first is None or word.having("cop", "aux", "det"):
        return
    carried = next((noun for case, noun, _ in first.objects if case in ("with", "in") and noun.having("cc")), None)
    joint = carried.having("cc")[-1] if carried is not None else None
    if joint is None or carried is None or joint.index < carried.index:
        return
    between = tree.words[joint.index + 1 : word.index]
    if any(one.pos != "ADJ" for one in between):
        return
    attach(first, None, "ROOT")
    for one in between:
        attach(one, word, "amod")
    attach(word, carried, "conj")


def _doing_at_the_head(word: Word) -> None:
    """ "skier in grey jacket waving", with the waving as what the skier is."""
    aside = next((c for c in word.having("advmod", "npadvmod") if c.index == word.index - 1 and c.pos in NOUNS), None)
    if word.tag == "VBG" and word.head is None and aside is not None and not word.subjects and not word.having("aux"):
        attach(aside, None, "ROOT")  # "skater wearing blue"
        attach(word, aside, "acl")
        return
    doing = word.pos in NOUNS and word.lower.endswith("ing") and word.lower not in lists.THINGS_IN_ING
    first = next(iter(word.subjects), None)
    if not doing or word.head is not None or first is None or word.having("cop", "aux", "det", "amod", "compound"):
        return
    attach(first, None, "ROOT")
    attach(word, first, "acl")
    word.pos, word.tag = "VERB", "VBG"
