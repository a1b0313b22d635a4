"""Masks from point prompts (Segment Anyword, section 2.3): one decoder call for all targets of a kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from stages.artifacts import ModelRecord, SampleError
from stages.models import sam
from stages.segment.recipe import SamRecipe
from stages.segment.segmenter import Cut, Request, Target, each

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

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


class Points:
    """Segment Anything, prompted by the points of each target; a mask's score is the IoU that it predicts."""

    def __init__(self, recipe: SamRecipe, device: str) -> None:
        from stages.models.devices import choose_device

        self.sam = sam.load(recipe.model, recipe.checkpoint, choose_device(device))
        self.models: Mapping[str, ModelRecord] = {"sam": ModelRecord(id=self.sam.id, sha256=self.sam.weights_sha256)}
        self.answer = recipe.answer

    def cuts(self, requests: Sequence[Request]) -> Iterator[Mapping[Target, Cut] | SampleError]:
        images = list(each(self._image, requests))
        good = [one for one in images if not isinstance(one, SampleError)]
        encoded = iter(self.sam.encode(good) if good else [])
        for request, image in zip(requests, images, strict=True):
            yield image if isinstance(image, SampleError) else self._cuts(request, next(encoded))

    def _image(self, request: Request) -> UInt8[np.ndarray, "height width 3"]:
        image = request.image()
        sam.check_shape(image.shape[:2], self.sam.model.image_encoder.img_size)
        return image

    def _cuts(self, request: Request, encoded: sam.Encoded) -> dict[Target, Cut]:
        prompts = [
            Prompt(
                np.array([(point["x"], point["y"]) for point in row["points"]]).reshape(-1, 2),
                np.array([point["label"] for point in row["points"]], dtype=int),
            )
            for row in request.targets
        ]
        found = cut(self.sam, encoded, encoded.size, prompts, self.answer)
        return {(row["kind"], row["index"]): one for row, one in zip(request.targets, found, strict=True)}


def load(recipe: SamRecipe, device: str) -> Points:
    return Points(recipe, device)


def records(recipe: SamRecipe) -> Mapping[str, ModelRecord]:
    from stages.models.records import segment_anything

    return {"sam": segment_anything(recipe.model, recipe.checkpoint)}


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
