"""Frozen diffusion models: what they accept, what they refuse, and that reading them changes nothing."""

import json
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import WINDOW, condition_of, save_samples, save_tiny
from typer.testing import CliRunner

from stages.artifacts import AnywordError, SampleError, ShardReader
from stages.artifacts.language import words
from stages.invert.command import run as invert
from stages.models.attention import Recorder
from stages.models.diffusion import load
from stages.models.face import Layer, Read
from stages.models.noise_path import DdpmPath, FlowPath
from stages.models.reading import AttentionReader
from stages.models.recipe import BackboneRecipe
from stages.models.tokens import word_maps


@pytest.fixture(scope="module", params=["stable-diffusion", "ldm"])
def folder(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp(request.param), request.param), request.param


@pytest.fixture(scope="module")
def backbone(folder):
    return load(BackboneRecipe(kind=folder[1], path=str(folder[0])))


def pass_of(backbone, text="a red circle and a blue circle"):
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return latents, torch.tensor([10, 600]), condition_of(backbone, [text, "grass"])


def test_weights_are_frozen_and_only_embeddings_get_gradients(backbone):
    tokens = backbone.tokenize("a red circle")
    (embeddings,) = backbone.embed(tokens)
    latents, timesteps, _ = pass_of(backbone)
    condition = backbone.condition(tokens, [embeddings.requires_grad_()])
    backbone.predict(latents[:1], timesteps[:1], condition).square().sum().backward()
    assert embeddings.grad.abs().sum() > 0
    for module in (backbone.unet, backbone.encoder, backbone.autoencoder):
        assert not module.training
        assert all(not p.requires_grad and p.grad is None for p in module.parameters())


def test_given_embeddings_equal_to_the_tables_change_nothing(backbone):
    tokens = backbone.tokenize("a striped star on sand")
    by_embeddings = backbone.condition(tokens, backbone.embed(tokens)).context
    input_ids = tokens.encodings[0].input_ids
    by_ids = backbone.encoder(input_ids=input_ids)[0]
    assert torch.equal(by_embeddings, by_ids)
    assert torch.equal(backbone.encoder(input_ids=input_ids)[0], by_ids)  # nothing was left hooked


@torch.no_grad()
def test_reading_leaves_outputs_and_processors_as_they_were(backbone):
    given = pass_of(backbone)
    before = dict(backbone.unet.attn_processors)
    plain = backbone.predict(*given)
    maps, watched = AttentionReader(backbone).with_prediction(*given)
    assert torch.equal(plain, watched)
    assert backbone.unet.attn_processors == before
    assert maps.cross.shape == (2, WINDOW, 16, 16)
    torch.testing.assert_close(maps.cross.sum(dim=1), torch.ones(2, 16, 16))  # a softmax over tokens
    # Ending the pass at the last layer that is read gives the same maps.
    assert torch.equal(maps.cross, AttentionReader(backbone)(*given).cross)
    assert backbone.unet.attn_processors == before


@torch.no_grad()
def test_readings_are_those_of_a_softmax_written_out(backbone):
    """Against a softmax written out here, from the inputs that the layers really got."""
    latents, timesteps, condition = pass_of(backbone)
    modules = dict(backbone.unet.named_modules())
    shares, outputs = [], []

    def keep(module, inputs, keywords):
        context = keywords["encoder_hidden_states"]
        q, k, v = module.to_q(inputs[0]), module.to_k(context), module.to_v(context)
        q, k, v = (x.unflatten(-1, (module.heads, -1)).transpose(1, 2) for x in (q, k, v))
        shares.append((q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1))
        outputs.append((shares[-1] @ v).transpose(1, 2).flatten(2))

    layers = backbone.read_by_default
    hooks = [modules[layer.name].register_forward_pre_hook(keep, with_kwargs=True) for layer in layers]
    backbone.predict(latents, timesteps, condition)
    for hook in hooks:
        hook.remove()
    expected = torch.stack([one.mean(1) for one in shares]).mean(0).transpose(1, 2).unflatten(-1, (16, 16))
    torch.testing.assert_close(AttentionReader(backbone)(latents, timesteps, condition).cross, expected)
    first = (layers[0].name,)
    reads = [Read(first, "image-to-text by head"), Read(first, "output")]
    _, found = backbone.run(latents, timesteps, condition, reads, stop=True)
    by_head = shares[0].transpose(2, 3).unflatten(-1, (16, 16))
    torch.testing.assert_close(found[reads[0]], by_head)
    torch.testing.assert_close(found[reads[1]], outputs[0].unflatten(1, (16, 16)))


