"""Who leads a fragment: the noun that it opens with, whatever a pipeline hung above it ("kid closest to us", "horse he is
riding", "girl no hat", "man feeding giraffe", "foot bottom left"), and what stands in a noun's place."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.surgery import attach, is_above, take_over
from stages.parse.tree import Tree, Word

_NOUNS = ("NOUN", "PROPN")
_FAR = frozenset("far farthest furthest closest nearest".split())
_ASIDE = frozenset(
    """here there now then today tonight yesterday tomorrow maybe perhaps when where how why while sometimes often
    also just still again once so""".split()
)
"""Adverbs that open a sentence in front of its subject."""
_BODY = frozenset("ear ears mouth chest chin nose eye eyes forehead neck".split())


def repair_leads(tree: Tree) -> None:
    """The tree's fragments led by their first noun, its words changed in place."""
    sentence = any(word.text == "." for word in tree.words)
    _whose_clause(tree)
    for word in tree.words:
        before = tree.words[word.index - 1] if word.index else None
        after = tree.words[word.index + 1] if word.index + 1 < len(tree.words) else None
        _in_a_nouns_place(word, before, after)
        _to_the_ear(word, before)
        _endowed(tree, word, before)
        if not sentence:
            _opening(word, after)
            _owner(word, after)
            _painted(word, before)
            _without(word, before, after)
            _sides_behind(tree, word)
            _looking_aside(word, before)
            _fed(word, before)
            _set_beside(tree, word)
            _not_another(word)
            _blurry_one(word, after)
            _named_by_adverb(tree, word, before, after)
            _stands(word, before)
            _doing_at_the_head(word)


def _in_a_nouns_place(word: Word, before: Word | None, after: Word | None) -> None:
    """ "leaning on counter", "couch under painting", "holding the remote", with what is there as a quality or a verb."""
    if word.dep == "pcomp" and word.lower in lists.THINGS_IN_ING:  # "donut with chocolate frosting"
        word.pos, word.tag, word.dep = "NOUN", "NN", "pobj"
        for child in word.subjects:
            child.dep = "compound"
    if word.dep not in ("pobj", "dobj", "obj") or word.having("cop", "nsubj", "advmod", "conj", "cc"):
        return
    closed = lists.COLOURS | lists.PATTERNS | lists.SHADES | lists.POSITIONS | lists.ADVERBIALS | lists.SHARES
    quality = word.pos == "ADJ" and word.tag == "JJ" and word.lower not in closed and word.lower != "other"
    if quality and word.dep != "pobj" and not word.having("det"):
        return
    if quality and (word.objects or (after is not None and after.pos in (*_NOUNS, "ADJ"))):
        return
    verb = word.tag == "VBG" and word.pos == "VERB" and word.dep == "pobj" and not word.children
    if quality or (verb and before is not None and before is word.head):
        word.pos, word.tag = "NOUN", "NN"


def _to_the_ear(word: Word, before: Word | None) -> None:
    """ "holding phone to ear", with the ear as what is to be done."""
    verb = word.head
    if word.pos != "VERB" or word.lower not in _BODY or before is None or before.lower != "to" or verb is None:
        return
    if before.head is word and len(word.children) == 1:
        word.pos, word.tag = "NOUN", "NN"
        before.pos, before.tag = "ADP", "IN"
        attach(before, verb, "prep")
        attach(word, before, "pobj")


