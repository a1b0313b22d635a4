"""Whether the backbone reads nouns: by shape alone, in its queries, and in what it denoises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.training import autoencoder, dataset, evaluate_backbone, training
from lab.training.backbone import load
from lab.training.bare import bare_sample
from stages.world.sample import WorldSample, sample
from stages.world.scene import Scene, scene
from stages.world.shapes import NOUNS

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int

BARS: dict[str, tuple[float, float]] = {
    "bare_noun_pointing": (0.92, 1.0),
    "noun_pointing": (0.90, 1.0),
    "colour_pointing": (0.90, 1.0),
    "ground_pointing": (0.90, 1.0),
    "shape_probe": (0.60, 1.0),
    "noun_swap_error": (0.02, np.inf),
    "noun_map_iou": (0.45, 0.70),
}
"""What a backbone that reads nouns has to reach: least and greatest. Maps that are whole leave inversion no room."""
SWAP_TIMES = (200, 400, 600, 750)
_SWAP_TIME = 600
PROBE_TIME = 250
PROBE_SCENES = 1000
"""Scenes on which the probe is fitted: of the training split, beyond those that training saw."""
_FIRST_PROBE = 500_000
_BATCH = 16


def evaluate(folder: Path, scenes: int, split: str = "test") -> dict[str, float]:
    """Pointing of bare nouns, the shape probe's accuracy, and what a swapped noun costs, as a share of the error.

    On the first `scenes` scenes of a split; of bare captions, only those of scenes with two different nouns or more.
    """
    training.one_thread()
    model = load(folder)
    for module in (model[0], model[1], model[3]):
        module.to(training.device())
    chosen = list(model[-1]["cross_attention_layers"])
    drawn = [sample(split, index, unseen=0) for index in range(scenes)]
    bare = bare_samples(split, scenes)
    figures = {
        "bare_noun_pointing": bare_noun_pointing(model, chosen, bare),
        "shape_probe": shape_probe(model, chosen, [item.scene for item in drawn]),
    }
    for name, samples in (("noun_swap_error", drawn), ("bare_noun_swap_error", bare)):
        swaps = noun_swap_error(model, samples)
        figures |= {name if t == _SWAP_TIME else f"{name}_{t}": value for t, value in swaps.items()}
    return figures


def _latents(vae: Any, scenes: list[Scene], device: Any) -> torch.Tensor:
    import torch

    projection = autoencoder.as_projection(vae)
    parts = [np.stack([s.image for s in scenes[i : i + _BATCH]]) for i in range(0, len(scenes), _BATCH)]
    return torch.cat([autoencoder.project(projection, training.to_unit(part)) for part in parts]).to(device)


def bare_samples(split: str, scenes: int) -> list[WorldSample]:
    """The first scenes of a split, said in bare nouns: those of them that have two different ones or more."""
    bare = (bare_sample(split, index) for index in range(scenes))
    return [item for item in bare if len({thing.noun for thing in item.scene.instances}) > 1]


def bare_nouns(model: tuple[Any, ...], samples: list[WorldSample]) -> tuple[list[str], list[evaluate_backbone.WordMap]]:
    """Names of the layers, and the maps of the samples' nouns in each."""
    unet, text, marks, vae, scheduler, _ = model
    latents = _latents(vae, [item.scene for item in samples], unet.device)
    layers, words = evaluate_backbone.word_maps(unet, text, marks, latents, samples, scheduler)
    return layers, [word for word in words if word.role == "noun"]


def bare_noun_pointing(model: tuple[Any, ...], chosen: list[str], samples: list[WorldSample]) -> float:
    """Share of bare nouns whose averaged map is greatest inside what they name."""
    layers, nouns = bare_nouns(model, samples)
    return evaluate_backbone.score(nouns, [layers.index(name) for name in chosen], 0.5)[0]["noun_pointing"]


