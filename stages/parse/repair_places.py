"""What stands in a noun's place is a noun: objects read as qualities or verbs ("leaning on counter", "holding phone to
ear"), names whose second part is read as an adverb ("fire hydrant on left"), and what qualities of two words qualify
("long necked bird")."""

from __future__ import annotations

from itertools import pairwise

from stages.parse import lists
from stages.parse.surgery import NOUNS, attach, is_above, take_over
from stages.parse.tree import Tree, Word

_FRUITS = frozenset("orange peach plum rose lime olive".split())
"""Colours that are things as well."""
_COVERED = frozenset("covered filled topped lined rimmed framed".split())
_AT = frozenset("on under over behind beside near in with at against above below".split())
_ENDS = ("ADP", "PUNCT", "CCONJ", "SCONJ", "ADV", "AUX", "PRON")
"""What may stand behind the last word of a phrase."""
_BODY = frozenset("ear ears mouth chest chin nose eye eyes forehead neck".split())


def repair_places(tree: Tree) -> None:
    """The tree's nouns and qualities mended, its words changed in place."""
    sentence = tree.is_sentence
    _bare_list(tree)
    for word in tree.words:
        before, after = tree.near(word, -1), tree.near(word, 1)
        _with_an_article(word)
        _had_or_there(word)
        _named_in_ing(word, before)
        _object(word, before, after)
        _to_the_ear(word, before)
        _her_back(word, before)
        _endowed(tree, word, before)
        if not sentence:
            _blurry_one(word, after)
            _named_by_adverb(word, before, after)
            _behind_a_preposition(word, before)


def _bare_list(tree: Tree) -> None:
    """ "truck, orange, keyboard": a text of single words with commas between them is a list of things."""
    items = [word for word in tree.words if word.text != "," and word.lower not in ("and", "or", "&")]
    marks = [word for word in tree.words if word not in items]
    single = all(other.index > one.index + 1 for one, other in pairwise(items))
    if len(items) < 3 or not single or not any(word.text == "," for word in marks):
        return
    if all(word.pos == "ADJ" for word in items):
        return  # "tall, thin, old"
    closed = lists.POSITIONS | lists.PATTERNS | lists.DESCRIPTIVE | (lists.COLOURS - _FRUITS)
    if any(word.lower in closed or not word.text[0].isalpha() for word in items):
        return
    first = items[0]
    for word in items:
        word.pos, word.tag = "NOUN", "NNS" if word.tag == "NNS" else "NN"
        attach(word, None if word is first else first, "conj")
    for mark in marks:
        attach(mark, first, "punct" if mark.text == "," else "cc")


def _with_an_article(word: Word) -> None:
    """What has an article is a thing, whatever its part of speech is taken for ("a remote, a brown truck", "the goat
    not purple"), and what is tagged as a noun is one where a fragment begins ("watering can")."""
    article = any(child.lower in ("a", "an", "the") and child.index < word.index for child in word.having("det"))
    odd = word.pos == "X" or (word.pos in ("VERB", "AUX") and word.tag.startswith("NN"))
    colour = word.lower in lists.COLOURS | lists.PATTERNS  # "a black and a white dog"
    listed = (
        word.tag == "JJ"
        and word.pos == "ADJ"
        and not colour
        and any(c.pos in NOUNS and c.having("det") for c in word.having("conj"))
    )
    if (article and (odd or listed)) or (odd and word.index == 0 and word.pos != "X"):
        word.pos, word.tag = "NOUN", word.tag if word.tag.startswith("NN") else "NN"


def _named_in_ing(word: Word, before: Word | None) -> None:
    """ "donut with chocolate frosting", with the frosting as what the chocolate does."""
    if word.lower not in lists.THINGS_IN_ING:
        return
    if word.dep == "acl" and word.head is before and before is not None and before.pos in NOUNS and not word.children:
        word.pos, word.tag = "NOUN", "NN"
        take_over(word, before)
    elif word.dep == "pcomp" and not word.having("dobj"):
        word.pos, word.tag, word.dep = "NOUN", "NN", "pobj"
        for child in word.subjects:
            child.dep = "compound"


def _had_or_there(word: Word) -> None:
    """ "with her back to us", "there is gravel", "middle row, second skateboard": what somebody has, what there is and
    what is set beside a noun, as an adverb or a quality."""
    head = word.head
    if word.pos == "ADV" and word.having("poss", "nmod:poss"):
        word.pos, word.tag = "NOUN", "NN"
    elif word.dep == "acomp" and word.pos == "ADJ" and head is not None and head.having("expl"):
        word.pos, word.tag, word.dep = "NOUN", "NN", "attr"
    elif word.dep == "advmod" and word.pos in NOUNS and head is not None and head.pos in NOUNS:
        adverb = word.lower in lists.ADVERBS | lists.POSITIONS | lists.ADVERBIALS
        word.dep = word.dep if adverb or word.index <= head.index + 1 else "list"


