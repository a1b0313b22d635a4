"""Verbs with the phrases that they join."""

from __future__ import annotations

from collections.abc import Callable

from stages.artifacts.language import Predicate
from stages.parse import lists
from stages.parse.adjectives import is_verb_of_clause
from stages.parse.tree import Tree, Word

Index = Callable[["Word | None"], "int | None"]
_OBJECTS = ("obj", "dobj")
_PASSIVE_SUBJECTS = ("nsubj:pass", "nsubjpass")
_RELATIVE = ("acl:relcl", "relcl", "advcl:relcl")
_RELATIVE_WORDS = frozenset(("who", "that", "which", "whom"))


def predicates_of(tree: Tree, index: Index) -> tuple[Predicate, ...]:
    """Every verb that says something of the scene; `index` gives the phrase that a word stands for."""
    found = []
    for verb in tree.words:
        if is_predicate(verb, index):
            subject, target = arguments(verb)
            found.append(Predicate(span=tree.span(verb), subject=index(subject), object=index(target)))
    return tuple(found)


def is_predicate(word: Word, index: Index) -> bool:
    if word.pos != "VERB" or word.dep in ("aux", "aux:pass", "auxpass", "cop", "case", "mark", "compound", "fixed"):
        return False
    if index(word) is not None or word.lower in lists.FORMS_OF_BE or word.having("expl"):
        return False
    if is_verb_of_clause(word):
        return True
    if word.dep == "amod":  # before its noun it is an adjective
        return word.head is not None and word.index > word.head.index and bool(word.objects or word.having(*_OBJECTS))
    return not _is_showing(word)


def _is_showing(verb: Word) -> bool:
    """The verb of the frame: "the image shows", "we can see"."""
    if verb.lower in lists.REQUESTS and not verb.subjects and verb.tag == "VB" and verb.dep == "ROOT":
        return True  # "find the red car"
    if verb.lower in lists.TAKING and any(subject.lower in lists.FRAMES for subject in verb.subjects):
        return True
    if verb.lower not in lists.SHOWING:
        return False
    for subject in verb.subjects:
        if subject.lower in lists.FRAMES or subject.lower in ("we", "you", "i", "one", "it", "this"):
            return True
    if verb.lower in ("see", "seen"):
        return True
    return not verb.subjects and verb.dep == "acl" and verb.head is not None and verb.head.lower in lists.FRAMES


def is_passive(verb: Word) -> bool:
    """With a passive auxiliary, or a past participle behind its noun."""
    if verb.having("aux:pass", "auxpass", *_PASSIVE_SUBJECTS):
        return True
    if verb.lower in lists.STATES and not verb.having(*_OBJECTS, "aux"):
        return True  # "blue truck parked next to van", also where it is read as a past tense
    reduced = verb.dep in ("acl", "amod", "advcl", "ROOT", "conj", "dep", "parataxis", "xcomp", "list")
    finite = verb.having("aux", "nsubj") or verb.having(*_OBJECTS)
    if verb.dep == "conj" and verb.head is not None and verb.head.pos == "VERB" and verb.tag == "VBN" and not finite:
        return is_passive(verb.head)
    return reduced and not finite and (verb.tag == "VBN" or (verb.dep == "acl" and verb.tag == "VBD"))


def arguments(verb: Word) -> tuple[Word | None, Word | None]:
    """(subject, object) of a verb, as words; of joined ones the first."""
    if is_verb_of_clause(verb) and verb.head is not None:
        return verb.head.subjects[0], verb.head
    about = _subject(verb, set())
    if is_passive(verb):
        return _agent(verb), about
    objects = verb.having(*_OBJECTS)
    target: Word | None = objects[0] if objects else None
    if target is None and verb.dep in _RELATIVE and _lacks_object(verb):
        target = verb.head
    return about, target


def _lacks_object(verb: Word) -> bool:
    """A relative clause with a subject of its own and no object: what it is about is its object ("the dog that
    the boy is petting")."""
    own = [s for s in verb.subjects if s.lower not in _RELATIVE_WORDS]
    where = any(c.lower in ("where", "when", "how") for c in verb.children)
    stranded = any(c.dep in ("case", "prep") and not c.children for c in verb.children)
    return bool(own) and not where and not stranded


def _agent(verb: Word) -> Word | None:
    for case, noun, marks in verb.objects:
        if case == "by" and (noun.dep == "obl:agent" or marks[0].dep == "agent" or verb.lower not in lists.PLACING):
            return noun
    return None


def _subject(verb: Word, seen: set[int]) -> Word | None:
    """Who does it, or, in a passive, to whom it is done."""
    if id(verb) in seen:
        return None
    seen.add(id(verb))
    if verb.subjects:
        return verb.subjects[0]
    head = verb.head
    if head is None:
        return None
    if verb.dep in ("acl", *_RELATIVE, "amod", "list", "appos", "dep") and head.pos not in ("VERB", "AUX"):
        whole = head.governor
        if verb.tag == "VBG" and head.lower in lists.PARTS - lists.HANDS and head.case == "with" and whole is not None:
            return whole  # "a woman with long hair sitting at a table": not the hair
        return head
    if verb.dep in ("conj", "advcl", "xcomp", "acl", "parataxis", "ccomp", "dep"):
        if verb.dep == "xcomp" and head.having(*_OBJECTS):  # "watching a dog eat"
            return head.having(*_OBJECTS)[0]
        if head.pos in ("NOUN", "PROPN", "PRON") and not head.having("cop"):
            return head
        if head.pos in ("VERB", "AUX"):
            return _subject(head, seen)
        return head.subjects[0] if head.subjects else None
    return None