def shape_probe(model: tuple[Any, ...], chosen: list[str], scenes: list[Scene]) -> float:
    """How often a linear classifier of an object's mean query in the chosen layers names its shape.

    Queries are those of an empty caption, so that no word can tell; the classifier is fitted on training scenes that
    training did not see.
    """
    import torch

    fitting = [scene("train", _FIRST_PROBE + index) for index in range(PROBE_SCENES)]
    (known, labels), (asked, truth) = (queries(model, chosen, part) for part in (fitting, scenes))
    mean, spread = known.mean(0), known.std(0).clamp_min(1e-6)
    known, asked = (known - mean) / spread, (asked - mean) / spread
    linear = torch.nn.Linear(known.shape[1], len(NOUNS))
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(linear(known), labels) + 3e-3 * linear.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return float((linear(asked).argmax(1) == truth).float().mean())


def queries(
    model: tuple[Any, ...], chosen: list[str], scenes: list[Scene], time: int = PROBE_TIME
) -> tuple[Float[torch.Tensor, "objects width"], Int[torch.Tensor, " objects"]]:
    """Each object's mean query over its cells, the chosen layers side by side, and its noun's index."""
    import torch

    unet, text, marks, vae, scheduler, _ = model
    device = unet.device
    latents = _latents(vae, scenes, device)
    modules = dict(unet.named_modules())
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        modules[f"{name}.to_q"].register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
        for name in chosen
    ]
    rows, nouns = [], []
    try:
        for start in range(0, len(scenes), _BATCH):
            part, clean = scenes[start : start + _BATCH], latents[start : start + _BATCH]
            ids = torch.tensor([marks("", padding="max_length")["input_ids"]] * len(part), device=device)
            noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(start)).to(device)
            step = torch.full((len(part),), time, device=device)
            with torch.no_grad(), training.autocast(device):
                unet(scheduler.add_noise(clean, noise, step), step, text(ids).last_hidden_state)
            found = torch.cat([seen[name] for name in chosen], -1).float()  # b, 256, width
            for row, one in enumerate(part):
                cover = torch.from_numpy(dataset.cover(one)).float().to(device)[: len(one.instances)].flatten(1)
                rows.append((cover / cover.sum(1, keepdim=True)) @ found[row])
                nouns += [NOUNS.index(thing.noun) for thing in one.instances]
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(rows).cpu(), torch.tensor(nouns)


def noun_swap_error(
    model: tuple[Any, ...], samples: list[WorldSample], times: tuple[int, ...] = SWAP_TIMES, seed: int = 0
) -> dict[int, float]:
    """By what share the error around an object rises when its noun is another, the noise being the same; by time.

    One object a sample; samples whose caption names none alone are left out.
    """
    import torch

    from lab.training.train_backbone import object_region, vocabulary, wrong_captions

    unet, text, marks, vae, scheduler, _ = model
    device = unet.device
    latents = _latents(vae, [item.scene for item in samples], device)
    words = vocabulary(marks)
    sums = {t: [0.0, 0.0] for t in times}
    for start in range(0, len(samples), _BATCH):
        part, clean = samples[start : start + _BATCH], latents[start : start + _BATCH]
        codes = [marks(s.text, padding="max_length", truncation=True, return_offsets_mapping=True) for s in part]
        ids = torch.tensor([code["input_ids"] for code in codes])
        labels = [dataset.label(s.caption, code) for s, code in zip(part, codes, strict=True)]
        names, roles = (torch.from_numpy(np.stack(column).astype(np.int64)) for column in zip(*labels, strict=True))
        generator = torch.Generator().manual_seed(seed * 1_000_003 + start)
        others, slots = wrong_captions(ids, names, roles, words, generator, colours=0.0)
        cover = torch.from_numpy(np.stack([dataset.cover(s.scene) for s in part])).float() / 255
        region = object_region(cover, slots) * (slots >= 0)[:, None, None]
        share = (region / region.sum((1, 2), keepdim=True).clamp_min(1)).to(device)
        with torch.no_grad(), training.autocast(device):
            states = [text(tokens.to(device)).last_hidden_state for tokens in (ids, others)]
            for time, both in sums.items():
                noise = torch.randn(clean.shape, generator=generator).to(device)
                step = torch.full((len(part),), time, device=device)
                noisy = scheduler.add_noise(clean, noise, step)
                for number, state in enumerate(states):
                    error = (unet(noisy, step, state).sample.float() - noise).square().mean(1)
                    both[number] += float((error * share).sum())
    return {time: wrong / right - 1 for time, (right, wrong) in sums.items()}
