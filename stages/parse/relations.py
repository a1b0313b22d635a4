"""Prepositions between phrases, and the one object that a text refers to."""

from __future__ import annotations

from stages.artifacts.language import Relation
from stages.parse import lists
from stages.parse.adjectives import is_verb_of_clause
from stages.parse.nouns import Nouns
from stages.parse.predicates import is_request
from stages.parse.tree import Tree, Word


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
    first = last = marks[-1].index
    while first - 1 in [mark.index for mark in marks]:
        first -= 1
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
    root = next((word for word in roots if word.subjects or nouns.index(word) is not None), roots[0])
    head = _told_of(root, nouns)
    if head is not None and not root.subjects and _is_denied(head):
        # "not the dog the cat"; "the cat not the dog" has its head before
        return next((i for i, word in enumerate(nouns.roots) if word.index > head.index and not word.case), None)
    if head is not None and head.lower in lists.ROWS and not head.objects:
        # "second row third kid"
        later = [word for word in nouns.roots if word.index > head.index and not word.case]
        head = later[0] if later and not root.subjects else head
    if head is None:
        # "left | woman": a fragment whose root names nothing; but not "someone left a bag"
        plain = [word for word in nouns.roots if not word.case and not root.subjects]
        return nouns.index(plain[0]) if plain else None
    clauses = [c for c in root.having("conj", "parataxis") if c.subjects]
    return None if clauses or _is_joined(head, nouns) else nouns.index(head)


def _is_denied(noun: Word) -> bool:
    return any(child.lower == "not" for child in noun.lefts)


def _told_of(root: Word, nouns: Nouns) -> Word | None:
    """The phrase's noun that a sentence or fragment with this root is about."""
    participle = [c for c in root.having("amod") if is_verb_of_clause(c)]
    if nouns.index(root) is not None and not root.having("cop") and not participle:
        return nouns.roots[nouns.index(root) or 0]
    at = [noun for case, noun, _ in root.objects if case in ("at", "to", "for")]
    asked = root.having("obj", "dobj") or at  # "look at the cat"
    if asked and is_request(root):
        return asked[0]
    if root.subjects:
        return root.subjects[0] if nouns.index(root.subjects[0]) is not None else None
    return None


def _is_joined(head: Word, nouns: Nouns) -> bool:
    """ "a cat and a dog" is about no single one. A bare noun joined across another phrase ("girl in hat and glasses")
    more likely belongs to that phrase."""
    for other in head.having("conj", "list"):
        if not any(c.dep in ("cc", "punct") for one in (head, *head.having("conj", "list")) for c in one.children):
            beings = lists.PEOPLE | lists.ANIMALS
            if head.lower not in beings or other.lower not in beings:
                continue  # "girl brown hair": set side by side, not joined
        if _is_set_beside(head, other):
            continue
        between = any(head.index < word.index < other.index for word in nouns.roots)
        if nouns.index(other) is not None and (not between or other.having("det", "nummod")):
            return True
    return False


def _is_set_beside(head: Word, other: Word) -> bool:
    """ "guy in stands, red hat": what somebody wears, or a part of them, behind a comma alone."""
    if other.lower not in lists.WORN | lists.PARTS or head.lower in lists.WORN | lists.PARTS:
        return False
    family = (head, *head.having("conj", "list"))
    joined = any(c.dep == "cc" for one in family for c in one.children)
    told = bool(other.having("amod", "compound")) or (head.lower in lists.ACTORS and len(family) == 2)
    return told and not joined and not other.having("det", "nummod")
