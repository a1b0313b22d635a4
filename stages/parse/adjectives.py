"""The adjectives of a noun: attributive, joined, predicative, worn, and position words."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.tree import Tree, Word

_ATTRIBUTES = frozenset("amod nummod compound nmod:desc nn".split())
_POSTPOSED = frozenset("amod acl advmod appos xcomp dep nmod:unmarked acomp advcl oprd npadvmod".split())
_DESCRIPTIVE = frozenset(("ADJ", "VERB", "NOUN", "PROPN", "NUM", "ADV"))


def adjectives_of(noun: Word, tree: Tree) -> list[Word]:
    """Every word that qualifies a noun, in the order of the text."""
    found: list[Word] = []
    for child in noun.children:
        attributive = child.dep in _ATTRIBUTES and (child.index < noun.index or child.pos in ("ADJ", "NUM", "ADV"))
        if attributive or (child.index > noun.index and child.dep in _POSTPOSED and _is_bare_quality(child)):
            found += _with_its_own(child)
        elif child.dep in ("acl:relcl", "relcl") and (not child.subjects or _is_relative(child.subjects[0])):
            found += _predicative(child)
        elif child.dep in ("acl", "advcl") and child.pos in ("VERB", "ADJ"):
            found += _complements(child) + _worn(child)
    found += _worn(noun)
    if noun.index + 2 < len(tree.words) and _wearer_before(tree.words[noun.index + 2], tree) is noun:
        found += _with_its_own(tree.words[noun.index + 2])
    counter = noun.governor if noun.case == "of" else None
    subject = counter if counter is not None and counts(counter) else noun  # "some of the apples are rotten"
    clause = subject.head
    if subject.dep in ("nsubj", "nsubj:pass", "nsubjpass", "nsubj:outer") and clause is not None:
        found += _predicative(clause)
    elif noun.dep in ("obj", "dobj") and clause is not None:  # painted the wall white
        found += [a for c in clause.having("xcomp", "oprd") if c.pos == "ADJ" for a in _with_its_own(c)]
    words = {
        id(word): word
        for word in found
        if _counts(word) and word is not noun and _wearer_before(word, tree) in (None, noun)
    }
    return sorted(words.values(), key=lambda word: word.index)


def counts(word: Word) -> bool:
    """Whether a word stands for part of what "of" names behind it: "one of the dogs", "most of the cars"."""
    return word.lower in lists.QUANTITIES | lists.SHARES or word.pos in ("NUM", "DET", "PRON")


def _wearer_before(word: Word, tree: Tree) -> Word | None:
    """Who wears a colour, where the noun right before it says so, whatever the tree says: in "held by a woman in
    black" and "car behind the woman in black" the woman."""
    if word.index < 2 or not is_worn_colour(word) or word.case != "in":
        return None
    before = tree.words[word.index - 2]
    agent = before.dep == "obl:agent" or (before.head is not None and before.head.dep == "agent")
    beside = before.pos in ("NOUN", "PROPN") and before.case in lists.BESIDE
    return before if agent or beside else None


def is_verb_of_clause(word: Word) -> bool:
    """ "children are flying kites" with "flying" read as an adjective: a participle right behind "are"."""
    noun = word.head
    if word.dep != "amod" or word.tag != "VBG" or noun is None or not noun.subjects:
        return False
    return any(be.index == word.index - 1 for be in noun.having("cop"))


def _counts(word: Word) -> bool:
    if word.lower in lists.NO_ADJECTIVES or not any(c.isalnum() for c in word.text):
        return False
    if is_verb_of_clause(word) or is_bare_owner(word):
        return False
    if word.lower == "next" and any(case == "to" for case, _, _ in word.objects):
        return False  # "next to" is a place
    if word.lower in lists.POSITIONS and word.pos != "NOUN" and any(case == "of" for case, _, _ in word.objects):
        return False  # and so is "right of"
    if word.lower == "far" and word.head is not None:  # "far left guy": only the position counts
        beside = (word.head, *(c for c in word.head.children if c.index == word.index + 1))
        return not any(one.lower in lists.POSITIONS for one in beside)
    return True


def _with_its_own(word: Word) -> list[Word]:
    """An adjective, those joined to it, and the shade of a colour ("dark blue")."""
    found = [word]
    for child in word.children:
        joined = child.dep == "conj" and child.pos in _DESCRIPTIVE and not child.having("case", "det")
        before = child.index < word.index
        if joined or (before and child.dep in ("amod", "compound", "nummod", "nmod:desc")):
            found += _with_its_own(child)
        elif before and child.dep == "advmod" and (child.lower in lists.SHADES or child.lower in lists.POSITIONS):
            found.append(child)
    return found


