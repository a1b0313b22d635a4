"""A number that is not finite fails its sample, where it arises, and no other."""

import pytest
import torch
from tiny_models import save_samples, save_tiny

from stages.artifacts import ShardReader
from stages.attend.command import run as attend
from stages.invert.command import run as invert
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe
from stages.models.unet import UNetModel

TEXTS = ["a red circle on grass", "the crimson disk", "azure hoop"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp("backbone"))
    return {"kind": "stable-diffusion", "path": str(folder)}


@pytest.fixture
def samples(tmp_path):
    return save_samples(tmp_path / "samples", TEXTS)


def inverted(samples, backbone, output, **recipe):
    recipe = {"kind": "textual", "backbone": backbone, "steps": 3, "draws": 2, **recipe}
    invert(samples=samples, recipe=recipe, output=output, device="cpu")
    return ShardReader(output, "invert")


@pytest.mark.parametrize("bad", [[1], [0, 1, 2]])
def test_latents(samples, backbone, tmp_path, monkeypatch, bad):
    encode = UNetModel.latents

    def some(self, pixels):
        latents = encode(self, pixels)
        latents[bad] = float("nan")
        return latents

    monkeypatch.setattr(UNetModel, "latents", some)
    found = inverted(samples, backbone, tmp_path / "invert/manifest.json")
    assert sorted(found.failures) == [f"s{n}" for n in bad]
    assert all("latents that are not finite" in reason for reason in found.failures.values())


def test_a_loss(samples, backbone, tmp_path):
    assert not inverted(samples, backbone, tmp_path / "one/manifest.json").failures
    found = inverted(samples, backbone, tmp_path / "invert/manifest.json", lr=1e25)
    assert sorted(found.failures) == ["s0", "s1", "s2"]
    assert "not finite from step" in found.failures["s0"] and "Lower lr" in found.failures["s0"]


def test_attention(samples, backbone, tmp_path, monkeypatch):
    embeddings = tmp_path / "invert/manifest.json"
    inverted(samples, backbone, embeddings)
    model = load(BackboneRecipe(**backbone))
    run = model.run

    def broken(latents, timesteps, condition, reads=(), *, stop=False):
        predicted, found = run(latents, timesteps, condition, reads, stop=stop)
        return predicted, {read: torch.full_like(maps, float("inf")) for read, maps in found.items()}

    monkeypatch.setattr(model, "run", broken)
    monkeypatch.setattr("stages.models.diffusion.load", lambda *_: model)
    recipe = {"kind": "direct", "backbone": backbone, "steps": 2}
    output = tmp_path / "attend/manifest.json"
    attend(samples=samples, embeddings=embeddings, recipe=recipe, output=output, device="cpu")
    failures = ShardReader(output, "attend").failures
    assert sorted(failures) == ["s0", "s1", "s2"] and "attention is not finite" in failures["s0"]
