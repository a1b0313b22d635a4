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
    if (
        index(word) is not None
        or word.lower in lists.FORMS_OF_BE
        or word.lower in ("upside", "sideways")
        or word.having("expl")
    ):
        return False
    if is_verb_of_clause(word):
        return True
    if word.dep == "amod":  # before its noun it is an adjective
        return word.head is not None and word.index > word.head.index and bool(word.objects or word.having(*_OBJECTS))
    return not _is_showing(word)


def _is_showing(verb: Word) -> bool:
    """The verb of the frame: "the image shows", "we can see"."""
    if is_request(verb) and verb.dep == "ROOT" and (verb.subjects or verb.tag == "VB"):
        return True
    if verb.lower in lists.TAKING and any(subject.lower in lists.FRAMES for subject in verb.subjects):
        return True
    if verb.lower not in lists.SHOWING:
        return False
    for subject in verb.subjects:
        if subject.lower in lists.FRAMES or subject.lower in ("we", "you", "i", "one", "it", "this"):
            return True
    if verb.lower == "seen" and verb.having(*_PASSIVE_SUBJECTS):
        return False  # "a mountain can be seen": no frame, a passive
    if verb.lower in ("see", "seen"):
        return True
    return not verb.subjects and verb.dep == "acl" and verb.head is not None and verb.head.lower in lists.FRAMES


def is_request(verb: Word) -> bool:
    """What is said to the tool: "find the red car", "I want the cup"."""
    if not verb.subjects:
        return verb.lower in lists.REQUESTS
    ours = all(subject.lower in ("you", "i", "we") for subject in verb.subjects)
    return ours and verb.lower in lists.REQUESTS | lists.WISHES


def is_passive(verb: Word) -> bool:
    """With a passive auxiliary, or a past participle behind its noun."""
    if verb.having("aux:pass", "auxpass", *_PASSIVE_SUBJECTS):
        return True
    if verb.lower in lists.SAME_PARTICIPLE and _agent(verb) is None:
        return False
    if verb.lower in lists.STATES | lists.STRONG_PARTICIPLES and not verb.having(*_OBJECTS, "aux"):
        return True  # "blue truck parked next to van", also where it is read as a past tense
    if verb.tag == "VBN" and verb.having("nsubj") and not verb.having("aux", *_OBJECTS):
        return True  # "person bent over": a past participle without its auxiliary
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
    if verb.lower in lists.INTRANSITIVE:
        return about, None
    target = _target(verb)
    clause = verb
    while clause.dep == "xcomp" and clause.head is not None and not clause.head.having(*_OBJECTS):
        clause = clause.head  # "the ball that the boy is trying to catch"
    if target is None and _is_relative(clause) and _lacks_object(clause) and not _goes_on(verb):
        target = clause.head
    return about, target


def _target(verb: Word) -> Word | None:
    """The direct object; of two in a row the second ("hands a customer a bag")."""
    objects = verb.having(*_OBJECTS)
    if len(objects) == 2 and not objects[1].having("punct", "cc") and not objects[1].case:
        return objects[1]
    return objects[0] if objects else None


def _is_relative(clause: Word) -> bool:
    """A relative clause, also where only its finite verb tells ("the dog that the boy is trying to catch")."""
    finite = clause.tag in ("VBZ", "VBP", "VBD", "MD") or bool(clause.having("aux"))
    return clause.dep in _RELATIVE or (clause.dep == "acl" and finite and bool(clause.having("nsubj")))


def _goes_on(verb: Word) -> bool:
    """Whether another verb completes this one: what a relative clause lacks is that verb's."""
    return any(c.pos == "VERB" for c in verb.having("xcomp"))


def _lacks_object(verb: Word) -> bool:
    """A relative clause with a subject of its own and no object: what it is about is its object ("the dog that
    the boy is petting")."""
    own = [s for s in verb.subjects if s.lower not in _RELATIVE_WORDS]
    where = any(c.lower in ("where", "when", "how") for c in verb.children)
    stranded = any(
        not c.children
        and (c.dep in ("case", "prep") or (c.dep in ("advmod", "obl") and c.tag == "IN"))
        and verb.lower not in lists.PHRASAL.get(c.lower, ())
        for c in verb.children
    )
    return bool(own) and not where and not stranded


def _agent(verb: Word) -> Word | None:
    for case, noun, marks in verb.objects:
        agent = noun.dep == "obl:agent" or marks[0].dep == "agent"
        if case == "by" and verb.lower not in lists.PLACING | ({"parked", "moored"} if agent else set()):
            return noun
    if verb.lower in lists.PLACING | lists.STATES or verb.tag != "VBN":
        return None
    # "pushed on a swing by her father", with the agent hung on the noun between
    inner = [one for _, noun, _ in verb.objects if noun.index > verb.index for one in noun.objects]
    return next((noun for case, noun, _ in inner if case == "by"), None)


def _subject(verb: Word, seen: set[int]) -> Word | None:
    """Who does it, or, in a passive, to whom it is done."""
    if id(verb) in seen:
        return None
    seen.add(id(verb))
    if verb.subjects:
        return verb.subjects[0]
    head = verb.head
    if head is None:  # "standing on a rock, a hiker waves", with the participle at the root
        later = [c for c in verb.having("conj", "parataxis") if c.subjects] if verb.tag == "VBG" else []
        return later[0].subjects[0] if later else None
    if verb.dep in ("acl", *_RELATIVE, "amod", "list", "appos", "dep") and head.pos not in ("VERB", "AUX"):
        whole = head.governor
        if verb.tag == "VBG" and head.lower in lists.PARTS - lists.HANDS and head.case == "with" and whole is not None:
            return whole  # "a woman with long hair sitting at a table": not the hair
        return _first_joined(head) if verb.dep == "acl" else head
    if head.dep in ("acomp", "xcomp") and head.pos == "ADJ" and head.head is not None and not head.subjects:
        return _subject(head, seen) or next(iter(head.head.subjects), None)  # "is about to kick"
    if verb.dep in ("conj", "advcl", "xcomp", "acl", "parataxis", "ccomp", "dep", "acomp"):
        if verb.dep == "xcomp" and head.having(*_OBJECTS):  # "watching a dog eat"
            return head.having(*_OBJECTS)[0]
        if head.pos in ("NOUN", "PROPN", "PRON") and not head.having("cop"):
            return head
        if head.pos in ("VERB", "AUX"):
            return _subject(head, seen)
        return head.subjects[0] if head.subjects else None
    return None


def _first_joined(noun: Word) -> Word:
    """ "a boy and a girl playing": of joined nouns the first, unless it has something of its own behind it."""
    first = noun
    while first.dep == "conj" and first.head is not None and first.head.pos in ("NOUN", "PROPN"):
        first = first.head
    last = all(c.index <= noun.index for c in first.having("conj"))
    plain = all(c.index < first.index or c.dep in ("conj", "cc", "punct") for c in first.children)
    return first if last and plain and not first.case else noun
