"""Extraction from trees written by hand: no model takes part, so what fails here is the traversal."""

import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

from stages.parse.extract import extract
from stages.parse.tree import Clean, tree_of

VOCAB = Vocab()


def parse_of(*rows):
    """The parse of a tree of (word, UPOS, tag, head, label) rows; a head is an index, -1 the root."""
    words = [row[0] for row in rows]
    spaces = [following not in (".", ",", "'s") for following in [*words[1:], "."]]
    doc = Doc(
        VOCAB,
        words=words,
        spaces=spaces,
        pos=[row[1] for row in rows],
        tags=[row[2] for row in rows],
        heads=[i if row[3] < 0 else row[3] for i, row in enumerate(rows)],
        deps=["ROOT" if row[3] < 0 else row[4] for row in rows],
    )
    clean = Clean.of(doc.text)
    return doc.text, extract(tree_of(clean, doc)).checked(doc.text)


def nouns(text, parse):
    return {p.root.of(text): [a.of(text) for a in p.adjectives] for p in parse.phrases}


def triples(text, parse):
    def root(index):
        return None if index is None else parse.phrases[index].root.of(text)

    return [(p.span.of(text), root(p.subject), root(p.object)) for p in parse.predicates]


MAN_UD = (
    ("a", "DET", "DT", 1, "det"),
    ("man", "NOUN", "NN", -1, ""),
    ("in", "ADP", "IN", 5, "case"),
    ("a", "DET", "DT", 5, "det"),
    ("blue", "ADJ", "JJ", 5, "amod"),
    ("shirt", "NOUN", "NN", 1, "nmod"),
    ("holding", "VERB", "VBG", 1, "acl"),
    ("a", "DET", "DT", 9, "det"),
    ("tennis", "NOUN", "NN", 9, "compound"),
    ("racket", "NOUN", "NN", 6, "obj"),
)
MAN_CLEARNLP = (
    ("a", "DET", "DT", 1, "det"),
    ("man", "NOUN", "NN", -1, ""),
    ("in", "ADP", "IN", 1, "prep"),
    ("a", "DET", "DT", 5, "det"),
    ("blue", "ADJ", "JJ", 5, "amod"),
    ("shirt", "NOUN", "NN", 2, "pobj"),
    ("holding", "VERB", "VBG", 1, "acl"),
    ("a", "DET", "DT", 9, "det"),
    ("tennis", "NOUN", "NN", 9, "compound"),
    ("racket", "NOUN", "NN", 6, "dobj"),
)
TOWED_UD = (
    ("The", "DET", "DT", 1, "det"),
    ("car", "NOUN", "NN", 3, "nsubj:pass"),
    ("is", "AUX", "VBZ", 3, "aux:pass"),
    ("towed", "VERB", "VBN", -1, ""),
    ("by", "ADP", "IN", 6, "case"),
    ("a", "DET", "DT", 6, "det"),
    ("truck", "NOUN", "NN", 3, "obl:agent"),
)
TOWED_CLEARNLP = (
    ("The", "DET", "DT", 1, "det"),
    ("car", "NOUN", "NN", 3, "nsubjpass"),
    ("is", "AUX", "VBZ", 3, "auxpass"),
    ("towed", "VERB", "VBN", -1, ""),
    ("by", "ADP", "IN", 3, "agent"),
    ("a", "DET", "DT", 6, "det"),
    ("truck", "NOUN", "NN", 4, "pobj"),
)


@pytest.mark.parametrize("rows", [MAN_UD, MAN_CLEARNLP], ids=["ud", "clearnlp"])
def test_both_label_schemes_give_the_same_phrases(rows):
    text, parse = parse_of(*rows)
    assert nouns(text, parse) == {"man": [], "shirt": ["blue"], "racket": ["tennis"]}
    assert triples(text, parse) == [("holding", "man", "racket")]
    assert parse.referred == 0
    assert [(r.span.of(text), r.subject, r.object) for r in parse.relations] == [("in", 0, 1)]


@pytest.mark.parametrize("rows", [TOWED_UD, TOWED_CLEARNLP], ids=["ud", "clearnlp"])
def test_a_passive_has_its_agent_as_subject(rows):
    text, parse = parse_of(*rows)
    assert triples(text, parse) == [("towed", "truck", "car")]


@pytest.mark.parametrize(
    "rows",
    [
        [("the", "DET", "DT", 1, "det"), ("sky", "NOUN", "NN", 3, "nsubj"), ("is", "AUX", "VBZ", 3, "cop"),
         ("grey", "ADJ", "JJ", -1, ""), ("and", "CCONJ", "CC", 5, "cc"), ("cloudy", "ADJ", "JJ", 3, "conj")],
        [("the", "DET", "DT", 1, "det"), ("sky", "NOUN", "NN", 2, "nsubj"), ("is", "AUX", "VBZ", -1, ""),
         ("grey", "ADJ", "JJ", 2, "acomp"), ("and", "CCONJ", "CC", 3, "cc"), ("cloudy", "ADJ", "JJ", 3, "conj")],
    ],
    ids=["ud", "clearnlp"],
)  # fmt: skip
def test_what_is_said_of_a_noun_is_its_adjective(rows):
    text, parse = parse_of(*rows)
    assert nouns(text, parse) == {"sky": ["grey", "cloudy"]}
    assert parse.predicates == ()