def _opening(word: Word, after: Word | None) -> None:
    """ "kid closest to us", "surfer paddling", "kitten playing with string", "surfboard he is holding": what opens a
    fragment in front of these is a noun, be it read as a plain verb, an adverb or a quality."""
    if word.index or after is None or word.subjects or word.lower in lists.REQUESTS | lists.SHOWING | lists.POSITIONS:
        return
    verb = word.pos == "VERB" and word.tag in ("VB", "VBP", "VBD") and not word.lower.endswith("ed")
    adverb = word.pos == "ADV" and not word.lower.endswith("ly") and word.lower not in _ASIDE
    doing = after.tag == "VBG" or (after.pos in _NOUNS and after.lower.endswith("ing"))
    clause = after.pos == "PRON" and after.dep == "nsubj" and after.tag == "PRP"
    if word.pos in ("VERB", "ADJ", "ADV") and word.lower in lists.ACTORS and word.tag != "VBZ":
        word.pos, word.tag = "NOUN", "NN"  # "kid top left"
    thing = word.tag == "VBG" and word.lower in lists.THINGS_IN_ING and word.head is None
    if after.lower == "being" and word.pos in ("ADJ", "ADV", *_NOUNS):
        _being_done(word, after)
        return
    if (adverb and clause) or (thing and (after.lower in _FAR or after.pos in ("ADP", "PRON"))):
        word.pos, word.tag = "NOUN", "NN"
        if after.lower in _FAR and after.head is word:
            after.pos, after.tag, after.dep = "ADJ", "JJS", "amod"
    elif verb and after.lower in lists.POSITIONS and after.head is word and after.having("prep"):
        word.pos, word.tag, after.pos, after.tag = "NOUN", "NN", "ADV", "RB"  # "vase right of the other"
    elif verb and (after.tag in ("JJS", "RBS") or after.lower in ("no", "all") or clause or (doing and _tied(word, after))):
        word.pos, word.tag = "NOUN", "NN"
    elif verb and word.head is None and after.head is word and after.pos in _NOUNS and not after.lefts:
        if after.dep in ("advmod", "npadvmod", "oprd") and after.lower not in lists.POSITIONS:
            word.pos, word.tag = "NOUN", "NN"
            take_over(after, word)  # "chocolate donut in the middle"
    elif word.pos == "ADJ" and word.tag == "JJ" and word.head is None and after.dep == "xcomp" and after.tag == "VBG":
        if word.lower not in lists.COLOURS | lists.PATTERNS and not word.having("cop"):
            word.pos, word.tag, after.dep = "NOUN", "NN", "acl"


def _being_done(word: Word, being: Word) -> None:
    """ "hydrant being touched by a kid", with the hydrant as how it is touched."""
    verb = being.head
    word.pos, word.tag = "NOUN", "NN" if word.tag != "NNS" else "NNS"
    if verb is None or verb.pos != "VERB" or not (is_above(verb, word) or verb.head is word):
        return
    attach(word, None, "ROOT")
    attach(verb, word, "acl")


def _tied(one: Word, other: Word) -> bool:
    return one.head is other or other.head is one


def _owner(word: Word, after: Word | None) -> None:
    """ "womans purse on chair", "cats paw", "kids head bottom right", "mans right shoe": an owner without its apostrophe
    that opens a fragment, with what it owns as what it does or as what is set beside it."""
    if word.index or word.lower not in lists.OWNERS or after is None:
        return
    part = after if after.lower in lists.PARTS - lists.POSITIONS and after.pos == "VERB" else None
    if part is not None and word in part.subjects and not part.having("aux", "prt"):
        part.pos, part.tag, word.dep = "NOUN", "NN", "nmod:poss"
        for child in part.children:
            if child.lower in lists.POSITIONS:
                child.pos, child.tag, child.dep = "ADJ", "JJ", "amod"
        return
    told = ("advmod", "npadvmod", "dobj", "obj", "list", "dep", "appos")
    thing = next((c for c in word.children if c.index > word.index and c.dep in told and c.pos in _NOUNS), None)
    if thing is None or word.subjects or word.having("cc", "punct") or thing.having("det", "cc", "case"):
        return
    if word.head is not None or any(one.head is not thing for one in _between(word, thing)):
        return
    word.pos, word.tag = "NOUN", "NNS"
    take_over(thing, word, "nmod:poss")


def _between(word: Word, other: Word) -> list[Word]:
    """Words between two, by who depends on either: what both hang on is left out."""
    return [one for top in (word, other) for one in top.children if word.index < one.index < other.index]


def _painted(word: Word, before: Word | None) -> None:
    """ "wall painted blue", read as who painted."""
    if word.tag != "VBD" or not word.lower.endswith("ed") or before is None or before not in word.subjects:
        return
    colour = next((c for c in word.having("dobj", "obj", "acomp", "oprd") if c.lower in lists.COLOURS), None)
    if colour is None or colour.having("det") or word.having("aux") or before.pos not in _NOUNS:
        return
    attach(before, word.head, word.dep)
    attach(word, before, "acl")
    word.tag, colour.pos, colour.tag, colour.dep = "VBN", "ADJ", "JJ", "oprd"


