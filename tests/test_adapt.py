"""The fast variant: a small adapter of the text encoder, trained once and named by its inverters."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import condition_of, save_samples, save_tiny
from tiny_workflow import ROOT, planned, snakemake, tiny_config

from stages.adapt.command import run
from stages.adapt.lora import choose
from stages.adapt.recipe import LoraRecipe
from stages.artifacts import AnywordError, ArtifactError, ShardReader
from stages.artifacts.maps import read_maps
from stages.config import Workflow, read_config
from stages.learning.trainable_tokens import trainable_row
from stages.models.adapter import merge
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe

TEXTS = ["a red circle", "a blue star on grass", "the zyxwv disk", "red " * 40]


@pytest.fixture(scope="module", params=["stable-diffusion", "ldm"])
def trained(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("adapt")
    backbone = {"kind": request.param, "path": str(save_tiny(place / "model", request.param))}
    samples = [
        save_samples(place / "one", TEXTS[:2]),
        save_samples(place / "two", TEXTS[2:], ids=["s2", "s3"]),
    ]
    recipe = {"kind": "lora", "backbone": backbone, "steps": 6, "pairs_a_step": 3, "lr": 0.02, "rank": 4}
    for name in ("a", "b"):
        run(samples=samples, recipe=recipe, output=place / name / "manifest.json", batch_size=2, device="cpu")
    return place, backbone, samples


def test_only_a_small_adapter_is_learned_and_twice_the_same(trained):
    place, backbone, _ = trained
    one, two = (place / name / "manifest.json" for name in "ab")
    assert one.read_bytes() == two.read_bytes()
    folder = ShardReader(one, "adapt")
    weights = load_file(folder.file("adapter_model.safetensors"))
    assert weights and all("lora_" in name for name in weights)
    config = json.loads(folder.file("adapter_config.json").read_text())
    assert config["r"] == 4 and config["base_model_name_or_path"] == backbone["path"]
    assert list(folder.failures) == ["s3"]  # too long, and said so
    assert folder.manifest.summary["pairs"] == 3


def test_an_adapted_encoder_differs_in_what_it_says_and_in_its_hash(trained):
    place, backbone, _ = trained
    plain = load(BackboneRecipe(**backbone))
    fitted = merge(load(BackboneRecipe(**backbone)), place / "a/manifest.json")
    said = [condition_of(one, ["a red circle"]).context for one in (plain, fitted)]
    assert (said[0] - said[1]).abs().max() > 1e-3
    assert plain.record.sha256 != fitted.record.sha256
    assert torch.equal(plain.tables[0], fitted.tables[0])
    assert not any(parameter.requires_grad for parameter in fitted.encoder.parameters())
    assert merge(plain, None) is plain


def changes(place, backbone, samples, **options):
    """How far an adapter moves what the encoder says of a text: of words known whole, and of one that is split."""
    recipe = {"kind": "lora", "backbone": backbone, "steps": 12, "pairs_a_step": 3, "lr": 0.02, "rank": 4, **options}
    run(samples=samples, recipe=recipe, output=place / "manifest.json", device="cpu")
    plain = load(BackboneRecipe(**backbone))
    said = [
        condition_of(one, [TEXTS[2]]).context[0]
        for one in (plain, merge(load(BackboneRecipe(**backbone)), place / "manifest.json"))
    ]
    (encoding,) = plain.tokenize(TEXTS[2]).encodings
    unknown = list(trainable_row(TEXTS[2], encoding, 0, "content").unknown)
    assert unknown
    known = [n for n in range(encoding.window) if n not in unknown]
    moved = (said[0] - said[1]).square().mean(dim=1)
    return float(moved[known].mean()), float(moved[unknown].mean())


def test_keep_holds_what_the_encoder_said_of_words_it_knew(trained, tmp_path):
    _, backbone, samples = trained
    free, _ = changes(tmp_path / "free", backbone, samples)
    kept, learned = changes(tmp_path / "kept", backbone, samples, keep=100.0)
    assert kept < 0.3 * free
    assert learned > kept


def test_an_adapter_learns_under_the_losses_of_its_inverter(trained, tmp_path):
    """Words as one token, entropy and a falling rate each change what is learned."""
    _, backbone, samples = trained
    options = [{}, {"pieces": "joined"}, {"entropy": {"weight": 1.0}}, {"schedule": "linear"}]
    found = {changes(tmp_path / str(n), backbone, samples, **own) for n, own in enumerate(options)}
    assert len(found) == len(options)


def test_an_adapter_of_another_backbone_is_refused_by_name(trained, tmp_path):
    place, backbone, _ = trained
    other = load(BackboneRecipe(kind=backbone["kind"], path=str(save_tiny(tmp_path, backbone["kind"], seed=1))))
    with pytest.raises(ArtifactError, match="trained on backbone"):
        merge(other, place / "a/manifest.json")


def test_inversion_and_attention_take_the_adapter_and_refuse_to_mix(trained, tmp_path):
    from stages.attend.command import run as attend
    from stages.invert.command import run as invert

    place, backbone, samples = trained
    adapter = place / "a/manifest.json"
    recipe = {"kind": "textual", "backbone": backbone, "adapter": "lora", "steps": 2, "draws": 2}
    embeddings = tmp_path / "invert/manifest.json"
    invert(samples=samples[0], recipe=recipe, output=embeddings, adapter=adapter, device="cpu")
    assert set(ShardReader(embeddings, "invert").manifest.inputs) == {"samples", "adapter"}
    reading = {"kind": "noised", "backbone": backbone, "at": [300]}
    both = {"samples": samples[0], "embeddings": embeddings, "recipe": reading, "device": "cpu"}
    attend(**both, output=tmp_path / "attend/manifest.json", adapter=adapter)
    assert len(read_maps(ShardReader(tmp_path / "attend/manifest.json", "attend").file("maps.zarr")).maps)
    with pytest.raises(ArtifactError, match="learned with backbone"):
        attend(**both, output=tmp_path / "mixed/manifest.json")
    with pytest.raises(AnywordError, match="names adapter 'lora'"):
        invert(samples=samples[0], recipe=recipe, output=tmp_path / "none/manifest.json", device="cpu")


def test_pairs_are_chosen_whatever_shards_they_lie_in():
    ids = [f"s{n}" for n in range(50)]
    recipe = LoraRecipe(pairs=10)
    assert choose(ids, recipe) == choose(ids[::-1], recipe)
    assert len(set(choose(ids, recipe))) == 10
    assert choose(ids, recipe) != choose(ids, LoraRecipe(pairs=10, seed=1))


@pytest.fixture
def config(tmp_path):
    config = tiny_config(tmp_path, count=1)
    config["datasets"]["pairs"] = {"kind": "world", "split": "train", "count": 2}
    config["adapters"] = {"fitted": {"kind": "lora", "backbone": "tiny", "dataset": "pairs", "steps": 2}}
    config["inverters"]["tiny"]["adapter"] = "fitted"
    return config


def test_the_workflow_plans_the_adapter_that_an_inverter_names(tmp_path, config):
    indices = [f"results/{name}/samples/index/manifest.json" for name in ("tiny", "pairs")]
    snakemake(tmp_path, config, *indices)
    target = "results/tiny/invert/tiny/00000/manifest.json"
    assert planned(tmp_path, config, target) == {"samples": 2, "adapt": 1, "invert": 1}
    # Also where the pairs are listed already and the adapter lies deep below what is asked for.
    score = "results/tiny/experiments/one/score/manifest.json"
    plan = snakemake(tmp_path, config, "--dry-run", "--printshellcmds", score)
    assert "stage adapt --samples=results/pairs/samples/00000/manifest.json" in plan.stdout + plan.stderr
    config["inverters"]["tiny"]["adapter"] = None
    assert planned(tmp_path, config, target) == {"samples": 1, "invert": 1}


@pytest.mark.parametrize("shard_size", [1, 2])
def test_the_workflow_trains_the_adapter_on_one_shard_and_on_several(tmp_path, config, shard_size):
    config["datasets"]["pairs"]["shard_size"] = shard_size
    target = tmp_path / "results/tiny/invert/tiny/00000/manifest.json"
    snakemake(tmp_path, config, str(target.relative_to(tmp_path)))
    assert not ShardReader(target, "invert").failures
    (adapter,) = (tmp_path / "results").rglob("adapter_model.safetensors")
    manifest = ShardReader(adapter.parent / "manifest.json", "adapt").manifest
    assert len(manifest.inputs) == 2 // shard_size
    assert {one.id for one in manifest.samples} == {"train-000000", "train-000001"}  # one is too long, and listed


def test_an_unknown_adapter_or_dataset_is_named(config):
    whole = {**read_config(ROOT / "config.yaml"), **config}
    attender = Workflow(whole).attend_recipe("tiny", "tiny")
    assert json.loads(attender)["adapter"] == "fitted"  # attention is read with the inverter's own encoder
    whole["adapters"]["fitted"]["dataset"] = "nowhere"
    with pytest.raises(AnywordError, match=r"adapters\.fitted\.dataset is 'nowhere'"):
        Workflow(whole)
    whole["inverters"]["tiny"]["adapter"] = "nothing"
    with pytest.raises(AnywordError, match=r"adapter is 'nothing'|dataset is 'nowhere'"):
        Workflow(whole)
