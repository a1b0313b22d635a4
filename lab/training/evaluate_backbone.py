"""How well the backbone's attention knows where words are: pointing and map IoU over captions' words."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.training import probe, training
from stages.world.sample import WorldSample, naming_words

if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool, Float

TIMES = (100, 250, 400, 550, 700, 850)
"""Noise levels over which maps are averaged."""
THRESHOLDS = np.linspace(0.1, 0.9, 33)


@dataclass(frozen=True)
class WordMap:
    """One naming word's averaged attention in each layer, and what it should lie on."""

    role: str
    maps: Float[np.ndarray, "layers 16 16"]
    mask: Bool[np.ndarray, "128 128"]
    tags: tuple[str, ...]
    two_grounds: bool


def word_maps(
    unet: Any,
    text_encoder: Any,
    tokenizer: Any,
    latents: torch.Tensor,
    samples: list[WorldSample],
    scheduler: Any,
    times: tuple[int, ...] = TIMES,
    batch: int = 16,
    seed: int = 0,
) -> tuple[list[str], list[WordMap]]:
    """Names of the cross-attention layers, and the maps of all naming words of the samples.

    `latents` (n, 16, 16, 16) are the samples', scaled. A map is the mean over heads and `times`, and over the
    word's pieces; captions are the true ones, nothing is optimised.
    """
    import torch

    device = latents.device
    seen = probe.watch(unet)
    out: list[WordMap] = []
    layers: list[str] = []
    try:
        for start in range(0, len(samples), batch):
            part = samples[start : start + batch]
            encoding = tokenizer(
                [s.text for s in part], padding="max_length", truncation=True, return_offsets_mapping=True
            )
            ids = torch.tensor(encoding["input_ids"], device=device)
            clean = latents[start : start + batch]
            mean: torch.Tensor | None = None
            with torch.no_grad(), training.autocast(device):
                hidden = text_encoder(ids).last_hidden_state
                for time in times:
                    generator = torch.Generator().manual_seed(seed * 1_000_003 + start * 1009 + time)
                    noise = torch.randn(clean.shape, generator=generator).to(device)
                    step = torch.full((len(part),), time, device=device)
                    unet(scheduler.add_noise(clean, noise, step), step, hidden)
                    layers = sorted(seen)
                    shares = torch.stack([seen[name].float().mean(1) for name in layers], 1)  # b, layers, 256, tokens
                    mean = shares if mean is None else mean + shares
            if mean is None:
                raise ValueError("times is empty; name at least one noise level")
            maps = (mean / len(times)).cpu().numpy()
            for row, item in enumerate(part):
                offsets = np.asarray(encoding["offset_mapping"][row])
                for word in naming_words(item.caption):
                    inside = (offsets[:, 0] >= word.span.start) & (offsets[:, 1] <= word.span.end)
                    inside &= offsets[:, 1] > offsets[:, 0]
                    if not inside.any():
                        continue
                    rows = [item.truth[p] for p in word.phrases]
                    tags = tuple(tag for truth in rows for tag in truth.tags)
                    out.append(
                        WordMap(
                            word.role,
                            maps[row][:, :, inside].mean(-1).reshape(-1, 16, 16),
                            np.logical_or.reduce([truth.mask for truth in rows]),
                            tags,
                            len(item.scene.grounds) == 2,
                        )
                    )
    finally:
        probe.unwatch(unet)
    return layers, out


def enlarge(maps: Float[np.ndarray, "n 16 16"]) -> Float[np.ndarray, "n 128 128"]:
    """Bilinear, each map min-max normalised first."""
    import torch

    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    unit = torch.from_numpy((maps - low) / np.maximum(high - low, 1e-12))
    return torch.nn.functional.interpolate(unit[:, None].float(), size=(128, 128), mode="bilinear")[:, 0].numpy()


def score(words: list[WordMap], layers: list[int], threshold: float | None = None) -> tuple[dict[str, float], float]:
    """The figures of the bars' table from the mean map over `layers`, and the threshold of the map IoU.

    Pointing: the greatest pixel of the enlarged map lies in the mask. Phrases said in unseen synonyms are
    figured apart (`synonym_…`), and the nouns', colours' and patterns' figures with them under `…_all`. Without a
    `threshold`, the one best on these words is taken.
    """
    kept = [word for word in words if word.mask.any()]
    maps = enlarge(np.stack([word.maps[layers].mean(0) for word in kept]))
    hits: dict[str, list[bool]] = defaultdict(list)
    nouns: list[int] = []
    every_noun: list[int] = []
    for number, (word, map_) in enumerate(zip(kept, maps, strict=True)):
        hit = bool(word.mask.ravel()[map_.argmax()])
        if word.role in ("noun", "colour", "pattern"):
            hits[f"{word.role}_all"].append(hit)
        if word.role == "noun":
            every_noun.append(number)
        if "synonym" in word.tags and word.role != "predicate":
            hits[f"synonym_{word.role}"].append(hit)
            continue
        if word.role == "ground":
            hits["ground" if word.two_grounds else "ground_single"].append(hit)
            continue
        hits[word.role].append(hit)
        if word.role == "noun":
            nouns.append(number)
            for tag in ("same_noun", "small"):
                if tag in word.tags:
                    hits[f"noun_{tag}"].append(hit)
    figures = {}
    for role, values in sorted(hits.items()):
        base, _, tag = role.partition("_")
        key = f"{base}_pointing_{tag}" if tag == "all" or (tag and base == "noun") else f"{role}_pointing"
        figures[key] = float(np.mean(values))

    def iou(numbers: list[int], choice: float) -> float:
        cut, masks = maps[numbers] > choice, np.stack([kept[n].mask for n in numbers])
        return float(((cut & masks).sum((1, 2)) / (cut | masks).sum((1, 2))).mean())

    if threshold is None:
        threshold = float(max(THRESHOLDS, key=lambda choice: iou(nouns, choice)))
    figures["noun_map_iou"] = iou(nouns, threshold)
    figures["noun_map_iou_all"] = iou(every_noun, threshold)
    return figures, threshold
