"""Who leads a fragment: the noun that it opens with, whatever a pipeline hung above it ("kid closest to us", "horse he
is riding", "girl no hat", "womans purse", "foot bottom left", "guy in stands, red hat")."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.repair_sides import looking_aside, side_of, sides_before, sides_behind
from stages.parse.surgery import NOUNS, as_noun, attach, is_above, take_over
from stages.parse.tree import FINITE, Tree, Word

_ASIDE = lists.ADVERBS | frozenset(
    "yesterday tomorrow maybe perhaps when where how why while sometimes often still once so".split()
)
"""Adverbs that open a sentence in front of its subject."""
_ASIDE_MARKS = frozenset(",-–—:/(")


def repair_leads(tree: Tree) -> None:
    """The tree's fragments led by their first noun, its words changed in place."""
    _whose_clause(tree)
    for word in tree.words:
        _own_part(word, tree.near(word, -1))
    if tree.is_sentence:
        return
    sides_before(tree)
    for word in tree.words:
        before, after = tree.near(word, -1), tree.near(word, 1)
        _opening(word, after)
        _owner(word)
        _without(word, before, after)
        sides_behind(tree, word)
        looking_aside(word, before)
        side_of(word, before, after)
        _set_beside(tree, word)
        _not_another(word)


def _opening(word: Word, after: Word | None) -> None:
    """ "back of the chair", "kid top left", "surfboard he is holding", "kitten playing with string": what opens a
    fragment in front of these is a noun, be it read as a verb, an adverb or a quality."""
    if word.index or after is None:
        return
    if after.lower == "of" and word.pos in ("ADV", "ADJ"):
        as_noun(word)
    if word.subjects or word.lower in lists.REQUESTS | lists.SHOWING | lists.POSITIONS:
        return
    if word.pos in ("VERB", "ADJ", "ADV") and word.lower in lists.ACTORS and word.tag != "VBZ":
        as_noun(word)
    if after.lower == "being" and word.pos in ("ADJ", "ADV", *NOUNS):
        _being_done(word, after)
    elif word.pos == "VERB":
        _opening_verb(word, after)
    elif word.pos == "ADV" and _opens_clause(after) and not word.lower.endswith("ly"):
        if word.lower not in _ASIDE:
            as_noun(word)
    elif _does(word, after):
        as_noun(word)


def _does(word: Word, doing: Word) -> bool:
    """ "kitten playing with string", with the kitten as how playing is."""
    quality = word.pos == "ADJ" and word.tag == "JJ" and word.head is None and not word.having("cop")
    unknown = word.lower not in lists.COLOURS | lists.PATTERNS
    return quality and unknown and doing.dep == "xcomp" and doing.tag == "VBG"


def _opening_verb(word: Word, after: Word) -> None:
    """ "kid closest to us", "vase right of the other", "surfer paddling", "chocolate donut in the middle", "building
    furthest from us", with the first word as what is done."""
    if word.tag == "VBG":
        if word.lower in lists.THINGS_IN_ING and word.head is None and (after.lower in lists.FAR or after.pos == "ADP"):
            as_noun(word)
            _as_quality(after, word)
        return
    if word.tag not in ("VB", "VBP", "VBD") or word.lower.endswith("ed"):
        return
    doing = after.tag == "VBG" or (after.pos in NOUNS and after.lower.endswith("ing"))
    tied = word.head is after or after.head is word
    if after.lower in lists.POSITIONS and after.head is word and after.having("prep"):
        as_noun(word)
        after.pos, after.tag = "ADV", "RB"
    elif after.tag in ("JJS", "RBS") or after.lower in ("no", "all") or _opens_clause(after) or (doing and tied):
        as_noun(word)
        _as_quality(after, word)
        return
    named = word.head is None and after.head is word and after.pos in NOUNS and not after.lefts
    if named and after.dep in ("advmod", "npadvmod", "oprd") and after.lower not in lists.POSITIONS:
        as_noun(word)
        take_over(after, word)


def _opens_clause(word: Word) -> bool:
    return word.pos == "PRON" and word.dep == "nsubj" and word.tag == "PRP"


def _as_quality(word: Word, noun: Word) -> None:
    """A superlative that hangs on a noun is how that is."""
    if word.head is noun and (word.tag in ("JJS", "RBS") or word.lower in lists.FAR):
        word.pos, word.tag, word.dep = "ADJ", "JJS", "amod"


def _being_done(word: Word, being: Word) -> None:
    """ "hydrant being touched by a kid", with the hydrant as how it is touched."""
    verb = being.head
    as_noun(word)
    if verb is None or verb.pos != "VERB" or not (is_above(verb, word) or verb.head is word):
        return
    attach(word, None, "ROOT")
    attach(verb, word, "acl")


def _own_part(verb: Word, owner: Word | None) -> None:
    """ "guys arm on the left", "kids head bottom right", with the part as what its owner does."""
    if verb.pos != "VERB" or verb.lower not in lists.PARTS or owner is None or owner.lower not in lists.OWNERS:
        return
    things = [one for one in verb.having("obj", "dobj") if one.lower not in lists.POSITIONS]
    if owner.head is verb and owner.dep == "nsubj" and not things and not verb.having("aux", "prt"):
        owner.dep, verb.pos, verb.tag = "nmod:poss", "NOUN", "NN"
        for child in verb.children:
            if child.lower in lists.POSITIONS:
                child.pos, child.tag, child.dep = "ADJ", "JJ", "amod"


