"""What a small pipeline misreads time and again, put right in its tree by agreement and government alone.

A verb in -s read as a plural noun ("a hiker waves"), a participle as a noun ("a fountain made of marble"), a main
verb as an auxiliary ("sleeps curled up"), a particle as a preposition ("picks up a phone"). Labels and heads change,
no word is added and no offset moves.
"""

from __future__ import annotations

from stages.parse import lists
from stages.parse.repair_colours import repair_colours
from stages.parse.repair_doings import repair_doings
from stages.parse.repair_finite import repair_finite
from stages.parse.repair_fragments import repair_fragments
from stages.parse.repair_leads import repair_leads
from stages.parse.repair_phrases import repair_phrases
from stages.parse.repair_places import repair_places
from stages.parse.repair_verbs import repair_verbs
from stages.parse.spelling import reading
from stages.parse.surgery import OF_THE_NOUN, attach, is_above
from stages.parse.tree import Tree, Word


def repaired(tree: Tree) -> Tree:
    """The tree, its words changed in place."""
    repair_finite(tree)
    repair_places(tree)
    repair_leads(tree)
    repair_doings(tree)
    repair_colours(tree)
    repair_fragments(tree)
    repair_phrases(tree)
    repair_verbs(tree)
    for word in tree.words:
        if _is_verb(word, tree):
            _part_from_noun(word, tree, "VBZ" if word.lower.endswith("s") else "VBP")
        elif _is_joined_verb(word, tree):
            _join_to_verb(word, tree)
        elif word.pos in ("NOUN", "ADJ") and word.lower.endswith("ing") and _is_placed_participle(word, tree):
            attach(word, word.head, "acl")
            word.pos, word.tag = "VERB", "VBG"
        elif word.pos == "NOUN" and _is_participle(word) and word.objects and _noun_before(word, tree) is not None:
            _part_from_noun(word, tree, "VBN")
        elif word.dep == "aux" and word.pos == "VERB" and word.lower not in lists.AUXILIARIES:
            _lead(word)
        elif word.pos == "VERB" and (reading(word.text) or "").endswith("ing"):
            word.tag = "VBG"  # "sleepin", whatever the tagger makes of its ending
        elif word.pos == "NUM" and word.text.isdigit():
            _number_the_noun(word, tree)
        elif word.pos == "NOUN" and word.tag == "VB" and any(c.lower == "to" for c in word.having("mark")):
            word.pos = "VERB"  # "about to land"
        elif _is_verb_behind_number(word, tree):
            _lead_from_number(word, tree)
        elif word.tag in ("VB", "VBP") and word.dep == "amod" and word.head is not None and _behind_of_them(word, tree):
            _take_the_clause(word)
    for word in tree.words:
        if word.pos == "VERB":
            _join_particle(word, tree)
        _part_raised(word, tree)
        if word.pos == "VERB":
            _relate(word)
    return tree


def _is_participle(noun: Word) -> bool:
    return noun.tag == "VBN" or noun.lower in lists.STRONG_PARTICIPLES


def _noun_before(word: Word, tree: Tree) -> Word | None:
    """The noun right before a word, read as its modifier."""
    before = tree.near(word, -1)
    modifies = before is not None and before.head is word and before.dep in ("compound", "amod", "nmod:desc")
    return before if modifies and before is not None and before.pos in ("NOUN", "PROPN") else None


def _is_verb(word: Word, tree: Tree) -> bool:
    """A noun with an object ("hold hands"), or a word in -s that no noun phrase can hold."""
    if word.pos not in ("NOUN", "PROPN"):
        return False
    before = _noun_before(word, tree)
    if word.having("obj", "dobj") and not word.case:
        return before is not None or bool(word.subjects)
    if word.having("mark") and before is not None and word.tag == "NNS":
        return True  # "while a defender watches"
    return (
        before is not None and word.lower.endswith("s") and not word.lower.endswith("ss") and _stands_out(word, before)
    )


def _stands_out(word: Word, before: Word) -> bool:
    """A word in -s behind a noun with an article of its own ("[an old man] naps"), behind "a" ("a hiker waves"), or
    joined to a verb in -s that has no subject ("the waiter smiles and pours")."""
    if before.having("det"):
        return True
    if word.having("det") and any(c.tag == "VBZ" and c.pos == "VERB" and not c.subjects for c in word.having("conj")):
        return True
    singular = any(c.lower in ("a", "an") for c in word.having("det"))
    counted = any(c.lower in lists.COUNTS_AFTER_A for c in word.children)
    plural = word.tag in ("NNS", "NNPS") or word.lower.endswith("es")
    # "wearing a tennis shoes" is broken grammar, not a verb.
    needed = word.dep not in ("obj", "dobj") and (not word.case or _lacks_verb(word))
    return singular and plural and not counted and needed


