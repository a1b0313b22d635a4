"""Frozen diffusion models: what they accept, what they refuse, and that reading them changes nothing."""

import json
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import WINDOW, save_tiny
from typer.testing import CliRunner

from stages.artifacts import AnywordError, SampleError
from stages.artifacts.language import words
from stages.models.attention import attention_layers
from stages.models.diffusion import load
from stages.models.recipe import BackboneRecipe
from stages.models.text import word_maps


@pytest.fixture(scope="module", params=["stable-diffusion", "ldm"])
def folder(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp(request.param), request.param), request.param


@pytest.fixture(scope="module")
def backbone(folder):
    return load(BackboneRecipe(kind=folder[1], path=str(folder[0])))


def pass_of(backbone, text="a red circle and a blue circle"):
    encoding = backbone.tokenize([text, "grass"])
    context = backbone.encode(encoding.input_ids, backbone.embed(encoding.input_ids)).detach()
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return latents, torch.tensor([10, 600]), context


def test_weights_are_frozen_and_only_embeddings_get_gradients(backbone):
    encoding = backbone.tokenize(["a red circle"])
    embeddings = backbone.embed(encoding.input_ids).requires_grad_()
    latents, timesteps, _ = pass_of(backbone)
    context = backbone.encode(encoding.input_ids, embeddings)
    backbone.unet(latents[:1], timesteps[:1], context).square().sum().backward()
    assert embeddings.grad.abs().sum() > 0
    for module in (backbone.model, backbone.encoder, backbone.autoencoder):
        assert not module.training
        assert all(not p.requires_grad and p.grad is None for p in module.parameters())


def test_given_embeddings_equal_to_the_tables_change_nothing(backbone):
    encoding = backbone.tokenize(["a striped star on sand"])
    by_embeddings = backbone.encode(encoding.input_ids, backbone.embed(encoding.input_ids))
    by_ids = backbone.encoder(input_ids=encoding.input_ids)[0]
    assert torch.equal(by_embeddings, by_ids)
    assert torch.equal(backbone.encoder(input_ids=encoding.input_ids)[0], by_ids)  # nothing was left hooked


@torch.no_grad()
def test_capture_leaves_outputs_and_processors_as_they_were(backbone):
    latents, timesteps, context = pass_of(backbone)
    before = dict(backbone.model.attn_processors)
    plain = backbone.unet(latents, timesteps, context)
    with backbone.capture() as capture:
        watched = backbone.unet(latents, timesteps, context)
        maps = capture.take()
    assert torch.equal(plain, watched)
    assert backbone.model.attn_processors == before
    assert maps.shape == (2, WINDOW, 16, 16)
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 16, 16))  # a softmax over tokens
    # Ending the pass at the last layer that is read gives the same maps.
    assert torch.equal(maps, backbone.attention(latents, timesteps, context))
    assert backbone.model.attn_processors == before


