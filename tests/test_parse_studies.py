"""The gold captions and the noise that they are read under."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.studies.gold import compare, perturbed, read_gold
from stages.artifacts import AnywordError
from stages.artifacts.language import Parse, Phrase, Predicate, Span
from stages.world.noise import KINDS, moved, perturb

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
    noisy = perturbed(gold, kind, seed)
    assert len(noisy.nouns) == len(gold.nouns)
    for old, new in zip(gold.nouns, noisy.nouns, strict=True):
        assert sorted(new.of(noisy.text).lower()) == sorted(old.of(gold.text).lower())
    assert as_parse(noisy).checked(noisy.text)
    assert perturbed(gold, kind, seed) == noisy


def test_noise_does_something():
    for kind in KINDS:
        changed = sum(perturb(gold.text, kind).text != gold.text for gold in GOLDS)
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


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_worlds_truth_moves_along_with_its_noisy_text(kind):
    from stages.samples.reader import DataLocation, reader_of

    reader = reader_of("noisy-world")
    recipe = {"split": "val", "first": 3, "count": 4, "noise": kind}
    plain = reader_of("world")
    for entry in reader.entries(recipe, DataLocation()):
        noisy, clean = reader.sample(entry, DataLocation()), plain.sample(entry, DataLocation())
        assert (noisy.png, noisy.truth) == (clean.png, clean.truth)
        noisy.parse.checked(noisy.text)
        for a, b in zip(noisy.parse.phrases, clean.parse.phrases, strict=True):
            assert sorted(a.root.of(noisy.text).lower()) == sorted(b.root.of(clean.text).lower())


def test_what_noise_takes_whole_cannot_be_moved():
    parse = Parse(phrases=(Phrase(span=Span(start=0, end=3), root=Span(start=0, end=3)),))
    with pytest.raises(ValueError, match="nothing is left"):
        moved(parse, perturb("the cat", "broken_grammar"))


def test_the_parser_study_is_a_valid_configuration_with_an_experiment_a_parser():
    from lab.studies import parsers as study
    from stages import REPOSITORY
    from stages.config import Workflow, merged, read_config

    base = read_config(REPOSITORY / "config.yaml")
    chosen = {"truth": {"kind": "truth"}, "spacy": {"kind": "spacy"}, "scripted": {"kind": "openai", "model": "s"}}
    added = study.configuration(
        base, scenes=4, first=0, shard_size=2, parsers=chosen, like="truth", noise=["typos", "broken_grammar"]
    )
    workflow = Workflow(merged(base, added))
    assert len(added["experiments"]) == 3 + 2 * 2
    clean = {name: one for name, one in added["experiments"].items() if one["dataset"] == "scenes-test-0-4"}
    # They differ in the parser alone, so that Snakemake shares everything before it.
    assert len({tuple(sorted((k, v) for k, v in one.items() if k != "parser")) for one in clean.values()}) == 1
    assert workflow.recipes["datasets"]["scenes-test-0-4-typos"]["noise"] == "typos"


def test_the_scripted_server_answers_from_the_truth_and_now_and_then_wrongly(tmp_path):

    from lab.studies import parsers as study
    from stages.parse.openai_chat import Chat
    from stages.parse.parser import ParseRequest
    from stages.parse.recipe import OpenaiParser

    truth = study.captions_of(10, 0)
    with study.server(truth, 0) as url:
        chat = Chat(OpenaiParser(model="scripted", base_url=url, **study.PRICES), tmp_path)
        answers = chat.parse([ParseRequest(text, text) for text in truth])
    right = [
        [(p.root, p.adjectives) for p in answer.parse.phrases] == [(p.root, p.adjectives) for p in parse.phrases]
        for answer, parse in zip(answers, truth.values(), strict=True)
    ]
    assert right.count(False) <= 1
    assert sum(answer.usage["dropped_words"] for answer in answers) == 1
    assert all(answer.usage["cost"] > 0 for answer in answers)


def test_captions_of_another_hand_are_reported_beside_the_first():
    from lab.studies import parsing as study
    from lab.studies.gold import SECOND

    others = [gold for gold in read_gold(SECOND) if gold.part == "test"][:8]
    recipes = {"spacy": {"kind": "spacy"}}
    alone, beside = study.study(recipes, GOLDS[:4]), study.study(recipes, GOLDS[:4], others)
    assert set(beside["spacy"]["another_hand"]) >= set(study.FIGURES)
    assert all(beside["spacy"][key] == alone["spacy"][key] for key in study.FIGURES)
    assert beside["captions_of_another_hand"] == 8
    assert [row[1] for row in study.table(beside)][:2] == ["clean", "another hand"]
