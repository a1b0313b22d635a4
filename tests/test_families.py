"""Larger families of diffusion models, against the library's own pipelines of the same random weights."""

import contextlib
import inspect
import json

import numpy as np
import pytest
import torch
from tiny_families import KINDS, VARIANTS, save_family
from tiny_models import TEXTS, WINDOW, condition_of, save_samples
from tiny_workflow import save_tiny_sam
from torch.utils._pytree import tree_map
from typer.testing import CliRunner

from stages.artifacts import AnywordError, SampleError, ShardReader
from stages.artifacts.language import Span, words
from stages.artifacts.maps import read_maps
from stages.attend.command import run as attend
from stages.cli import app
from stages.invert.command import run as invert
from stages.models.diffusion import load, record
from stages.models.face import Read
from stages.models.families import kind_of
from stages.models.noise_path import FlowPath
from stages.models.reading import AttentionReader
from stages.models.recipe import BackboneRecipe

TEXT = "a red circle and a blue circle, unclear"


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return save_family(tmp_path_factory.mktemp(kind), kind)


@pytest.fixture(scope="module")
def recipe(kind, folder):
    return {"kind": kind.partition("-")[0], "path": str(folder), "resolution": 32}


@pytest.fixture(scope="module")
def model(recipe):
    return load(BackboneRecipe(**recipe))


@pytest.fixture(scope="module")
def pipe(folder):
    return library(folder)


def library(folder):
    """The library's own pipeline."""
    from diffusers import DiffusionPipeline

    index = json.loads((folder / "model_index.json").read_text())
    absent = {part: None for part in ("text_encoder_3", "tokenizer_3") if index.get(part) == [None, None]}
    pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True, **absent)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def longest(pipe):
    """Of T5's texts: what the tiny tokenizer says, or what the pipeline does where it has none."""
    return 256 if "text_encoder_3" in pipe.components and pipe.text_encoder_3 is None else WINDOW


def encoded_by(pipe, texts):
    """What the pipeline makes of texts: context, and what else it makes, in its order."""
    named = inspect.signature(pipe.encode_prompt).parameters
    options = {"do_classifier_free_guidance": False, "max_sequence_length": longest(pipe)}
    options |= {"prompt_2": None, "prompt_3": None}
    found = pipe.encode_prompt(prompt=texts, **{name: value for name, value in options.items() if name in named})
    return [one for one in found if one is not None]


def pass_of(model, seed=0):
    channels = model.autoencoder.config.latent_channels
    latents = torch.randn(2, channels, *model.latent_size, generator=torch.Generator().manual_seed(seed))
    return latents, torch.tensor([10, 600]), condition_of(model, [TEXT, "grass"])


def test_what_the_denoiser_is_given_is_what_the_pipeline_gives_it(model, pipe):
    check_encodings(model, pipe)


def test_a_denoising_step_is_the_pipelines(model, pipe):
    check_step(model, pipe)


def test_maps_are_those_of_a_softmax_written_out(model):
    check_maps(model)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of a sampler of diffusers
@pytest.mark.parametrize("kind", VARIANTS)
def test_so_it_is_with_variants(kind, tmp_path):
    folder = save_family(tmp_path / kind, kind)
    model, pipe = load(BackboneRecipe(kind=kind.partition("-")[0], path=str(folder), resolution=32)), library(folder)
    check_encodings(model, pipe)
    check_step(model, pipe)
    check_maps(model)


def test_a_folder_of_half_precision_alone_is_the_same_model(kind, folder, recipe, model, tmp_path):
    library(folder).to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    assert not [one for one in tmp_path.rglob("*.safetensors") if ".fp16" not in one.name]
    half = load(BackboneRecipe(**recipe | {"path": str(tmp_path)}))
    assert half.denoiser.dtype == torch.float32 and half.layers == model.layers
    with torch.no_grad():
        found, expected = (one.predict(*pass_of(model)[:2], condition_of(one, [TEXT] * 2)) for one in (half, model))
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)


@torch.no_grad()
def check_encodings(model, pipe):
    condition = condition_of(model, TEXTS)
    context, *others = encoded_by(pipe, TEXTS)
    assert torch.equal(condition.context, context)
    assert others  # pooled states, or a mask
    assert any(torch.equal(others[0].float(), one.float()) for one in condition.extras.values())