def _lacks_verb(word: Word) -> bool:
    """A whole sentence with nothing but nouns at its root."""
    root = word
    while root.head is not None:
        root = root.head
    ends = any(child.text == "." for child in root.children)
    return ends and root.pos in ("NOUN", "PROPN") and not root.subjects


def _part_from_noun(word: Word, tree: Tree, tag: str) -> None:
    """ "[a hiker] waves": the noun before takes over what belongs to a noun; the word becomes its verb."""
    noun = _noun_before(word, tree)
    if noun is None:
        word.pos, word.tag = "VERB", tag
        return
    head, dep, placed = word.head, word.dep, bool(word.case)
    for child in list(word.children):
        if child is not noun and child.index < word.index and child.dep in OF_THE_NOUN:
            attach(child, noun, child.dep)
    word.pos, word.tag = "VERB", tag
    if tag == "VBN":  # "around a fountain made of marble"
        attach(noun, head, dep)
        attach(word, noun, "acl")
    elif placed and head is not None and dep in ("pobj", "nmod"):  # "a lamp with a crooked shade glows"
        attach(noun, head, dep)
        attach(word, head.head if dep == "pobj" else head, "acl")
    else:
        attach(noun, word, "nsubj")


def _is_joined_verb(word: Word, tree: Tree) -> bool:
    """ "perches on a branch and nibbles a nut": a plural right between "and" and an article."""
    if word.dep != "conj" or word.tag != "NNS" or not word.index or word.index + 2 >= len(tree.words):
        return False
    after = tree.words[word.index + 1]
    and_before = tree.words[word.index - 1].dep == "cc"
    return and_before and after.dep in ("det", "nmod:poss") and after.head is not None and after.head is not word


def _join_to_verb(word: Word, tree: Tree) -> None:
    """The plural becomes a verb beside the sentence's first one; what follows is its object."""
    lead = word
    while lead.head is not None:
        lead = lead.head
    target = tree.words[word.index + 1].head
    if lead.pos != "VERB" or not lead.subjects or target is None:
        return
    word.pos, word.tag = "VERB", "VBZ"
    attach(word, lead, "conj")
    if target.index > word.index and not target.case:
        attach(target, word, "obj")


def _is_placed_participle(word: Word, tree: Tree) -> bool:
    """ "woman on left texting": a participle behind a bare position."""
    if word.index < 2 or word.head is None or word.head.pos not in ("NOUN", "PROPN") or word.dep != "nmod":
        return False
    position, case = tree.words[word.index - 1], tree.words[word.index - 2]
    return position.lower in lists.POSITIONS and position.head is word and case.dep == "case" and case.head is word


def _is_verb_behind_number(word: Word, tree: Tree) -> bool:
    """ "player number 10 kicks the ball", "runner 7 turns to us": a word in -s between a number and an article, or of
    motion before a preposition."""
    if word.pos not in ("NOUN", "PROPN") or word.tag not in ("NNS", "NNPS", "NNP") or not word.lower.endswith("s"):
        return False
    if not 1 < word.index < len(tree.words) - 1:
        return False
    number, after = tree.words[word.index - 1], tree.words[word.index + 1]
    owner = number.head
    numbered = number.pos == "NUM" and number.text.isdigit() and owner is not None and owner.index < number.index
    opens = after.pos == "DET" or after.tag == "PRP$" or (after.pos == "ADP" and word.lower in lists.MOTIONS)
    return numbered and owner is not None and owner.lower.isalpha() and opens


def _lead_from_number(verb: Word, tree: Tree) -> None:
    """The numbered noun becomes the subject, and the noun behind the article the object."""
    subject, target = tree.words[verb.index - 1].head, tree.words[verb.index + 1].head
    if subject is None:
        return
    verb.pos, verb.tag = "VERB", "VBZ"
    if not is_above(verb, subject):
        attach(verb, subject.head, subject.dep)
    attach(subject, verb, "nsubj")
    if target is not None and target.index > verb.index and not target.case and not is_above(target, verb):
        attach(target, verb, "obj")


