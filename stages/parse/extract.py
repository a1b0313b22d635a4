"""A dependency tree to phrases, predicates, relations and the referred object (Segment Anyword, sections 2.4, C.1).

One traversal serves two label schemes: Universal Dependencies (`obj`, `obl` and `nmod` with `case`, `nsubj:pass`)
and ClearNLP, which spaCy's own English pipelines use (`dobj`, `prep` and `pobj`, `nsubjpass`). Nothing is found by
searching strings; every span comes from a word of the tree.
"""

from __future__ import annotations

from stages.artifacts.language import Parse, Phrase, Relation, Span
from stages.parse import lists
from stages.parse.adjectives import adjectives_of, is_bare_owner, is_verb_of_clause, is_worn_colour
from stages.parse.predicates import predicates_of
from stages.parse.tree import Tree, Word

NOMINAL = frozenset(
    """nsubj nsubj:pass nsubjpass nsubj:outer obj dobj iobj dative obl obl:agent obl:unmarked nmod pobj ROOT conj list
    appos attr dep parataxis nmod:unmarked""".split()
)
_LEFT_IN_SPAN = frozenset("det nummod amod compound nmod:poss poss det:predet predet quantmod advmod nmod:desc".split())
_NOT_OWNED = frozenset("group pair bunch row herd flock crowd team stack pile set line".split())