@contextlib.contextmanager
def exactly(denoiser):
    """In float64, where the order in which a CPU's kernels sum does not show."""
    try:
        yield denoiser.double()
    finally:
        denoiser.float()


def _double(value):
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


@torch.no_grad()
def check_step(model, pipe):
    """The denoiser's own call in a run of the pipeline, and ours on the same latents."""
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    calls = []
    hook = denoiser.register_forward_hook(
        lambda _, inputs, named, output: calls.append((inputs, named)), with_kwargs=True
    )
    options = {"max_sequence_length": longest(pipe), "use_resolution_binning": False, "clean_caption": False}
    known = inspect.signature(pipe.__call__).parameters
    pipe(
        prompt=TEXT, height=32, width=32, num_inference_steps=1, output_type="latent", guidance_scale=1.0,
        generator=torch.Generator().manual_seed(0), **{key: own for key, own in options.items() if key in known},
    )  # fmt: skip
    hook.remove()
    ((inputs, named),) = calls
    latents = inputs[0] if inputs else named["hidden_states"]
    at = inputs[1] if len(inputs) > 1 else named["timestep"]
    with exactly(denoiser):
        predicted = denoiser(*tree_map(_double, inputs), **tree_map(_double, named))[0].float()
    if latents.ndim == 3:  # packed
        latents, predicted = (pipe._unpack_latents(one, 32, 32, model.factor) for one in (latents, predicted))
        at = at * 1000
    if isinstance(model.path, FlowPath):
        at = torch.tensor(model.path.label(float(at) / 1000), dtype=torch.float64)
    with exactly(model.denoiser):
        ours = model.predict(latents, at.reshape(1), condition_of(model, [TEXT]))
    torch.testing.assert_close(ours, predicted[:, : latents.shape[1]], atol=1e-6, rtol=1e-6)


@torch.no_grad()
def check_maps(model):
    latents, timesteps, condition = pass_of(model)
    columns = condition.context.shape[1]
    modules = dict(model.denoiser.named_modules())
    grid = model.read_by_default[0].grid
    cells = grid[0] * grid[1]
    shares, values = [], []

    def keep(module, inputs, named):
        share, value = written_out(module, inputs, named, columns)
        shares.append(share)
        values.append(value)

    hooks = [
        modules[layer.name].register_forward_pre_hook(keep, with_kwargs=True)
        for layer in model.layers
        if layer.grid == grid
    ]
    model.predict(latents, timesteps, condition)
    for hook in hooks:
        hook.remove()
    names = tuple(layer.name for layer in model.layers if layer.grid == grid)
    assert names == tuple(layer.name for layer in model.read_by_default)
    reads = [Read(names, what) for what in ("image-to-text", "image-to-text by head", "output")]
    predicted, found = model.run(latents, timesteps, condition, reads)
    assert torch.equal(predicted, model.predict(latents, timesteps, condition))  # reading changes nothing
    text = torch.stack([one[..., -columns:] for one in shares]).mean(dim=0)  # [rows, heads, cells, columns]
    expected = text.transpose(2, 3).unflatten(-1, grid)
    torch.testing.assert_close(found[reads[1]], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[reads[0]], expected.mean(dim=1), atol=1e-6, rtol=1e-5)
    outputs = torch.stack([share @ value for share, value in zip(shares, values, strict=True)]).mean(dim=0)
    expected = outputs.transpose(1, 2).flatten(2).unflatten(1, grid)
    torch.testing.assert_close(found[reads[2]], expected, atol=1e-5, rtol=1e-4)
    first = modules[names[0]]
    weighed = Read(names[:1], "image-to-text by output")
    _, found_first = model.run(latents, timesteps, condition, [weighed], stop=True)
    heads = (shares[0] @ values[0]).unbind(1)  # what each head contributes through its rows of the projection
    parts = first.to_out[0].weight.split(heads[0].shape[-1], dim=1)
    contributed = torch.stack([one @ part.T for one, part in zip(heads, parts, strict=True)])
    whole = contributed.sum(dim=0)
    weights = (contributed * whole).sum(dim=-1) / whole.square().sum(dim=-1)  # [heads, rows, cells]
    expected = torch.einsum("hrc,rhck->rkc", weights, shares[0][..., -columns:]).unflatten(-1, grid)
    torch.testing.assert_close(found_first[weighed], expected, atol=1e-5, rtol=1e-4)
    if "query" in model.read_by_default[0].gives:
        query = Read(names[:1], "query")
        asked = []
        hook = first.to_q.register_forward_hook(lambda _, inputs, output: asked.append(output))
        _, found = model.run(latents, timesteps, condition, [query], stop=True)
        hook.remove()
        assert torch.equal(found[query].flatten(1, 2), asked[0])
    own = Read(names, "image-to-image")
    _, found = model.run(latents, timesteps, condition, [own], stop=True)
    assert found[own].shape == (2, cells, cells)
    if shares[0].shape[-1] > columns:  # image and text in one sequence
        expected = torch.stack([one[..., :cells] for one in shares]).mean(dim=(0, 2))
        torch.testing.assert_close(found[own], expected, atol=1e-6, rtol=1e-5)
    else:
        torch.testing.assert_close(found[own].sum(dim=-1), torch.ones(2, cells))
    alone = AttentionReader(model)(latents, timesteps, condition).cross
    torch.testing.assert_close(alone, text.mean(dim=1).transpose(1, 2).unflatten(-1, grid), atol=1e-6, rtol=1e-5)


