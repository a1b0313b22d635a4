"""Label maps: one class a pixel from maps, class lists of the embedded world, and both through the workflow."""

import json
from collections import Counter

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from tiny_workflow import snakemake, tiny_config

from lab.training import published
from stages.artifacts import ShardReader
from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.maps import resized
from stages.artifacts.masks import decode
from stages.artifacts.results import Results
from stages.samples.command import index as list_dataset
from stages.samples.command import run as draw
from stages.samples.readers.semantic import listed
from stages.samples.recipe import ClassWorldDataset
from stages.segment.argmax import label_map, response
from stages.segment.recipe import ArgmaxRecipe
from stages.world.class_lists import NOUNS, label_maps, said
from stages.world.render import GROUNDS
from stages.world.scene import scene

SIZE = (12, 20)


def recipe(**options):
    return ArgmaxRecipe.model_validate(options)


def phrases_of(*names):
    _, phrases = listed(names)
    return Parse(phrases=phrases), [(one.span.start, one.span.end) for one in phrases]


@given(
    count=st.integers(1, 5),
    seed=st.integers(0, 1000),
    threshold=st.sampled_from([0.0, 0.3, 1.0]),
)
@example(count=2, seed=255, threshold=0.0)  # both are at their least in the same corner
def test_no_two_phrases_share_a_pixel_and_without_a_threshold_none_is_left(count, seed, threshold):
    maps = np.random.default_rng(seed).random((count, 4, 6))
    parse, spans = phrases_of(*"abcde"[:count])
    maps_of = dict(zip(spans, maps, strict=True))
    cuts = label_map(parse, maps_of, SIZE, recipe(threshold=threshold))
    claimed = sum(cut.mask.astype(int) for cut in cuts.values())
    assert claimed.shape == SIZE and claimed.max() <= 1
    if threshold == 0:
        least = [one == one.min() for one in (resized(response(maps_of, *span), SIZE) for span in spans)]
        assert (claimed == 1)[~np.all(least, axis=0)].all()
    for cut in cuts.values():
        assert cut.score >= threshold if cut.mask.any() else cut.score == 0


def test_maps_are_enlarged_before_they_are_compared():
    """Two ramps that cross between cells part the image where they cross, not where a cell ends."""
    ramp = np.linspace(0, 1, 4)[None]
    parse, (a, b) = phrases_of("a", "b")
    cuts = label_map(parse, {a: ramp, b: 1 - ramp}, (1, 400), recipe())
    assert abs(int(cuts["phrase", 1].mask.sum()) - 200) <= 1
    cuts = label_map(parse, {a: ramp, b: (1 - ramp) ** 3}, (1, 400), recipe())
    assert int(cuts["phrase", 1].mask.sum()) % 100 != 0


def test_ties_missing_and_constant_maps():
    parse, (a, b, _) = phrases_of("a", "b", "c")
    same = np.array([[0.0, 1.0]])
    cuts = label_map(parse, {a: same, b: same}, (1, 2), recipe())
    assert cuts["phrase", 0].mask.tolist() == [[False, True]]  # of equals the first; nobody where none responds
    assert not cuts["phrase", 1].mask.any() and not cuts["phrase", 2].mask.any()
    flat = label_map(parse, {a: np.full((1, 2), 0.3), b: same}, (1, 2), recipe())
    assert not flat["phrase", 0].mask.any() and flat["phrase", 1].mask.any()
    assert label_map(Parse(), {}, (1, 2), recipe()) == {}
    assert not any(cut.mask.any() for cut in label_map(parse, {}, (1, 2), recipe()).values())


def test_a_class_of_several_words_is_the_mean_of_them():
    text = "hot dog"
    parse = Parse(phrases=(Phrase(span=Span(start=0, end=7), root=Span(start=4, end=7)),))
    maps = {(0, 3): np.array([[1.0, 0, 0]]), (4, 7): np.array([[0, 1.0, 0]])}
    cuts = label_map(parse, maps, (1, 3), recipe(threshold=0.9))
    assert cuts["phrase", 0].mask.tolist() == [[True, True, False]], text


# Class lists of the embedded world


@pytest.mark.parametrize("by", ["phrases", "colours", "nouns"])
@pytest.mark.parametrize("synonyms", [False, True])
def test_every_pixel_has_one_class(by, synonyms):
    for index in range(6):
        drawn = scene("val", index)
        found = label_maps(drawn, by, synonyms=synonyms)
        assert (sum(mask.astype(int) for mask in found.values()) == 1).all()
        assert set(found) == {said(one, by, synonyms=synonyms) for one in drawn.instances} | {
            one.name for one in drawn.grounds
        }


def make_samples(folder, **options):
    settings = {"kind": "class-world", "split": "val", "count": 3, **options}
    values = ClassWorldDataset.model_validate(settings).model_dump(mode="json")
    listing = folder / "index" / "manifest.json"
    list_dataset(recipe=values, output=listing)
    output = folder / "00000" / "manifest.json"
    draw(index=listing.parent / "00000" / "manifest.json", recipe={"kind": "class-world"}, output=output)
    return ShardReader(output, "samples")


