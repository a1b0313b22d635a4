"""The embedded backbone as it is shipped: its files, its card, and what its attention still knows."""

from __future__ import annotations

import json
import re

import pytest

from lab.training import evaluate
from lab.training.probe import unwatch, watch
from stages import REPOSITORY

FOLDER = REPOSITORY / "models" / "backbone"


def test_files_are_small_enough_for_git():
    sizes = [f.stat().st_size for f in (REPOSITORY / "models").rglob("*") if f.is_file()]
    assert max(sizes) <= 16_000_000
    assert sum(sizes) <= 50_000_000


def test_the_card_says_how_it_was_trained_and_under_which_licence():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.search(r"Masks supervise attention", card)
    assert "Apache-2.0" in card
    record = json.loads((FOLDER / "anyword.json").read_text(encoding="utf-8"))
    assert f"{record['trained_steps'] // 1000} {record['trained_steps'] % 1000:03d} steps" in card
    measured = json.loads((REPOSITORY / "docs" / "figures" / "world.json").read_text())
    said = dict(re.findall(r"\| `(\w+)` \| ([\d.]+) \|", card))
    assert all(
        float(value) == pytest.approx(measured[key], abs=6e-3 if key == "vae_psnr" else 6e-4)
        for key, value in said.items()
    )
    for key, bar in evaluate.BARS.items():
        if not key.startswith(("sam", "parser")):
            assert float(said[key]) >= bar


def test_chosen_layers_exist():
    from diffusers import UNet2DConditionModel

    record = json.loads((FOLDER / "anyword.json").read_text(encoding="utf-8"))
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(FOLDER / "unet"))
    names = {name.removesuffix(".processor") for name in unet.attn_processors}
    assert set(record["cross_attention_layers"]) <= names


def test_watching_attention_changes_nothing():
    import torch

    from lab.training.backbone import build_unet

    torch.manual_seed(0)
    unet = build_unet().eval()
    inputs = torch.randn(1, 16, 16, 16), torch.tensor([300]), torch.randn(1, 8, 128)
    with torch.no_grad():
        plain = unet(*inputs).sample
        seen = watch(unet)
        watched = unet(*inputs).sample
        unwatch(unet)
    assert torch.allclose(plain, watched, atol=1e-4)
    assert len(seen) == 3
    for share in seen.values():
        assert share.shape == (1, 4, 256, 8)
        assert torch.allclose(share.sum(-1), torch.ones(1, 4, 256), atol=1e-5)


def test_the_shipped_weights_fit_the_world_as_it_is_drawn():
    """A dozen validation scenes: a change of the renderer, the captions or the tokenizer would show here."""
    figures = evaluate.backbone(FOLDER, 12, "val")
    assert figures["noun_pointing"] > 0.8
    assert figures["colour_pointing"] > 0.8
    assert figures["noun_map_iou"] > 0.5
    assert figures["vae_psnr"] == pytest.approx(29, abs=2)
