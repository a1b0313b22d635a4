"""Masks from point prompts (Segment Anyword, section 2.3): one decoder call for all targets of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

E = TypeVar("E", contravariant=True)


class Promptable(Protocol[E]):
    """What `cut` asks of a segmenter; `stages.models.sam.SegmentAnything` is one."""

    def decode(
        self, encoded: E, points: Float[np.ndarray, "n k 2"], labels: Int[np.ndarray, "n k"], *, multimask: bool
    ) -> tuple[Bool[np.ndarray, "n height width"], Float[np.ndarray, " n"]]: ...


@dataclass(frozen=True)
class Prompt:
    """The points of one target."""

    points: Float[np.ndarray, "k 2"]
    """(x, y) in pixels of the image, pixel centres at .5."""
    labels: Int[np.ndarray, " k"]
    """1 inside the target, 0 outside."""


@dataclass(frozen=True)
class Cut:
    """A target's mask at the image's size, and the IoU that the segmenter predicts for it."""

    mask: Bool[np.ndarray, "height width"]
    score: float


def cut(
    segmenter: Promptable[E], encoded: E, size: tuple[int, int], prompts: Sequence[Prompt], answer: str = "best"
) -> list[Cut]:
    """A mask for each prompt on one encoded image of `size` (height, width).

    answer: 'best' takes the best of three masks for a single point and the single mask for several; 'single' and
    'multi' take always the one or the other. A prompt with no point inside gets an empty mask of score 0.

    Prompts of equally many points go to the decoder together. Others do not: padding a prompt with "not a point"
    changes its mask a little, and a phrase's mask must not depend on the other phrases'.
    """
    cuts = [Cut(np.zeros(size, dtype=bool), 0.0) for _ in prompts]
    groups: dict[int, list[int]] = {}
    for number, prompt in enumerate(prompts):
        if (prompt.labels == 1).any():
            groups.setdefault(len(prompt.labels), []).append(number)
    for count, members in sorted(groups.items()):
        masks, scores = segmenter.decode(
            encoded,
            np.stack([prompts[number].points for number in members]),
            np.stack([prompts[number].labels for number in members]),
            multimask=answer == "multi" or (answer == "best" and count == 1),
        )
        for number, mask, score in zip(members, masks, scores, strict=True):
            cuts[number] = Cut(mask, float(score))
    return cuts
