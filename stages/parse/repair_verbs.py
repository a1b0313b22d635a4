"""Verbs that pipelines misread time and again: finite ones taken for nouns, participles hung on the noun that happens
to stand before them, adjectives in -ed taken for verbs, and the other way round. Each rule says what it mends."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.surgery import NOUNS, OF_THE_NOUN, attach, is_above
from stages.parse.tree import Tree, Word

_CARRIERS = frozenset("in with on at by from near under behind beside inside along across toward towards to".split())
"""Prepositions whose noun is where or with what somebody is, who does what the participle behind it says."""


def repair_verbs(tree: Tree) -> None:
    """The tree's verbs mended, its words changed in place, from left to right."""
    for word in tree.words:
        before, after = tree.near(word, -1), tree.near(word, 1)
        _finite_with_noun(tree, word, before, after)
        _second_subject(word, before)
        _joined_motion(tree, word, before, after)
        _described(word)
        _joined_quality(word, after)
        _after_copula(word)
    for word in tree.words:
        _raise_participle(tree, word)
        _inverted(word)


def _finite_with_noun(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "a chef in a white hat slices an onion", "forks and spoons lie on a napkin": a finite verb has no compound."""
    if before is None or before.head is not word or before.dep not in ("compound", "nmod") or before.pos not in NOUNS:
        return
    done = word.pos == "VERB" and word.tag in ("VBN", "VBD")
    done = done or (word.lower in lists.STRONG_PARTICIPLES and after is not None and after.pos == "ADP")
    if done and word.head is None and not word.subjects:
        attach(before, None, "ROOT")  # "sandwich cut in half"
        for child in list(word.children):
            if child.index < word.index:
                attach(child, before, child.dep)
        attach(word, before, "acl")
        word.pos, word.tag = "VERB", "VBN"
        return
    posture = word.lower in lists.POSTURES and after is not None and after.pos == "ADP"
    finite = word.pos == "VERB" and word.tag in ("VBZ", "VBP")
    if not finite and not (posture and word.pos in NOUNS and word.tag == "NN"):
        return
    if word.subjects:
        return
    word.pos, word.tag = "VERB", word.tag if finite else "VBP"
    for child in list(word.children):
        if child is not before and child.index < word.index and child.dep in OF_THE_NOUN:
            attach(child, before, child.dep)
    place, dep = word.head, word.dep
    if place is None or dep not in ("pobj", "conj", "nmod", "obl"):
        attach(before, word, "nsubj")
        return
    attach(before, place, dep)
    first = place
    while first.head is not None and not (first.pos in NOUNS and first.dep not in ("pobj", "conj", "nmod", "obl")):
        first = first.head
    if first.pos not in NOUNS:
        attach(word, place, "acl")
        return
    attach(word, first.head, first.dep)
    attach(first, word, "nsubj")


def _second_subject(word: Word, before: Word | None) -> None:
    """ "a dog sleeps curled up": of two subjects in a row the second, in -s, is a verb, which leads."""
    verb = word.head
    if word.dep != "nsubj" or word.tag != "NNS" or word.pos != "NOUN" or verb is None or verb.pos != "VERB":
        return
    if before is None or before.head is not verb or before.dep != "nsubj" or word.lefts:
        return
    word.pos, word.tag = "VERB", "VBZ"
    attach(word, verb.head, verb.dep)
    for child in list(verb.children):
        if child.index < word.index or child.text in (".", "!"):
            attach(child, word, child.dep)
    attach(verb, word, "advcl")
    if verb.tag == "VBD":
        verb.tag = "VBN"


def _joined_motion(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "jumps over a rail and lands on the pavement", "the pilot waves at us", "a player slides into home plate": words
    of motion in -s, where a noun would have an article or another verb."""
    if word.pos not in NOUNS or word.lower not in lists.MOTIONS or before is None:
        return
    led = after is None or after.pos == "ADP" or after.text in (".", "!", ",") or after.pos == "ADV"
    if not led:
        return
    if word.subjects and not word.having("cop"):
        word.pos, word.tag = "VERB", "VBZ"
    elif before.dep == "cc" and word.dep == "conj" and not word.having("det", "amod", "compound", "nummod"):
        lead = word
        while lead.head is not None:
            lead = lead.head
        if lead.pos == "VERB" and lead.tag in ("VBZ", "VBP") and lead.subjects and is_above(lead, word):
            word.pos, word.tag = "VERB", lead.tag
            attach(word, lead, "conj")
    elif before.head is word and before.dep == "compound" and before.tag in ("NN", "NNP") and word.head is None:
        word.pos, word.tag = "VERB", "VBZ"
        for child in list(word.children):
            if child is not before and child.index < word.index and child.dep in OF_THE_NOUN:
                attach(child, before, child.dep)
        attach(before, word, "nsubj")


def _described(word: Word) -> None:
    """ "the blinds are closed", "the cloth is checkered": participles that say how a thing is."""
    if word.pos != "VERB" or word.lower not in lists.DESCRIPTIVE or not word.having("auxpass", "aux:pass"):
        return
    if any(case == "by" for case, _, _ in word.objects) or word.having("aux", "prt", "compound:prt"):
        return
    word.pos, word.tag = "ADJ", "JJ"
    for child in word.children:
        child.dep = {"auxpass": "cop", "aux:pass": "cop", "nsubjpass": "nsubj", "nsubj:pass": "nsubj"}.get(
            child.dep, child.dep
        )


def _joined_quality(word: Word, after: Word | None) -> None:
    """ "long and pointed", "a blue and white striped umbrella": a participle joined to an adjective is one."""
    head = word.head
    if word.pos != "VERB" or word.tag not in ("VBN", "VBD") or word.dep != "conj" or head is None or head.pos != "ADJ":
        return
    if word.subjects or word.having("aux", "auxpass", "aux:pass", "obj", "dobj", "prep"):
        return
    inside = head.dep == "amod" and head.head is not None and head.head.index > word.index
    said = head.dep in ("acomp", "xcomp") or bool(head.having("cop"))
    if inside or said:
        word.pos, word.tag = "ADJ", "JJ"


def _after_copula(word: Word) -> None:
    """ "the couch is also positioned …", "two persons is walk": what follows "is" as a verb is the clause's verb."""
    be = word.head
    if word.pos != "VERB" or word.dep != "acomp" or be is None or be.lower not in lists.FORMS_OF_BE or word.subjects:
        return
    for subject in be.subjects:
        attach(subject, word, "nsubjpass" if word.tag == "VBN" else "nsubj")


def _raise_participle(tree: Tree, verb: Word) -> None:
    """ "girl with ribbons waving a flag", "surfers run toward the ocean carrying boards": who does something is
    somebody, not the thing that stands before the verb."""
    noun = verb.head
    if verb.pos != "VERB" or verb.tag != "VBG" or verb.dep not in ("acl", "pcomp") or verb.having("aux"):
        return
    if verb.dep == "pcomp" and verb.subjects:  # "cow with white face standing": the face is a part, the cow stands
        part = verb.subjects[0]
        whole = noun.head if noun is not None and noun.lower == "with" else None
        if part.lower in lists.PARTS - lists.HANDS and whole is not None and whole.pos in NOUNS:
            attach(part, noun, "pobj")
            attach(verb, whole, "acl")
        return
    if verb.dep == "pcomp" and noun is not None and noun.having("pobj"):  # "lady at the table cutting cake"
        noun = noun.having("pobj")[0]
        attach(verb, noun, "acl")
    if noun is None or noun.pos not in NOUNS or noun.lower in lists.ACTORS or noun.case not in _CARRIERS:
        return
    if noun.lower in lists.HANDS or verb.index < noun.index:
        return
    whole = noun.governor
    if whole is None or is_above(verb, whole):
        return
    transitive = bool(verb.having("obj", "dobj")) or verb.lower in lists.ACTING
    if not transitive:
        return
    if whole.pos in NOUNS and (whole.lower in lists.ACTORS or noun.case in ("in", "with")):
        attach(verb, whole, "acl")
    elif whole.pos == "VERB":
        finite = whole.subjects and whole.tag != "VBN"
        if finite or (whole.dep == "acl" and whole.tag == "VBG"):
            attach(verb, whole, "advcl")


def _inverted(verb: Word) -> None:
    """ "above the fireplace hangs a mirror": behind a place and a verb of posture stands who is there."""
    if verb.pos != "VERB" or verb.lower not in lists.HANGING:
        return
    places = [noun for _, noun, marks in verb.objects if marks[0].index < verb.index]
    things = [c for c in verb.having("obj", "dobj") if c.index > verb.index]
    subject = verb.subjects[0] if verb.subjects else None
    if things and subject is not None and any(c.dep in ("case", "prep") for c in subject.children):
        subject.dep = "obl"  # "above the fireplace", read as who hangs it
    elif not things or subject is not None or not places:
        return
    things[0].dep = "nsubj"
