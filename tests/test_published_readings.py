"""Readings are what the papers' public functions return: on the same seeded tensors, against recorded numbers."""

import json
from pathlib import Path

import pytest
import torch

from stages.artifacts import AnywordError, ModelRecord
from stages.attend.rescaling import rescaled
from stages.models.face import ALL, Condition, Layer
from stages.models.head_weights import by_output
from stages.models.reading import AttentionReader, refine, stretched

RECORDED = json.loads((Path(__file__).parent / "data" / "published_readings.json").read_text())


class Said:
    """A model of some layers that returns what it was given to read."""

    def __init__(self, grids, say):
        self.record = ModelRecord(id="said", sha256="")
        self.layers = tuple(Layer(name, (side, side), ALL) for name, side in grids.items())
        self.read_by_default = self.layers[-1:]
        self.say = say

    def run(self, latents, timesteps, condition, reads, *, stop):
        found = {}
        for read in reads:
            values = [self.say(name, read.what) for name in read.layers]
            found[read] = torch.stack(values).mean(dim=0)
        return None, found


def maps_of(model, **options):
    reader = AttentionReader(model, **options)
    return reader(torch.zeros(1, 1, 1, 1), torch.zeros(1), Condition(torch.zeros(1, 1, 1)))


def close(found, recorded):
    torch.testing.assert_close(found.flatten(), torch.tensor(recorded), rtol=1e-4, atol=2e-6)


@pytest.fixture(scope="module")
def goca():
    """Heads and layers aggregated by the reader, on grids of 4 and 8 cells, from two heads and seven tokens."""
    generator = torch.Generator().manual_seed(RECORDED["goca"]["seed"])
    grids, heads, width, tokens = {"a": 4, "b": 8}, 2, 4, 7
    drawn = {}
    for name, side in grids.items():
        cells, channels = side * side, heads * width
        shares = torch.randn(heads, cells, tokens, generator=generator).mul(2).softmax(-1)
        outputs = torch.randn(heads, cells, width, generator=generator)
        projection = torch.randn(channels, channels, generator=generator)
        own = torch.randn(heads, cells, cells, generator=generator).mul(3).softmax(-1)
        by_heads = by_output(shares[None], outputs[None], projection).transpose(1, 2).unflatten(-1, (side, side))
        drawn[name] = {"image-to-text by output": by_heads, "image-to-image": own.mean(dim=0)[None]}
    drawn["b"]["query"] = torch.randn(heads * width, 8, 8, generator=generator).permute(1, 2, 0)[None]
    model = Said(grids, lambda name, what: drawn[name][what])
    maps = maps_of(model, scales={4: 1.0, 8: 1.0}, heads="output", reference="b").cross[0].clamp_min(0)
    return maps / maps.sum(dim=0)


def test_heads_and_layers_are_weighed_as_goca_weighs_them(goca):
    close(goca, RECORDED["goca"]["maps"])


def test_words_are_rescaled_as_goca_rescales_them(goca):
    """Two words of the prompt, of one token and of two."""
    words = torch.stack([goca[1], goca[[3, 4]].mean(dim=0)])
    close(rescaled(words, torch.tensor([1, 2])), RECORDED["goca"]["rescaled"])


def test_rescaled_maps_are_refined_as_goca_refines_them():
    maps = torch.tensor(RECORDED["goca"]["rescaled"]).view(2, 8, 8)
    close(stretched(refine(maps, goca_own(), 2)), RECORDED["goca"]["refined"])


def goca_own():
    return torch.randn(64, 64, generator=torch.Generator().manual_seed(22)).mul(3).softmax(-1)


def test_self_attention_is_sharpened_and_followed_as_iseg_does():
    recorded = RECORDED["iseg"]
    generator = torch.Generator().manual_seed(recorded["seed"])
    own = torch.randn(1, 36, 36, generator=generator).mul(2).softmax(-1)[0]
    cross = torch.randn(1, 36, 3, generator=generator).softmax(-1)[0].T.unflatten(-1, (6, 6))
    close(refine(cross, own, recorded["times"], recorded["strength"]), recorded["maps"])


def test_resolutions_are_weighed_as_diffsegmenter_weighs_them():
    recorded = RECORDED["diffsegmenter"]
    generator = torch.Generator().manual_seed(recorded["seed"])
    small = {str(n): torch.rand(n, n, 6, generator=generator).permute(2, 0, 1)[None] for n in (8, 16, 32, 64)}
    own = torch.randn(64 * 64, 16, generator=generator)
    own = (own @ own.T / 4).softmax(-1)
    said = {"image-to-text": small.get, "image-to-image": lambda name: own[None]}
    model = Said({str(n): n for n in (8, 16, 32, 64)}, lambda name, what: said[what](name))
    maps = maps_of(model, scales={8: 0.3, 16: 0.5, 32: 0.1, 64: 0.1}, stretch=True, own=True)
    (found,) = refine(maps.cross[0][4:5], maps.own[0], 1)
    close(found[::8, ::8], recorded["every 8th cell"])
    assert float(found.sum()) == pytest.approx(recorded["sum"], rel=1e-5)


def test_a_reference_that_is_no_layer_is_refused():
    with pytest.raises(AnywordError, match=r"no layer's name begins with 'up'\. It has: a, b\."):
        AttentionReader(Said({"a": 4, "b": 8}, None), reference="up")
