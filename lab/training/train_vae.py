"""Training of the embedded autoencoder: the encoder is written once, the decoder learns to paint from it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.training import autoencoder, training

if TYPE_CHECKING:
    import torch

BATCH = 12
CROP = 8  # latent cells, 64 pixels
RATE = 2e-3


def _batch(images: np.ndarray, seed: int, step: int) -> torch.Tensor:
    """BATCH random crops, aligned to latent cells, in [-1, 1]."""
    rng = np.random.default_rng([seed, step])
    which = rng.integers(0, len(images), BATCH)
    corners = rng.integers(0, 16 - CROP + 1, (BATCH, 2)) * 8
    crops = [images[i, y : y + 8 * CROP, x : x + 8 * CROP] for i, (y, x) in zip(which, corners, strict=True)]
    return training.to_unit(np.stack(crops))


def measure(model: Any, images: np.ndarray) -> float:
    """Mean PSNR in dB of whole scenes, through the posterior's mode."""
    import torch

    values = []
    with torch.no_grad():
        for start in range(0, len(images), 16):
            unit = training.to_unit(images[start : start + 16]).to(model.device)
            values.append(autoencoder.psnr(model.decode(model.encode(unit).latent_dist.mode()).sample, unit))
    return float(torch.cat(values).mean())


def train(
    out: Path,
    minutes: float | None = None,
    steps: int = 3_000,
    scenes: int = 6000,
    seed: int = 0,
    runs: Path = training.RUNS,
) -> float:
    """Train to `steps`, or for `minutes` and go on at the next call; writes the model to `out`. Returns PSNR, dB."""
    import torch

    training.one_thread()
    torch.manual_seed(seed)
    device = training.device()
    images, _ = training.rendered("train", 0, scenes, folder=runs / "data")
    held, _ = training.rendered("val", 0, 64, folder=runs / "data")
    model = autoencoder.build()
    autoencoder.write_patch_pca(model, np.asarray(images[:2000]))
    model.requires_grad_(False).to(device, memory_format=torch.channels_last)
    decoder = model.decoder.requires_grad_(True)
    model.post_quant_conv.requires_grad_(True)
    learning = [*decoder.parameters(), *model.post_quant_conv.parameters()]
    optimiser = torch.optim.AdamW(learning, lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    run = training.Run(runs / "vae", {"model": model, "optimiser": optimiser}, minutes)
    if not run.resume():
        model.save_pretrained(out)  # the encoder is final: the backbone's training may start from it
        run.save()
    seen: list[float] = []
    while run.step < steps and not run.out_of_time():
        for group in optimiser.param_groups:
            warm = min(1.0, (run.step + 1) / 100)
            group["lr"] = RATE * warm * (0.5 + 0.5 * math.cos(math.pi * run.step / steps)) + 1e-5
        unit = _batch(images, seed, run.step).to(device, memory_format=torch.channels_last)
        with torch.no_grad():
            hidden = model.encode(unit).latent_dist.mode()
        with training.autocast(device):
            painted = model.decode(hidden).sample
        loss = (painted.float() - unit).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        run.step += 1
        seen.append(float(loss.detach()))
        if run.step % 250 == 0:
            run.note(loss=float(np.mean(seen)), psnr=measure(model, held))
            seen.clear()
            run.save()
    run.save()
    model.save_pretrained(out)
    return measure(model, held)