def _behind_of_them(verb: Word, tree: Tree) -> bool:
    """ "all of them wear hats", with "wear" read as an adjective of the hats."""
    before = tree.words[verb.index - 1] if verb.index else None
    return before is not None and before.pos == "PRON" and before.case == "of"


def _take_the_clause(verb: Word) -> None:
    noun = verb.head
    if noun is None:
        return
    attach(verb, noun.head, noun.dep)
    attach(noun, verb, "obj")


def _number_the_noun(number: Word, tree: Tree) -> None:
    """ "player 12", "kid in blue 7": the number is the noun's, and so is the colour."""
    head, before = number.head, tree.words[number.index - 1] if number.index else None
    if head is None or before is None:
        return
    if number.dep == "flat" and head is before and head.pos in ("NOUN", "PROPN"):
        number.dep = "nummod"
    elif before.head is number and before.lower in lists.COLOURS and number.case == "in":
        for child in list(number.children):
            if child is not before:
                attach(child, before, child.dep)
        attach(before, head, number.dep)
        attach(number, head, "nummod")


def _lead(word: Word) -> None:
    """ "a dog sleeps curled up": the verb taken for an auxiliary leads, and the participle completes it."""
    other = word.head
    if other is None or other.pos != "VERB":
        return
    head, dep = other.head, other.dep
    attach(word, head, dep)
    for child in list(other.children):
        if child.index < word.index:
            attach(child, word, child.dep)
    attach(other, word, "advcl")


def _join_particle(verb: Word, tree: Tree) -> None:
    """ "picks up a phone": the phone is an object, not a place, where the verb makes one word with its particle."""
    if verb.index + 1 >= len(tree.words) or verb.having("obj", "dobj"):
        return
    if verb.tag == "VBN" and not any(c.lower in lists.FORMS_OF_HAVE for c in verb.having("aux")):
        return  # "a cup put on a table"
    particle = tree.words[verb.index + 1]
    if verb.lower not in lists.PHRASAL.get(particle.lower, frozenset()):
        return
    noun = particle.head
    if noun is None or noun.head is not verb or any(c is not particle for c in noun.having("case")):
        return
    if particle.dep not in ("case", "amod", "advmod"):
        return
    attach(particle, verb, "compound:prt")
    attach(noun, verb, "obj")


def _relate(verb: Word) -> None:
    """ "the girl the boy is talking to", read with two subjects: the first is what the clause is about."""
    subjects = [s for s in verb.having("nsubj") if s.index < verb.index and s.pos in ("NOUN", "PROPN")]
    if len(subjects) == 2 and not subjects[1].having("det", "poss", "nmod:poss"):
        return
    if len(subjects) != 2 or verb.head is not None or verb.having("punct"):
        return
    first = subjects[0]
    attach(first, None, "ROOT")
    attach(verb, first, "acl:relcl")


def _part_raised(verb: Word, tree: Tree) -> None:
    """ "sheep with head turned", "kid with mouth open": a bare participle or adjective right behind a part of something
    is about the part."""
    part = tree.words[verb.index - 1] if verb.index else None
    if part is None or part.lower not in lists.PARTS:
        return
    if part.head is verb and part.dep in ("compound", "amod") and verb.case == "with" and verb.pos != "VERB":
        if verb.lower in lists.STRONG_PARTICIPLES or verb.lower.endswith("ed"):  # "with neck bent", "with back turned"
            attach(part, verb.head, verb.dep)
            for child in list(verb.children):
                if child.index < part.index:
                    attach(child, part, child.dep)
            part.pos, verb.pos, verb.tag = "NOUN", "VERB", "VBN"
            attach(verb, part, "acl")
        return
    quality = verb.pos == "ADJ" and verb.head is None and bool(verb.subjects) and not verb.having("cop")
    finite = any(child.text == "." for child in verb.children)
    if part.case != "with" or finite or not (quality or (verb.pos == "VERB" and verb.tag in ("VBN", "VBD", "VBP"))):
        return
    owner = part.governor
    if verb.having("obj", "dobj", "aux", "aux:pass") or part in verb.subjects or owner is None or part.head is None:
        return
    if part.dep not in ("nmod", "pobj") or owner.pos not in ("NOUN", "PROPN"):
        return
    if verb.subjects and verb.head is None:  # the fragment's noun leads, not the participle
        noun = verb.subjects[0]
        attach(noun, None, "ROOT")
    elif verb.tag == "VBP":
        return
    part.pos = "NOUN"
    if verb.pos == "VERB":
        verb.tag = "VBN"
    attach(verb, part, "acl" if verb.pos == "VERB" else "amod")
