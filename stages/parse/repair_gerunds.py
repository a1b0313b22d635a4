"""Forms in -ing between two nouns: what the first does to the second, whatever a pipeline takes them for."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.surgery import NOUNS, OF_THE_NOUN, attach
from stages.parse.tree import Tree, Word


def verb_between_nouns(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "man in blue shirt holding racket", with "holding" read as an adjective of the racket: a form in -ing between a
    noun and another noun is what the first does to the second."""
    if not word.lower.endswith("ing") or before is None or before.pos not in (*NOUNS, "X", "ADJ"):
        return
    worn = word.dep == "pobj" and before.lower in lists.COLOURS
    if before.pos == "ADJ" and before.lower not in lists.POSITIONS and not worn and not _plain_noun(before, word):
        return
    qualities = lists.COLOURS | lists.PATTERNS | lists.DESCRIPTIVE | lists.SIZES
    if word.tag != "VBG" and word.pos not in ("VERB", "NOUN") and (after is None or after.lower not in qualities):
        return  # "arrow touching purple triangle", but "man in matching shirt"
    if word.dep == "pobj" and before.head is word and word.head is not None and _placed_or_worn(word, before, after):
        _doing_at_a_side(word, before)
        return
    noun = word.head
    if noun is None and word.tag == "VBG" and before.dep == "nsubj" and before.pos == "ADJ":
        before.pos = "NOUN"  # "seagull flying"
        return
    misread = ("compound", "npadvmod", "amod", "nmod", "nsubj", "nmod:desc", "dep")
    doing = word.tag == "VBG" or word.lower in lists.FACING | lists.ACTING | lists.INTRANSITIVE | lists.GOING
    doing = doing or (_ends_fragment(after) and word.lower not in lists.THINGS_IN_ING)
    if (
        noun is None
        and doing
        and before.head is word
        and before.dep in ("amod", "compound", "dep", "npadvmod", "nsubj")
    ):
        if word.having("aux", "cop") or (before.dep == "nsubj" and word.tag == "VBG"):
            return
        _lead_to(before, word, None)  # "batter swinging", "woman texting"
        return
    while noun is not None and noun.dep in ("poss", "nmod:poss") and noun.head is not None:
        noun = noun.head  # "mom holding kid's hand"
    if noun is None or noun.pos not in NOUNS or noun.index < word.index or word.dep not in ("amod", "compound"):
        return
    if before.dep == "pobj" and noun.dep in ("appos", "conj", "dep", "list", "pobj") and word.tag == "VBG":
        attach(word, before, "acl")  # "man on the bench feeding birds"
        attach(noun, word, "obj")
        word.pos = "VERB"
        return
    if before.head not in (word, noun) or before.dep not in misread or before.having("cc"):
        return
    if any(one.dep in ("cc", "punct", "case") and one.tag != "POS" for one in tree.words[word.index + 1 : noun.index]):
        return
    _lead_to(before, word, noun)


def _ends_fragment(after: Word | None) -> bool:
    """Whether a form in -ing with this behind it is the last of its phrase."""
    return after is None or after.pos in ("ADP", "ADV", "PUNCT", "SCONJ")


def _plain_noun(before: Word, word: Word) -> bool:
    """ "scarf holding a boat", with "scarf" as an adjective: what stands before somebody's doing is a noun."""
    closed = lists.COLOURS | lists.PATTERNS | lists.DESCRIPTIVE | lists.POSITIONS | lists.SHADES
    doing = word.lower in lists.ACTING | lists.FACING | lists.INTRANSITIVE | lists.GOING
    return before.tag == "JJ" and before.lower not in closed and doing and (before.index == 0 or before.index > 1)


def _placed_or_worn(word: Word, before: Word, after: Word | None) -> bool:
    """ "zebra on the left eating", "umpire in black squatting down", "girl in pink jacket skiing": what stands between
    a preposition and somebody's doing is where or in what they do it."""
    if before.lower in lists.POSITIONS:
        return True
    if not _ends_fragment(after) or word.lower in lists.THINGS_IN_ING or word.head is None:
        return False
    if before.lower in lists.COLOURS:
        return word.head.lower == "in"
    own = (*word.children, *before.children)
    described = any(c.dep in ("amod", "det") and c.index < before.index for c in own)
    return before.pos in NOUNS and before.dep == "compound" and described


def _doing_at_a_side(verb: Word, side: Word) -> None:
    """The doing hangs on whom it is said of; the side, the colour or the garment takes its place."""
    preposition = verb.head
    whole = preposition.head if preposition is not None else None
    if preposition is None or whole is None or whole.pos not in NOUNS:
        return
    for child in list(verb.children):
        if child.index < side.index:
            attach(child, side, child.dep)
    attach(side, preposition, "pobj")
    attach(verb, whole, "acl")
    if side.lower not in lists.COLOURS:
        side.pos, side.tag = "NOUN", "NN"
    verb.pos, verb.tag = "VERB", "VBG"


def _lead_to(first: Word, verb: Word, target: Word | None) -> None:
    """ "[first] verb [target]": the first leads in place of the whole, the verb hangs on it, the target on the verb."""
    whole = target if target is not None else verb
    head, dep = whole.head, whole.dep
    for child in [*whole.children, *verb.children]:
        if child is not first and child.index < first.index and (child.dep in OF_THE_NOUN or child.head is verb):
            attach(child, first, child.dep)
    attach(first, head, dep)
    if target is not None:
        for child in list(verb.children):
            attach(child, target if child.index > target.index else first, child.dep)
    attach(verb, first, "acl")
    verb.pos, verb.tag = "VERB", "VBG"
    first.pos = "NOUN"
    if target is not None:
        attach(target, verb, "obj")
