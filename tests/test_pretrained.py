"""No loader leaves a weight to chance: what a file lacks, holds beyond, or has of another shape is one line."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny
from tiny_text_models import save_grounding_dino, save_sam3
from tiny_vision import save_blip, save_clip

from stages.artifacts import AnywordError
from stages.models import text_prompted, vision_language
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe

CPU = torch.device("cpu")


def read(kind, folder):
    if kind in ("stable-diffusion", "ldm"):
        return load(BackboneRecipe(kind=kind, path=str(folder)))
    if kind == "blip":
        return vision_language.load_captioner(str(folder), offline=True, device=CPU)
    if kind == "clip":
        return vision_language.load_matcher(str(folder), offline=True, device=CPU)
    return getattr(text_prompted, f"load_{kind}")(str(folder))


SAVE = {
    "stable-diffusion": save_tiny,
    "ldm": lambda folder: save_tiny(folder, "ldm"),
    "blip": lambda folder: save_blip(folder, ["a", "red", "circle"]),
    "clip": save_clip,
    "grounding_dino": save_grounding_dino,
    "sam3": save_sam3,
}
PARTS = [
    *[("stable-diffusion", part) for part in ("unet", "vae", "text_encoder")],
    *[("ldm", part) for part in ("unet", "vqvae", "bert")],
    *[(kind, "") for kind in ("blip", "clip", "grounding_dino", "sam3")],
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folders = {}

    def of(kind):
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp("saved") / kind
            SAVE[kind](folders[kind])
        return folders[kind]

    return of


def lacking(weights):
    del weights[min(weights)]


def foreign(weights):
    for name in list(weights):
        weights[f"module.{name}"] = weights.pop(name)


def left_over(weights):
    weights["extra.weight"] = torch.zeros(2)


def misshapen(weights):
    name = min(weights)
    weights[name] = torch.zeros(*weights[name].shape, 2)


@pytest.mark.parametrize("change", [lacking, foreign, left_over, misshapen])
@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_a_weight_that_does_not_fit_is_refused_by_name(saved, tmp_path, kind, part, change):
    folder = tmp_path / "own"
    shutil.copytree(saved(kind), folder)
    (file,) = (folder / part).glob("*.safetensors")
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(AnywordError) as error:
        read(kind, folder)
    said = str(error.value)
    assert str(folder / part) in said and "\n" not in said
    if change is left_over:
        assert "extra.weight" in said


@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_what_older_files_hold_of_positions_is_no_weight(saved, tmp_path, kind, part):
    folder = tmp_path / "own"
    shutil.copytree(saved(kind), folder)
    (file,) = (folder / part).glob("*.safetensors")
    save_file({**load_file(file), "embeddings.position_ids": torch.arange(4)}, file, metadata={"format": "pt"})
    read(kind, folder)


def test_files_of_half_precision_are_read_where_there_are_no_others(saved, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(saved("stable-diffusion"), folder)
    for part in ("unet", "vae", "text_encoder"):
        (file,) = (folder / part).glob("*.safetensors")
        half = {name: values.half() for name, values in load_file(file).items()}
        file.unlink()
        save_file(half, file.with_suffix(".fp16.safetensors"), metadata={"format": "pt"})
    model = read("stable-diffusion", folder)
    assert model.unet.dtype == model.encoder.dtype == torch.float32
    plain = read("stable-diffusion", saved("stable-diffusion"))
    torch.testing.assert_close(model.tables[0], plain.tables[0], atol=1e-3, rtol=1e-3)


def test_a_checkpoint_of_one_file_comes_with_the_command_that_converts_it(tmp_path):
    (tmp_path / "v1-5.safetensors").write_bytes(b"")
    with pytest.raises(AnywordError, match=r"a single file.*from_single_file\('.*v1-5.safetensors'\)"):
        read("stable-diffusion", tmp_path / "v1-5.safetensors")