def _object(word: Word, before: Word | None, after: Word | None) -> None:
    """ "leaning on counter", "couch under painting", "holding the remote", with what is there as a quality or verb."""
    if word.dep not in ("pobj", "dobj", "obj") or word.having("cop", "nsubj", "advmod", "conj", "cc"):
        return
    closed = lists.COLOURS | lists.PATTERNS | lists.SHADES | lists.POSITIONS | lists.ADVERBIALS | lists.SHARES
    quality = word.pos == "ADJ" and word.tag == "JJ" and word.lower not in closed | {"other", "same"}
    ends = after is None or after.pos in _ENDS or after.tag == "VBG"
    told = quality and ends and not word.objects and (word.dep == "pobj" or bool(word.having("det")))
    doing = word.pos == "VERB" and word.tag == "VBG" and word.dep == "pobj" and not word.children
    at = before is not None and before is word.head and before.lower in _AT
    if told or (doing and at):
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


def _her_back(word: Word, before: Word | None) -> None:
    """ "woman with her back to us", with "back" as where she is."""
    if word.lower not in lists.PARTS or word.pos != "ADV" or before is None or before.lower != "her":
        return
    preposition = before.head
    if preposition is not None and before.dep == "pobj" and preposition.pos == "ADP":
        word.pos, word.tag = "NOUN", "NN"
        attach(word, preposition, "pobj")
        attach(before, word, "poss")


def _endowed(tree: Tree, word: Word, before: Word | None) -> None:
    """ "long necked bird", "snow covered bench", "multi colored umbrella": a word and a participle that are one quality
    of the noun behind them, where a pipeline sees somebody do something."""
    if word.lower not in lists.ENDOWED or before is None or before.pos not in (*NOUNS, "ADV", "ADJ", "X"):
        return
    behind = next((one for one in tree.words[word.index + 1 :] if one.pos not in ("ADJ", "ADV")), None)
    if behind is None or (behind.lower not in ("one", "ones") and behind.pos not in NOUNS):
        return
    noun = behind
    while noun.dep in ("compound", "nmod", "amod") and noun.head is not None and noun.head.index > noun.index:
        noun = noun.head  # "long sleeved shirt guy"
    if not (is_above(word, noun) or is_above(noun, word)) or noun.having("det"):
        return
    if before.lower in lists.ACTORS or before.lower.endswith("ly"):
        return  # "man covered bench", "brightly colored shirt"
    if is_above(word, noun):
        if word.having("aux", "auxpass", "cop", "agent"):
            return
        _free_of(word, noun, before)
    elif word.head is not noun:
        attach(word, noun, "amod")
    word.pos, word.tag, word.dep = "ADJ", "JJ", "amod"
    thing = before.pos == "NOUN" and word.lower in _COVERED  # "snow covered", but "heart shaped"
    if is_above(before, noun):
        attach(noun, before.head, before.dep)
    for child in list(before.children):
        attach(child, noun, child.dep)
    attach(before, word, "npadvmod" if thing else "amod")
    if not thing and before.pos != "NOUN":
        before.pos, before.tag = "ADJ", "JJ"


def _free_of(word: Word, noun: Word, before: Word) -> None:
    """The noun takes the place of the participle read as a verb; of a verb with a subject of its own, that of the word
    before ("strollers along a leaves covered street")."""
    own = [one for one in word.subjects if one is not before]
    if not own or before.head is word:
        take_over(noun, word, "amod")
        return
    attach(noun, before.head, before.dep)
    attach(own[0], word.head, word.dep)
    for child in list(word.children):
        attach(child, own[0], child.dep)
    attach(word, noun, "amod")


def _blurry_one(word: Word, after: Word | None) -> None:
    """ "blurry one", with the quality as a name and "one" as its number."""
    if word.index or word.head is not None or after is None or after.lower not in ("one", "ones"):
        return
    told = after.head is word and after.dep in ("nummod", "appos", "npadvmod") and word.text.islower()
    if told and word.lower not in ("number", "no", "nr", "player", "gate", "platform"):
        take_over(after, word, "amod")
        word.pos, word.tag = "ADJ", "JJ"


def _named_by_adverb(word: Word, before: Word | None, after: Word | None) -> None:
    """ "fire hydrant on left", with the second part of a name as an adverb."""
    if word.pos != "ADV" or word.tag != "RB" or before is None or before is not word.head or before.index:
        return
    known = word.lower in lists.ADVERBS | lists.POSITIONS | lists.ADVERBIALS or word.lower.endswith("ly")
    if known or word.children or before.pos not in NOUNS or not (after is None or after.pos == "ADP"):
        return
    word.pos, word.tag = "NOUN", "NN"
    take_over(word, before)


def _behind_a_preposition(word: Word, before: Word | None) -> None:
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