def _owner(word: Word) -> None:
    """ "womans purse on chair", "cats paw", "mans right shoe": an owner without its apostrophe that opens a fragment,
    with what it owns as what it does or as what is set beside it."""
    if word.index or word.lower not in lists.OWNERS:
        return
    told = ("advmod", "npadvmod", "dobj", "obj", "list", "dep", "appos")
    thing = next((c for c in word.children if c.index > word.index and c.dep in told and c.pos in NOUNS), None)
    if thing is None or word.subjects or word.having("cc", "punct") or thing.having("det", "cc", "case"):
        return
    if word.head is not None or any(one.head is not thing for one in _between(word, thing)):
        return
    word.pos, word.tag = "NOUN", "NNS"
    take_over(thing, word, "nmod:poss")


def _between(word: Word, other: Word) -> list[Word]:
    """Words between two, by who depends on either: what both hang on is left out."""
    return [one for top in (word, other) for one in top.children if word.index < one.index < other.index]


def _whose_clause(tree: Tree) -> None:
    """ "bed she is lying on", "the racket the girl is painting": what opens a text in front of a clause with a subject
    of its own is what the clause is about."""
    found = _clause_behind_noun(tree)
    if found is None:
        return
    noun, subject, be, verb = found
    told = noun.lower in lists.ADVERBIALS | _ASIDE or noun.lower.endswith("ly")
    closed = noun.pos in ("ADP", "SCONJ", "CCONJ", "PRON", "DET", "AUX", "PUNCT")
    related = verb.head is noun and verb.dep in ("relcl", "acl:relcl")
    # "the food she is eating is hot" has a verb of its own, and whoever sees that knows the clause.
    goes_on = any(word.pos in ("AUX", "VERB") and word.tag in FINITE for word in tree.words[verb.index + 1 :])
    if told or closed or related or goes_on or verb.having("dobj", "obj", "agent"):
        return
    attach(verb, None, "ROOT")
    for child in list(noun.children):
        if child.index > noun.index and child is not verb:
            attach(child, verb, child.dep)
    attach(noun, None, "ROOT")
    attach(subject, verb, "nsubj")
    attach(be, verb, "aux")
    attach(verb, noun, "relcl")
    as_noun(noun)
    if subject.pos not in ("PRON", "PROPN"):
        subject.pos = "NOUN"
    verb.pos, verb.tag = "VERB", verb.tag if verb.tag.startswith("VB") else "VBG"


def _clause_behind_noun(tree: Tree) -> tuple[Word, Word, Word, Word] | None:
    """What opens the text, who follows it right away, the form of "be" behind them, and the verb behind that."""
    opens = 1 if tree.words and tree.words[0].pos == "DET" else 0
    rest = tree.words[opens + 1 :]
    if rest and rest[0].tag != "PRP":
        rest = rest[1:] if rest[0].lower in ("the", "a", "an", "his", "her") else ()
    if len(rest) < 3 or rest[0].pos == "AUX" or rest[1].lower not in lists.FORMS_OF_BE:
        return None
    if rest[2].pos != "VERB" and rest[2].tag != "VBG":
        return None
    return tree.words[opens], rest[0], rest[1], rest[2]


def _without(word: Word, before: Word | None, after: Word | None) -> None:
    """ "girl no hat", "kid no helmet on": a noun, and what it has not."""
    if word.lower != "no" or before is None or after is None or before.pos not in NOUNS:
        return
    thing = word.head if word.head is not None and word.head.index > word.index else after
    if thing.pos not in NOUNS or not (before.head is thing or thing.head is before) or before.case:
        return
    if before.head is thing:
        attach(before, thing.head, thing.dep)
        for child in list(thing.children):
            if child.index < before.index:
                attach(child, before, child.dep)
    attach(thing, before, "list")
    attach(word, thing, "det")


def _set_beside(tree: Tree, word: Word) -> None:
    """ "guy in stands, red hat", "guy - blue shirt": what a mark sets behind a fragment's first noun does not lead."""
    if word.pos not in NOUNS or word.head is not None or word.subjects or word.having("cop"):
        return
    first = tree.words[0]
    while first.head is not None and first.head is not word:
        first = first.head
    commas = [one for one in word.having("punct") if one.text in _ASIDE_MARKS and first.index < one.index < word.index]
    if not commas or first is word or first.pos not in NOUNS or first.case:
        return
    comma = commas[0]
    if first.dep not in ("advcl", "dep", "npadvmod", "compound", "nmod", "amod", "appos") or word.having("cc", "conj"):
        return
    attach(first, None, "ROOT")
    attach(word, first, "conj")
    attach(comma, first, "punct")


def _not_another(word: Word) -> None:
    """ "catcher not ump", "duck not tan", with the catcher as what is said not to be an ump."""
    no = next((c for c in word.children if c.lower == "not"), None)
    if no is None or word.head is not None or word.having("cop", "aux", "det"):
        return
    if word.pos not in NOUNS and word.lower not in lists.COLOURS:
        return
    first = next(iter([*word.subjects, *word.having("dep")]), None)
    if first is None or first.pos not in NOUNS or first.index > no.index:
        return
    attach(first, None, "ROOT")
    if word.lower in lists.COLOURS:
        attach(word, first, "amod")
        word.pos, word.tag = "ADJ", "JJ"
    else:
        attach(word, first, "conj")