def _whose_clause(tree: Tree) -> None:
    """ "bed she is lying on", "the racket the girl is painting": what opens a text in front of a clause with a subject of
    its own is what the clause is about."""
    opens = 1 if tree.words and tree.words[0].pos == "DET" else 0
    rest = tree.words[opens + 1 :]
    subject = rest[0] if rest and rest[0].tag == "PRP" else None
    if subject is None and len(rest) > 1 and rest[0].lower in ("the", "a", "an", "his", "her"):
        subject = rest[1]
    be = tree.words[subject.index + 1] if subject is not None and subject.index + 1 < len(tree.words) else None
    if subject is None or subject.pos == "AUX" or be is None or be.lower not in lists.FORMS_OF_BE or be.index + 1 == len(tree.words):
        return
    noun, verb = tree.words[opens], tree.words[be.index + 1]
    if noun.lower in lists.ADVERBIALS | _ASIDE or noun.pos in ("ADP", "SCONJ", "CCONJ", "PRON", "DET", "AUX", "PUNCT"):
        return
    if not (verb.tag == "VBG" or verb.pos == "VERB") or verb.having("dobj", "obj", "agent") or noun.lower.endswith("ly"):
        return
    attach(verb, None, "ROOT")
    for child in list(noun.children):
        if child.index > noun.index and child is not verb:
            attach(child, verb, child.dep)
    attach(noun, None, "ROOT")
    attach(subject, verb, "nsubj")
    attach(be, verb, "aux")
    attach(verb, noun, "relcl")
    noun.pos, noun.tag = "NOUN", noun.tag if noun.tag.startswith("NN") else "NN"
    if subject.pos != "PRON":
        subject.pos = "PROPN" if subject.pos == "PROPN" else "NOUN"
    verb.pos, verb.tag = "VERB", verb.tag if verb.tag.startswith("VB") else "VBG"


def _without(word: Word, before: Word | None, after: Word | None) -> None:
    """ "girl no hat", "kid no helmet on": a noun, and what it has not."""
    if word.lower != "no" or before is None or after is None or before.pos not in _NOUNS:
        return
    thing = word.head if word.head is not None and word.head.index > word.index else after
    if thing.pos not in _NOUNS or not (before.head is thing or thing.head is before) or before.case:
        return
    if before.head is thing:
        attach(before, thing.head, thing.dep)
        for child in list(thing.children):
            if child.index < before.index:
                attach(child, before, child.dep)
    attach(thing, before, "list")
    attach(word, thing, "det")


def _sides_behind(tree: Tree, word: Word) -> None:
    """ "foot bottom left", "chair farthest left": sides in a row, the last read as what the first word is."""
    sides = lists.POSITIONS - {"side"} | _FAR
    if word.lower not in lists.POSITIONS or word.head is not None or word.having("cop", "det", "case"):
        return
    first = word.index
    while first and tree.words[first - 1].lower in sides:
        first -= 1
    noun = tree.words[first - 1] if first else None
    if noun is None or first == word.index or noun.pos not in _NOUNS or not is_above(word, noun) or noun.case:
        return
    attach(noun, None, "ROOT")
    for child in list(word.children):
        if child.index < first or child.index > word.index:
            attach(child, noun, child.dep)
    for side in tree.words[first : word.index + 1]:
        if side.lower != "far":
            attach(side, noun, "amod")
            side.pos, side.tag = "ADJ", "JJS" if side.lower in _FAR else "JJ"
        else:
            attach(side, tree.words[side.index + 1], "advmod")


def _looking_aside(word: Word, before: Word | None) -> None:
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


def _fed(word: Word, before: Word | None) -> None:
    """ "man feeding giraffe", with the man as part of the giraffe's name though he feeds something, and "dude drinking
    beer", where he drinks nothing."""
    if before is None or word.pos not in _NOUNS or word.lefts == [] and word.head is None:
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
        if lead.pos in _NOUNS and before.lower not in lists.THINGS_IN_ING:
            for one in sides:
                attach(one, lead, "amod")
                one.pos, one.tag = "ADJ", "JJ"
            attach(before, lead, "acl")
            before.pos, before.tag = "VERB", "VBG"
            attach(word, before, "dobj")


def _set_beside(tree: Tree, word: Word) -> None:
    """ "guy in stands, red hat": what a comma sets behind a fragment's first noun does not lead it."""
    if word.pos not in _NOUNS or word.head is not None or word.subjects or word.having("cop"):
        return
    first = tree.words[0]
    while first.head is not None and first.head is not word:
        first = first.head
    commas = [one for one in word.having("punct") if one.text == "," and first.index < one.index < word.index]
    if not commas or first is word or first.pos not in _NOUNS or first.case:
        return
    comma = commas[0]
    if first.dep not in ("advcl", "dep", "npadvmod", "compound", "nmod", "amod", "appos") or word.having("cc", "conj"):
        return
    attach(first, None, "ROOT")
    attach(word, first, "conj")
    attach(comma, first, "punct")


