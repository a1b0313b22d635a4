"""A family that is nothing like the UNets goes through every stage without a change above the face.

Two text encoders with tokenizers of their own, images that are not square, attention in which image and text are one
sequence, and flow matching: what Stable Diffusion 3 is in small, with random weights.
"""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny_models import _byte_pairs, _wordpiece, save_samples

from stages.artifacts import ModelRecord, ShardReader
from stages.artifacts.embeddings import Embeddings, LearnedText, named, pack, write_embeddings
from stages.artifacts.language import Span, words
from stages.artifacts.maps import read_maps
from stages.attend.command import run as attend
from stages.invert.command import run as invert
from stages.learning.conditioning import conditioned
from stages.learning.token_groups import TokenGroups
from stages.learning.trainable_tokens import trainable_tokens
from stages.models.adapter import Lora
from stages.models.face import Condition, DiffusionModel, Layer, Read
from stages.models.noise_path import FlowPath
from stages.models.reading import AttentionReader
from stages.models.tokens import Encoding, TokenizerOf, Tokens, tokenize

WINDOW, WIDTHS, GRID = 24, (32, 20), (4, 6)
TEXTS = ["a red circle and a blue circle", "the striped disk is on grass"]


class Joint(DiffusionModel):
    """Image cells and text tokens in one attention layer."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)

        def weights(*shape):
            return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

        self.record = ModelRecord(id="joint", sha256="0" * 64)
        self.device = torch.device("cpu")
        self.world = None
        self.image_size = (32, 48)
        self.path = FlowPath(shift=3.0)
        self.layers = (Layer("joint.0", GRID, frozenset({"image-to-text", "image-to-image"})),)
        self.read_by_default = self.layers
        self._tokenizers = [
            TokenizerOf(_byte_pairs(), WINDOW, self.device),
            TokenizerOf(_wordpiece(), WINDOW, self.device, first_column=WINDOW, begins=False),
        ]
        self._tables = [3 * weights(len(one.tokenizer), width) for one, width in zip(self._tokenizers, WIDTHS)]  # noqa: B905
        self._mix = [weights(width, width) for width in WIDTHS]
        self._into, self._out = weights(4, WIDTHS[0]), weights(WIDTHS[0], 4)
        self._qkv = [weights(WIDTHS[0], WIDTHS[0]) for _ in range(3)]
        self.passes = 0

    def tokenize(self, text):
        return tokenize(self._tokenizers, text)

    @property
    def empty(self):
        return Tokens(
            tuple(
                Encoding(one.empty_ids, (((0, 0),) * WINDOW,), first_column=one.first_column)
                for one in self._tokenizers
            )
        )

    @property
    def tables(self):
        return self._tables

    def condition(self, tokens, embeddings):
        states = [values @ mix for values, mix in zip(embeddings, self._mix, strict=True)]
        padded = torch.nn.functional.pad(states[1], (0, WIDTHS[0] - WIDTHS[1]))
        return Condition(torch.cat([states[0], padded], dim=1), {"pooled": states[0].mean(dim=1)})

    def latents(self, pixels):
        small = torch.nn.functional.interpolate(pixels, size=GRID, mode="area")
        return torch.cat([small, small.mean(dim=1, keepdim=True)], dim=1)

    def _pass(self, latents, timesteps, condition, reads, *, stop):
        self.passes += 1
        image = latents.flatten(2).transpose(1, 2) @ self._into + condition.extras["pooled"][:, None]
        image = image + (timesteps / self.path.timesteps).to(image).view(-1, 1, 1)
        both = torch.cat([image, condition.context], dim=1)
        q, k, v = (both @ one for one in self._qkv)
        share = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(dim=-1)
        cells = image.shape[1]
        found = {}
        for read in reads:
            if read.what == "image-to-text":
                found[read] = share[:, :cells, cells:].transpose(1, 2).unflatten(-1, GRID)
            else:
                found[read] = share[:, :cells, :cells]
        predicted = ((share @ v)[:, :cells] @ self._out).transpose(1, 2).unflatten(-1, GRID)
        return (None if stop else predicted), found

    def facts(self):
        return self.path.facts()


@pytest.fixture
def model(monkeypatch):
    model = Joint()
    monkeypatch.setattr("stages.models.diffusion.load", lambda recipe, device: model)
    monkeypatch.setattr("stages.models.records.backbone", lambda *_: {"backbone": model.record})
    return model


def test_a_word_has_columns_in_every_encoder(model):
    text = TEXTS[0]
    tokens = model.tokenize(text)
    for span in words(text):
        columns = tokens.columns(0, span)
        assert any(column < WINDOW for column in columns) and any(column >= WINDOW for column in columns)
    trainable = trainable_tokens(model, tokens, [text], "content", join=True)
    groups = trainable.learning()
    # Both encoders' tokens of a word belong to the same one: red, circle, blue, circle in two runs.
    assert sorted(set(groups.word.tolist())) == [0, 1, 2, 3] and sorted(set(groups.run.tolist())) == [0, 1]
    for word in range(4):
        assert set(groups.encoder[groups.word == word].tolist()) == {0, 1}
    assert isinstance(groups.of([0]), TokenGroups)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pieces": "joined", "entropy": {"weight": 0.1}, "settle": {"every": 1}, "lr_unit": "table"},
        {"initial": "random-unknown", "mask": {}, "contrast": {}, "schedule": "linear"},
    ],
)
@pytest.mark.parametrize(
    "reading",
    [
        {"kind": "direct", "steps": 4, "refine": 1},
        {"kind": "ddim", "steps": 3, "special": True},
        {"kind": "null-text", "steps": 2, "inner_steps": 2},
        {"kind": "single-step", "at": [50], "keep": "steps"},
    ],
)
def test_another_family_learns_and_shows_where_its_words_are(model, tmp_path, options, reading):
    samples = save_samples(tmp_path / "samples", [*TEXTS, "red " * 40])
    backbone = {"kind": "embedded"}
    recipe = {"kind": "textual", "backbone": backbone, "steps": 3, "draws": 2, "lr": 0.05, **options}
    embeddings = tmp_path / "invert/manifest.json"
    invert(samples=samples, recipe=recipe, output=embeddings, device="cpu")
    learned = ShardReader(embeddings, "invert")
    assert "window" in learned.failures["s2"]
    tensors = load_file(learned.file("embeddings.safetensors"))
    assert tensors["vectors"].shape[1] == WIDTHS[0] and tensors["vectors.1"].shape[1] == WIDTHS[1]
    assert len(tensors["vectors.1"]) == len(tensors["token.1"]) == len(tensors["sample.1"]) > 0
    maps = []
    for batch in (1, 8):
        output = tmp_path / f"attend{batch}/manifest.json"
        given = {"samples": samples, "embeddings": embeddings, "output": output, "device": "cpu"}
        attend(**given, recipe={"backbone": backbone, **reading}, batch_size=batch)
        maps.append(read_maps(ShardReader(output, "attend").file("maps.zarr")))
    assert maps[0].maps.shape[1:] == GRID
    np.testing.assert_allclose(maps[0].maps, maps[1].maps, rtol=1e-4, atol=1e-6)
    own = set(maps[0].of_sample(0))
    assert {(span.start, span.end) for span in words(TEXTS[0])} <= own
    assert ((-2, -2) in own) == reading.get("special", False)


def test_learned_vectors_of_both_encoders_change_the_maps(model, tmp_path):
    samples = save_samples(tmp_path / "samples", TEXTS)
    tokens = model.tokenize(TEXTS[0])
    plain = model.condition(tokens, model.embed(tokens)).context
    recipe = {"kind": "textual", "backbone": {"kind": "embedded"}, "steps": 2, "draws": 2, "lr": 0.5}
    invert(samples=samples, recipe=recipe, output=tmp_path / "invert/manifest.json", device="cpu")
    learned = Embeddings(ShardReader(tmp_path / "invert/manifest.json", "invert").file("embeddings.safetensors"))
    _, condition = conditioned(model, tokens, learned, [(0, 0)])
    moved = (condition.context - plain).abs().amax(dim=-1)[0] > 1e-3
    columns = {column for span in words(TEXTS[0]) for column in tokens.columns(0, span)}
    articles = {column for span in (Span(start=0, end=1), Span(start=13, end=16)) for column in tokens.columns(0, span)}
    assert moved[:WINDOW].any() and moved[WINDOW:].any()
    assert set(moved.nonzero()[:, 0].tolist()) <= columns - articles


def test_vectors_of_the_encoders_output_are_read_too(model, tmp_path):
    """What InvSeg learns: columns of the context itself."""
    vectors = np.full((2, WIDTHS[0]), 7.0, np.float32)
    text = LearnedText(vectors, np.array([3, WINDOW + 2], np.int32), np.zeros((0, 2), np.int32))
    own = {0: {**named([text]), "loss": np.zeros(1, np.float32)}}
    write_embeddings(tmp_path / "e.safetensors", pack(own, 1, 1, model.widths("output")), space="output")
    tokens = model.tokenize(TEXTS[0])
    _, condition = conditioned(model, tokens, Embeddings(tmp_path / "e.safetensors"), [(0, 0)])
    changed = (condition.context == 7.0).all(dim=-1)[0].nonzero()[:, 0].tolist()
    assert changed == [3, WINDOW + 2]


def test_what_a_family_has_not_is_refused_in_one_line(model):
    from stages.artifacts import AnywordError

    with pytest.raises(AnywordError, match="joint: adapters of the text encoder are for models with one"):
        Lora(model, rank=2, alpha=2, seed=0)
    with pytest.raises(AnywordError, match="works at 16x16, only at"):
        AttentionReader(model, scales={16: 1.0})


@torch.no_grad()
def test_rows_in_parts_are_rows_together(model, monkeypatch):
    latents = torch.randn(5, 4, *GRID, generator=torch.Generator().manual_seed(0))
    tokens = Tokens.together([model.tokenize(TEXTS[n % 2]) for n in range(5)])
    condition, at = model.condition(tokens, model.embed(tokens)), torch.full((5,), 300.0)
    read = Read(("joint.0",))
    whole, maps = model.run(latents, at, condition, [read])
    before = model.passes
    monkeypatch.setattr(Joint, "rows_that_fit", lambda *_, **__: 2)
    parted, parts = model.run(latents, at, condition, [read])
    assert model.passes == before + 3
    torch.testing.assert_close(parted, whole)
    torch.testing.assert_close(parts[read], maps[read])