def _is_bare_quality(word: Word) -> bool:
    """An adjective behind its noun ("door open", "zebra closest to us"), or a position word there."""
    if word.having("case", "det", "mark"):
        return False
    if word.lower in lists.POSITIONS and word.lower != "far":
        return word.pos in ("ADJ", "ADV", "NOUN") and not word.objects
    if word.dep == "nmod:unmarked":
        return False
    return word.pos == "ADJ" or (word.dep == "amod" and word.tag in ("VBN", "CD"))


def _is_relative(word: Word) -> bool:
    return word.lower in ("who", "that", "which") and word.pos in ("PRON", "DET")


def _predicative(clause: Word) -> list[Word]:
    """What a clause says of its subject: "is cloudy and dark", "looks tired", "are made blue"."""
    if clause.pos == "ADJ" and (clause.having("cop") or clause.subjects) and not clause.having("case"):
        return [clause, *_joined_qualities(clause)]
    found = [a for c in clause.having("acomp", "attr") if c.pos == "ADJ" for a in [c, *_joined_qualities(c)]]
    if not clause.having("obj", "dobj"):
        found += _complements(clause)
    if clause.pos == "VERB":
        found += _worn(clause)
    return found


def _joined_qualities(word: Word) -> list[Word]:
    found = [c for c in word.children if c.index < word.index and c.lower in lists.SHADES]
    for child in word.having("conj"):
        if (child.pos == "ADJ" and not child.subjects) or is_joined_quality(child):
            found += [child, *_joined_qualities(child)]
    return found


def is_joined_quality(word: Word) -> bool:
    """ "hot and creamy", read as an adjective and a noun: a bare singular joined to what is said of something."""
    head = word.head
    if word.dep != "conj" or word.tag != "NN" or head is None or head.pos != "ADJ":
        return False
    said = head.dep in ("xcomp", "acomp") or bool(head.having("cop"))
    return said and all(child.dep in ("cc", "punct", "advmod", "conj") for child in word.children)


def _complements(verb: Word) -> list[Word]:
    """ "painted red", "looks tired": adjectives that complete a verb."""
    return [
        quality
        for c in [*verb.having("xcomp", "acomp", "oprd"), *_raised_to_be(verb)]
        if c.pos == "ADJ" and (verb.lower in lists.RAISING or not c.having("mark", "aux", "cop"))
        for quality in [c, *_joined_qualities(c)]
    ]


def _raised_to_be(verb: Word) -> list[Word]:
    """ "appears to be tired", where "to be" has a verb's place."""
    be = [c for c in verb.having("xcomp") if c.lower == "be"] if verb.lower in lists.RAISING else []
    return [quality for one in be for quality in one.having("acomp")]


def _worn(word: Word) -> list[Word]:
    """ "woman in red", "dressed in black and white", "wearing blue", "standing in red"."""
    found = _worn_words(word)
    if word.pos == "VERB" and word.lower not in lists.DRESSED:
        found = [a for a in found if a.index == word.index + 2]  # "held by a woman in black": not what is held
    return [quality for noun in found for quality in _with_its_own(noun)]


def _worn_words(word: Word) -> list[Word]:
    nouns = [noun for case, noun, _ in word.objects if case == "in"]
    nouns += word.having("obj", "dobj", "xcomp") if word.pos == "VERB" else []
    return [noun for noun in nouns if is_worn_colour(noun)]


def is_bare_owner(word: Word) -> bool:
    """ "mans hat", "girls pink bag": an owner without its apostrophe."""
    return (
        word.lower in lists.OWNERS
        and word.dep in ("compound", "nmod:poss", "amod", "nmod:desc", "poss")
        and word.head is not None
        and word.index < word.head.index
    )


def is_worn_colour(word: Word) -> bool:
    """ "woman in red", "guy in stripes": a bare colour or pattern after "in"."""
    if word.lower not in lists.COLOURS and word.lower not in lists.PATTERNS:
        return False
    if word.dep == "conj" and word.head is not None:
        return is_worn_colour(word.head) and not word.having("det")
    in_it = word.case == "in" and not word.having("det", "nmod:poss", "poss", "nummod")
    worn = (
        word.dep in ("obj", "dobj", "xcomp")
        and word.head is not None
        and word.head.lower in lists.DRESSED
        and not word.having("det")
    )
    return in_it or worn
