"""The models behind text-only recipes, as one function: an image, then a phrase, to masks and scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts import ModelRecord
from stages.segment.recipe import GroundingDinoRecipe, Sam3Recipe

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from stages.segment.text import Answer

    Ask = Callable[[UInt8[np.ndarray, "height width 3"]], Callable[[str], Answer]]


def answering(settings: GroundingDinoRecipe | Sam3Recipe, device: str) -> tuple[Ask, dict[str, ModelRecord]]:
    """What answers phrases on an image, each image encoded once, and the models' records."""
    return _boxes(settings, device) if isinstance(settings, GroundingDinoRecipe) else _sam3(settings, device)


def records_of(settings: GroundingDinoRecipe | Sam3Recipe) -> dict[str, ModelRecord]:
    """The same records, from the models' files alone."""
    from stages.models.records import segment_anything, text_prompted

    def own(what: str) -> ModelRecord:
        return text_prompted(settings.path, settings.revision, offline=settings.offline, what=what)

    if isinstance(settings, Sam3Recipe):
        return {"sam3": own("SAM 3")}
    return {"grounding-dino": own("GroundingDINO"), "sam": segment_anything(settings.model, settings.checkpoint)}


def _boxes(settings: GroundingDinoRecipe, device: str) -> tuple[Ask, dict[str, ModelRecord]]:
    from stages.models import sam
    from stages.models.text_prompted import load_grounding_dino

    dino = load_grounding_dino(settings.path, settings.revision, offline=settings.offline, device=device)
    segmenter = sam.load(settings.model, settings.checkpoint, device)

    def ask(image: np.ndarray) -> Callable[[str], Answer]:
        (encoded,) = segmenter.encode([image])

        def answer(phrase: str) -> Answer:
            boxes, scores = dino.boxes(image, phrase, settings.box_threshold)
            if settings.answer == "best":
                boxes, scores = boxes[:1], scores[:1]
            if not len(boxes):
                return np.zeros((0, *encoded.size), dtype=bool), scores
            return segmenter.decode_boxes(encoded, boxes)[0], scores

        return answer

    return ask, {
        "grounding-dino": ModelRecord(id=dino.id, revision=settings.revision, sha256=dino.weights_sha256),
        "sam": ModelRecord(id=segmenter.id, sha256=segmenter.weights_sha256),
    }


def _sam3(settings: Sam3Recipe, device: str) -> tuple[Ask, dict[str, ModelRecord]]:
    from stages.models.text_prompted import load_sam3

    model = load_sam3(settings.path, settings.revision, offline=settings.offline, device=device)

    def ask(image: np.ndarray) -> Callable[[str], Answer]:
        seen = model.encode(image)
        return lambda phrase: model.masks(seen, phrase, settings.threshold, settings.mask_threshold)

    return ask, {"sam3": ModelRecord(id=model.id, revision=settings.revision, sha256=model.weights_sha256)}
