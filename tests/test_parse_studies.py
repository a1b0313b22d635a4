"""The gold captions and the noise that they are read under."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.artifacts import AnywordError
from stages.artifacts.language import Parse, Phrase, Predicate, Span
from stages.studies.gold import compare, read_gold
from stages.studies.noise import KINDS, spoilt

GOLDS = read_gold()


def as_parse(gold):
    """A parse that finds exactly what the gold wants."""
    index = {span: number for number, span in enumerate(gold.nouns)}
    return Parse(
        phrases=tuple(
            Phrase(span=noun, root=noun, adjectives=tuple(a for n, a in gold.adjectives if n == noun))
            for noun in gold.nouns
        ),
        predicates=tuple(
            Predicate(span=verb, subject=index[subject] if subject else None, object=index[target] if target else None)
            for verb, subject, target in gold.predicates
        ),
        referred=index[gold.referred] if gold.referred else None,
    )


def test_the_gold_file_is_large_half_kept_back_and_consistent():
    parts = [gold.part for gold in GOLDS]
    assert len(GOLDS) >= 150
    assert abs(parts.count("dev") - parts.count("test")) <= 1
    registers = {gold.register for gold in GOLDS}
    assert registers >= {"refcoco", "paragraph", "possessive", "passive", "coordination", "participle", "typo", "real"}
    for gold in GOLDS:  # what predicates and references name are nouns of the caption
        named = {noun for _, *arguments in gold.predicates for noun in arguments if noun} | {gold.referred} - {None}
        assert named <= set(gold.nouns), gold.text


def test_the_gold_itself_scores_full_and_nothing_scores_none():
    full = compare([as_parse(gold) for gold in GOLDS], GOLDS)
    assert full == {"noun_f1": 1.0, "adjective_f1": 1.0, "predicate_f1": 1.0, "referred": 1.0}
    assert set(compare([Parse()] * len(GOLDS), GOLDS).values()) == {0.0}


def test_one_wrong_argument_costs_the_whole_triple():
    gold = next(gold for gold in GOLDS if gold.text == "man in blue shirt holding racket")
    right = as_parse(gold)
    wrong = right.model_copy(update={"predicates": (Predicate(span=gold.predicates[0][0], subject=1, object=2),)})
    assert compare([wrong], [gold])["predicate_f1"] == 0.0
    assert compare([wrong], [gold])["noun_f1"] == 1.0


@pytest.mark.parametrize("kind", list(KINDS))
@given(gold=st.sampled_from(GOLDS), seed=st.integers(0, 99))
def test_noise_moves_the_gold_with_the_text(kind, gold, seed):
    noisy = spoilt(gold, kind, seed)
    assert len(noisy.nouns) == len(gold.nouns)
    for old, new in zip(gold.nouns, noisy.nouns, strict=True):
        assert sorted(new.of(noisy.text).lower()) == sorted(old.of(gold.text).lower())
    assert as_parse(noisy).checked(noisy.text)
    assert spoilt(gold, kind, seed) == noisy


def test_noise_does_something():
    for kind, spoil in KINDS.items():
        changed = sum(spoil(gold.text, random.Random(1)).text != gold.text for gold in GOLDS)  # noqa: S311
        assert changed > len(GOLDS) / 4, kind


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("test x | a cat | dog | - | -", "'dog' does not occur"),
        ("test x | a cat | cat | - ", "4 fields"),
        ("test x | a cat | cat | sits[cat] | -", "is not verb"),
    ],
)
def test_a_line_that_does_not_read_is_named(tmp_path, line, said):
    (tmp_path / "gold.txt").write_text(f"# captions\n{line}\n")
    with pytest.raises(AnywordError, match=said) as caught:
        read_gold(tmp_path / "gold.txt")
    assert "gold.txt:2" in str(caught.value)


def test_span_outside_its_text_is_refused():
    parse = Parse(phrases=(Phrase(span=Span(start=0, end=9), root=Span(start=0, end=9)),))
    with pytest.raises(ValueError, match="outside"):
        parse.checked("a cat")