@torch.no_grad()
def test_maps_are_the_mean_of_the_softmax_over_heads_and_layers(backbone):
    """Against a softmax written out here, from the inputs that the layers really got."""
    latents, timesteps, context = pass_of(backbone)
    modules = dict(backbone.model.named_modules())
    seen = []

    def keep(module, inputs, keywords):
        q, k = module.to_q(inputs[0]), module.to_k(keywords["encoder_hidden_states"])
        q, k = (x.unflatten(-1, (module.heads, -1)).transpose(1, 2) for x in (q, k))
        seen.append((q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(1))

    hooks = [modules[layer.name].register_forward_pre_hook(keep, with_kwargs=True) for layer in backbone.layers]
    backbone.unet(latents, timesteps, context)
    for hook in hooks:
        hook.remove()
    expected = torch.stack(seen).mean(0).transpose(1, 2).unflatten(-1, (16, 16))
    torch.testing.assert_close(backbone.attention(latents, timesteps, context), expected)


@torch.no_grad()
def test_reading_nothing_or_too_much_is_an_error(backbone):
    latents, timesteps, context = pass_of(backbone)
    with backbone.capture() as capture:
        with pytest.raises(AnywordError, match="0 layer visits"):
            capture.take()
        backbone.unet(latents, timesteps, context)
        backbone.unet(latents, timesteps, context)
        with pytest.raises(AnywordError, match="6 layer visits recorded where 3"):
            capture.take()


def test_layers_come_by_block_and_resolution(backbone):
    found = {(layer.name.split(".attentions")[0], layer.resolution) for layer in attention_layers(backbone.model, 16)}
    assert found == {("down_blocks.0", 16), ("mid_block", 8), ("up_blocks.1", 16)}
    assert len(backbone.capture(layers=["up_blocks.1"])._layers) == 2
    with pytest.raises(AnywordError, match=r"begins with 'up_blocks\.7'"):
        backbone.capture(layers=["up_blocks.7"])
    with pytest.raises(AnywordError, match="works at 32x32, only at"):
        backbone.capture(resolution=32)


def test_advice_beside_the_model_chooses_layers_and_recipes_overrule_it(folder, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(folder[0], own)
    (own / "anyword.json").write_text(
        json.dumps({"cross_attention_layers": ["up_blocks.1"], "world": "embedded", "x": 1})
    )
    advised = load(BackboneRecipe(kind=folder[1], path=str(own)))
    assert [layer.name.split(".attn")[0] for layer in advised.layers] == [
        "up_blocks.1.attentions.0.transformer_blocks.0",
        "up_blocks.1.attentions.1.transformer_blocks.0",
    ]
    assert advised.world == "embedded"
    assert len(load(BackboneRecipe(kind=folder[1], path=str(own), layers=("down_blocks.0",))).layers) == 1
    assert advised.weights_sha256 != load(BackboneRecipe(kind=folder[1], path=str(folder[0]))).weights_sha256


def test_repeated_words_and_pieces_are_told_apart_by_offsets(backbone):
    text = "a red circle and a blue circle, unclear"
    encoding = backbone.tokenize([text])
    pieces = {span.start: encoding.pieces(0, span) for span in words(text)}
    first, second = pieces[text.index("circle")], pieces[text.rindex("circle")]
    assert first and second and not set(first) & set(second)
    assert len(pieces[text.index("unclear")]) > 1  # a word of several pieces
    flat = [token for own in pieces.values() for token in own]
    assert flat == sorted(set(flat))  # every piece belongs to one word
    maps = torch.randn(WINDOW, 4, 4)
    span = next(span for span in words(text) if span.of(text) == "unclear")
    by_mean = word_maps([maps], encoding, [0], [span])
    torch.testing.assert_close(by_mean[0], maps[pieces[span.start]].mean(0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8))
def test_any_text_is_covered_by_its_tokens_or_refused_by_name(backbone, text):
    try:
        encoding = backbone.tokenize([text])
    except SampleError as error:
        assert "empty" in str(error) or "window" in str(error)
        return
    for span in words(text):
        for token in encoding.pieces(0, span):
            start, end = encoding.offsets[0][token]
            assert 0 <= start < end <= len(text)
        if span.of(text).isascii():
            assert encoding.pieces(0, span)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a red circle", "two 1.5 blue stars", "grass", "on sand"]), min_size=1, max_size=9))
def test_long_texts_become_windows_of_whole_sentences(backbone, parts):
    """Every word is found, whole, in exactly one window."""
    text = ". ".join(parts) + "."
    encoding = backbone.tokenize_windows(text)
    assert encoding.input_ids.shape == (len(encoding.offsets), WINDOW)
    for span in words(text):
        inside = [n for n in range(len(encoding.offsets)) if encoding.pieces(n, span)]
        assert len(inside) == 1
        covered = {c for t in encoding.pieces(inside[0], span) for c in range(*encoding.offsets[inside[0]][t])}
        assert covered == set(range(span.start, span.end))


def test_a_sentence_beyond_the_window_is_refused_by_its_words(backbone):
    with pytest.raises(SampleError, match=r"a sentence has .* 'blue blue"):
        backbone.tokenize_windows("A red disk. " + "blue " * 40 + ".")


def test_long_and_empty_texts_are_refused_not_cut(backbone):
    with pytest.raises(SampleError, match=f"window holds {WINDOW}"):
        backbone.tokenize(["a red circle " * 20])
    with pytest.raises(SampleError, match="empty"):
        backbone.tokenize(["  "])


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


@torch.no_grad()
def test_a_row_alone_on_a_cpu_is_rounded_as_in_company():
    """A single vector has a kernel of its own in the CPU's library; in bfloat16 that moves points and so masks."""
    backbone = load(BackboneRecipe(kind="embedded", dtype="bfloat16"))
    layers = {
        name: module
        for name, module in backbone.model.named_modules()
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
