"""All figures of the embedded models on test scenes, under the keys of the bars' table."""

from __future__ import annotations

import importlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError

if TYPE_CHECKING:
    from lab.training.evaluate_backbone import WordMap

BARS = {
    "noun_pointing": 0.90,
    "colour_pointing": 0.90,
    "pattern_pointing": 0.60,
    "vae_psnr": 25.0,
    "sam_iou_1": 0.85,
    "sam_iou_4": 0.90,
    "parser_noun_f1": 0.97,
    "parser_adjective_f1": 0.97,
}
"""What each figure has to reach, at least; those of nouns are in `evaluate_nouns`."""
PRINTED = (
    "noun_pointing_same_noun",
    "noun_pointing_small",
    "noun_pointing_all",
    "synonym_noun_pointing",
    "noun_map_iou_all",
    "ground_pointing",
    "predicate_pointing",
)
"""Figures shown beside them, with no bar."""


def _words(folder: Path, scenes: int, split: str) -> tuple[list[str], list[WordMap], float, dict[str, Any]]:
    """Layers, word maps, PSNR and record of a saved backbone on the first `scenes` scenes of a split."""
    import torch

    from lab.training import autoencoder, training
    from lab.training.backbone import load
    from lab.training.evaluate_backbone import word_maps
    from stages.world.sample import sample

    if not (folder / "anyword.json").is_file():
        raise AnywordError(
            f"{folder}: no embedded backbone lies here (anyword.json is missing).",
            remedy="Train one with `anyword world train vae` and `anyword world train backbone`.",
        )
    training.one_thread()
    unet, text, tokenizer, vae, scheduler, record = load(folder)
    device = training.device()
    for module in (unet, text, vae):
        module.to(device)
    samples = [sample(split, index) for index in range(scenes)]
    latents, psnrs = [], []
    with torch.no_grad():
        for start in range(0, scenes, 16):
            unit = training.to_unit(np.stack([s.image for s in samples[start : start + 16]])).to(device)
            scaled = autoencoder.latents(vae, unit)
            latents.append(scaled)
            painted = vae.decode(scaled / vae.config.scaling_factor).sample
            psnrs.append(autoencoder.psnr(painted, unit))
    layers, words = word_maps(unet, text, tokenizer, torch.cat(latents), samples, scheduler)
    return layers, words, float(torch.cat(psnrs).mean()), record


def backbone(folder: Path, scenes: int, split: str = "test") -> dict[str, float]:
    """Pointing, map IoU and PSNR of a saved backbone on the first `scenes` scenes of a split.

    Layers and threshold are those that `anyword.json` records: both were chosen on validation scenes.
    """
    from lab.training.evaluate_backbone import score

    layers, words, psnr, record = _words(folder, scenes, split)
    chosen = [layers.index(name) for name in record["cross_attention_layers"]]
    figures, _ = score(words, chosen, record.get("map_threshold"))
    return {**figures, "vae_psnr": psnr}


def choose(folder: Path, scenes: int = 150) -> dict[str, Any]:
    """Choose on validation scenes which layers to average and where to cut a map; recorded in `anyword.json`.

    Of all sets of layers, the one that points best: at nouns, bare and with adjectives, at grounds, and half as much at
    colours and patterns.
    """
    from lab.training.backbone import load
    from lab.training.evaluate_backbone import score
    from lab.training.evaluate_nouns import bare_nouns, bare_samples
    from stages.artifacts.atomic import write_json

    layers, words, _, record = _words(folder, scenes, "val")
    _, bare = bare_nouns(load(folder), bare_samples("val", scenes))

    def worth(figures: dict[str, float]) -> float:
        names = ("bare_noun_pointing", "noun_pointing", "ground_pointing")
        adjectives = figures["colour_pointing"] + figures["pattern_pointing"]
        return sum(figures[name] for name in names) + adjectives / 2

    def scored(chosen: list[int]) -> tuple[dict[str, float], float, list[int]]:
        figures, threshold = score(words, chosen)
        figures["bare_noun_pointing"] = score(bare, chosen, 0.5)[0]["noun_pointing"]
        return figures, threshold, chosen

    sets = [list(s) for n in range(1, len(layers) + 1) for s in itertools.combinations(range(len(layers)), n)]
    figures, threshold, chosen = max(map(scored, sets), key=lambda entry: worth(entry[0]))
    record |= {
        "cross_attention_layers": [layers[n] for n in chosen],
        "map_threshold": round(threshold, 3),
        "validation": {"scenes": scenes, **{key: round(value, 4) for key, value in sorted(figures.items())}},
    }
    write_json(folder / "anyword.json", record)
    return record


def everything(models: Path, scenes: int) -> dict[str, Any]:
    """The figures of all embedded models that can be measured here; a missing one is named under `missing`."""
    figures: dict[str, Any] = {"scenes": scenes}
    figures |= backbone(models / "backbone", scenes)
    figures |= importlib.import_module("lab.training.evaluate_nouns").evaluate(models / "backbone", scenes)
    missing = []
    for part, place in (("sam", "folder"), ("parser", "pipeline")):
        try:
            module = importlib.import_module(f"lab.training.evaluate_{part}")
            figures |= module.evaluate(scenes, **{place: models / part})
        except AnywordError as error:
            missing.append(f"{part}: {error}")
    if missing:
        figures["missing"] = missing
    return figures


def write(figures: dict[str, Any], file: Path) -> None:
    from stages.artifacts.atomic import write_bytes

    write_bytes(file, (json.dumps(figures, indent=2, ensure_ascii=False) + "\n").encode())
