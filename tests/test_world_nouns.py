"""Nouns by themselves: captions that say no colour, and the figures of a backbone that has to read shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.training import autoencoder, backbone, dataset, evaluate_nouns, tokenizer
from lab.training.bare import bare, bare_sample
from lab.training.train_backbone import CURRICULUM, attention_loss, phase_at, vocabulary, wrong_captions
from lab.training.train_nouns import PHASES
from stages.artifacts.language import words
from stages.world.render import COLOURS, PATTERNS
from stages.world.sample import naming_words, sample
from stages.world.scene import scene
from stages.world.shapes import NOUNS

INDEX = st.integers(0, 10**8)


@settings(max_examples=60, deadline=None)
@given(INDEX)
def test_a_bare_caption_names_every_object_by_its_noun_alone(index: int):
    item = bare_sample("val", index)
    said = {span.of(item.text) for span in words(item.text)}
    assert not said & {*COLOURS, *PATTERNS}
    assert {word.role for word in naming_words(item.caption)} <= {"noun", "ground"}
    nouns = [named.instances for named in item.caption.names if named.instances]
    assert sorted(i for named in nouns for i in named) == list(range(len(item.scene.instances)))
    for phrase, named in zip(item.parse.phrases, item.caption.names, strict=True):
        things = {item.scene.instances[i].noun for i in named.instances}
        root = phrase.root.of(item.text)
        assert len(things) <= 1
        assert all(root in {thing, thing + "s", thing + "es"} for thing in things)


@settings(max_examples=40, deadline=None)
@given(INDEX)
def test_an_adjective_said_after_all_is_true_of_no_other_object(index: int):
    drawn = scene("train", index, "alike")
    said = bare(drawn, np.random.default_rng(index), adjectives=1.0)
    for phrase, named in zip(said.parse.phrases, said.names, strict=True):
        for adjective in (span.of(said.text) for span in phrase.adjectives):
            if adjective != "two":
                assert [i for i, x in enumerate(drawn.instances) if adjective in (x.colour, x.pattern)] == [
                    *named.instances
                ]


def test_some_nouns_may_stay_unsaid():
    drawn = next(s for s in (scene("train", i) for i in range(50)) if len({x.noun for x in s.instances}) > 2)
    full = len({x.noun for x in drawn.instances})
    named = [
        sum(bool(name.instances) for name in bare(drawn, np.random.default_rng(n), some=1.0).names) for n in range(20)
    ]
    assert 1 <= min(named) <= max(named) < full


def test_objects_of_alike_scenes_share_colours_as_a_rule():
    def shared(level: str) -> float:
        scenes = [s for s in (scene("train", i, level) for i in range(80)) if len(s.instances) > 1]
        return float(np.mean([len({x.colour for x in s.instances}) < len(s.instances) for s in scenes]))

    assert shared("alike") > 0.6 > 0.3 > shared("full")


def test_without_the_pull_to_cover_a_word_may_stay_on_a_part_but_not_outside():
    cover = torch.zeros(1, dataset.SLOTS, 16, 16)
    cover[0, 0, 4:8, 4:8] = 1
    names, roles = torch.tensor([[0, 1]]), torch.tensor([[0, 1]])

    def loss(place: torch.Tensor) -> float:
        share = torch.stack([1 - place, place], -1).reshape(1, 1, 256, 2)
        return float(attention_loss({"layer": share}, names, roles, cover, torch.ones(1), 0.0))

    half = cover[0, 0].flatten() * 0.4
    half[: 6 * 16] = 0
    assert loss(half) == pytest.approx(0, abs=1e-3)
    assert loss(torch.roll(half, 8 * 16)) > 1


def test_the_second_training_goes_on_where_the_shipped_first_one_ended():
    assert CURRICULUM[-2].until < 4250 < PHASES[0].until
    assert phase_at(4250, PHASES) is PHASES[0]
    assert [phase.until for phase in PHASES] == sorted({phase.until for phase in PHASES})
    for phase in PHASES:
        assert sum(share for *_, share in (*phase.sources, *phase.bare)) == pytest.approx(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of random weights; its words are whole."""
    torch.manual_seed(0)
    texts = [sample("train", index, variant=v).text for index in range(150) for v in range(2)]
    marks = tokenizer.train(texts, tmp_path_factory.mktemp("words"))
    vae = autoencoder.build().eval()
    autoencoder.write_patch_pca(vae, np.stack([scene("train", index).image for index in range(40)]))
    unet, text = backbone.build_unet().eval(), backbone.build_text_encoder(len(marks)).eval()
    return unet, text, marks, vae, backbone.build_scheduler(), {}


@pytest.fixture
def layers(model):
    return sorted(name.removesuffix(".processor") for name in model[0].attn_processors if ".attn2." in name)[:2]


def test_only_nouns_are_swapped_where_no_colour_is_to_be(model):
    marks = model[2]
    item = next(s for s in (sample("val", i, unseen=0) for i in range(40)) if len(s.scene.instances) == 1)
    encoding = marks(item.text, padding="max_length", truncation=True, return_offsets_mapping=True)
    names, roles = (torch.from_numpy(x.astype(np.int64))[None] for x in dataset.label(item.caption, encoding))
    ids = torch.tensor([encoding["input_ids"]])
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        wrong, slots = wrong_captions(ids, names, roles, vocabulary(marks), generator, colours=0.0)
        assert int(slots[0]) == 0
        assert set(roles[wrong != ids].tolist()) == {dataset.ROLES.index("noun")}


def test_a_swapped_noun_costs_a_model_that_hears_no_words_nothing(model, monkeypatch):
    samples = [bare_sample("val", index) for index in range(6)]
    heard = evaluate_nouns.noun_swap_error(model, samples, (600,))
    assert heard[600] != 0
    for name, module in model[0].named_modules():
        if name.endswith(".attn2"):
            monkeypatch.setattr(module, "forward", lambda hidden, *_, **__: torch.zeros_like(hidden))
    assert evaluate_nouns.noun_swap_error(model, samples, (600,)) == {600: 0}


def test_queries_are_one_row_an_object_and_the_side_by_side_layers(model, layers):
    scenes = [scene("val", index) for index in range(5)]
    found, nouns = evaluate_nouns.queries(model, layers, scenes)
    assert found.shape == (sum(len(s.instances) for s in scenes), 2 * 160)
    assert [NOUNS[n] for n in nouns.tolist()] == [x.noun for s in scenes for x in s.instances]


def test_the_probe_finds_a_shape_where_queries_hold_it_and_is_at_chance_where_not(model, layers, monkeypatch):
    def told(signal: float):
        def queries(_model, _chosen, scenes, time=0):
            nouns = torch.tensor([NOUNS.index(x.noun) for s in scenes for x in s.instances])
            generator = torch.Generator().manual_seed(len(scenes))
            noise = torch.randn(len(nouns), 20, generator=generator)
            return noise + signal * torch.nn.functional.one_hot(nouns, 20), nouns

        return queries

    monkeypatch.setattr(evaluate_nouns, "PROBE_SCENES", 200)
    scenes = [scene("val", index) for index in range(60)]
    monkeypatch.setattr(evaluate_nouns, "queries", told(8.0))
    assert evaluate_nouns.shape_probe(model, layers, scenes) > 0.95
    monkeypatch.setattr(evaluate_nouns, "queries", told(0.0))
    assert evaluate_nouns.shape_probe(model, layers, scenes) < 0.3


def test_bare_nouns_are_pointed_at(model, layers):
    samples = [bare_sample("val", index) for index in range(4)]
    assert 0 <= evaluate_nouns.bare_noun_pointing(model, layers, samples) <= 1
