"""Candidate classes from BLIP and CLIP: the rule, what is recorded, and what a class that was missed costs."""

import json
import shutil

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tiny_vision import save_blip, save_clip
from tiny_workflow import manifest, snakemake, tiny_config

from lab.training import published
from stages.artifacts import AnywordError, ShardReader
from stages.artifacts.masks import decode
from stages.artifacts.recipes import model_of
from stages.artifacts.tables import UNNAMED
from stages.samples.candidates import mentions, select
from stages.samples.command import index as list_dataset
from stages.samples.command import run
from stages.samples.readers.semantic import read_labels
from stages.score.collector import Case, collector_of
from stages.score.recipe import Semantic
from stages.world.shapes import NOUNS

COUNT = 4
WORDS = ["a", "and", "on", *NOUNS]


def chosen(probabilities, mentioned, **options):
    settings = {"doubtful": 0.0, "certain": 0.9, "most": 9, **options}
    kept = select(np.array(probabilities), np.array(mentioned, dtype=bool), **settings)
    return np.flatnonzero(kept).tolist()


@pytest.mark.parametrize(
    ("expected", "probabilities", "mentioned", "options"),
    [
        ([0, 2], [0.05, 0.9, 0.05], [1, 0, 1], {"certain": 0.95}),  # the caption is believed
        ([0, 1], [0.05, 0.9, 0.05], [1, 0, 0], {}),  # CLIP is sure of one that the caption leaves out
        ([1], [0.05, 0.9, 0.05], [1, 0, 1], {"doubtful": 0.06}),  # CLIP doubts what the caption says
        ([2], [0.2, 0.3, 0.5], [0, 0, 0], {}),  # neither says anything: the likeliest
        ([0, 2], [0.1, 0.95, 0.2], [1, 0, 1], {"most": 2}),  # those of the caption come first
        ([1], [0.1, 0.95, 0.2], [1, 1, 1], {"most": 1}),  # among them the likeliest
        ([0], [0.5, 0.5], [0, 0], {"most": 1}),  # of equals the first
    ],
)
def test_the_rule(expected, probabilities, mentioned, options):
    assert chosen(probabilities, mentioned, **options) == expected


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 12),
)
def test_some_class_is_always_chosen_and_never_more_than_asked(classes, doubtful, certain, most):
    probabilities, mentioned = zip(*classes, strict=True)
    kept = chosen(probabilities, mentioned, doubtful=doubtful, certain=certain, most=most)
    assert 1 <= len(kept) <= most
    if any(mentioned) and doubtful == 0 and most >= len(classes):
        assert {i for i, said in enumerate(mentioned) if said} <= set(kept)


def test_classes_are_found_in_a_caption_by_whole_words():
    names = ["dog", "hot dog", "bus", "person", "cat", "tv monitor", "sheep"]
    caption = "Two Men with HOT  dogs wait for buses; a catalogue, a dog and a TV"
    found = mentions(caption, names)
    said = {name: [span.of(caption) for span in spans] for name, spans in found.items() if spans}
    assert said == {"person": ["Men"], "hot dog": ["HOT  dogs"], "bus": ["buses"], "dog": ["dog"], "tv monitor": ["TV"]}


def test_a_class_is_never_another_classs_alias():
    assert not mentions("a sofa", ["couch", "sofa"])["couch"]  # a set that has both knows them apart
    assert mentions("a sofa", ["couch"])["couch"]
    assert mentions("a settee", ["sofa"], {"sofa": ["settee"]})["sofa"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"blip": str(save_blip(folder / "blip", WORDS)), "clip": str(save_clip(folder / "clip"))}


def make(tmp_path, models, out="out", batch_size=3, **options):
    """The world as a VOC folder, its shard of samples with classes chosen by the tiny models."""
    data = tmp_path / "data"
    if not data.exists():
        (tmp_path / "lines").write_text("\n".join(published.export("voc", data, "test", 0, COUNT)))
    settings = yaml.safe_load((tmp_path / "lines").read_text())
    settings |= {"candidates": "blip-clip", "filter": {**models, "max_tokens": 6, "certain": 0.3, **options}}
    recipe = model_of("samples", "voc").model_validate(settings).model_dump(mode="json")
    listing = tmp_path / out / "index" / "manifest.json"
    list_dataset(recipe=recipe, output=listing, root=data)
    output = tmp_path / out / "00000" / "manifest.json"
    run(
        index=listing.parent / "00000" / "manifest.json",
        recipe={"kind": "voc", "filter": recipe["filter"]},
        output=output,
        root=data,
        batch_size=batch_size,
        device="cpu",
    )
    return ShardReader(output, "samples")


