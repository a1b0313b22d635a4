"""What a stage takes is said before it runs, by the calls that it makes."""

import json
from pathlib import Path

import pytest
import torch
from tiny_families import KINDS, save_family
from tiny_models import save_tiny
from tiny_workflow import manifest, snakemake, tiny_config, write_config
from typer.testing import CliRunner

from stages.adapt.recipe import LoraRecipe
from stages.artifacts.recipes import validated
from stages.attend.recipe import AttenderRecipe
from stages.cli import app
from stages.invert.recipe import TextualRecipe
from stages.models import cpu_bfloat16, outline
from stages.models.diffusion import load
from stages.models.limit import memory_limit
from stages.models.memory import GIB, counted
from stages.models.published import SHAPES
from stages.models.recipe import BackboneRecipe
from stages.reckoning import of_stage

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module", params=["stable-diffusion", "ldm", *KINDS, "sd3-without-t5"])
def recipe(request, tmp_path_factory):
    save = save_tiny if request.param in ("stable-diffusion", "ldm") else save_family
    path = save(tmp_path_factory.mktemp("tiny"), request.param)
    return BackboneRecipe(kind=request.param.removesuffix("-without-t5"), path=str(path), resolution=32)


def test_an_outline_is_the_models_own_size_and_takes_what_the_model_takes(recipe):
    model = load(recipe.model_copy(update={"dtype": "bfloat16"}))
    found = outline.backbone(recipe)
    like = found.model
    assert (found.name, found.dtype) == (recipe.path, "bfloat16")
    assert like.memory.weights == model.memory.weights
    assert like.layers == model.layers and like.image_size == model.image_size
    assert not any(one.device.type != "meta" for one in like.denoiser.parameters())
    sizes = []
    for one in (model, like):
        tokens = one.empty
        with torch.no_grad():
            sizes.append(counted(lambda one=one, tokens=tokens: one.condition(tokens, one.embed(tokens))))
            assert counted(lambda one=one: one.latents(torch.zeros(1, 3, 32, 32)))[1] > 0
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("recipe", ["stable-diffusion", "ldm", "flux"], indirect=True)
def test_a_smaller_card_holds_fewer_rows_and_no_stage_takes_more_than_it(recipe):
    attend = validated("attend", {"kind": "null-text", "backbone": recipe}, AttenderRecipe)
    weights = outline.backbone(recipe).model.memory.weights / GIB
    for stage, settings in [
        ("invert", TextualRecipe(backbone=recipe)),
        ("adapt", LoraRecipe(backbone=recipe)),
        ("attend", attend),
    ]:
        large = of_stage(stage, settings, card=16)
        assert large.rows == {"invert": 64, "adapt": 8, "attend": 8}[stage]
        card = (weights + 0.4 * (large.peak_gib - weights)) * 8 / 7
        if large.peak_gib > 0.05:  # sizes are said to a hundredth
            small = of_stage(stage, settings, card=card)
            assert small.rows < large.rows and small.peak_gib <= card
    assert memory_limit() is None


def test_a_model_without_maps_of_16_is_read_at_the_next_finer_ones():
    recipe = BackboneRecipe(kind="stable-diffusion", path="nowhere")
    assert {one.grid for one in outline.backbone(recipe, "sd21").model.read_by_default} == {(24, 24)}
    assert {one.grid for one in outline.backbone(recipe, "sd15").model.read_by_default} == {(16, 16)}


def test_the_committed_figures_fit_their_card_and_name_every_stage():
    rows = json.loads((BENCHMARKS / "memory.json").read_text())
    assert all(set(row) == {"stage", "model", "dtype", "rows", "peak_gib", "card", "least_gib"} for row in rows)
    for row in rows:  # at one row, a batch's texts may be what is too much: FLUX with its T5
        assert 0 < row["least_gib"] <= min(row["peak_gib"], 7 / 8 * row["card"]) and row["rows"] >= 1
        assert row["peak_gib"] <= 7 / 8 * row["card"] or row["rows"] == 1
    small = {shape["name"] for shape in SHAPES.values() if shape["kind"] in ("stable-diffusion", "ldm")}
    every = {shape["name"] for shape in SHAPES.values()}
    for stage, models in {"adapt": small, "invert": every, "attend": every}.items():
        assert {row["model"] for row in rows if row["stage"].startswith(stage)} == models
    assert {row["card"] for row in rows if row["model"] in small} == {16}
    assert [row["model"] for row in rows if row["stage"] == "segment"] == ["vit_h"]


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_a_figure_is_what_the_product_reckons_today_on_any_machine(has_bfloat16, monkeypatch):
    """One of them anew: the smallest."""
    monkeypatch.setattr(cpu_bfloat16, "has_bfloat16", lambda: has_bfloat16)
    settings = LoraRecipe(backbone=BackboneRecipe(kind="ldm", path="nowhere"))
    need = of_stage("adapt", settings, card=16, shape="ldm")
    (row,) = [
        one
        for one in json.loads((BENCHMARKS / "memory.json").read_text())
        if (one["stage"], one["model"]) == ("adapt", need.model)
    ]
    assert row["dtype"] == "bfloat16" and (row["rows"], row["peak_gib"]) == (8, need.peak_gib)


def test_the_plan_says_what_experiments_take_and_learns_from_finished_shards(tmp_path, monkeypatch):
    config = tiny_config(tmp_path, count=3, shard_size=2)
    config["experiments"]["deep"] = {**config["experiments"]["one"], "inverter": "paper"}
    config["targets"] = ["one", "deep"]
    path = write_config(tmp_path, config)
    monkeypatch.chdir(tmp_path)

    def planned(*arguments):
        done = CliRunner().invoke(app, ["plan", "--config", str(path), "--json", *arguments])
        assert done.exit_code == 0, done.output
        return {one["experiment"]: one for one in json.loads(done.output)}

    before = planned("--experiment", "one")["one"]
    assert before["images"] == 3
    jobs = {stage["name"]: stage["jobs"] for stage in before["stages"]}
    shards = dict.fromkeys(("samples", "parse", "invert", "attend", "prompt", "segment"), 2)
    assert jobs == {"index": 1, **shards, "score": 1, "report": 1}
    assert all(stage["seconds_an_image"] is None and stage["fits"] for stage in before["stages"])

    snakemake(tmp_path, config, str(Path("results/tiny/invert/tiny/00000/manifest.json")))
    (invert,) = [stage for stage in planned("--experiment", "one")["one"]["stages"] if stage["name"] == "invert"]
    written = manifest(tmp_path, "tiny", "invert", "tiny", "00000")
    assert invert["seconds_an_image"] > 0
    assert invert["bytes"] == round(3 / 2 * sum(one["size"] for one in written["files"].values()))
    said = CliRunner().invoke(app, ["plan", "--config", str(path), "--experiment", "deep", "--card", "2"]).output
    assert "experiment deep: 3 images, cards of 2 GiB" in said and "does not fit" in said
