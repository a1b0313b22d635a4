"""Masks from words alone (the text-only prompting of Segment Anyword, F.3, Table 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts import ModelRecord, SampleError
from stages.artifacts.language import Parse
from stages.segment.recipe import GroundingDinoRecipe, Sam3Recipe
from stages.segment.segmenter import Cut, Request, Target, each

if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool, Float, UInt8

    Found = tuple[Bool[np.ndarray, "masks height width"], Float[np.ndarray, " masks"]]
    Ask = Callable[[UInt8[np.ndarray, "height width 3"]], Callable[[str], Found]]


class TextPrompted:
    """A model that finds what words name; each image is encoded once."""

    def __init__(self, recipe: GroundingDinoRecipe | Sam3Recipe, device: str) -> None:
        from stages.models.devices import choose_device

        chosen = choose_device(device)
        found = _boxes(recipe, chosen) if isinstance(recipe, GroundingDinoRecipe) else _sam3(recipe, chosen)
        self.ask: Ask = found[0]
        self.models: Mapping[str, ModelRecord] = found[1]
        self.recipe = recipe

    def cuts(self, requests: Sequence[Request]) -> Iterator[Mapping[Target, Cut] | SampleError]:
        return each(self._cuts, requests)

    def _cuts(self, request: Request) -> dict[Target, Cut]:
        image = request.image()
        size = (image.shape[0], image.shape[1])
        return cuts(request.parse, request.text, size, self.ask(image), self.recipe.answer, self.recipe.predicates)


def load(recipe: GroundingDinoRecipe | Sam3Recipe, device: str) -> TextPrompted:
    return TextPrompted(recipe, device)


def records(recipe: GroundingDinoRecipe | Sam3Recipe) -> Mapping[str, ModelRecord]:
    from stages.models.records import segment_anything, transformers_folder

    def own(what: str) -> ModelRecord:
        return transformers_folder(recipe.path, recipe.revision, offline=recipe.offline, what=what)

    if isinstance(recipe, Sam3Recipe):
        return {"sam3": own("SAM 3")}
    return {"grounding-dino": own("GroundingDINO"), "sam": segment_anything(recipe.model, recipe.checkpoint)}


def cuts(
    parse: Parse, text: str, size: tuple[int, int], ask: Callable[[str], Found], answer: str, predicates: bool
) -> dict[Target, Cut]:
    """A mask for every target, ("phrase", index) or ("predicate", index).

    ask: from a phrase's words to masks and scores, best first. answer: 'all' joins them, 'best' takes the first. A
    predicate's mask is its subject's and its object's, joined, its score the lower of theirs. Equal phrases are asked
    for once. A phrase for which nothing is found gets an empty mask of score 0.
    """
    known: dict[str, Cut] = {}
    found: dict[Target, Cut] = {}
    for index, phrase in enumerate(parse.phrases):
        words = phrase.span.of(text)
        if words not in known:
            known[words] = joined(*ask(words), size, answer)
        found["phrase", index] = known[words]
    for index, one in enumerate(parse.predicates if predicates else ()):
        members = [found["phrase", i] for i in (one.subject, one.object) if i is not None]
        mask = np.logical_or.reduce([member.mask for member in members]) if members else np.zeros(size, dtype=bool)
        found["predicate", index] = Cut(mask, min((member.score for member in members), default=0.0))
    return found


def joined(
    masks: Bool[np.ndarray, "masks height width"],
    scores: Float[np.ndarray, " masks"],
    size: tuple[int, int],
    answer: str,
) -> Cut:
    """The masks as one, with the best score."""
    if not len(masks):
        return Cut(np.zeros(size, dtype=bool), 0.0)
    mask = masks[0] if answer == "best" else np.logical_or.reduce(masks)
    return Cut(mask, float(scores[0]))


def _boxes(settings: GroundingDinoRecipe, device: torch.device) -> tuple[Ask, dict[str, ModelRecord]]:
    from stages.models import sam
    from stages.models.text_prompted import load_grounding_dino

    dino = load_grounding_dino(settings.path, settings.revision, offline=settings.offline, device=device)
    segmenter = sam.load(settings.model, settings.checkpoint, device)

    def ask(image: np.ndarray) -> Callable[[str], Found]:
        (encoded,) = segmenter.encode([image])

        def found(phrase: str) -> Found:
            boxes, scores = dino.boxes(image, phrase, settings.box_threshold)
            if settings.answer == "best":
                boxes, scores = boxes[:1], scores[:1]
            if not len(boxes):
                return np.zeros((0, *encoded.size), dtype=bool), scores
            return segmenter.decode_boxes(encoded, boxes)[0], scores

        return found

    return ask, {
        "grounding-dino": ModelRecord(id=dino.id, revision=settings.revision, sha256=dino.weights_sha256),
        "sam": ModelRecord(id=segmenter.id, sha256=segmenter.weights_sha256),
    }


def _sam3(settings: Sam3Recipe, device: torch.device) -> tuple[Ask, dict[str, ModelRecord]]:
    from stages.models.text_prompted import load_sam3

    model = load_sam3(settings.path, settings.revision, offline=settings.offline, device=device)

    def ask(image: np.ndarray) -> Callable[[str], Found]:
        seen = model.encode(image)
        return lambda phrase: model.masks(seen, phrase, settings.threshold, settings.mask_threshold)

    return ask, {"sam3": ModelRecord(id=model.id, revision=settings.revision, sha256=model.weights_sha256)}