def written_out(module, inputs, named, columns):
    """A layer's attention for each image cell, [rows, heads, cells, keys] with the text's columns last, and the
    values."""
    hidden = inputs[0] if inputs else named["hidden_states"]
    context = named.get("encoder_hidden_states")

    def heads(states, norm=None):
        states = states.unflatten(-1, (module.heads, -1)).transpose(1, 2)
        return norm(states) if norm else states

    q, k, v = heads(module.to_q(hidden), module.norm_q), module.to_k, module.to_v
    if context is not None and getattr(module, "add_k_proj", None) is None:  # the image asks the text alone
        k, v = heads(k(context), module.norm_k), heads(v(context))
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        mask = named.get("attention_mask")
        return (scores if mask is None else scores + mask[:, None]).softmax(dim=-1), v
    k, v = heads(k(hidden), module.norm_k), heads(v(hidden))
    if context is not None:
        q = torch.cat([heads(module.add_q_proj(context), module.norm_added_q), q], dim=2)
        k = torch.cat([heads(module.add_k_proj(context), module.norm_added_k), k], dim=2)
        v = torch.cat([heads(module.add_v_proj(context)), v], dim=2)
    if named.get("image_rotary_emb") is not None:
        q, k = (rotated(one, *named["image_rotary_emb"]) for one in (q, k))
    share = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(dim=-1)[:, :, columns:]
    order = [*range(columns, share.shape[-1]), *range(columns)]
    return share[..., order], v[:, :, order]


def rotated(states, cosine, sine):
    """Pairs of neighbouring channels turned by each token's angles."""
    even, odd = states[..., ::2], states[..., 1::2]
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)
    return states * cosine + turned * sine


def test_gradients_of_losses_and_maps_reach_every_table(model):
    tokens = model.tokenize(TEXT)
    embeddings = [values.requires_grad_() for values in model.embed(tokens)]
    latents, timesteps, _ = pass_of(model)
    maps, predicted = AttentionReader(model).with_prediction(
        latents[:1], timesteps[:1], model.condition(tokens, embeddings)
    )
    column = tokens.columns(0, Span(start=2, end=5))[0]
    for loss in (predicted.square().mean(), maps.cross[0, column].sum()):
        gradients = torch.autograd.grad(loss, embeddings, retain_graph=True)
        for own, encoding in zip(gradients, tokens, strict=True):
            assert own[0, encoding.pieces(0, Span(start=2, end=5))].abs().sum() > 0


def test_a_word_has_its_columns_and_a_joined_one_loses_the_others(model):
    tokens = model.tokenize(TEXT)
    found = [column for span in words(TEXT) for column in tokens.columns(0, span)]
    assert len(found) == len(set(found)) > 0
    (unclear,) = [span for span in words(TEXT) if span.of(TEXT) == "unclear"]
    pieces = [encoding.pieces(0, unclear) for encoding in tokens]
    assert all(len(one) > 1 for one in pieces)
    joined = tokens.join([[[one]] for one in pieces])
    assert len(joined.columns(0, unclear)) == len({one.first_column for one in tokens})
    with torch.no_grad():
        condition = model.condition(joined, model.embed(joined))
    assert condition.context.isfinite().all()


