"""Few-step adapters of a backbone: read from local files, merged, recorded, and followed by their own sampler."""

import json

import diffusers
import pytest
import torch
from tiny_models import save_samples, save_tiny
from typer.testing import CliRunner

from stages.artifacts import AnywordError, ArtifactError, ShardReader
from stages.artifacts.atomic import sha256_file
from stages.artifacts.maps import read_maps
from stages.attend import chain
from stages.attend.command import run as attend
from stages.attend.maps import Averager
from stages.attend.reading import Reader
from stages.invert.command import run as invert
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe

TEXTS = ["a red circle and a blue circle", "the crimson disk on grass", "a blue star"]


def save_lora(folder, model, spelling=lambda state: state):
    """A random LoRA for the UNet of `model`, saved by diffusers' own writer, names as `spelling` has them."""
    from peft import LoraConfig, get_peft_model_state_dict

    unet = diffusers.UNet2DConditionModel.from_pretrained(model / "unet")
    torch.manual_seed(3)
    targets = ["to_q", "to_k", "to_v", "to_out.0", "proj_in"]
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets, init_lora_weights=False))
    layers = spelling(get_peft_model_state_dict(unet))
    diffusers.StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers)
    return folder / "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("few")
    save_tiny(place / "model")
    save_lora(place / "lora", place / "model")
    save_samples(place / "samples", TEXTS)
    return place


def recipe(place, scheduler=None, **options):
    few = {"path": str(place / "lora"), "scheduler": scheduler, **options} if scheduler else None
    return {"kind": "stable-diffusion", "path": str(place / "model"), "few_step": few}


def backbone(place, scheduler=None, **options):
    return load(BackboneRecipe.model_validate(recipe(place, scheduler, **options)))


def chain_of(model, steps=4):
    """A chain up on seeded latents: timesteps, stored latents, context."""
    encoding = model.tokenize(TEXTS)
    context = model.encode(encoding.input_ids, model.embed(encoding.input_ids)).detach()
    latents = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return (*chain.invert(model, latents, context, steps), context)


def test_the_adapter_is_merged_at_its_scale_and_leaves_no_layers(place):
    plain, full, half = backbone(place), backbone(place, "lcm"), backbone(place, "lcm", scale=0.5)
    weights = [dict(one.model.named_parameters()) for one in (plain, full, half)]
    assert weights[0].keys() == weights[1].keys()
    changed = [name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])]
    attention = [name for name in weights[0] if "attn" in name and name.endswith("weight")]
    assert set(changed) == {*attention, *(name for name in weights[0] if name.endswith("proj_in.weight"))}
    for name in changed:
        torch.testing.assert_close(
            weights[2][name], (weights[0][name] + weights[1][name]) / 2, rtol=1e-4, atol=1e-6, msg=name
        )
    assert not any(parameter.requires_grad for parameter in full.model.parameters())
    assert len({plain.weights_sha256, full.weights_sha256, half.weights_sha256}) == 3
    assert full.few_step.sha256 == sha256_file(place / "lora/pytorch_lora_weights.safetensors")


def test_the_spelling_that_published_adapters_have_is_the_same_adapter(place, tmp_path):
    from diffusers.utils import convert_state_dict_to_kohya
    from safetensors.torch import load_file, save_file

    own = load_file(place / "lora/pytorch_lora_weights.safetensors")
    published = convert_state_dict_to_kohya(own)  # lora_unet_…lora_up.weight, with alphas
    save_file({name: value.contiguous() for name, value in published.items()}, tmp_path / "lcm.safetensors")
    few = {"path": str(tmp_path), "scheduler": "lcm"}
    other = load(BackboneRecipe.model_validate({**recipe(place), "few_step": few}))
    for name, value in backbone(place, "lcm").model.named_parameters():
        torch.testing.assert_close(dict(other.model.named_parameters())[name], value, msg=name)


def test_an_adapter_that_is_read_in_part_only_is_refused(place, tmp_path):
    """diffusers passes over names that it does not know."""
    from diffusers.utils import convert_state_dict_to_diffusers

    save_lora(tmp_path, place / "model", convert_state_dict_to_diffusers)  # spells attention's names another way
    few = {"path": str(tmp_path), "scheduler": "lcm"}
    with pytest.raises(AnywordError, match=r"only \d+ of its 36 layers were recognised"):
        load(BackboneRecipe.model_validate({**recipe(place), "few_step": few}))


def test_the_unets_arithmetic_stays_the_recipes(place):
    rounded = load(BackboneRecipe.model_validate({**recipe(place, "tcd"), "dtype": "bfloat16"}))
    exact = backbone(place, "tcd")
    assert rounded.model.dtype == torch.bfloat16
    for name, value in exact.model.named_parameters():  # merged in float32, then rounded once
        assert torch.equal(dict(rounded.model.named_parameters())[name], value.bfloat16()), name


