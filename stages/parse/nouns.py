"""Which words of a tree name something to see: the roots of its phrases."""

from __future__ import annotations

import unicodedata

from stages.parse import lists
from stages.parse.adjectives import counts, is_bare_owner, is_joined_quality, is_worn_colour
from stages.parse.tree import Tree, Word

NOMINAL = frozenset(
    """nsubj nsubj:pass nsubjpass nsubj:outer obj dobj iobj dative obl obl:agent obl:unmarked nmod pobj ROOT conj list
    appos attr dep parataxis nmod:unmarked""".split()
)


class Nouns:
    """Which words of a tree are roots of phrases, and which phrase a word stands for."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.roots: list[Word] = [word for word in tree.words if is_root(word) and _begins_a_word(word, tree)]
        if not self.roots:
            self.roots = [word for word in _last_resort(tree) if _begins_a_word(word, tree)]
        self._index = {id(word): number for number, word in enumerate(self.roots)}

    def index(self, word: Word | None) -> int | None:
        """The phrase that a word stands for: its own, its antecedent's ("that"), or what it counts ("a couple of
        dogs"); None for other pronouns and words that name nothing."""
        seen: set[int] = set()
        while word is not None and id(word) not in seen:
            seen.add(id(word))
            if id(word) in self._index:
                return self._index[id(word)]
            word = _stands_for(word)
        return None


def _begins_a_word(word: Word, tree: Tree) -> bool:
    """Not so what is spelled out of the inside of one ("left" in "onleft"), or split off it ("d" in "id")."""
    given, start = tree.clean.given, tree.span(word).start
    return not (start and given[start - 1].isalnum() and given[start].isalnum())


def is_root(word: Word) -> bool:
    """Whether a word names something to see."""
    if not any(c.isalpha() for c in word.text):
        return False
    if is_bare_owner(word):
        return True
    if word.pos in ("NOUN", "PROPN") or _stands_alone(word):
        return _is_thing(word)
    if word.pos == "ADJ" and word.dep in NOMINAL and word.having("nmod:poss", "poss") and not word.having("cop"):
        return _is_thing(word)  # "with her back to us"
    return word.pos in ("ADJ", "NUM") and _is_headless(word)


def _stands_alone(word: Word) -> bool:
    """ "one with stripes", "another in red", "two on the right": a pronoun or number in a noun's place, which counts
    nothing that follows ("one of the dogs")."""
    if word.pos not in ("PRON", "DET", "NUM") or any(case == "of" for case, _, _ in word.objects):
        return False
    if word.lower in ("one", "ones", "another", "others"):
        governor = word.head
        generic = governor is not None and governor.lower in lists.SHOWING and word in governor.subjects
        return word.dep in NOMINAL and not generic
    counted = word.pos == "NUM" and word.dep == "ROOT" and not word.text[0].isdigit()
    return counted and bool(word.objects or word.having("acl", "relcl", "acl:relcl"))


def _is_thing(word: Word) -> bool:
    if word.dep in ("compound", "nmod:desc", "amod") and word.head is not None:
        return False  # it modifies another noun
    if word.dep in ("case", "mark", "cc", "advmod", "discourse", "compound:prt", "fixed", "det"):
        return False
    if is_joined_quality(word):
        return False
    if _is_idiom(word) or _is_frame(word) or _is_adverbial(word) or _is_viewer(word) or is_worn_colour(word):
        return False
    return not (word.lower in lists.QUANTITIES | lists.SHARES and any(case == "of" for case, _, _ in word.objects))


def _is_idiom(word: Word) -> bool:
    """ "side by side", "hand in hand": a bare noun twice."""
    if word.having("det", "nmod:poss", "poss", "amod"):
        return False
    governor = word.governor
    twice = governor is not None and bool(word.case) and governor.lower == word.lower
    return twice or any(noun.lower == word.lower and not noun.having("det", "amod") for _, noun, _ in word.objects)