def test_other_latents_than_squares_have_grids_of_their_shape(recipe):
    wide = load(BackboneRecipe(**recipe | {"resolution": [32, 48]}))
    assert wide.image_size == (32, 48)
    grid = wide.read_by_default[0].grid
    assert grid[1] * 2 == grid[0] * 3
    latents = wide.latents(torch.zeros(1, 3, 32, 48))
    maps = AttentionReader(wide)(latents, torch.tensor([100]), condition_of(wide, [TEXT]))
    assert maps.cross.shape[-2:] == grid
    with pytest.raises(AnywordError, match=r"resolution 32x50 is not a multiple of \d+\. Choose"):
        load(BackboneRecipe(**recipe | {"resolution": [32, 50]}))


@pytest.mark.parametrize(
    "attender",
    [
        {"kind": "direct", "steps": 3, "refine": 1},
        {"kind": "single-step", "at": [99], "refine": 2, "sharpen": 0.2, "rescale": True},
    ],
)
def test_words_learn_and_have_maps_whatever_the_batch(recipe, model, tmp_path, attender):
    samples = save_samples(tmp_path / "samples", TEXTS[:2])
    learn = {"kind": "textual", "backbone": recipe, "steps": 2, "draws": 2, "lr": 0.1, "pieces": "joined"}
    embeddings = tmp_path / "invert/manifest.json"
    invert(samples=samples, recipe=learn, output=embeddings, device="cpu")
    assert not ShardReader(embeddings, "invert").failures
    maps = []
    for batch in (1, 2):
        output = tmp_path / f"attend{batch}/manifest.json"
        given = {"samples": samples, "embeddings": embeddings, "output": output, "device": "cpu"}
        attend(**given, recipe={"backbone": recipe, **attender}, batch_size=batch)
        maps.append(read_maps(ShardReader(output, "attend").file("maps.zarr")))
    # Random models' maps are nearly flat, so stretching them to 0..1 also stretches their rounding.
    close = 1e-3 if attender.get("rescale") else 1e-6
    np.testing.assert_allclose(maps[0].maps, maps[1].maps, rtol=1e-4, atol=close)
    assert maps[0].maps.shape[1:] == model.read_by_default[0].grid
    assert {(span.start, span.end) for span in words(TEXTS[0])} <= set(maps[0].of_sample(0))


def test_heads_are_weighed_where_they_have_a_projection_of_their_own(recipe, model):
    if recipe["kind"] == "flux":  # GoCA takes the mean there
        with pytest.raises(AnywordError, match=r"single_transformer_blocks.0.attn gives no .* Choose heads: mean"):
            AttentionReader(model, heads="output")
        reader = AttentionReader(model, heads="output", layers=["transformer_blocks"])
    else:
        reader = AttentionReader(model, heads="output")
    given = pass_of(model)
    weighed, plain = reader(*given).cross, AttentionReader(model)(*given).cross
    assert weighed.shape == plain.shape and (weighed - plain).abs().max() > 1e-6


def test_layers_are_weighed_by_how_they_agree_with_one(model):
    given, first = pass_of(model), model.layers[0].name
    weighed = AttentionReader(model, reference=first, scales={layer.side: 1.0 for layer in model.layers}, own=True)
    alone = AttentionReader(model, scales={layer.side: 1.0 for layer in model.layers})(*given).cross
    maps = weighed(*given)
    assert maps.cross.shape == alone.shape and maps.own is not None and maps.cross.isfinite().all()
    single = AttentionReader(model, layers=[model.read_by_default[0].name], reference=first, own=True)(*given).cross
    plain = AttentionReader(model, layers=[model.read_by_default[0].name])(*given).cross
    torch.testing.assert_close(single, plain)  # one layer has all the weight