def test_an_images_text_is_what_the_models_found_and_all_is_recorded(tmp_path, models):
    folder = make(tmp_path, models)
    assert folder.failures == {}
    samples, truth = folder.table("samples"), folder.table("truth")
    assert len({row["caption"] for row in samples}) > 1  # the models look at the image
    for row in samples:
        kept = [one["name"] for one in row["candidates"] if one["kept"]]
        assert row["text"] == ", ".join(["background", *kept])
        assert [one["name"] for one in row["candidates"]] == list(NOUNS)
        assert sum(one["probability"] for one in row["candidates"]) == pytest.approx(1, abs=1e-3)
        said = mentions(row["caption"], NOUNS)
        assert [one["mentioned"] for one in row["candidates"]] == [bool(said[name]) for name in NOUNS]
        # Every pixel is in the truth, also those of classes that no model found.
        own = [one for one in truth if one["sample_id"] == row["sample_id"]]
        values = read_labels(tmp_path / "data", row["image"].replace("JPEGImages", "SegmentationClass"))
        assert sum(decode(one).astype(int) for one in own).min() == 1
        for one in own:
            name = one["tags"][0] if one["kind"] == UNNAMED else row["text"][one["start"] : one["end"]]
            value = 0 if name == "background" else 1 + NOUNS.index(name)
            np.testing.assert_array_equal(decode(one), values == value)
            assert (one["kind"] == UNNAMED) == (name not in ["background", *kept])
    assert any(one["kind"] == UNNAMED for one in truth)  # models of random weights miss some
    assert set(folder.manifest.models) == {"blip", "clip"}


def test_neither_batches_nor_the_models_place_change_a_result_and_their_weights_do(tmp_path, models):
    first = make(tmp_path, models)
    moved = {name: str(shutil.copytree(path, tmp_path / "elsewhere" / name)) for name, path in models.items()}
    again = make(tmp_path, moved, out="again", batch_size=1)
    assert again.sha256 == first.sha256
    assert str(tmp_path) not in json.dumps(first.manifest.model_dump(mode="json"))
    other = make(tmp_path, {**models, "clip": str(save_clip(tmp_path / "clip", seed=1))}, out="other")
    assert other.manifest.models["blip"] == first.manifest.models["blip"]
    assert other.manifest.models["clip"].sha256 != first.manifest.models["clip"].sha256
    assert other.manifest.fingerprint != first.manifest.fingerprint


def test_a_broken_image_fails_alone(tmp_path, models):
    make(tmp_path, models, out="before")
    (tmp_path / "data/VOCdevkit/VOC2012/JPEGImages/test-000001.png").write_text("no image")
    folder = make(tmp_path, models)
    assert list(folder.failures) == ["test-000001"]
    assert len(folder.table("samples")) == COUNT - 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blip": "/nowhere/blip"}, "blip '/nowhere/blip': no such folder"),
        ({"clip": "nobody/no-clip"}, r"clip 'nobody/no-clip': neither a folder nor in the hub cache \(offline: true\)"),
        ({"blip": "clip"}, "holds a clip, no blip model"),
    ],
)
def test_a_missing_or_wrong_model_is_one_line(tmp_path, models, change, said):
    change = {key: models.get(value, value) for key, value in change.items()}
    with pytest.raises(AnywordError, match=said) as caught:
        make(tmp_path, {**models, **change})
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_never_read(tmp_path, models):
    folder = shutil.copytree(models["clip"], tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(AnywordError, match="pickled ones are never read"):
        make(tmp_path, {**models, "clip": str(folder)})


def test_a_template_without_a_place_for_the_name_is_refused():
    settings = {"kind": "voc", "root": ".", "filter": {"template": "a photo"}}
    with pytest.raises(ValueError, match=r"must hold .* once"):
        model_of("samples", "voc").model_validate(settings)


def test_a_class_that_was_missed_counts_in_the_score(tmp_path, models):
    folder = make(tmp_path, models)
    recipe = Semantic(background="background", replicates=0)
    collector = collector_of(recipe)
    for sample in folder.table("samples"):
        truth = [row for row in folder.table("truth") if row["sample_id"] == sample["sample_id"]]
        perfect = [{**row, "score": 1.0} for row in truth if row["kind"] == "phrase"]
        collector.add(Case(sample, truth, perfect, None))
    figures = collector.figures()
    for missed in {row["tags"][0] for row in folder.table("truth") if row["kind"] == UNNAMED}:
        assert figures["Acc"][missed] < 1
    assert figures["IoU"]["background"] < 1  # the missed pixels went to it


def test_the_workflow_runs_the_models_only_where_they_are_asked_for(tmp_path, models):
    lines = yaml.safe_load("\n".join(published.export("voc", tmp_path / "data", "test", 0, 2)))
    config = tiny_config(tmp_path)
    plain = {**lines, "root": str(tmp_path / "data")}
    config["datasets"] |= {"plain": plain, "chosen": {**plain, "candidates": "blip-clip", "filter": models}}
    snakemake(tmp_path, config, *(f"results/{name}/samples/00000/manifest.json" for name in ("plain", "chosen")))
    assert manifest(tmp_path, "plain", "samples", "00000")["models"] == {}
    made = manifest(tmp_path, "chosen", "samples", "00000")
    assert set(made["models"]) == {"blip", "clip"} and made["recipe"]["filter"]["certain"] == 0.97