def test_a_text_lists_the_images_classes_and_truth_is_exact(tmp_path):
    folder = make_samples(tmp_path, classes="nouns")
    truth = folder.table("truth")
    for index, row in enumerate(folder.table("samples")):
        wanted = label_maps(scene("val", index), "nouns")
        assert row["text"] == ", ".join(wanted)
        own = [one for one in truth if one["sample_id"] == row["sample_id"]]
        assert {row["text"][one["start"] : one["end"]] for one in own} == set(wanted)
        for one in own:
            np.testing.assert_array_equal(decode(one), wanted[row["text"][one["start"] : one["end"]]])


def test_all_candidates_are_listed_and_only_those_there_have_truth(tmp_path):
    folder = make_samples(tmp_path, classes="colours", candidates="all")
    texts = {row["text"] for row in folder.table("samples")}
    assert len(texts) == 1 and len(folder.table("truth")) < 3 * len(texts.pop().split(", "))


def test_lists_that_cannot_be_made_are_refused():
    with pytest.raises(ValidationError, match="candidates: all needs"):
        ClassWorldDataset.model_validate({"kind": "class-world", "candidates": "all"})


# Through the workflow


def test_what_a_parser_finds_in_a_caption_are_candidates_too(tmp_path):
    config = tiny_config(tmp_path)
    config["inverters"]["invseg"] = {"kind": "invseg", "backbone": "tiny", "steps": 2, "classes": "runs"}
    config["attenders"]["once"] = {"kind": "single-step", "at": [50], "refine": 1}
    config["segmenters"]["argmax"] = {"kind": "argmax"}
    config["parsers"]["words"] = {"kind": "vocabulary", "classes": {name: [] for name in (*NOUNS, *GROUNDS)}}
    config["experiments"]["two"] |= {"inverter": "invseg", "attender": "once", "segmenter": "argmax"}
    config["targets"] = ["two"]
    snakemake(tmp_path, config)
    results = Results(tmp_path / "results" / "tiny")
    (shard,) = results.shards()
    learned = ShardReader(results.embeddings("invseg", shard), "invert").table("drift")
    masks = ShardReader(results.masks("two", shard), "segment").table("masks")
    for row in ShardReader(results.samples(shard), "samples").table("samples"):
        name, text = row["sample_id"], row["text"]
        own = [one for one in masks if one["sample_id"] == name]
        said = {text[one["root_start"] : one["root_end"]] for one in own}
        assert len(own) > 1 and said <= {*NOUNS, *GROUNDS}
        assert (sum(decode(one).astype(int) for one in own) == 1).all()
        went = [one["drift"] for one in learned if one["sample_id"] == name]
        assert len(went) > len(own) and min(went) > 0  # the nouns, their adjectives and what lies between


@pytest.mark.parametrize("kind", ["class-world", "voc", "context", "coco-object"])
def test_invseg_runs_from_samples_to_the_official_figures(tmp_path, kind):
    config = tiny_config(tmp_path)
    if kind == "class-world":
        listed = {"kind": kind, "split": "val", "count": 2, "classes": "colours"}
    else:  # scenes in the published set's own folders and files
        lines = yaml.safe_load("\n".join(published.export(kind, tmp_path / "data", "val", 0, 2)))
        listed = {**lines, "root": str(tmp_path / "data"), "candidates": "truth"}
    config["datasets"]["tiny"] = listed
    config["inverters"]["invseg"] = {"kind": "invseg", "backbone": "tiny", "steps": 2}
    config["attenders"]["once"] = {"kind": "single-step", "at": [50], "refine": 1}
    config["segmenters"]["argmax"] = {"kind": "argmax"}
    config["scorers"] = {"semantic": {"kind": "semantic", "replicates": 0}}
    config["experiments"]["one"] |= {
        "inverter": "invseg",
        "attender": "once",
        "segmenter": "argmax",
        "scorer": "semantic",
    }
    snakemake(tmp_path, config)
    results = Results(tmp_path / "results" / "tiny")
    (shard,) = results.shards()
    masks = ShardReader(results.masks("one", shard), "segment").table("masks")
    samples = ShardReader(results.samples(shard), "samples")
    truth, texts = samples.table("truth"), {row["sample_id"]: row["text"] for row in samples.table("samples")}
    scores = json.loads(ShardReader(results.score("one"), "score").file("score.json").read_text())
    ids = {row["sample_id"] for row in masks}
    assert len(ids) == 2
    shared, either = Counter(), Counter()
    for sample_id in ids:
        own = [(row, decode(row)) for row in masks if row["sample_id"] == sample_id]
        assert (sum(mask.astype(int) for _, mask in own) == 1).all()  # every pixel has one class
        there = {row["index"]: decode(row) for row in truth if row["sample_id"] == sample_id}
        judged = np.any([*there.values()], axis=0)  # what a set tells to ignore is in no mask
        for row, mask in own:
            name, wanted = texts[sample_id][row["start"] : row["end"]], there[row["index"]]
            shared[name] += int((mask & wanted).sum())
            either[name] += int(((mask & judged) | wanted).sum())
    by_hand = np.mean([shared[name] / either[name] for name in either])
    assert scores["official"]["mIoU"]["value"] == pytest.approx(by_hand, abs=1e-6)
