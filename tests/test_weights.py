"""Fingerprints of local models: by content alone, and each content hashed once."""

import json
import os

import pytest

from stages.invert.recipe import TextualRecipe
from stages.models import file_hashes
from stages.models.recipe import BackboneRecipe
from stages.parse.recipe import SpacyParser, TruthParser
from stages.segment.recipe import SamRecipe
from stages.weights import Weights


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "weights.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("a card")
    return folder


def of(tmp_path, recipe):
    return Weights(tmp_path / "memory" / "weights.json").fingerprint(recipe)


def test_content_and_names_count_and_dates_and_places_do_not(tmp_path, model):
    backbone = BackboneRecipe(kind="stable-diffusion", path=str(model))
    recipe = TextualRecipe(backbone=backbone, steps=3)
    first = of(tmp_path, recipe)
    assert first and of(tmp_path, TextualRecipe(backbone=backbone, steps=4)) == first
    os.utime(model / "unet" / "weights.safetensors", (1, 1))
    (model / "README.md").write_text("another card")
    (model / ".cache").write_text("nothing of the model's")
    assert of(tmp_path, recipe) == first
    moved = model.rename(tmp_path / "elsewhere")
    assert of(tmp_path, BackboneRecipe(path=str(moved))) == first
    (moved / "unet" / "weights.safetensors").write_bytes(b"changed")
    second = of(tmp_path, BackboneRecipe(path=str(moved)))
    (moved / "unet" / "weights.safetensors").rename(moved / "unet" / "renamed.safetensors")
    assert len({first, second, of(tmp_path, BackboneRecipe(path=str(moved)))}) == 3


def test_a_file_is_read_once(tmp_path, model, monkeypatch):
    recipe = SamRecipe(model="vit_b", checkpoint=str(model / "unet" / "weights.safetensors"))
    first = of(tmp_path, recipe)
    monkeypatch.setattr(file_hashes, "sha256_file", lambda path: pytest.fail(f"{path} was read again"))
    assert of(tmp_path, recipe) == first


@pytest.mark.parametrize("memory", ["", "[]", "{", '{"a": 1}'])
def test_a_broken_memory_costs_hashing_and_nothing_else(tmp_path, model, memory):
    expected = of(tmp_path, BackboneRecipe(path=str(model)))
    path = tmp_path / "memory" / "weights.json"
    path.write_text(memory)
    assert of(tmp_path, BackboneRecipe(path=str(model))) == expected
    assert len(json.loads(path.read_text())) >= 1


def test_the_repositorys_own_models_are_found_and_others_say_nothing(tmp_path):
    own = [BackboneRecipe(), SamRecipe(), SpacyParser()]
    assert len({of(tmp_path, recipe) for recipe in own}) == 3
    assert of(tmp_path, TextualRecipe()) == of(tmp_path, BackboneRecipe())
    assert of(tmp_path, BackboneRecipe(kind="stable-diffusion", path="someone/some-model")) == ""
    assert of(tmp_path, BackboneRecipe(kind="stable-diffusion")) == of(tmp_path, TruthParser()) == ""