def test_joined_adjectives_are_all_found_and_the_span_holds_them():
    text, parse = parse_of(
        ("a", "DET", "DT", 4, "det"),
        ("black", "ADJ", "JJ", 4, "amod"),
        ("and", "CCONJ", "CC", 3, "cc"),
        ("white", "ADJ", "JJ", 1, "conj"),
        ("dog", "NOUN", "NN", -1, ""),
    )
    assert nouns(text, parse) == {"dog": ["black", "white"]}
    assert parse.phrases[0].span.of(text) == "a black and white dog"


def test_an_owner_is_a_phrase_of_its_own():
    text, parse = parse_of(
        ("the", "DET", "DT", 1, "det"),
        ("boy", "NOUN", "NN", 3, "nmod:poss"),
        ("'s", "PART", "POS", 1, "case"),
        ("shirt", "NOUN", "NN", -1, ""),
    )
    assert nouns(text, parse) == {"boy": [], "shirt": []}
    assert parse.phrases[1].possessor == 0
    assert parse.phrases[1].span.of(text) == "shirt"
    assert parse.referred == 1


def test_the_frame_and_fixed_adverbials_name_nothing():
    text, parse = parse_of(
        ("the", "DET", "DT", 1, "det"),
        ("image", "NOUN", "NN", 2, "nsubj"),
        ("shows", "VERB", "VBZ", -1, ""),
        ("a", "DET", "DT", 4, "det"),
        ("cat", "NOUN", "NN", 2, "obj"),
        ("in", "ADP", "IN", 6, "case"),
        ("front", "NOUN", "NN", 4, "nmod"),
        ("of", "ADP", "IN", 9, "case"),
        ("a", "DET", "DT", 9, "det"),
        ("house", "NOUN", "NN", 6, "nmod"),
    )
    assert list(nouns(text, parse)) == ["cat", "house"]
    assert parse.predicates == ()
    assert [(r.span.of(text), r.subject, r.object) for r in parse.relations] == [("in front of", 0, 1)]


def test_a_colour_after_in_is_an_adjective_and_no_phrase():
    text, parse = parse_of(
        ("woman", "NOUN", "NN", -1, ""), ("in", "ADP", "IN", 2, "case"), ("red", "ADJ", "JJ", 0, "nmod")
    )
    assert nouns(text, parse) == {"woman": ["red"]}


def test_a_headless_adjective_is_its_own_root():
    text, parse = parse_of(
        ("the", "DET", "DT", 1, "det"),
        ("taller", "ADJ", "JJR", -1, ""),
        ("of", "ADP", "IN", 5, "case"),
        ("the", "DET", "DT", 5, "det"),
        ("two", "NUM", "CD", 5, "nummod"),
        ("giraffes", "NOUN", "NNS", 1, "nmod"),
    )
    assert nouns(text, parse) == {"taller": [], "giraffes": ["two"]}
    assert parse.referred == 0


def test_a_past_participle_behind_its_noun_takes_it_as_object_and_joined_verbs_share_their_subject():
    text, parse = parse_of(
        ("a", "DET", "DT", 1, "det"),
        ("bird", "NOUN", "NN", -1, ""),
        ("perched", "VERB", "VBN", 1, "acl"),
        ("on", "ADP", "IN", 5, "case"),
        ("a", "DET", "DT", 5, "det"),
        ("branch", "NOUN", "NN", 2, "obl"),
    )
    assert triples(text, parse) == [("perched", None, "bird")]
    text, parse = parse_of(
        ("boys", "NOUN", "NNS", 1, "nsubj"),
        ("sit", "VERB", "VBP", -1, ""),
        ("and", "CCONJ", "CC", 3, "cc"),
        ("eat", "VERB", "VBP", 1, "conj"),
        ("cake", "NOUN", "NN", 3, "obj"),
    )
    assert triples(text, parse) == [("sit", "boys", None), ("eat", "boys", "cake")]


def test_hyphenated_words_are_one_word():
    doc = Doc(
        VOCAB,
        words=["white", "t", "-", "shirt"],
        spaces=[True, False, False, False],
        pos=["ADJ", "NOUN", "PUNCT", "NOUN"],
        tags=["JJ", "NN", "HYPH", "NN"],
        heads=[3, 3, 3, 3],
        deps=["amod", "compound", "punct", "ROOT"],
    )
    parse = extract(tree_of(Clean.of(doc.text), doc))
    assert nouns(doc.text, parse) == {"t-shirt": ["white"]}


def test_quantities_stand_for_what_they_count():
    text, parse = parse_of(
        ("a", "DET", "DT", 1, "det"),
        ("couple", "NOUN", "NN", 4, "nsubj"),
        ("of", "ADP", "IN", 3, "case"),
        ("dogs", "NOUN", "NNS", 1, "nmod"),
        ("run", "VERB", "VBP", -1, ""),
    )
    assert nouns(text, parse) == {"dogs": []}
    assert triples(text, parse) == [("run", "dogs", None)]
