"""Noun phrases that pipelines misread time and again, put right by the order of words and by closed lists alone.

"a soda can" with a modal verb, "player number 23" with the number at its head, "left guy" with the verb "left", "hand
holding phone" as one compound, "half eaten donut" as a sentence, "[a fire hydrant] and [stop sign]" as one sign: each
rule says what it mends. They serve both label schemes.
"""

from __future__ import annotations

import re

from stages.parse import lists
from stages.parse.repair_gerunds import verb_between_nouns
from stages.parse.surgery import NOUNS, attach, is_above, take_over
from stages.parse.tree import Tree, Word

_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|last", re.IGNORECASE)


def repair_phrases(tree: Tree) -> None:
    """The tree's noun phrases mended, its words changed in place, from left to right."""
    for word in tree.words:
        before, after = tree.near(word, -1), tree.near(word, 1)
        _can_of(word, before, after)
        _one_thing(word, before, after)
        _beings_in_a_row(tree, word)
        _number_of(word, before, after)
        _flat_name(word, before)
        _colour_behind_in(word, before)
        _position(tree, word, before, after)
        _participle_before_noun(tree, word, before, after)
        _ordinal_behind(word, before)
        verb_between_nouns(tree, word, before, after)
        _joined_phrases(tree, word)
        _joined_tail(tree, word, before)
    _first_word(tree)


def _can_of(word: Word, before: Word | None, after: Word | None) -> None:
    """ "a soda can on the table": "can" behind a noun, with no verb that it could help, is a thing."""
    if word.lower != "can" or word.tag != "MD" or before is None or before.pos not in NOUNS:
        return
    helps = after is not None and (
        after.tag in ("VB", "VBP") or after.pos in ("VERB", "AUX") or after.lower in ("not", "n't", "also", "be")
    )
    if helps or (word.dep == "aux" and word.head is not None and word.head.pos == "VERB"):
        return
    place = before.head if before.dep.startswith("nsubj") else None
    word.pos, word.tag = "NOUN", "NN"
    take_over(word, before)
    if place is not None and place is not word and place.case and place.pos in NOUNS and not place.having("cop"):
        attach(word, place.head, place.dep)  # "can on the table", of which the table was said
        attach(place, word, "nmod")


def _one_thing(word: Word, before: Word | None, after: Word | None) -> None:
    """ "traffic light pole", "ice cream truck": a pair that is one thing qualifies the noun behind it together."""
    if before is None or after is None or (before.lower, word.lower) not in lists.COMPOUNDS:
        return
    if word.head is not after or word.dep not in ("amod", "compound") or after.pos not in NOUNS:
        return
    if after.head is before:  # read as two things in a row
        take_over(after, before)
    word.pos, word.tag, word.dep = "NOUN", "NN", "compound"
    if not is_above(before, word):
        attach(before, word, "compound")


def _beings_in_a_row(tree: Tree, word: Word) -> None:
    """ "man woman child", read as a compound."""
    kind = next((one for one in (lists.PEOPLE, lists.ANIMALS) if word.lower in one), frozenset[str]())
    first = word
    while (before := tree.near(first, -1)) is not None and before.lower in kind and is_above(word, before):
        if before.dep not in ("compound", "amod", "nmod:desc", "nmod", "list"):
            break
        first = before
    if first is word:
        return
    for child in list(word.children):
        if child.index < first.index:
            attach(child, first, child.dep)  # "a red cat dog"
    attach(first, word.head, word.dep)
    for one in tree.words[first.index + 1 : word.index + 1]:
        attach(one, first, "list")


def _number_of(word: Word, before: Word | None, after: Word | None) -> None:
    """ "player number 23" is about a player."""
    numbered = word.lower in ("number", "no", "nr", "num") and after is not None and after.text.isdigit()
    if not numbered or after is None or before is None or before.pos not in NOUNS or before.having("case", "punct"):
        return
    if before.head is word and before.dep in ("compound", "amod", "nmod", "nmod:desc"):
        take_over(before, word, "nummod")
        word.pos = "NUM"
        attach(after, before, "nummod")


def _flat_name(word: Word, before: Word | None) -> None:
    """ "x-ray machine", read as a name of two parts: words in lower case are no names."""
    if word.dep != "flat" or before is None or word.head is not before or word.pos not in NOUNS:
        return
    plain = before.pos == "NOUN" or (before.pos == "PROPN" and "-" in before.text)
    if plain and before.text.islower() and not word.text[0].isdigit():
        word.pos = before.pos = "NOUN"
        take_over(word, before)


