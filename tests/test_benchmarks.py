"""The benchmark scripts run as they stand, on a CPU and a tiny model: their figures are for real ones."""

import json
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import save_tiny

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_inversion_writes_its_figures_beside_others(scripts, tmp_path):
    import inversion

    results = tmp_path / "results.json"
    results.write_text('{"other": 1.0}')
    model = str(save_tiny(tmp_path / "model"))
    options = ["--backbone", model, "--kind", "stable-diffusion", "--output", str(results)]
    inversion.main([*options, *"--steps 1 --draws 2 --chain 2 --repeats 1 --threads 1 --dtype float32".split()])
    figures = json.loads(results.read_text())
    assert figures["other"] == 1.0
    for key in ("invert_over_bare", "invert_speedup", "attend_speedup", "attend_total_speedup", "invert_gflops"):
        assert figures[key] > 0
    assert results.with_name("inversion.png").stat().st_size > 0


def test_the_peers_maps_are_ours_where_nothing_drifts(scripts, tmp_path):
    """A single step without guidance reads one stored latent: both ways must then see the same map."""
    import peers

    from stages.attend import chain
    from stages.attend.maps import Averager
    from stages.attend.reading import Reader
    from stages.backbones.diffusion import load
    from stages.backbones.recipe import BackboneRecipe

    backbone = load(BackboneRecipe(kind="stable-diffusion", path=str(save_tiny(tmp_path))))
    encoding = backbone.tokenize(["a red circle"])
    with torch.no_grad():
        context = backbone.encode(encoding.input_ids, backbone.embed(encoding.input_ids))
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    timesteps, stored = chain.invert(backbone, latents, context, 1)
    averager = Averager(1, (0, 1000))
    chain.maps_at(Reader(backbone), stored, timesteps, context, averager, rows=1)
    maps = peers.attention_store_pass(backbone, stored[-1], context, context, 1, guidance=1.0)
    torch.testing.assert_close(maps, averager.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(peers.inversion_pass(backbone, latents, context, 1), stored[-1])