def _endowed(tree: Tree, word: Word, before: Word | None) -> None:
    """ "long necked bird", "snow covered bench", "multi colored umbrella": a word and a participle that are one quality
    of the noun behind them, where a pipeline sees somebody do something."""
    if word.lower not in lists.ENDOWED or before is None or before.pos not in (*_NOUNS, "ADV", "ADJ", "X"):
        return
    behind = next((one for one in tree.words[word.index + 1 :] if one.pos not in ("ADJ", "ADV")), None)
    if behind is None or behind.lower not in ("one", "ones") and behind.pos not in _NOUNS:
        return
    noun = behind
    while noun.dep in ("compound", "nmod", "amod") and noun.head is not None and noun.head.index > noun.index:
        noun = noun.head  # "long sleeved shirt guy"
    if not (is_above(word, noun) or is_above(noun, word)) or noun.having("det"):
        return
    own = next((c for c in noun.lefts if c.index < before.index and c.dep == "det"), None)
    if before.lower in lists.ACTORS and own is None:
        return  # "man covered bench"
    if is_above(word, noun):
        if word.having("aux", "auxpass", "cop", "agent"):
            return
        take_over(noun, word, "amod")
    elif word.head is not noun:
        attach(word, noun, "amod")
    word.pos, word.tag, word.dep = "ADJ", "JJ", "amod"
    thing = before.pos == "NOUN"
    if is_above(before, noun):
        attach(noun, before.head, before.dep)
    for child in list(before.children):
        attach(child, noun, child.dep)
    attach(before, word, "npadvmod" if thing else "amod")
    if not thing:
        before.pos, before.tag = "ADJ", "JJ"


def _not_another(word: Word) -> None:
    """ "catcher not ump", with the catcher as what is said not to be an ump."""
    no = next((c for c in word.children if c.lower == "not"), None)
    if no is None or word.head is not None or word.pos not in _NOUNS or word.having("cop", "aux", "det"):
        return
    first = next(iter(word.subjects), None)
    if first is None or first.pos not in _NOUNS or first.index > no.index:
        return
    attach(first, None, "ROOT")
    attach(word, first, "conj")


def _doing_at_the_head(word: Word) -> None:
    """ "skier in grey jacket waving", with the waving as what the skier is."""
    doing = word.pos in _NOUNS and word.lower.endswith("ing") and word.lower not in lists.THINGS_IN_ING
    first = next(iter(word.subjects), None)
    if not doing or word.head is not None or first is None or word.having("cop", "aux", "det", "amod", "compound"):
        return
    attach(first, None, "ROOT")
    attach(word, first, "acl")
    word.pos, word.tag = "VERB", "VBG"


def _blurry_one(word: Word, after: Word | None) -> None:
    """ "blurry one", with the quality as a name and "one" as its number."""
    if word.index or word.head is not None or after is None or after.lower not in ("one", "ones"):
        return
    if after.head is word and after.dep in ("nummod", "appos", "npadvmod") and word.text.islower():
        if word.lower not in ("number", "no", "nr", "player", "gate", "platform"):
            take_over(after, word, "amod")
            word.pos, word.tag = "ADJ", "JJ"


def _named_by_adverb(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "fire hydrant on left", with the second part of a name as an adverb."""
    if word.pos != "ADV" or word.tag != "RB" or before is None or before is not word.head or before.index:
        return
    known = word.lower in lists.ADVERBS | lists.POSITIONS | lists.ADVERBIALS | _FAR | _ASIDE or word.lower.endswith("ly")
    if known or word.children or before.pos not in _NOUNS or not (after is None or after.pos == "ADP"):
        return
    word.pos, word.tag = "NOUN", "NN"
    take_over(word, before)


def _stands(word: Word, before: Word | None) -> None:
    """ "people watching in stands", with a finite verb right behind a preposition."""
    if word.pos != "VERB" or word.tag not in ("VBZ", "NNS") or before is None or before.pos != "ADP":
        return
    if before.dep == "case" and before.head is word:
        word.pos, word.tag = "NOUN", "NNS"
        return
    first = next(iter(word.subjects), None)
    tied = before.head is not None and first is not None and is_above(first, before)
    if not tied or first is None or word.having("obj", "dobj", "obl", "prep") or before.dep not in ("advmod", "prep"):
        return
    inner = before.head
    attach(first, word.head, word.dep)
    for child in list(word.children):
        attach(child, first, child.dep)
    word.pos, word.tag = "NOUN", "NNS"
    attach(word, inner, "obl")
    attach(before, word, "case")
    before.pos = "ADP"