@pytest.mark.parametrize(
    ("scheduler", "kind", "expected"),
    [
        ("lcm", diffusers.LCMScheduler, [259, 499, 759, 999]),
        ("tcd", diffusers.TCDScheduler, [259, 499, 759, 999]),
        ("ddim", diffusers.DDIMScheduler, [249, 499, 749, 999]),
    ],
)
def test_chains_follow_the_sampler_that_belongs_to_it(place, scheduler, kind, expected):
    model = backbone(place, scheduler)
    assert type(model.scheduler) is kind
    timesteps, stored, context = chain_of(model)
    assert timesteps == expected
    assert stored.shape == (4, 3, 4, 16, 16) and torch.isfinite(stored).all()
    # The way down of the sampler itself visits the same timesteps, and depends on no other image of the batch.
    ends = []
    for part in ([0, 1, 2], [1]):
        averager = Averager(len(part), (0, 1000))
        ids = [str(n) for n in part]
        ends.append(
            chain.denoise(Reader(model), stored[-1][part], timesteps, context[part], averager, steps=4, sample_ids=ids)
        )
        assert averager.mean(0).sum() > 0
    torch.testing.assert_close(ends[0][[1]], ends[1], rtol=1e-4, atol=1e-4)


def test_a_step_up_is_ddims_whatever_the_spacing(place):
    """On DDIM's own evenly spaced timesteps the general formula is DDIMInverseScheduler's."""
    model = backbone(place, "ddim")
    climb = chain.ascent(model, 4)
    latents, predicted = torch.randn(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    for at, to in zip([None, 249, 499], [249, 499, 749], strict=True):
        expected = climb[to](predicted, latents)
        torch.testing.assert_close(chain._move(model.scheduler, at, to, predicted, latents), expected)


@pytest.mark.parametrize("scheduler", ["lcm", "tcd", "ddim"])
def test_inversion_and_few_steps_of_attention_go_through_and_are_recorded(place, tmp_path, scheduler):
    own = recipe(place, scheduler)
    learning = {"kind": "textual", "backbone": own, "steps": 2, "draws": 2, "lr": 0.05}
    embeddings = tmp_path / "invert/manifest.json"
    samples = place / "samples/manifest.json"
    invert(samples=samples, recipe=learning, output=embeddings, device="cpu")
    models = ShardReader(embeddings, "invert").manifest.models
    assert models["few_step"].sha256 == sha256_file(place / "lora/pytorch_lora_weights.safetensors")
    both = {"samples": samples, "embeddings": embeddings, "device": "cpu"}
    for kind in ("direct", "ddim"):
        reading = {"kind": kind, "backbone": own, "steps": 4, "keep_steps": True}
        attend(**both, recipe=reading, output=tmp_path / kind / "manifest.json")
        maps = read_maps(ShardReader(tmp_path / kind, "attend").file("maps.zarr"), steps=True)
        assert maps.steps.shape[1] == 4 and maps.maps.max() > 0
    # Embeddings belong to the weights that they were learned with: the adapter counts among them.
    with pytest.raises(ArtifactError, match="learned with backbone"):
        attend(**both, recipe={"kind": "direct", "backbone": recipe(place), "steps": 4}, output=tmp_path / "x/m.json")
    with pytest.raises(AnywordError, match="guidance"):
        attend(**both, recipe={"kind": "null-text", "backbone": own, "steps": 4}, output=tmp_path / "y/m.json")
    with pytest.raises(AnywordError, match=r"no timestep of the chain lies in 0\.\.100"):
        few = {"kind": "direct", "backbone": own, "steps": 4, "timesteps": [0, 100]}
        attend(**both, recipe=few, output=tmp_path / "z/m.json")


def test_more_steps_than_a_sampler_has_are_refused(place):
    with pytest.raises(AnywordError, match="LCMScheduler has no chain of 60 steps"):
        chain.ascent(backbone(place, "lcm"), 60)


def test_only_a_local_safetensors_file_that_fits_is_taken(place, tmp_path):
    from safetensors.torch import save_file

    def taken(path, complaint):
        few = {"path": str(path), "scheduler": "lcm"}
        with pytest.raises(AnywordError, match=complaint) as error:
            load(BackboneRecipe.model_validate({**recipe(place), "few_step": few}))
        assert "\n" not in str(error.value)

    taken("latent-consistency/lcm-lora-sdv1-5", "no file or folder")  # a hub id is no local path: nothing is fetched
    (tmp_path / "a.bin").write_bytes(b"pickled")
    taken(tmp_path / "a.bin", "never read")
    taken(tmp_path, "holds 0 .safetensors")
    save_file({"other.weight": torch.ones(2, 2)}, tmp_path / "one.safetensors")
    taken(tmp_path, "does not fit this backbone")
    torn = (place / "lora/pytorch_lora_weights.safetensors").read_bytes()[:300]
    (tmp_path / "one.safetensors").write_bytes(torn)
    taken(tmp_path / "one.safetensors", "does not fit this backbone")
    wrong = {
        "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": torch.ones(2, 7),
        "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_B.weight": torch.ones(5, 2),
    }
    save_file(wrong, tmp_path / "one.safetensors")
    taken(tmp_path / "one.safetensors", "does not fit this backbone")
    save_file({f"text_encoder.{name}": value for name, value in wrong.items()}, tmp_path / "two.safetensors")
    taken(tmp_path / "two.safetensors", "does not fit this backbone")


def test_latent_diffusions_own_kind_has_none(place):
    with pytest.raises(ValueError, match="few_step adapters exist for Stable Diffusion"):
        BackboneRecipe.model_validate({**recipe(place, "lcm"), "kind": "ldm"})


def test_the_command_shows_the_sampler(place):
    from stages.cli import app

    done = CliRunner().invoke(
        app, ["backbone", str(place / "model"), "--few-step", str(place / "lora"), "--scheduler", "tcd", "--json"]
    )
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["sampler"] == "TCDScheduler"
    assert facts["few steps"].startswith(str(place / "lora"))
