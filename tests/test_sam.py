"""Loading SAMs: from which files, with which weights, and what is refused in one line."""

import json
import pickle

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from lab.training.sam_files import write
from stages.artifacts import AnywordError, SampleError
from stages.models import sam
from stages.models.embedded_sam import EmbeddedSamConfig, build

SMALL = {
    "image_size": 64,
    "patch_size": 8,
    "encoder_embed_dim": 32,
    "encoder_depth": 2,
    "encoder_window_size": 4,
    "encoder_global_attn_indexes": [1],
    "prompt_embed_dim": 32,
    "decoder_mlp_dim": 32,
    "iou_head_hidden_dim": 32,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small SAM with random weights, in the embedded layout."""
    torch.manual_seed(0)
    config = EmbeddedSamConfig.model_validate(SMALL)
    path = tmp_path_factory.mktemp("sam")
    write(build(config), config, path)
    return path


@pytest.fixture(scope="module")
def segmenter(folder):
    return sam.load("embedded", folder)


@pytest.fixture
def tiny_vit_b(monkeypatch):
    """segment-anything's registry, its vit_b made small enough for a test."""

    def small():
        torch.manual_seed(1)
        return build(EmbeddedSamConfig.model_validate({**SMALL, "encoder_embed_dim": 48, "encoder_rel_pos": True}))

    monkeypatch.setitem(sam_model_registry, "vit_b", small)
    monkeypatch.setattr(sam, "_WIDTHS", {48: "vit_b", 1280: "vit_h"})
    return small


def image(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_checkpoint_of_the_registry_loads_by_its_path(tiny_vit_b, tmp_path):
    model = tiny_vit_b()
    path = tmp_path / "sam_vit_b.pth"
    torch.save(model.state_dict(), path)
    loaded = sam.load("vit_b", path)
    assert sam.kind_of(path) == "vit_b"
    assert len(loaded.weights_sha256) == 64
    assert not any(weight.requires_grad for weight in loaded.model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)


def test_answers_are_those_of_segment_anythings_own_predictor(segmenter):
    pixels = image(30, 60)
    predictor = SamPredictor(segmenter.model)
    predictor.set_image(pixels)
    # The predictor counts pixel centres as whole numbers in the image, and adds the half after scaling.
    points = np.array([[10.0, 20.0], [50.0, 5.0]])
    half = 0.5 / (64 / 60)
    (encoded,) = segmenter.encode([pixels])
    for multimask in (True, False):
        masks, scores, _ = predictor.predict(points, np.array([1, 0]), multimask_output=multimask)
        mine, score = segmenter.decode(encoded, points[None] + half, np.array([[1, 0]]), multimask=multimask)
        assert np.array_equal(mine[0], masks[scores.argmax()])
        assert score[0] == pytest.approx(scores.max(), abs=1e-6)


def test_images_encoded_together_are_as_if_alone(segmenter):
    pixels = [image(40, 60), image(64, 20, seed=1), image(100, 100, seed=2)]
    points, labels = np.array([[[8.0, 12.0]]]), np.ones((1, 1), dtype=int)
    for together, one in zip(segmenter.encode(pixels), pixels, strict=True):
        (alone,) = segmenter.encode([one])
        torch.testing.assert_close(together.embedding, alone.embedding, atol=1e-4, rtol=1e-4)
        a, b = (segmenter.decode(e, points, labels, multimask=True)[0][0] for e in (together, alone))
        assert (a & b).sum() >= 0.99 * (a | b).sum()


def test_prompts_decoded_together_are_as_if_alone(segmenter):
    (encoded,) = segmenter.encode([image()])
    points = np.random.default_rng(0).uniform(0, 40, (11, 2, 2))
    labels = np.array([[1, 0]] * 11)
    masks, scores = segmenter.decode(encoded, points, labels, multimask=True)
    for number in range(11):
        alone, score = segmenter.decode(encoded, points[number][None], labels[:1], multimask=True)
        assert (masks[number] ^ alone[0]).sum() <= 2
        assert score[0] == pytest.approx(scores[number], abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(30, 90), (90, 30), (2, 7), (300, 200)])
def test_masks_have_the_images_size(segmenter, height, width):
    (encoded,) = segmenter.encode([image(height, width)])
    masks, scores = segmenter.decode(encoded, np.ones((3, 1, 2)), np.ones((3, 1), dtype=int), multimask=True)
    assert masks.shape == (3, height, width)
    assert scores.shape == (3,)


def test_an_image_too_thin_to_encode_fails_alone(segmenter):
    with pytest.raises(SampleError, match="too thin"):
        segmenter.encode([image(1, 500)])


class Malicious:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_pickle_that_would_run_code_is_refused(tiny_vit_b, tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({**tiny_vit_b().state_dict(), "extra": Malicious()}, path, pickle_protocol=2)
    with pytest.raises(AnywordError, match="not plain tensors"):
        sam.load("vit_b", path)
    path.write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(AnywordError):
        sam.load("vit_b", path)
    assert "code ran" not in capsys.readouterr().out


def test_a_damaged_checkpoint_is_one_line(tiny_vit_b, tmp_path):
    path = tmp_path / "half.pth"
    torch.save(tiny_vit_b().state_dict(), path)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        path.write_bytes(data)
        with pytest.raises(AnywordError) as caught:
            sam.load("vit_b", path)
        assert "half.pth" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_another_models_checkpoint_is_named(tiny_vit_b, folder, tmp_path):
    path = tmp_path / "b.pth"
    torch.save(tiny_vit_b().state_dict(), path)
    with pytest.raises(AnywordError, match="is a vit_b checkpoint, not vit_h"):
        sam.load("vit_h", path)
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(AnywordError, match="no checkpoint of Segment Anything"):
        sam.kind_of(path)
    with pytest.raises(AnywordError, match="'vit_b' SAM"):
        sam.load("vit_b", path)
    (folder / "config.json").rename(folder / "kept")
    try:
        (folder / "config.json").write_text(json.dumps({**SMALL, "prompt_embed_dim": 64}))
        with pytest.raises(AnywordError, match=r"not .* as in a 'embedded' SAM"):
            sam.load("embedded", folder)
        (folder / "config.json").write_text("{")
        with pytest.raises(AnywordError, match=r"config.json: no configuration"):
            sam.load("embedded", folder)
    finally:
        (folder / "kept").replace(folder / "config.json")


@pytest.mark.parametrize(
    ("kind", "checkpoint", "message"),
    [
        ("vit_h", None, "needs a checkpoint"),
        ("vit_h", "nowhere.pth", "no such file"),
        ("vit_x", None, "not known"),
        ("vit_b", ".", "is not a file"),
    ],
)
def test_what_is_missing_is_said_with_its_remedy(kind, checkpoint, message):
    with pytest.raises(AnywordError, match=message) as caught:
        sam.load(kind, checkpoint)
    assert "\n" not in str(caught.value)


def test_the_hash_tells_weights_and_configuration_apart(folder, tmp_path):
    before = sam.load("embedded", folder).weights_sha256
    weights = (folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    assert sam.load("embedded", tmp_path).weights_sha256 != before
    (tmp_path / "model.safetensors").write_bytes(weights)
    assert sam.load("embedded", tmp_path).weights_sha256 == before
