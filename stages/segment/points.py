"""Masks from point prompts (Segment Anyword, section 2.3): one decoder call for all targets of a kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from stages.artifacts import AnywordError, ModelRecord, SampleError
from stages.models import sam
from stages.segment.map_prompts import box_of, responses
from stages.segment.recipe import SamRecipe, TransformersRecipe
from stages.segment.segmenter import Cut, Request, Target, each

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

    from stages.models.point_prompted import PointPrompted
    from stages.models.sam import SegmentAnything

E = TypeVar("E", contravariant=True)


class Promptable(Protocol[E]):
    """What `cut` asks of a segmenter; `stages.models.sam.SegmentAnything` is one. Further prompts, boxes or a map, are
    for those that take them."""

    def decode(
        self, encoded: E, points: Float[np.ndarray, "n k 2"], labels: Int[np.ndarray, "n k"], *, multimask: bool
    ) -> tuple[Bool[np.ndarray, "n height width"], Float[np.ndarray, " n"]]: ...


@dataclass(frozen=True)
class Prompt:
    """The points of one target, and what else is said of it."""

    points: Float[np.ndarray, "k 2"]
    """(x, y) in pixels of the image, pixel centres at .5."""
    labels: Int[np.ndarray, " k"]
    """1 inside the target, 0 outside."""
    box: Float[np.ndarray, " 4"] | None = None
    odds: Float[np.ndarray, "rows columns"] | None = None
    """A map in 0..1 over the image."""


class Points:
    """A segmenter prompted by the points of each target; a mask's score is the IoU that it predicts."""

    def __init__(self, recipe: SamRecipe | TransformersRecipe, device: str) -> None:
        from stages.models.devices import choose_device

        chosen = choose_device(device)
        self.model: SegmentAnything | PointPrompted
        if isinstance(recipe, SamRecipe):
            self.model = sam.load(recipe.model, recipe.checkpoint, chosen)
            self.box, self.mask = None, False
        else:
            from stages.models import point_prompted

            self.model = point_prompted.load(recipe.path, recipe.revision, offline=recipe.offline, device=chosen)
            self.box, self.mask = recipe.box, recipe.mask
        revision = None if isinstance(recipe, SamRecipe) else recipe.revision
        own = ModelRecord(id=self.model.id, revision=revision, sha256=self.model.weights_sha256)
        self.models: Mapping[str, ModelRecord] = {"sam": own}
        self.answer = recipe.answer

    def cuts(self, requests: Sequence[Request]) -> Iterator[Mapping[Target, Cut] | SampleError]:
        images = list(each(self._image, requests))
        good = [one for one in images if not isinstance(one, SampleError)]
        encoded = iter(self.model.encode(good) if good else [])
        for request, image in zip(requests, images, strict=True):
            yield image if isinstance(image, SampleError) else self._cuts(request, next(encoded))

    def _image(self, request: Request) -> UInt8[np.ndarray, "height width 3"]:
        image = request.image()
        self.model.check((image.shape[0], image.shape[1]))
        return image

    def _cuts(self, request: Request, encoded: Any) -> dict[Target, Cut]:
        found = cut(self.model, encoded, encoded.size, self._prompts(request, encoded.size), self.answer)
        return {(row["kind"], row["index"]): one for row, one in zip(request.targets, found, strict=True)}

    def _prompts(self, request: Request, size: tuple[int, int]) -> list[Prompt]:
        maps: Mapping[Target, np.ndarray] = {}
        if self.box is not None or self.mask:
            if request.maps is None:
                raise AnywordError("segment: a box or a mask of the maps needs maps.", remedy="Give --maps, --phrases.")
            maps = responses(request.parse, request.maps)
        prompts = []
        for row in request.targets:
            own = maps.get((row["kind"], row["index"]))
            prompts.append(
                Prompt(
                    np.array([(point["x"], point["y"]) for point in row["points"]]).reshape(-1, 2),
                    np.array([point["label"] for point in row["points"]], dtype=int),
                    box=None if self.box is None or own is None else box_of(own, self.box, size),
                    odds=own if self.mask else None,
                )
            )
        return prompts


def load(recipe: SamRecipe | TransformersRecipe, device: str) -> Points:
    return Points(recipe, device)


def records(recipe: SamRecipe | TransformersRecipe) -> Mapping[str, ModelRecord]:
    from stages.models.records import segment_anything, transformers_folder

    if isinstance(recipe, SamRecipe):
        return {"sam": segment_anything(recipe.model, recipe.checkpoint)}
    from stages.models.point_prompted import WHAT

    return {"sam": transformers_folder(recipe.path, recipe.revision, offline=recipe.offline, what=WHAT)}


def cut(
    segmenter: Promptable[E], encoded: E, size: tuple[int, int], prompts: Sequence[Prompt], answer: str = "best"
) -> list[Cut]:
    """A mask for each prompt on one encoded image of `size` (height, width).

    answer: 'best' takes the best of three masks for a single point, which is ambiguous, and the single mask for several
    points, or where a box or a map is given too; 'single' and 'multi' take always the one or the other. A prompt with
    no point inside gets an empty mask of score 0.

    Prompts of equally many points go to the decoder together. Others do not: padding a prompt with "not a point"
    changes its mask a little, and a phrase's mask must not depend on the other phrases'. A map goes alone.
    """
    cuts = [Cut(np.zeros(size, dtype=bool), 0.0) for _ in prompts]
    groups: dict[tuple[int, bool, int], list[int]] = {}
    for number, prompt in enumerate(prompts):
        if (prompt.labels == 1).any():
            alone = -1 if prompt.odds is None else number
            groups.setdefault((len(prompt.labels), prompt.box is not None, alone), []).append(number)
    for (count, boxed, alone), members in sorted(groups.items()):
        own = [prompts[number] for number in members]
        more: dict[str, Any] = {"boxes": np.array([one.box for one in own])} if boxed else {}
        if alone >= 0:
            more["odds"] = own[0].odds
        masks, scores = segmenter.decode(
            encoded,
            np.stack([one.points for one in own]),
            np.stack([one.labels for one in own]),
            multimask=answer == "multi" or (answer == "best" and count == 1 and not more),
            **more,
        )
        for number, mask, score in zip(members, masks, scores, strict=True):
            cuts[number] = Cut(mask, float(score))
    return cuts
