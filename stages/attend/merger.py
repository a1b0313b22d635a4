"""Maps of a text's context columns to maps of its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from stages.artifacts.language import Span
from stages.models.tokens import Tokens, word_maps

if TYPE_CHECKING:
    from jaxtyping import Float, Float32

MARKS = (-1, -2)
"""Begin and end mark, where a word has its start and end."""


class Merger:
    """Token maps of one text, window by window, to the maps of its words and, if asked for, its marks."""

    def __init__(
        self,
        tokens: Tokens,
        windows: Sequence[int],
        spans: Sequence[Span],
        *,
        special: bool,
    ) -> None:
        """windows: the text's rows in `tokens`; spans: its words; special: its marks too."""
        self.tokens = tokens
        self.windows = windows
        self.spans = spans
        self.special = special

    def extents(self) -> dict[str, np.ndarray]:
        """`start` and `end` of every map that a call gives."""
        marks = MARKS if self.special else ()
        return {
            "start": np.asarray([*(span.start for span in self.spans), *marks], np.int32),
            "end": np.asarray([*(span.end for span in self.spans), *marks], np.int32),
        }

    def counts(self) -> list[int]:
        """Of each word, how many columns its map is the mean of."""
        return [sum(len(self.tokens.columns(row, span)) for row in self.windows) for span in self.spans]

    def __call__(
        self, maps: Sequence[Float[torch.Tensor, "columns height width"]]
    ) -> Float32[np.ndarray, "words height width"]:
        merged = word_maps(maps, self.tokens, self.windows, self.spans)
        if not self.special:
            return merged.numpy()
        # A long text has a pair of marks in each window.
        marks = [
            torch.cat([own[self.tokens.mark_columns(row, k)] for own, row in zip(maps, self.windows, strict=True)])
            for k in range(len(MARKS))
        ]
        return torch.cat([merged, torch.stack([own.mean(dim=0) for own in marks])]).numpy()