def _colour_behind_in(word: Word, before: Word | None) -> None:
    """ "woman in red w/ hat": a colour right behind "in" is what she is in, whatever hangs where."""
    if word.lower not in lists.COLOURS or before is None or before.lower != "in" or before.dep != "prep":
        return
    if word.head is before and word.dep != "pobj":
        word.dep = "pobj"
    number = next((c for c in word.children if c.text.isdigit() and c.index == word.index + 1), None)
    if number is not None and word.head is before and before.head is not None and before.head.pos in NOUNS:
        attach(number, before.head, "nummod")  # "kid in blue 7"


def _position(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "left guy" with a verb, "couch on left" with a participle, "guy far right in cap" with "right in"."""
    if word.lower not in lists.POSITIONS or word.lower in ("far", "near", "back"):
        return
    if before is not None and before.lower == "far":
        before = tree.near(before, -1)
    placed = before is not None and (before.pos == "ADP" or before.dep in ("prep", "case"))
    if placed and before is not None and word.head is None and _leads_wrongly(word, before):
        return
    noun_behind = after is not None and after.pos in NOUNS and after.lower not in lists.POSITIONS
    if placed and not noun_behind and word.pos in ("VERB", "ADV", "ADJ") and word.lower in lists.ADVERBIALS:
        word.pos, word.tag = "NOUN", "NN"
        bare = before is not None and before.pos == "ADP" and before.dep in ("prep", "advmod")
        if before is not None and bare and not before.having("pobj"):
            before.dep = "prep"
            attach(word, before, "pobj")
        return
    start = before is None or (before.lower in lists.POSITIONS and before.index == 0)
    if start and noun_behind and after is not None and word.pos in ("VERB", "ADV", "NOUN") and not word.having("det"):
        if word.head is None and after.head is word and after.dep in ("dobj", "obj", "npadvmod", "nmod", "conj", "dep"):
            take_over(after, word, "amod")
            for child in after.having("advmod"):
                if child.lower in lists.POSITIONS and child.index < word.index:
                    child.dep = "amod"
            word.pos, word.tag = "ADJ", "JJ"
        elif word.head is after and word.dep in ("advmod", "nsubj", "npadvmod"):
            word.pos, word.tag, word.dep = "ADJ", "JJ", "amod"
        return
    _position_behind(tree, word, before, after)


def _leads_wrongly(word: Word, preposition: Word) -> bool:
    """ "person on far left", with the side as what the person is: the person leads."""
    noun = next(iter([*word.subjects, *word.having("npadvmod", "dep")]), None)
    if noun is None or noun.index > word.index or word.having("cop") or noun.pos not in NOUNS or word.pos == "VERB":
        return False
    attach(noun, None, "ROOT")
    attach(preposition, noun, "prep")
    attach(word, preposition, "pobj")
    word.pos, word.tag = "NOUN", "NN"
    return True


def _position_behind(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    noun = before
    if noun is not None and noun.lower == "far":
        noun = tree.near(noun, -1)
    if noun is None or noun.pos not in NOUNS or word.pos not in ("ADV", "ADJ") or word.head is noun:
        return
    loose = word.dep == "advmod" and word.head is not None and word.head.pos == "ADP" and word.head.head is noun
    if loose and after is word.head and not (after is not None and after.lower in ("of", "next", "beside")):
        attach(word, noun, "advmod")


def _participle_before_noun(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "half eaten donut", "folded towels lying …": a fragment that begins with a participle is about the noun behind
    it. "left chair" is the same mistake."""
    if word.pos != "VERB" or word.tag not in ("VBN", "VBD") or word.subjects or word.head is not None:
        return
    first = all(one.pos == "ADV" or one.lower in ("half", "well", "newly") for one in tree.words[: word.index])
    if not first or after is None or word.index > 2 or word.having("prt", "aux", "auxpass", "agent"):
        return
    objects = [c for c in word.children if c.dep in ("dobj", "obj", "oprd", "acomp", "xcomp") and c.index > word.index]
    noun = objects[0] if objects else None
    if noun is None or any(c.dep in ("det", "poss", "nmod:poss") for c in noun.children):
        return
    between = tree.words[word.index + 1 : noun.index]
    if any(one.head is not noun or one.dep not in ("amod", "compound", "nummod") for one in between):
        return
    if noun.pos not in NOUNS and not (noun.pos == "ADJ" and noun.index + 1 == len(tree.words)):
        return
    take_over(noun, word, "amod")
    noun.pos = "NOUN"
    for child in list(noun.children):
        if child.index < word.index and child.dep in ("advmod", "dep", "npadvmod"):
            attach(child, word, "advmod")
            if child.lower == "half":
                child.pos = "ADV"


def _ordinal_behind(word: Word, before: Word | None) -> None:
    """ "cow 2nd from right", "zebra closest to us", "boat furthest away": the noun before leads."""
    if before is None or before.index >= word.index or before.lower in lists.POSITIONS:
        return
    ordinal = _ORDINAL.fullmatch(word.text) is not None or word.tag in ("JJS", "RBS", "JJR", "RBR")
    ordinal = ordinal or word.lower in lists.FAR - {"far"}
    plain = lists.COLOURS | lists.PATTERNS | lists.SHADES | lists.DESCRIPTIVE
    unknown = before.pos == "ADJ" and before.tag == "JJ" and before.dep == "amod" and before.lower not in plain
    unknown = unknown and word.head is None and before.index <= 1
    noun = (
        unknown or before.pos in (*NOUNS, "X") or (before.pos == "VERB" and before.tag == "VBZ" and before.index == 0)
    )
    if not ordinal or not noun:
        return
    if (
        before.head is word
        and before.dep in ("compound", "nsubj", "nmod", "amod", "npadvmod")
        and not word.having("cop")
    ):
        attach(before, word.head, word.dep)
        for child in list(word.children):
            if child.index < before.index:
                attach(child, before, child.dep)
        attach(word, before, "amod")
    elif word.head is before and word.dep in ("advmod", "acomp", "xcomp", "dep") and before.pos == "VERB":
        word.dep = "amod"
    elif word.dep == "advmod" and word.head is not None and word.head.head is before and _hangs_behind(word.head):
        attach(word, before, "amod")  # "row second from left", "woman second from left holding a drink"
    else:
        return
    if before.pos not in NOUNS:
        before.pos, before.tag = "NOUN", "NN"
    word.pos = "ADJ"


def _hangs_behind(word: Word) -> bool:
    return word.pos == "ADP" or (word.tag == "VBG" and word.dep == "acl")


def _joined_phrases(tree: Tree, word: Word) -> None:
    """ "a pink dress and white sneakers", "a fire hydrant and stop sign": where the first of two joined nouns has words
    of its own before it, it does not describe what the second one is."""
    head = word.head
    if word.pos not in NOUNS or head is None or head.pos not in NOUNS or head.index < word.index:
        return
    if word.dep not in ("compound", "nmod", "nmod:desc", "amod"):
        return
    joint = tree.words[word.index + 1]
    own = [c for c in word.lefts if c.dep in ("compound", "amod", "nummod", "nmod:desc") and c.pos != "PROPN"]
    if joint.dep != "cc" or not own or joint.index + 1 >= head.index:
        return
    for child in list(word.children):
        if child.index > joint.index:
            attach(child, head, "compound" if child.pos in NOUNS else "amod")
    before = [c for c in head.children if c.index < word.index]
    place, dep = head.head, head.dep
    if is_above(head, word):
        attach(word, place, dep)
    for child in before:
        attach(child, word, child.dep)
    attach(head, word, "conj")
    attach(joint, head, "cc")


def _joined_tail(tree: Tree, word: Word, before: Word | None) -> None:
    """ "garlic and olive oil", with "olive" and "oil" joined one by one: what nothing parts is one."""
    if before is None or word.dep != "conj" or before.dep != "conj" or word.head is not before.head:
        return
    if word.pos in NOUNS and before.pos in NOUNS and not before.children and not word.lefts:
        attach(before, word, "compound")


def _first_word(tree: Tree) -> None:
    """ "carrots closest to …", "elephant whose trunk …": a finite verb that opens a text and has neither subject nor
    object is a noun."""
    word = tree.words[0] if tree.words else None
    if word is None or word.pos != "VERB" or word.head is not None or word.subjects:
        return
    relative = len(tree.words) > 1 and tree.words[1].lower in ("whose", "that", "which", "who")
    bare = word.tag == "VBZ" and not word.having("dobj", "obj", "prt", "compound:prt", "aux", "ccomp")
    if bare or (word.tag == "VB" and relative and word.lower not in lists.REQUESTS):
        word.pos, word.tag = "NOUN", "NNS" if word.tag == "VBZ" else "NN"
        for child in word.having("ccomp"):
            child.dep = "relcl"
