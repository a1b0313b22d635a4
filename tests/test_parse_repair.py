"""What the embedded pipeline misreads, put right: words as people type them, verbs, particles, participles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from lab.studies.gold import SECOND, compare, read_gold
from stages.parse.extract import extract
from stages.parse.parser import ParseRequest, load_parser
from stages.parse.repair import repaired
from stages.parse.shorthand import spelled_out
from stages.parse.tree import Clean, tree_of


@pytest.fixture(scope="module")
def read():
    """A text's nouns with their adjectives, its (verb, subject, object), and what it refers to, as words."""
    parser = load_parser({"kind": "spacy"})

    def words(text):
        (answer,) = parser.parse([ParseRequest("1", text)])
        parse = answer.parse.checked(text)

        def root(index):
            return None if index is None else parse.phrases[index].root.of(text)

        nouns = {p.root.of(text): [a.of(text) for a in p.adjectives] for p in parse.phrases}
        triples = [(p.span.of(text), root(p.subject), root(p.object)) for p in parse.predicates]
        return nouns, triples, root(parse.referred)

    return words


def test_captions_of_another_hand_reach_the_same_bars():
    golds = [gold for gold in read_gold(SECOND) if gold.part == "test"]
    answers = load_parser({"kind": "spacy"}).parse([ParseRequest(str(i), g.text) for i, g in enumerate(golds)])
    figures = compare([answer.parse for answer in answers], golds)
    assert figures["noun_f1"] >= 0.90
    assert figures["adjective_f1"] >= 0.85
    assert figures["predicate_f1"] >= 0.75
    assert figures["referred"] >= 0.90


@pytest.mark.parametrize(
    ("text", "triples"),
    [
        ("An old man naps on a park bench.", [("naps", "man", None)]),
        ("A firefighter climbs the ladder.", [("climbs", "firefighter", "ladder")]),
        ("A lamp with a crooked shade glows on the nightstand.", [("glows", "lamp", None)]),
        ("The waiter smiles and pours coffee into a white mug.",
         [("smiles", "waiter", None), ("pours", "waiter", "coffee")]),
        ("A dog sleeps curled up on the rug.", [("sleeps", "dog", None), ("curled", None, "dog")]),
        ("A woman picks up a phone and calls a taxi.", [("picks", "woman", "phone"), ("calls", "woman", "taxi")]),
        ("a cup put on a table", [("put", None, "cup")]),
        ("a child being pushed on a swing by her father", [("pushed", "father", "child")]),
        ("A vendor is handing a customer a bag of oranges.", [("handing", "vendor", "bag")]),
        ("the ball that the boy is trying to catch", [("trying", "boy", None), ("catch", "boy", "ball")]),
        ("the horse that the dog is barking at", [("barking", "dog", None)]),
        ("dog looking out window", [("looking", "dog", None)]),
        ("Snowy mountains can be seen in the distance.", [("seen", None, "mountains")]),
        ("a boy and a girl playing soccer", [("playing", "boy", "soccer")]),
        ("tan sheep with head turned", [("turned", None, "head")]),
    ],
)  # fmt: skip
def test_verbs_get_their_arguments(read, text, triples):
    assert read(text)[1] == triples


@pytest.mark.parametrize(
    ("text", "nouns", "referred"),
    [
        ("woman in red w/ hat", {"woman": ["red"], "hat": []}, "woman"),
        ("boy w/out glasses", {"boy": [], "glasses": []}, "boy"),
        ("kid in blue #7", {"kid": ["blue", "7"]}, "kid"),
        ("firetruck parked infront of building", {"firetruck": [], "building": []}, "firetruck"),
        ("not the dog the cat", {"dog": [], "cat": []}, "cat"),
        ("girl brown hair", {"girl": [], "hair": ["brown"]}, "girl"),
        ("second row third kid", {"row": ["second"], "kid": ["third"]}, "kid"),
        ("cell phone in hand of woman in gray", {"phone": ["cell"], "hand": [], "woman": ["gray"]}, "phone"),
        ("man with a tennis shoes on a court", {"man": [], "shoes": ["tennis"], "court": []}, "man"),
        ("The soup looks hot and creamy", {"soup": ["hot", "creamy"]}, "soup"),
    ],
)
def test_fragments_as_people_type_them(read, text, nouns, referred):
    found = read(text)
    assert (found[0], found[2]) == (nouns, referred)


@given(st.lists(st.sampled_from(["w/", "w/o", "#7", "infront of", "ontop", "a cat", "w/hat", "inbetween", "#", "/"])))
def test_what_is_spelled_out_keeps_its_places_in_order(parts):
    text = " ".join(parts)
    full, places = spelled_out(text, tuple(range(len(text))))
    assert len(full) == len(places)
    assert list(places) == sorted(places)
    assert all(0 <= place < len(text) for place in places)


def test_only_words_of_grammar_are_spelled_out():
    text = "a 12w/30 and/w C#7"
    assert spelled_out(text, tuple(range(len(text))))[0] == text


@pytest.mark.parametrize(
    ("heads", "deps"),
    [
        ([2, 0, 2, 4, 2], ["compound", "nummod", "ROOT", "det", "dep"]),
        ([0, 0, 0, 4, 0], ["ROOT", "nummod", "appos", "det", "list"]),
    ],
    ids=["verb above its noun", "beside it"],
)
def test_a_numbered_nouns_verb_leads_whatever_hung_where(heads, deps):
    text = "runner 23 passes the line"
    clean = Clean.of(text)
    pos, tags = ["NOUN", "NUM", "NOUN", "DET", "NOUN"], ["NN", "CD", "NNS", "DT", "NN"]
    doc = Doc(Vocab(), words=text.split(), pos=pos, tags=tags, heads=heads, deps=deps)
    found = extract(repaired(tree_of(clean, doc))).checked(text)
    said = [(one.span.of(text), one.subject, one.object) for one in found.predicates]
    assert [one.root.of(text) for one in found.phrases] == ["runner", "line"]
    assert said == [("passes", 0, 1)]