def _is_headless(word: Word) -> bool:
    """ "the taller of the two giraffes": an adjective with an article, in a noun's place."""
    if word.dep not in NOMINAL or is_worn_colour(word) or _is_adverbial(word):
        return False
    if word.having("cop", "aux") or (word.dep == "ROOT" and word.subjects):
        return False
    article = any(c.lower in ("the", "this", "that", "these", "those") for c in word.lefts if c.dep == "det")
    of = any(case == "of" for case, _, _ in word.objects)
    if word.dep == "conj":  # "the rich and the poor"
        return article and word.head is not None and word.head.pos == word.pos and _is_headless(word.head)
    return (article and (word.tag in ("JJR", "JJS", "CD") or of or word.dep == "ROOT" or word.lower == "other")) or (
        of and word.tag in ("JJR", "JJS") and word.dep == "ROOT"
    )


def _is_frame(word: Word) -> bool:
    """ "the image shows …", "in this photo", "a picture of a dog"."""
    if word.lower not in lists.FRAMES:
        return False
    if word.dep in ("nsubj", "nsubjpass", "nsubj:pass") and word.head is not None:
        verb = word.head
        return verb.lower in lists.SHOWING | lists.TAKING or bool(verb.having("cop") and verb.lower in lists.FRAMES)
    plain = all(c.dep in ("det", "case", "punct", "nmod", "prep") for c in word.children)
    if word.case in ("in", "of", "from", "throughout", "across") and plain and word.having("det"):
        return True
    of = any(case == "of" for case, _, _ in word.objects)
    return of and word.lower != "painting" and word.dep in ("ROOT", "attr")


def _is_adverbial(word: Word) -> bool:
    """ "on the left", "in front of the house", "in mid air", "all the way in back"."""
    if word.lower == "way" and any(child.lower == "all" for child in word.lefts):
        return True
    if word.lower not in lists.ADVERBIALS or word.case not in lists.ADVERBIAL_CASES:
        return False
    if word.lower in lists.ONLY_IN and word.case != "in":
        return False
    owners = word.having("nmod:poss", "poss")
    if owners and word.lower in ("back", "top", "front"):
        return word.lower != "back"  # on his back
    return True


def _is_viewer(word: Word) -> bool:
    """ "looking at the camera", "closest to the camera": who looks at the image is not in it."""
    if word.lower not in lists.VIEWERS:
        return False
    governor = word.governor
    if word.case in lists.VIEWED:
        return governor is not None and governor.pos in ("VERB", "ADJ", "ADV", "NOUN")
    return word.dep in ("obj", "dobj") and governor is not None and governor.lower in lists.FACING


def _last_resort(tree: Tree) -> list[Word]:
    """A text in which no noun was found: a noun that elsewhere only places another ("she stands at the corner"), or its
    root ("left", "arm" taken for a verb)."""
    placing = [word for word in tree.words if word.pos == "NOUN" and _is_adverbial(word) and word.governor is not None]
    if placing and any(word.subjects for word in tree.roots):
        return placing[:1]
    told = [word for word in tree.roots if word.pos not in ("VERB", "AUX") or not word.subjects]
    for root in told:
        letters = any(is_latin(c) for c in root.text if c.isalpha())
        if letters and root.pos not in ("PUNCT", "SYM", "DET", "ADP", "CCONJ", "PRON", "INTJ", "PART"):
            return [root]
    return []


def is_latin(letter: str) -> bool:
    return "LATIN" in unicodedata.name(letter, "")


def _stands_for(word: Word) -> Word | None:
    """The word whose phrase a word means, one step on."""
    relative = word.pos in ("PRON", "DET") and word.lower in ("who", "that", "which", "whom")
    if relative:
        clause = word.head
        while clause is not None and clause.dep not in ("acl:relcl", "relcl", "advcl:relcl"):
            clause = clause.head
        return clause.head if clause is not None else None
    if counts(word) or (word.lower in lists.FRAMES and word.pos == "NOUN"):
        return next((noun for case, noun, _ in word.objects if case == "of"), None)
    return None