@torch.no_grad()
def test_a_transformer_whose_padding_is_masked_is_read_too():
    from diffusers import PixArtTransformer2DModel

    torch.manual_seed(0)
    transformer = PixArtTransformer2DModel(
        num_attention_heads=4, attention_head_dim=8, num_layers=2, cross_attention_dim=32, sample_size=16,
        caption_channels=32, norm_num_groups=8,
    ).eval()  # fmt: skip
    given = {
        "hidden_states": torch.randn(2, 4, 16, 16),
        "encoder_hidden_states": torch.randn(2, 6, 32),
        "encoder_attention_mask": torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]]),
        "timestep": torch.tensor([10, 600]),
        "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
        "return_dict": False,
    }
    layers = [Layer(f"transformer_blocks.{n}.attn2", (8, 8), frozenset()) for n in range(2)]
    maps, output = Read((layers[1].name,)), Read((layers[1].name,), "output")
    returned = []
    projection = transformer.transformer_blocks[1].attn2.to_out[0]
    projection.register_forward_pre_hook(lambda _, inputs: returned.append(inputs[0]))
    plain = transformer(**given)[0]
    with Recorder(transformer, layers, [maps, output]) as recorder:
        assert torch.equal(transformer(**given)[0], plain)
    found = recorder.readings()
    assert (found[maps][0, 3:] == 0).all() and (found[maps][1] > 0).all()
    torch.testing.assert_close(found[maps].sum(dim=1), torch.ones(2, 8, 8))
    torch.testing.assert_close(found[output].flatten(1, 2), returned[-1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_rows_that_do_not_fit_are_parted_and_put_together(backbone, monkeypatch):
    latents, timesteps, condition = pass_of(backbone)
    read = Read(tuple(layer.name for layer in backbone.read_by_default))
    together = backbone.run(latents, timesteps, condition, [read])
    monkeypatch.setattr(type(backbone), "rows_that_fit", lambda *_, **__: 1)
    parted = backbone.run(latents, timesteps, condition, [read])
    torch.testing.assert_close(parted[0], together[0])
    torch.testing.assert_close(parted[1][read], together[1][read])
    assert backbone.run(latents, timesteps, condition, [read], stop=True)[0] is None


def test_gradients_flow_through_readings(backbone):
    latents, timesteps, _ = pass_of(backbone)
    tokens = backbone.tokenize("a red circle")
    (embeddings,) = backbone.embed(tokens)
    condition = backbone.condition(tokens, [embeddings.requires_grad_()])
    AttentionReader(backbone)(latents[:1], timesteps[:1], condition).cross[0, 2].sum().backward()
    assert embeddings.grad.abs().sum() > 0


@torch.no_grad()
def test_reading_nothing_or_too_much_is_an_error(backbone):
    latents, timesteps, condition = pass_of(backbone)
    read = Read(tuple(layer.name for layer in backbone.read_by_default))
    with Recorder(backbone.unet, backbone.layers, [read]) as recorder:
        with pytest.raises(AnywordError, match="0 layer visits"):
            recorder.readings()
        backbone.predict(latents, timesteps, condition)
        backbone.predict(latents, timesteps, condition)
        with pytest.raises(AnywordError, match="6 layer visits recorded where 3"):
            recorder.readings()
    with pytest.raises(AnywordError, match="no layer was chosen"):
        backbone.run(latents, timesteps, condition, [Read(("up_blocks.9.attn2",))])


def test_layers_come_by_block_and_resolution(backbone):
    found = {(layer.name.split(".attentions")[0], layer.grid) for layer in backbone.layers}
    assert found == {("down_blocks.0", (16, 16)), ("mid_block", (8, 8)), ("up_blocks.1", (16, 16))}
    assert len(AttentionReader(backbone, layers=["up_blocks.1"]).reads[0].layers) == 2
    with pytest.raises(AnywordError, match=r"begins with 'up_blocks\.7'"):
        AttentionReader(backbone, layers=["up_blocks.7"])
    with pytest.raises(AnywordError, match="works at 32x32, only at"):
        AttentionReader(backbone, scales={32: 1.0})


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_the_path_moves_as_ddim_in_diffusers_to_the_bit(prediction, steps):
    from diffusers import DDIMInverseScheduler, DDIMScheduler

    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}
    down = DDIMScheduler(**config, set_alpha_to_one=False, steps_offset=1, prediction_type=prediction)
    up = DDIMInverseScheduler.from_config(down.config)
    path = DdpmPath(down)
    up.set_timesteps(steps)
    down.set_timesteps(steps)
    levels = path.levels(steps)
    assert levels == up.timesteps.tolist() == down.timesteps.tolist()[::-1]
    latents, predicted = torch.randn(2, 2, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    for at, to in zip([None, *levels], levels, strict=False):
        assert torch.equal(path.move(latents, predicted, at, to), up.step(predicted, to, latents).prev_sample)
        assert torch.equal(path.move(latents, predicted, to, at), down.step(predicted, to, latents).prev_sample)
    with pytest.raises(AnywordError, match="1001 steps"):
        path.levels(1001)


@pytest.mark.parametrize("sampler", ["EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "PNDMScheduler"])
def test_the_sampler_that_a_file_names_changes_no_chain(folder, tmp_path, sampler):
    own = tmp_path / "own"
    shutil.copytree(folder[0], own)
    file = own / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text()) | {"_class_name": sampler, "timestep_spacing": "linspace"}
    file.write_text(json.dumps(config))
    paths = [DdpmPath.from_folder(one / "scheduler") for one in (folder[0], own)]
    assert paths[0].levels(10) == paths[1].levels(10)
    moved = [one.move(torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2), 1, 501) for one in paths]
    assert torch.equal(*moved)


def test_a_flow_path_is_straight():
    path = FlowPath(shift=3.0)
    latents, noise = torch.randn(2, 1, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    levels = path.levels(4)
    assert levels == sorted(levels) and levels[0] > 0 and levels[-1] < path.timesteps
    at = torch.tensor([levels[1]])
    velocity = path.target(latents, noise, at)
    torch.testing.assert_close(path.move(latents, velocity, None, levels[1]), path.noised(latents, noise, at))
    torch.testing.assert_close(path.move(path.noised(latents, noise, at), velocity, levels[1], None), latents)


def test_a_timestep_is_as_much_noise_for_a_flow_model_as_for_stable_diffusion():
    from diffusers import DDIMScheduler

    ddpm = DdpmPath(DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"))
    flow, nothing, one = FlowPath(), torch.zeros(4, 1, 1, 1), torch.ones(4, 1, 1, 1)
    at = torch.tensor([1, 50, 250, 999])
    for path in (ddpm, flow):
        of_noise, of_image = path.noised(nothing, one, at), path.noised(one, nothing, at)
        shares = (of_noise / (of_noise + of_image)).flatten()
        assert [path.noise_share(level) for level in at.tolist()] == pytest.approx(shares.tolist())
    assert [flow.noise_share(t) for t in at.tolist()] == pytest.approx(
        [ddpm.noise_share(t) for t in at.tolist()], rel=1e-5
    )
    assert flow.shares(torch.tensor([50, 100, 250, 500])).tolist() == pytest.approx(
        [0.184, 0.256, 0.410, 0.618], abs=1e-3
    )


def test_every_share_of_noise_has_its_timestep():
    path = FlowPath()
    shares = [n / 97 for n in range(98)]
    labels = [path.label(share) for share in shares]
    assert labels == sorted(labels) and labels[0] == 0 and labels[-1] == path.timesteps
    assert [path.noise_share(label) for label in labels] == pytest.approx(shares, abs=1e-6)
    assert [path.label(path.noise_share(t)) for t in range(1, 1000, 7)] == pytest.approx(
        list(range(1, 1000, 7)), abs=1e-3
    )


def test_advice_beside_the_model_chooses_layers_and_recipes_overrule_it(folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(folder[0], own)
    (own / "anyword.json").write_text(
        json.dumps({"cross_attention_layers": ["up_blocks.1"], "world": "embedded", "x": 1})
    )
    advised = load(BackboneRecipe(kind=folder[1], path=str(own)))
    assert [layer.name.split(".attn")[0] for layer in advised.read_by_default] == [
        "up_blocks.1.attentions.0.transformer_blocks.0",
        "up_blocks.1.attentions.1.transformer_blocks.0",
    ]
    assert advised.world == "embedded"
    assert len(load(BackboneRecipe(kind=folder[1], path=str(own), layers=("down_blocks.0",))).read_by_default) == 1
    assert advised.record.sha256 != load(BackboneRecipe(kind=folder[1], path=str(folder[0]))).record.sha256


def test_repeated_words_and_pieces_are_told_apart_by_offsets(backbone):
    text = "a red circle and a blue circle, unclear"
    tokens = backbone.tokenize(text)
    (encoding,) = tokens.encodings
    pieces = {span.start: encoding.pieces(0, span) for span in words(text)}
    first, second = pieces[text.index("circle")], pieces[text.rindex("circle")]
    assert first and second and not set(first) & set(second)
    assert len(pieces[text.index("unclear")]) > 1  # a word of several pieces
    flat = [token for own in pieces.values() for token in own]
    assert flat == sorted(set(flat))  # every piece belongs to one word
    maps = torch.randn(WINDOW, 4, 4)
    span = next(span for span in words(text) if span.of(text) == "unclear")
    by_mean = word_maps([maps], tokens, [0], [span])
    torch.testing.assert_close(by_mean[0], maps[pieces[span.start]].mean(0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8))
def test_any_text_is_covered_by_its_tokens_or_refused_by_name(backbone, text):
    try:
        tokens = backbone.tokenize(text)
    except SampleError as error:
        assert "empty" in str(error) or "window" in str(error)
        return
    (encoding,) = tokens.encodings
    for span in words(text):
        for row in range(len(encoding)):
            for token in encoding.pieces(row, span):
                start, end = encoding.offsets[row][token]
                assert 0 <= start < end <= len(text)
        if span.of(text).isascii():
            assert any(encoding.pieces(row, span) for row in range(len(encoding)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a red circle", "two 1.5 blue stars", "grass", "on sand"]), min_size=1, max_size=9))
def test_long_texts_become_windows_of_whole_sentences(backbone, parts):
    """Every word is found, whole, in exactly one window."""
    text = ". ".join(parts) + "."
    (encoding,) = backbone.tokenize(text).encodings
    assert encoding.input_ids.shape == (len(encoding.offsets), WINDOW)
    for span in words(text):
        inside = [n for n in range(len(encoding.offsets)) if encoding.pieces(n, span)]
        assert len(inside) == 1
        covered = {c for t in encoding.pieces(inside[0], span) for c in range(*encoding.offsets[inside[0]][t])}
        assert covered == set(range(span.start, span.end))


def test_a_sentence_beyond_the_window_is_refused_by_its_words(backbone):
    with pytest.raises(SampleError, match=r"a sentence has .* 'blue blue"):
        backbone.tokenize("A red disk. " + "blue " * 40 + ".")


def test_long_and_empty_texts_are_refused_not_cut(backbone):
    with pytest.raises(SampleError, match=f"window holds {WINDOW}"):
        backbone.tokenize("a red circle " * 20)
    with pytest.raises(SampleError, match="empty"):
        backbone.tokenize("  ")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda f: (f / "model_index.json").unlink(), "model_index.json: not readable"),
        (
            lambda f: next((f / "unet").glob("*.safetensors")).rename(f / "unet" / "w.bin"),
            "pickled ones are never read",
        ),
        (lambda f: next((f / "unet").glob("*.safetensors")).write_bytes(b"torn"), "cannot be loaded"),
        (lambda f: (f / "anyword.json").write_text('{"map_resolution": []}'), "anyword.json"),
    ],
)
def test_broken_folders_are_refused_in_one_line(folder, tmp_path, change, complaint):
    own = tmp_path / "own"
    shutil.copytree(folder[0], own)
    change(own)
    with pytest.raises(AnywordError, match=complaint) as error:
        load(BackboneRecipe(kind=folder[1], path=str(own)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("index", "complaint"),
    [
        ({"_class_name": "StableDiffusionXLPipeline", "text_encoder_2": ["a", "b"]}, "kind 'stable.*of kind 'sdxl'"),
        (
            {"_class_name": "Flux2Pipeline", "transformer": ["a", "b"]},
            "another family, Flux2Pipeline, which is not read",
        ),
        ({"_class_name": "SanaPipeline", "transformer": ["a", "b"]}, "another family, SanaPipeline, which is not read"),
    ],
)
def test_other_families_are_refused_by_name(folder, tmp_path, index, complaint):
    from stages.cli import app

    own = tmp_path / "own"
    shutil.copytree(folder[0], own)
    known = json.loads((own / "model_index.json").read_text())
    (own / "model_index.json").write_text(json.dumps(known | index))
    if folder[1] == "ldm" and "transformer" not in index:
        complaint = complaint.replace("stable", "ldm")
    with pytest.raises(AnywordError, match=complaint):
        load(BackboneRecipe(kind=folder[1], path=str(own)))
    done = CliRunner().invoke(app, ["backbone", str(own)])
    assert isinstance(done.exception, AnywordError)


def test_a_unet_that_wants_more_than_a_text_is_refused(folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(folder[0], own)
    import diffusers

    config = dict(diffusers.UNet2DConditionModel.load_config(own / "unet")) | {"in_channels": 9}
    diffusers.UNet2DConditionModel.from_config(config).save_pretrained(own / "unet")
    with pytest.raises(AnywordError, match="wants more than a text"):
        load(BackboneRecipe(kind=folder[1], path=str(own)))


def test_wrong_family_missing_folder_and_absent_hub_id_name_the_remedy(folder):
    other = "ldm" if folder[1] == "stable-diffusion" else "stable-diffusion"
    with pytest.raises(AnywordError, match=f"no backbone of kind '{other}'"):
        load(BackboneRecipe(kind=other, path=str(folder[0])))
    with pytest.raises(AnywordError, match="no such folder"):
        load(BackboneRecipe(kind="ldm", path="./nowhere"))
    with pytest.raises(AnywordError, match="offline: true"):
        load(BackboneRecipe(kind="ldm", path="nobody/nothing"))
    with pytest.raises(AnywordError, match="multiple of 4"):
        load(BackboneRecipe(kind=folder[1], path=str(folder[0]), resolution=34))


def test_the_command_says_what_was_recognised(folder):
    from stages.cli import app

    done = CliRunner().invoke(app, ["backbone", str(folder[0]), "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["kind"] == folder[1] and facts["predicts"] == "epsilon" and facts["maps"] == "16x16"
    assert facts["window"] == f"{WINDOW} tokens"
    read = [line for line in facts["cross-attention"] if "read" in line]
    assert len(read) == 3 and len(facts["cross-attention"]) == 4
    plain = CliRunner().invoke(app, ["backbone", str(folder[0])])
    assert "images           32x32 pixels" in plain.stdout


@pytest.mark.parametrize(
    ("breaks", "complaint"),
    [
        (lambda unet: setattr(unet.conv_in, "forward", lambda x: x.new_zeros(1, 7)), "its first pass fails"),
        (lambda unet: unet.conv_out.weight.fill_(float("nan")), "its prediction is not finite"),
        (lambda unet: unet.conv_out.weight.zero_(), "does not depend on the words"),
    ],
)
def test_the_command_tries_a_model_before_it_calls_it_fine(folder, monkeypatch, breaks, complaint):
    from stages.cli import app

    model = load(BackboneRecipe(kind=folder[1], path=str(folder[0])))
    breaks(model.unet)
    monkeypatch.setattr("stages.models.diffusion.load", lambda recipe: model)
    done = CliRunner().invoke(app, ["backbone", str(folder[0])])
    assert isinstance(done.exception, AnywordError) and complaint in str(done.exception)
    assert "\n" not in str(done.exception) and "images" not in done.stdout


@torch.no_grad()
def test_a_row_alone_on_a_cpu_is_rounded_as_in_company():
    """A single vector has a kernel of its own in the CPU's library; in bfloat16 that moves points and so masks."""
    backbone = load(BackboneRecipe(kind="embedded", dtype="bfloat16"))
    layers = {
        name: module
        for name, module in backbone.unet.named_modules()
        if isinstance(module, torch.nn.Linear) and ("time_embedding" in name or "time_emb_proj" in name)
    }
    assert len(layers) > 2
    for name, layer in layers.items():
        values = torch.randn(64, layer.in_features, generator=torch.Generator().manual_seed(0)).bfloat16()
        together = layer(values)
        assert together.shape == (64, layer.out_features)
        for row in range(len(values)):
            pair = layer(values[[row, row]])
            assert torch.equal(layer(values[row : row + 1]), pair[:1]), (name, row)


@pytest.mark.parametrize(
    ("device", "bfloat16", "kind", "given", "used"),
    [
        ("cuda", True, "stable-diffusion", {}, "bfloat16"),
        ("cuda", True, "ldm", {"dtype": "float32"}, "float32"),
        ("cuda", False, "stable-diffusion", {}, "float32"),
        ("cuda", True, "embedded", {}, "float32"),
        ("cpu", True, "stable-diffusion", {}, "float32"),
        ("cpu", True, "ldm", {"dtype": "bfloat16"}, "bfloat16"),
    ],
)
def test_real_models_compute_in_bfloat16_on_a_gpu_that_has_it(monkeypatch, device, bfloat16, kind, given, used):
    from stages.models.devices import with_dtype

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bfloat16)
    assert with_dtype(BackboneRecipe(kind=kind, **given), torch.device(device)).dtype == used


def test_a_manifest_says_which_arithmetic_it_was(tmp_path, monkeypatch):
    from stages.models import devices

    path, samples = str(save_tiny(tmp_path / "tiny")), save_samples(tmp_path / "samples", ["a red circle"])
    recipe = {"kind": "textual", "steps": 1, "draws": 1, "backbone": {"kind": "stable-diffusion", "path": path}}

    def made(name):
        output = tmp_path / name / "manifest.json"
        invert(samples=samples, recipe=recipe, output=output, device="cpu")
        return ShardReader(output, "invert").manifest

    plain = made("float32")
    assert plain.recipe["backbone"]["dtype"] == "float32"
    used = BackboneRecipe(kind="stable-diffusion", path=path, dtype="bfloat16")
    monkeypatch.setattr(devices, "with_dtype", lambda recipe, device: used)  # a GPU that has it
    other = made("bfloat16")
    assert other.recipe["backbone"]["dtype"] == "bfloat16" and other.fingerprint != plain.fingerprint
    assert other.files != plain.files
