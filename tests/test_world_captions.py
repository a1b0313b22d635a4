"""Captions of the embedded world: gold spans, registers, synonyms that training never sees."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.artifacts.language import words
from stages.world.caption import REGISTERS, SYNONYMS, caption
from stages.world.render import COLOURS, GROUNDS, PATTERNS
from stages.world.sample import naming_words, sample
from stages.world.scene import SPLIT_SIZE, scene
from stages.world.shapes import NOUNS

INDEX = st.integers(0, SPLIT_SIZE - 1)
UNSEEN = {unseen: word for word, unseen in SYNONYMS.items()}


def known(word: str) -> str:
    """The noun or adjective that a caption's word stands for: "Disk2" is a circle."""
    word = re.sub(r"\d+$", "", word.lower())
    word = UNSEEN.get(word, word)
    if word.endswith("s") and word not in NOUNS and word not in GROUNDS:
        word = word.removesuffix("es") if word == "crosses" else word.removesuffix("s")
    return word


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["train", "val", "test"]), INDEX, st.sampled_from(REGISTERS))
def test_spans_are_the_words_of_what_they_name(split: str, index: int, register: str):
    item = sample(split, index, register=register)
    text, drawn = item.text, item.scene
    boundaries = {span.start for span in words(text)} | {span.end for span in words(text)}
    assert len(item.caption.names) == len(item.parse.phrases)
    for phrase, named in zip(item.parse.phrases, item.caption.names, strict=True):
        assert phrase.span.covers(phrase.root)
        assert all(phrase.span.covers(a) and a.end <= phrase.root.start for a in phrase.adjectives)
        for span in (phrase.span, phrase.root, *phrase.adjectives):
            assert {span.start, span.end} <= boundaries
        root = known(phrase.root.of(text))
        for number in named.instances:
            thing = drawn.instances[number]
            assert thing.noun == root
            for span in phrase.adjectives:
                word = known(span.of(text))
                if word == "two":
                    assert len(named.instances) == 2
                    continue
                true = {thing.colour, thing.pattern, "small" if thing.small else thing.size}
                assert word in true
                if word in PATTERNS and word != "plain":
                    assert thing.pattern_shows or item.scene.same_noun
        for number in named.grounds:
            assert drawn.grounds[number].name == root
    for predicate in item.parse.predicates:
        assert predicate.span.of(text) in {"touching", "covering", "touches", "covers"}
        assert predicate.subject is not None
        assert predicate.object is not None
    assert (item.parse.referred is not None) == (register == "referring")


@settings(max_examples=60, deadline=None)
@given(INDEX)
def test_a_phrase_tells_its_object_from_the_others(index: int):
    """Where two objects share a noun, the adjectives said fit only the one that is meant."""
    item = sample("test", index, register="plain")
    for phrase, named in zip(item.parse.phrases, item.caption.names, strict=True):
        if len(named.instances) != 1:
            continue
        said = {known(span.of(item.text)) for span in phrase.adjectives}
        noun = known(phrase.root.of(item.text))
        fitting = [
            number
            for number, thing in enumerate(item.scene.instances)
            if thing.noun == noun and said <= {thing.colour, thing.pattern, "small" if thing.small else thing.size}
        ]
        assert fitting == list(named.instances)


@settings(max_examples=40, deadline=None)
@given(INDEX)
def test_truth_is_the_union_of_what_is_named(index: int):
    item = sample("val", index)
    rows = [truth for truth in item.truth if truth.kind == "phrase"]
    for truth, named in zip(rows, item.caption.names, strict=True):
        assert truth.mask.sum() == sum(item.scene.instances[i].mask.sum() for i in named.instances) + sum(
            item.scene.grounds[g].mask.sum() for g in named.grounds
        )
        assert ("ground" in truth.tags) == bool(named.grounds)
        assert ("plural" in truth.tags) == (len(named.instances) > 1)
    for truth in item.truth:
        if truth.kind == "predicate":
            predicate = item.parse.predicates[truth.number]
            assert predicate.subject is not None
            assert predicate.object is not None
            assert np.array_equal(truth.mask, rows[predicate.subject].mask | rows[predicate.object].mask)


def test_training_never_says_a_synonym():
    said = {
        word.of(item.text).lower()
        for index in range(600)
        for item in [sample("train", index)]
        for word in words(item.text)
    }
    assert not said & set(UNSEEN)
    assert {"circle", "red", "striped"} <= said


def test_one_evaluation_caption_in_three_has_one_phrase_of_synonyms():
    items = [sample("test", index) for index in range(600)]
    tagged = [[t for t in item.truth if "synonym" in t.tags] for item in items]
    assert max(map(len, tagged)) == 1
    assert np.mean([bool(t) for t in tagged]) == pytest.approx(1 / 3, abs=0.06)
    for item, truths in zip(items, tagged, strict=True):
        roots = [p.root.of(item.text).lower() for p in item.parse.phrases]
        assert sum(root in UNSEEN for root in roots) == len(truths)


def test_training_captions_for_an_adapter_say_synonyms_and_the_others_stay_as_they_are():
    pairs = [(sample("train", index), sample("train", index, unseen=1.0)) for index in range(60)]
    holds = [said.caption.unseen is not None for _, said in pairs]
    assert 0.5 < np.mean(holds) < 0.95  # not every scene has a shape with another name
    for (plain, said), unseen in zip(pairs, holds, strict=True):
        assert np.array_equal(plain.image, said.image)
        assert bool({w.of(said.text).lower() for w in words(said.text)} & set(UNSEEN)) == unseen
        assert (plain.text != said.text) == unseen


def test_most_captions_name_their_ground():
    items = [sample("test", index) for index in range(400)]
    assert np.mean([any("ground" in t.tags for t in item.truth) for item in items]) > 0.6


@settings(max_examples=60, deadline=None)
@given(INDEX)
def test_numbered_nouns_count_from_left_to_right(index: int):
    item = sample("test", index, register="numbered")
    places: dict[str, list[tuple[int, int]]] = {}
    for phrase, named in zip(item.parse.phrases, item.caption.names, strict=True):
        if named.grounds:
            continue
        match = re.fullmatch(r"([a-z]+)(\d+)", phrase.root.of(item.text))
        assert match, "every object is numbered"
        thing = item.scene.instances[named.instances[0]]
        places.setdefault(match[1], []).append((int(match[2]), thing.centre[1]))
    for ranked in places.values():
        ranked.sort()
        assert [rank for rank, _ in ranked] == list(range(1, len(ranked) + 1))
        assert [x for _, x in ranked] == sorted(x for _, x in ranked)


def test_every_register_and_every_role_occurs():
    items = [sample("test", index) for index in range(200)]
    assert {item.caption.register for item in items} == set(REGISTERS)
    roles = {word.role for item in items for word in naming_words(item.caption)}
    assert roles == {"noun", "colour", "pattern", "size", "ground", "predicate"}
    colours = {known(w.span.of(i.text)) for i in items for w in naming_words(i.caption) if w.role == "colour"}
    assert colours == set(COLOURS)


def test_the_same_sample_again_and_another_caption_of_it():
    first, again, other = sample("test", 5), sample("test", 5), sample("test", 5, variant=1)
    assert first.text == again.text
    assert first.parse == again.parse
    assert np.array_equal(first.image, other.image)
    assert (first.id, other.id) == ("test-000005", "test-000005-1")


def test_an_unknown_register_is_refused_by_name():
    with pytest.raises(ValueError, match="'ode' is not one of referring, plain, sentences, numbered"):
        caption(scene("test", 0), np.random.default_rng(0), "ode")
