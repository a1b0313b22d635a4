"""A dependency tree to phrases, predicates, relations and the referred object (Segment Anyword, sections 2.4, C.1).

One traversal serves two label schemes: Universal Dependencies (`obj`, `obl` and `nmod` with `case`, `nsubj:pass`)
and ClearNLP, which spaCy's own English pipelines use (`dobj`, `prep` and `pobj`, `nsubjpass`). Nothing is found by
searching strings; every span comes from a word of the tree.
"""

from __future__ import annotations

from stages.artifacts.language import Parse, Phrase, Span
from stages.parse import lists
from stages.parse.adjectives import adjectives_of, is_bare_owner
from stages.parse.languages import foreign_note
from stages.parse.negation import is_absent, is_denied
from stages.parse.nouns import Nouns
from stages.parse.predicates import predicates_of
from stages.parse.relations import referred_of, relations_of
from stages.parse.tree import Tree, Word

_LEFT_IN_SPAN = frozenset("det nummod amod compound nmod:poss poss det:predet predet quantmod advmod nmod:desc".split())
_NOT_OWNED = frozenset("group pair bunch row herd flock crowd team stack pile set line".split())


def extract(tree: Tree) -> Parse:
    """Everything that the tree says, spans in the text as given."""
    nouns = Nouns(tree)
    things = {id(root) for root in nouns.roots}
    # A word is one phrase's noun or another one's adjective, never both.
    found = [[word for word in adjectives_of(root, tree) if id(word) not in things] for root in nouns.roots]
    denied = [[word for word in words if is_denied(word, tree)] for words in found]
    adjectives = [[word for word in words if word not in no] for words, no in zip(found, denied, strict=True)]
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
        notes=(*_notes(tree, phrases), *_denials(tree, nouns, denied)),
    )


def _phrase_span(tree: Tree, root: Word, roots: list[Word]) -> Span:
    """The noun with what stands before it and belongs to it; never another phrase's noun."""
    others = {id(word) for word in roots if word is not root}
    inside = [root.index]
    for child in root.lefts:
        if child.dep in _LEFT_IN_SPAN:
            members = [w.index for w in child.subtree()]
            if not any(id(w) in others for w in child.subtree()):
                inside += [i for i in members if i < root.index]

    def between(index: int) -> bool:
        """Whether it stands between two words of the phrase; a pipeline may take an "and" for a noun."""
        word = tree.words[index]
        return word.text in (",", "and") and index - 1 in inside and id(word) not in others

    first = root.index
    while first - 1 in inside or (first >= 1 and between(first - 1)):
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


def _denials(tree: Tree, nouns: Nouns, denied: list[list[Word]]) -> list[str]:
    """What the text says is not so: adjectives that were left out for it, and things that are not to be looked for."""
    notes: list[str] = []
    if foreign_note(tree.clean.text) is not None:
        return notes
    for root, words in zip(nouns.roots, denied, strict=True):
        notes += [
            f'"{tree.span(word).of(tree.clean.given)}" is denied of "{tree.span(root).of(tree.clean.given)}".'
            for word in words
        ]
        if is_absent(root, tree):
            notes.append(f'"{tree.span(root).of(tree.clean.given)}" is said not to be there.')
    return notes


def _notes(tree: Tree, phrases: tuple[Phrase, ...]) -> list[str]:
    foreign = foreign_note(tree.clean.text)
    if foreign is not None:
        return [foreign]
    if not phrases:
        letters = any(c.isalpha() for c in tree.clean.text)
        return ["No noun was found." if letters else "There is no word to read."]
    return []