class Nouns:
    """Which words of a tree are roots of phrases, and which phrase a word stands for."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.roots: list[Word] = [word for word in tree.words if is_root(word)]
        if not self.roots:
            self.roots = _last_resort(tree)
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


def extract(tree: Tree) -> Parse:
    """Everything that the tree says, spans in the text as given."""
    nouns = Nouns(tree)
    adjectives = [adjectives_of(root, tree) for root in nouns.roots]
    phrases = tuple(
        Phrase(
            span=_phrase_span(tree, root, nouns.roots),
            root=tree.span(root),
            adjectives=tuple(tree.span(word) for word in found),
            possessor=_possessor(root, nouns),
        )
        for root, found in zip(nouns.roots, adjectives, strict=True)
    )
    return Parse(
        phrases=phrases,
        predicates=predicates_of(tree, nouns.index),
        relations=relations_of(tree, nouns),
        referred=referred_of(tree, nouns),
        notes=tuple(_notes(tree, phrases)),
    )


# ---- what is a phrase


def is_root(word: Word) -> bool:
    """Whether a word names something to see."""
    if not any(c.isalpha() for c in word.text):
        return False
    if word.pos in ("NOUN", "PROPN") or (word.pos == "PRON" and word.lower in ("one", "ones")):
        return _is_thing(word)
    return word.pos in ("ADJ", "NUM") and _is_headless(word)


def _is_thing(word: Word) -> bool:
    if is_bare_owner(word):
        return True
    if word.dep in ("compound", "nmod:desc", "amod") and word.head is not None:
        return False  # it modifies another noun
    if word.dep in ("case", "mark", "cc", "advmod", "discourse", "compound:prt", "fixed", "det"):
        return False
    if _is_frame(word) or _is_adverbial(word) or _is_viewer(word) or is_worn_colour(word):
        return False
    return not (word.lower in lists.QUANTITIES and any(case == "of" for case, _, _ in word.objects))


def _is_headless(word: Word) -> bool:
    """ "the taller of the two giraffes": an adjective with an article, in a noun's place."""
    if word.dep not in NOMINAL or is_worn_colour(word) or _is_adverbial(word):
        return False
    if word.having("cop", "aux") or (word.dep == "ROOT" and word.subjects) or word.dep in ("conj",):
        return False
    article = any(c.lower in ("the", "this", "that", "these", "those") for c in word.lefts if c.dep == "det")
    of = any(case == "of" for case, _, _ in word.objects)
    return (article and (word.tag in ("JJR", "JJS", "CD") or of or word.dep == "ROOT")) or (
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
    """ "on the left", "in front of the house", "in mid air"."""
    if word.lower not in lists.ADVERBIALS or word.case not in lists.ADVERBIAL_CASES:
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
    """A text in which no noun was found: its root ("left", "arm" taken for a verb)."""
    for root in tree.roots:
        letters = any("LATIN" in _name(c) for c in root.text if c.isalpha())
        if letters and root.pos not in ("PUNCT", "SYM", "DET", "ADP", "CCONJ", "PRON", "INTJ", "PART"):
            return [root]
    return []


def _name(character: str) -> str:
    import unicodedata

    return unicodedata.name(character, "")


def _stands_for(word: Word) -> Word | None:
    """The word whose phrase a word means, one step on."""
    relative = word.pos in ("PRON", "DET") and word.lower in ("who", "that", "which", "whom")
    if relative:
        clause = word.head
        while clause is not None and clause.dep not in ("acl:relcl", "relcl", "advcl:relcl"):
            clause = clause.head
        return clause.head if clause is not None else None
    if word.lower in lists.QUANTITIES or (word.lower in lists.FRAMES and word.pos == "NOUN"):
        return next((noun for case, noun, _ in word.objects if case == "of"), None)
    return None


# ---- spans, owners


def _phrase_span(tree: Tree, root: Word, roots: list[Word]) -> Span:
    """The noun with what stands before it and belongs to it; never another phrase's noun."""
    others = {id(word) for word in roots if word is not root}
    inside = [root.index]
    for child in root.lefts:
        if child.dep in _LEFT_IN_SPAN:
            members = [w.index for w in child.subtree()]
            if not any(id(w) in others for w in child.subtree()):
                inside += [i for i in members if i < root.index]
    first = root.index
    while first - 1 in inside or (
        first - 1 >= 0 and tree.words[first - 1].text in (",", "and") and first - 2 in inside
    ):
        first -= 1
    return tree.span(tree.words[first], root)


def _possessor(root: Word, nouns: Nouns) -> int | None:
    """Whom or what this phrase belongs to: "the boy's shirt", "the handle of the cup", "a horse with brown spots"."""
    mine = nouns.index(root)
    for owner in [c for c in root.children if c.dep in ("nmod:poss", "poss") or is_bare_owner(c)]:
        found = nouns.index(owner)
        if found is not None and found != mine:
            return found
    for case, noun, _ in root.objects:
        if case == "of" and root.lower not in _NOT_OWNED:
            found = nouns.index(noun)
            if found is not None and found != mine:
                return found
    first = root
    while first.dep == "conj" and first.head is not None:
        first = first.head
    if root.lower in lists.PARTS and first.case == "with" and first.governor is not None:
        found = nouns.index(first.governor)
        if found is not None and found != mine:
            return found
    return None


# ---- relations and the referred object


def relations_of(tree: Tree, nouns: Nouns) -> tuple[Relation, ...]:
    """Prepositions between two phrases: "a cup on a table", "the dog is next to the sofa", "sitting on a chair"."""
    found: dict[tuple[int, int, int], Relation] = {}
    for word in tree.words:
        for _, noun, marks in word.objects:
            if noun.dep == "obl:agent" or marks[0].dep == "agent":
                continue  # who does it is a matter of the predicate
            outer, inner = _joined_by(word, noun, nouns)
            subject, target = nouns.index(outer), nouns.index(inner)
            if subject is None or target is None or subject == target:
                continue
            first, last = _preposition(word, marks, fixed=nouns.index(word) is None)
            span = tree.span(tree.words[first], tree.words[last])
            found.setdefault((span.start, subject, target), Relation(span=span, subject=subject, object=target))
        if word.having("cop") and word.subjects and word.case:  # the cup is on the table
            subject, target = nouns.index(word.subjects[0]), nouns.index(word)
            marks = word.having("case")
            if subject is not None and target is not None and subject != target and marks:
                span = tree.span(marks[0], marks[-1])
                found.setdefault((span.start, subject, target), Relation(span=span, subject=subject, object=target))
    return tuple(found[key] for key in sorted(found))


def _joined_by(word: Word, noun: Word, nouns: Nouns) -> tuple[Word | None, Word]:
    """The two sides of a preposition; the outer side of a verb or of "next", "in front" is who is there."""
    outer: Word | None = word
    for _ in range(len(nouns.tree.words)):
        if outer is None or nouns.index(outer) is not None:
            break
        if outer.subjects:
            outer = outer.subjects[0]
        elif outer.dep in (
            "advmod",
            "obl",
            "nmod",
            "pobj",
            "prep",
            "acl",
            "advcl",
            "amod",
            "xcomp",
            "conj",
            "acl:relcl",
        ):
            outer = outer.head
        else:
            outer = None
    return outer, noun


def _preposition(word: Word, marks: list[Word], *, fixed: bool) -> tuple[int, int]:
    """First and last word of a preposition, with what it is fixed to: "next to", "in front of"."""
    first, last = marks[0].index, marks[-1].index
    if fixed and word.index + 1 == first and (word.pos == "ADV" or word.lower in lists.POSITIONS | lists.ADVERBIALS):
        first = word.index
        cases = word.having("case")
        if cases:
            first = min(first, cases[0].index)
        elif word.dep == "pobj" and word.head is not None:
            first = word.head.index
    return first, last


def referred_of(tree: Tree, nouns: Nouns) -> int | None:
    """The one object that a referring expression is about: the noun at its root, or the subject of its one
    sentence (the paper takes nsubj, F.1). None for several sentences, for lists and for joined subjects."""
    roots = [word for word in tree.roots if word.pos not in ("PUNCT", "SPACE")]
    if not roots or tree.sentence_ends():
        return None
    root = roots[0]
    participle = [c for c in root.having("amod") if is_verb_of_clause(c)]
    if nouns.index(root) is not None and not root.having("cop") and not participle:
        head = nouns.roots[nouns.index(root) or 0]
    elif root.lower in lists.REQUESTS and root.having("obj", "dobj") and not root.subjects:
        head = root.having("obj", "dobj")[0]
    elif root.subjects:
        head = root.subjects[0]
        if nouns.index(head) is None:
            return None
    else:
        objects = [noun for _, noun, _ in root.objects]
        if len(nouns.roots) == 1:
            return 0
        return nouns.index(objects[0]) if root.lower in lists.FRAMES and objects else None
    joined = [c for c in head.having("conj", "list") if nouns.index(c) is not None]
    clauses = [c for c in root.having("conj", "parataxis") if c.subjects]
    return None if joined or clauses else nouns.index(head)


def _notes(tree: Tree, phrases: tuple[Phrase, ...]) -> list[str]:
    letters = [c for c in tree.clean.text if c.isalpha()]
    foreign = sum("LATIN" not in _name(c) for c in letters)
    if letters and foreign * 2 > len(letters):
        return ["Most letters are not Latin: this parser reads English only."]
    if not phrases:
        return ["No noun was found." if letters else "There is no word to read."]
    return []