def test_null_text_guides_where_a_model_can_be_guided(recipe, model, tmp_path):
    samples = save_samples(tmp_path / "samples", TEXTS[:1])
    embeddings = tmp_path / "invert/manifest.json"
    invert(samples=samples, recipe={"kind": "textual", "backbone": recipe, "steps": 0}, output=embeddings, device="cpu")
    null = {"backbone": recipe, "kind": "null-text", "steps": 2, "inner_steps": 1}
    given = {"samples": samples, "embeddings": embeddings, "output": tmp_path / "attend/manifest.json"}
    if model.guided:
        attend(**given, recipe=null, device="cpu")
        assert not ShardReader(given["output"], "attend").failures
    else:
        with pytest.raises(AnywordError, match=r"was distilled .* Choose kind: direct"):
            attend(**given, recipe=null, device="cpu")


def test_a_sentence_and_an_image_go_through_every_stage(recipe, tmp_path):
    from PIL import Image

    from stages.world.sample import sample

    Image.fromarray(sample("val", 3).image).resize((60, 45)).save(tmp_path / "scene.png")
    config = {
        "backbones": {"tiny": recipe},
        "segmenters": {"tiny": {"kind": "segment-anything", "checkpoint": str(save_tiny_sam(tmp_path / "sam"))}},
        "inverters": {"short": {"kind": "textual", "backbone": "tiny", "steps": 2, "draws": 2}},
        "attenders": {"direct": {"kind": "direct", "steps": 3}},
    }
    config["segmenters"]["tiny"]["model"] = "embedded"
    (tmp_path / "mine.yaml").write_text(json.dumps(config))
    text = "a red circle touching a blue star"
    arguments = ["segment", str(tmp_path / "scene.png"), text, "--out", str(tmp_path / "out"), "--sam", "tiny"]
    arguments += ["--config", str(tmp_path / "mine.yaml"), "--backbone", "tiny", "--inverter", "short"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    coco = json.loads((tmp_path / "out/coco.json").read_text())
    assert [text[one["start"] : one["end"]] for one in coco["annotations"] if one["kind"] == "phrase"] == [
        "a red circle",
        "a blue star",
    ]


def test_the_command_says_what_was_recognised(folder, recipe):
    index = json.loads((folder / "model_index.json").read_text())
    assert kind_of(index) == recipe["kind"]
    assert kind_of(index | {"_class_name": "MyPipeline"}) == (None if "transformer" in index else recipe["kind"])
    done = CliRunner().invoke(app, ["backbone", str(folder), "--resolution", "32", "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["kind"] == recipe["kind"] and facts["images"] == "32x32 pixels"
    assert "text encoder 2" in facts or recipe["kind"] == "pixart"
    assert facts["sha256"] == record(BackboneRecipe(**recipe)).sha256


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_flow_path_is_the_schedulers(tmp_path, dynamic):
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=dynamic, max_shift=1.15)
    scheduler.save_pretrained(tmp_path)
    path = FlowPath.from_folder(tmp_path, 1024)
    scheduler.set_timesteps(sigmas=[0.75, 0.25], mu=calculate_shift(1024) if dynamic else None)
    low, high = path.levels(2)
    torch.testing.assert_close(1000 * path.shares(torch.tensor([high, low])), scheduler.timesteps)
    latents, velocity = torch.randn(2, 1, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    moved = scheduler.step(velocity, scheduler.timesteps[0], latents).prev_sample
    torch.testing.assert_close(path.move(latents, velocity, high, low), moved)


@torch.no_grad()
def test_what_names_no_word_is_cut_as_the_pipeline_cuts_it(tmp_path):
    """FLUX's CLIP, of which only the pooled state counts, does not decide how long a sentence may be."""
    folder = save_family(tmp_path, "flux")
    model, text = load(BackboneRecipe(kind="flux", path=str(folder), resolution=32)), " ".join(["red"] * (WINDOW - 1))
    tokens = model.tokenize(text)
    assert len(tokens) == 1 and [one.window for one in (*tokens.encodings, *tokens.silent)] == [WINDOW, WINDOW]
    context, pooled, _ = encoded_by(library(folder), [text])
    condition = condition_of(model, [text])
    assert torch.equal(condition.context, context) and torch.equal(condition.extras["pooled"], pooled)
    with pytest.raises(SampleError, match="window holds"):
        model.tokenize(text + " red")
