"""The embedded pipeline, end to end: figures on gold captions, noise, and offsets that never move."""

import string

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.studies.gold import SECOND, compare, read_gold
from stages.artifacts import AnywordError
from stages.artifacts.language import words
from stages.parse.parser import Parsed, ParseRequest, load_parser

CAPTIONS = [gold.text for gold in [*read_gold(), *read_gold(SECOND)]]


@pytest.fixture(scope="module")
def parser():
    return load_parser({"kind": "spacy"})


def parsed(parser, *texts):
    answers = parser.parse([ParseRequest(str(i), text) for i, text in enumerate(texts)])
    assert all(isinstance(answer, Parsed) for answer in answers), answers
    return [answer.parse.checked(text) for answer, text in zip(answers, texts, strict=True)]


def test_the_held_back_gold_captions_reach_their_bars(parser):
    golds = [gold for gold in read_gold() if gold.part == "test"]
    figures = compare(parsed(parser, *(gold.text for gold in golds)), golds)
    assert figures["noun_f1"] >= 0.90
    assert figures["adjective_f1"] >= 0.85
    assert figures["predicate_f1"] >= 0.75
    assert figures["referred"] >= 0.90


def test_the_worlds_captions_parse_nearly_perfectly():
    from lab.training.evaluate_parser import evaluate

    figures = evaluate(40)
    assert figures["parser_noun_f1"] >= 0.97
    assert figures["parser_adjective_f1"] >= 0.97


def shape(text, parse):
    """A parse by its words alone."""
    return (
        [(p.root.of(text), [a.of(text) for a in p.adjectives]) for p in parse.phrases],
        [(p.span.of(text), p.subject, p.object) for p in parse.predicates],
        parse.referred,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), text=st.sampled_from(CAPTIONS))
def test_white_space_moves_no_word(parser, data, text):
    """However the words of a caption are set apart, the same words are found, where they now stand."""
    gaps = st.text(alphabet=" \t\n\u00a0\u2003", min_size=1, max_size=3)
    spaced = data.draw(gaps) if data.draw(st.booleans()) else ""
    for word in text.split(" "):
        spaced += word + data.draw(gaps)
    plain, other = parsed(parser, text, spaced)
    assert shape(text, plain) == shape(spaced, other)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.permutations(CAPTIONS[:12]))
def test_neighbours_change_no_answer(parser, texts):
    together = parsed(parser, *texts)
    alone = [parsed(parser, text)[0] for text in texts[:3]]
    assert together[:3] == alone


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
@example("")
@example(" \n ")
@example("🐶🐱")
@example("\ud83d half an emoji")
@example("İİİİ BIG DOG")
@example("a\u200bcat\x00dog")
@example("-" * 50 + "a-b-c-d-e")
def test_any_text_gives_phrases_that_slice_to_its_words_or_a_note(parser, text):
    (parse,) = parsed(parser, text)  # `checked` holds every span against the text
    assert parse.phrases or parse.notes
    for phrase in parse.phrases:
        assert phrase.span.covers(phrase.root)
        assert phrase.root.of(text) == phrase.root.of(text).strip()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from(CAPTIONS), seed=st.randoms(use_true_random=False))
def test_misspelt_captions_still_parse(parser, text, seed):
    letters = list(text)
    for _ in range(3):
        letters[seed.randrange(len(letters))] = seed.choice(string.ascii_lowercase + " ")
    (parse,) = parsed(parser, "".join(letters))
    starts = {span.start for span in words("".join(letters))}
    assert all(phrase.root.start in starts for phrase in parse.phrases)


def test_capitals_read_like_small_letters(parser):
    small, capital = parsed(parser, "a black dog behind a red car", "A BLACK DOG BEHIND A RED CAR")
    assert [(p.root, p.adjectives) for p in small.phrases] == [(p.root, p.adjectives) for p in capital.phrases]


def test_other_scripts_say_so_and_long_texts_end(parser):
    foreign, long = parsed(parser, "一只黑色的猫坐在红色的沙发上", "a red cat sits on a blue mat. " * 250)
    assert foreign.notes and "Latin" in foreign.notes[0]
    assert len(long.phrases) == 500


def test_emoji_stand_in_nobodys_way(parser):
    text = "a red 🚗 car behind 🌳 a tree"
    (parse,) = parsed(parser, text)
    assert [p.root.of(text) for p in parse.phrases] == ["car", "tree"]


def test_a_missing_pipeline_says_how_to_get_it():
    with pytest.raises(AnywordError, match="spacy download en_core_web_nowhere"):
        load_parser({"kind": "spacy", "pipeline": "en_core_web_nowhere"})


def test_an_installed_pipeline_is_found_by_its_name(tmp_path, monkeypatch):
    """As `pip install en_core_web_sm` leaves it: a package whose folder holds the pipeline's."""
    import shutil

    from stages.parse.spacy_pipeline import EMBEDDED

    package = tmp_path / "en_core_toy"
    shutil.copytree(EMBEDDED, package / "en_core_toy-1.0.0")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    own, packaged = load_parser({"kind": "spacy"}), load_parser({"kind": "spacy", "pipeline": "en_core_toy"})
    assert packaged.models["pipeline"].sha256 == own.models["pipeline"].sha256
    assert packaged.models["pipeline"].id == "en_core_toy"


def test_a_folder_that_is_no_pipeline_is_refused_in_one_line(tmp_path):
    (tmp_path / "config.cfg").write_text("[nlp]\nlang = 'nowhere'\n")
    with pytest.raises(AnywordError) as caught:
        load_parser({"kind": "spacy", "pipeline": str(tmp_path)})
    assert "\n" not in str(caught.value)


def test_misspelt_words_of_grammar_are_read_for_what_they_mean(parser):
    from stages.parse.spelling import KNOWN, reading

    assert (reading("wearnig"), reading("behnid"), reading("Siting")) == ("wearing", "behind", "sitting")
    assert not any(reading(word) for word in [*KNOWN, "form", "paying", "beings", "cat", "kittytoi", "1st", ""])
    text = "a man wearnig a hat behnid the bus"
    (parse,) = parsed(parser, text)
    assert [p.root.of(text) for p in parse.phrases] == ["man", "hat", "bus"]
    assert [p.span.of(text) for p in parse.predicates] == ["wearnig"]
