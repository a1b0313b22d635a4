"""The benchmark scripts run as they stand, on a CPU and a tiny model: their figures are for real ones."""

import json
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_models import condition_of, save_tiny

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
    ratios = ("invert_over_bare", "invert_with_entropy_over_bare", "invert_speedup", "attend_speedup")
    for key in (*ratios, "attend_total_speedup", "invert_gflops"):
        assert figures[key] > 0
    assert results.with_name("inversion.png").stat().st_size > 0


def test_the_demos_account_reads_the_progress_that_a_stage_logs(scripts, tmp_path, capsys, caplog):
    import demo

    from stages.artifacts.progress import track

    caplog.set_level("INFO", "anyword")
    log = tmp_path / "00000.log"
    for _ in track(["a", "b"], "invert 00000"):
        time.sleep(0.1)
    log.write_text(f"=== attempt 1\n{capsys.readouterr().err}WARNING a\n")
    assert 0.2 <= demo.computed(log) < 5
    log.write_text('{"stage": "invert 00000", "done": 1.0, "total": 2, "seconds": 30.0}\n')
    assert demo.computed(log) == 0
    stages = {"invert": {"seconds": 80.0, "computing": 60.0}, "score": {"seconds": 20.0, "computing": 0.0}}
    parts = demo.account(stages, clock=110.0)
    assert parts == {"clock": 110.0, "computing": 80.0, "starting": 20.0, "between": 10.0, "other": 0.273}
    assert demo.account(stages, clock=50.0)["computing"] == 40.0  # two jobs at a time, each by its share


def test_the_peers_maps_are_ours_where_nothing_drifts(scripts, tmp_path):
    """A single step without guidance reads one stored latent: both ways must then see the same map."""
    import peers

    from stages.attend import ddim
    from stages.attend.averager import Averager
    from stages.models.diffusion import load
    from stages.models.reading import AttentionReader
    from stages.models.recipe import BackboneRecipe

    backbone = load(BackboneRecipe(kind="stable-diffusion", path=str(save_tiny(tmp_path))))
    condition = condition_of(backbone, ["a red circle"])
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    levels, stored = ddim.ddim_inversion(backbone, latents, condition, 1)
    averager = Averager(1, (0, 1000))
    ddim.maps_at(AttentionReader(backbone), stored, levels, condition, averager, rows=1)
    maps = peers.attention_store_pass(backbone, stored[-1], condition, condition, 1, guidance=1.0)
    torch.testing.assert_close(maps, averager.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(peers.inversion_pass(backbone, latents, condition, 1), stored[-1])


def test_gpu_measures_every_way_that_the_device_has_and_keeps_other_figures(scripts, tmp_path, capsys):
    """On a CPU and a single tiny case: the script is for GPUs, and this is the same code."""
    import gpu

    results = tmp_path / "results.json"
    results.write_text('{"other": 1.0, "speed": {"x on cpu": {}}}')
    small = "--device cpu --batch 1 --draws 2 --steps 1 --chain 2 --repeats 1 --output".split()
    found = gpu.main(["--backbone", "embedded", "--ways", "float32,tf32,bfloat16", *small, str(results)])
    assert set(found) == {"float32", "bfloat16"}
    assert "tf32         not run: only on cuda" in capsys.readouterr().out
    one = found["float32"]
    assert one["invert_images_per_second_50_steps"] == pytest.approx(1 / one["invert_seconds_image_50_steps"])
    assert one["invert_seconds_image_1100_steps"] == pytest.approx(22 * one["invert_seconds_image_50_steps"])
    assert one["invert_share_of_matmul"] > 0 and one["attend_seconds_image"] > 0
    kept = json.loads(results.read_text())
    assert kept["other"] == 1.0 and set(kept["speed"]) == {"x on cpu", "embedded on cpu"}


def test_gpu_says_in_one_line_that_there_is_none(scripts, tmp_path):
    import gpu

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(SystemExit, match=r"device 'cuda': torch sees 0 GPUs\. Use auto or cpu\."):
        gpu.main(["--backbone", str(tmp_path), "--device", "cuda"])
    with pytest.raises(SystemExit, match="--ways 'magic' is unknown"):
        gpu.main(["--ways", "magic", "--device", "cpu"])


def test_random_models_have_the_shape_of_the_published_ones(scripts):
    import diffusers
    import gpu

    from stages.models.families import FAMILIES

    sizes = {}
    for name, shape in gpu.SHAPES.items():
        (part, (cls,)), *_ = FAMILIES[shape["kind"]].parts.items()
        with torch.device("meta"):
            sizes[name] = sum(p.numel() for p in getattr(diffusers, cls)(**shape["parts"][part]).parameters())
    assert sizes["sd15"] == 859_520_964  # Stable Diffusion 1.5
    assert sizes["sdxl"] == 2_567_463_684
    millions = {name: round(size / 1e6) for name, size in sizes.items()}
    assert (millions["ldm"], millions["pixart"], millions["sd35"], millions["flux"]) == (872, 611, 2243, 11901)


@pytest.mark.parametrize("kind", ["sd15", "ldm"])
def test_random_models_load_and_invert(scripts, tmp_path, monkeypatch, kind):
    """The same way of saving, at a size that a test can hold."""
    import gpu
    from inversion import Case

    from stages.models.diffusion import load
    from stages.models.recipe import BackboneRecipe

    shape = gpu.SHAPES[kind]
    (unet, autoencoder, encoding), parts = shape["parts"], shape["parts"]
    small = {"block_out_channels": (32, 32, 32, 32), "norm_num_groups": 8}
    encoder = {
        key: (2 if "layers" in key else 32 if key in ("d_model", "hidden_size") else value)
        for key, value in parts[encoding].items()
    }
    encoder |= {"num_attention_heads": 2} if kind == "sd15" else {}
    tiny = {
        unet: {**parts[unet], **small, "cross_attention_dim": 32, "sample_size": 32},
        autoencoder: {**parts[autoencoder], **small},
        encoding: encoder,
    }
    monkeypatch.setitem(gpu.SHAPES, kind, {**shape, "parts": tiny})
    backbone = load(BackboneRecipe(kind=shape["kind"], path=str(gpu.save_random(kind, tmp_path)), dtype="bfloat16"))
    assert backbone.tokenizer.window == 77
    case = Case(backbone, 1, 2, 1)
    case.invert()
    gpu.attend(case, 1)


def test_families_are_measured_at_the_size_of_tests(scripts, tmp_path, monkeypatch):
    import backbones
    from tiny_families import save_family

    monkeypatch.setattr(backbones, "TIMES", 1)
    found = backbones.measured("pixart", save_family(tmp_path / "pixart", "pixart"))
    assert found["encoders"] == ["T5EncoderModel"] and found["grids"] == [8] and found["seconds_a_step"] > 0
    written = json.loads((BENCHMARKS / "backbones.json").read_text())
    table = backbones.as_markdown(written)
    assert table in (BENCHMARKS.parent / "docs" / "backbones.md").read_text()
    assert set(found) == set(written["families"]["pixart"])


def test_the_memory_of_families_is_what_was_counted(scripts):
    import memory

    rows = json.loads((BENCHMARKS / "memory.json").read_text())
    assert memory.as_markdown(rows) in (BENCHMARKS.parent / "docs" / "backbones.md").read_text()
