"""Training data of the backbone: latents, captions as tokens, and what each token names, in chunks on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.training.tokenizer import WINDOW
from stages.artifacts.atomic import aside
from stages.world.sample import naming_words
from stages.world.scene import Scene, scene, seed_of

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, UInt8, UInt16

    from stages.world.caption import Caption

CHUNK = 2000
VARIANTS = 4
"""Captions of each scene."""
SLOTS = 6
"""Four objects and two grounds: the bits of a token's `names` and the planes of `cover`."""
ROLES = ("none", "noun", "colour", "pattern", "size", "ground", "predicate")
EASY = ("plain", "referring")
"""Registers of the curriculum's first step."""


@dataclass(frozen=True)
class Chunk:
    latents: Float[np.ndarray, "n 16 16 16"]
    cover: UInt8[np.ndarray, "n 6 16 16"]
    """Share of each cell that each slot covers, times 255."""
    tokens: UInt16[np.ndarray, "n variants window"]
    names: UInt8[np.ndarray, "n variants window"]
    """Bit s is set where the token names slot s."""
    roles: UInt8[np.ndarray, "n variants window"]


def cover(drawn: Scene) -> UInt8[np.ndarray, "6 16 16"]:
    planes = np.zeros((SLOTS, 16, 16), dtype=np.uint8)
    masks = [(i, x.mask) for i, x in enumerate(drawn.instances)]
    masks += [(4 + g, x.mask) for g, x in enumerate(drawn.grounds)]
    for slot, mask in masks:
        planes[slot] = np.round(mask.reshape(16, 8, 16, 8).mean((1, 3)) * 255)
    return planes


def label(said: Caption, encoding: Any) -> tuple[UInt8[np.ndarray, " window"], UInt8[np.ndarray, " window"]]:
    """What each token of a caption names (bits of slots) and its word's role (index into ROLES).

    `encoding` is the tokenizer's, with offsets, padded to the window.
    """
    offsets = np.asarray(encoding["offset_mapping"])
    names, roles = np.zeros(WINDOW, dtype=np.uint8), np.zeros(WINDOW, dtype=np.uint8)
    for word in naming_words(said):
        bits = 0
        for phrase in word.phrases:
            named = said.names[phrase]
            bits |= sum(1 << i for i in named.instances) | sum(16 << g for g in named.grounds)
        inside = (offsets[:, 0] >= word.span.start) & (offsets[:, 1] <= word.span.end)
        inside &= offsets[:, 1] > offsets[:, 0]
        names[inside] |= bits
        roles[inside] = ROLES.index(word.role)
    return names, roles


def chunk(
    number: int, level: str, easy: bool, tokenizer: Any, projection: torch.Tensor, folder: Path, bare: bool = False
) -> Chunk:
    """Training scenes number·CHUNK.. of a level with their captions, memory-mapped; drawn on the first call.

    Every other caption of a `bare` chunk says nouns alone, the rest little more.
    """
    from lab.training.bare import bare as bare_caption
    from lab.training.training import to_unit
    from stages.world.caption import caption

    place = folder / f"chunk-{level}-{'bare' if bare else 'easy' if easy else 'all'}-{number:03d}"
    if not place.is_dir():
        from lab.training.autoencoder import project

        out = Chunk(
            np.empty((CHUNK, 16, 16, 16), dtype=np.float16),
            np.empty((CHUNK, SLOTS, 16, 16), dtype=np.uint8),
            np.empty((CHUNK, VARIANTS, WINDOW), dtype=np.uint16),
            np.empty((CHUNK, VARIANTS, WINDOW), dtype=np.uint8),
            np.empty((CHUNK, VARIANTS, WINDOW), dtype=np.uint8),
        )
        for row in range(CHUNK):
            index = number * CHUNK + row
            drawn = scene("train", index, level)
            out.latents[row] = project(projection, to_unit(drawn.image[None]))[0].numpy()
            out.cover[row] = cover(drawn)
            for variant in range(VARIANTS):
                rng = np.random.default_rng([seed_of("train", index), 1 + variant])
                if bare:
                    said = bare_caption(drawn, rng, adjectives=0.4 * (variant % 2), some=0.2)
                else:
                    said = caption(drawn, rng, str(rng.choice(EASY)) if easy else None)
                encoding = tokenizer(said.text, padding="max_length", truncation=True, return_offsets_mapping=True)
                out.tokens[row, variant] = encoding["input_ids"]
                out.names[row, variant], out.roles[row, variant] = label(said, encoding)
        with aside(place) as partial:
            partial.mkdir()
            for name, array in vars(out).items():
                np.save(partial / f"{name}.npy", array)
    return Chunk(*(np.load(place / f"{name}.npy", mmap_mode="r") for name in Chunk.__dataclass_fields__))
