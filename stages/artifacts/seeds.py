"""Where random numbers come from: a hash of what they are for.

A draw is named by (the recipe's seed, the stage, the sample's id, the step), so a sample gets the same numbers
alone, in any batch, in any shard, and after a resume. Other options of a recipe do not enter: two recipes that
differ in a learning rate see the same noise, which makes their comparison a paired one.
"""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(*parts: str | int) -> int:
    """A seed in [0, 2**63) for `torch.Generator.manual_seed` or NumPy, from the names of the draw.

    >>> seed_of(0, "invert", "a", 1) == seed_of(0, "invert", "a", 1) != seed_of(0, "invert", "a", 11)
    True
    """
    name = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def generator(*parts: str | int) -> np.random.Generator:
    """A NumPy generator for the draw that `parts` name."""
    return np.random.default_rng(seed_of(*parts))
