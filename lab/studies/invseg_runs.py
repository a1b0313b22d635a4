"""What InvSeg's study runs: label maps of embedded scenes by plain, refined and inverted prompts, and by an oracle.

In this process and not by Snakemake: the oracle learns from the truth, which no stage may see, and all ways are to look
at the same noised image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from stages.artifacts.language import Parse, Phrase, words
from stages.attend.merger import Merger
from stages.attend.noised import average, noise_of
from stages.attend.recipe import NoisedRecipe
from stages.invert.invseg import learn
from stages.invert.recipe import InvSegRecipe
from stages.learning.classes import memberships
from stages.learning.clustering import class_maps
from stages.models.face import DiffusionModel
from stages.models.inputs import Inputs
from stages.models.pixels import to_pixels
from stages.models.reading import AttentionReader
from stages.models.tokens import Tokens
from stages.samples.readers.semantic import listed
from stages.score.semantic import histogram
from stages.segment.argmax import label_map
from stages.segment.recipe import ArgmaxRecipe
from stages.world.class_lists import By, every_class, label_maps
from stages.world.scene import scene

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int64

SHARP = 20.0
"""The oracle's logits are this times a class's map."""
SIDE = 64
"""Cells a side at which the oracle is told the truth: maps are enlarged before they decide, and so they are here."""


@dataclass(frozen=True)
class Item:
    """One image with its class list."""

    id: str
    pixels: Float[torch.Tensor, "3 128 128"]
    text: str
    phrases: tuple[Phrase, ...]
    truth: Mapping[str, Bool[np.ndarray, "128 128"]]
    """By class that is there."""

    @property
    def names(self) -> list[str]:
        return [phrase.span.of(self.text) for phrase in self.phrases]


def items(
    model: DiffusionModel,
    split: str,
    numbers: Sequence[int],
    by: By,
    *,
    synonyms: bool = False,
    candidates: Literal["truth", "all"] = "truth",
) -> list[Item]:
    """The scenes as a semantic set. synonyms: only those scenes in whose list a word was never seen."""
    found = []
    for number in numbers:
        drawn = scene(split, number)
        truth = label_maps(drawn, by, synonyms=synonyms)
        if synonyms and truth.keys() == label_maps(drawn, by).keys():
            continue
        text, phrases = listed(list(truth) if candidates == "truth" else list(every_class(by)))  # type: ignore[arg-type]
        found.append(Item(f"{split}-{number:06d}", to_pixels(drawn.image, model.image_size), text, phrases, truth))
    return found


@dataclass(frozen=True)
class Way:
    """One way to a label map."""

    invert: Mapping[str, Any] | None = None
    """What differs from InvSeg's defaults; None: nothing learns."""
    refine: int = 1
    layers: tuple[str, ...] | None = None
    at: int = 50
    oracle: bool = False

    def recipe(self) -> InvSegRecipe:
        backbone = {"kind": "embedded"}
        return InvSegRecipe.model_validate({"backbone": backbone, "layers": self.layers, **(self.invert or {})})


def histograms(model: DiffusionModel, chosen: Sequence[Item], way: Way) -> list[dict[str, Int64[np.ndarray, " 3"]]]:
    """Of each image and class, its pixels in both, in the prediction and in the truth."""
    tokens = Tokens.together([model.tokenize(one.text) for one in chosen])
    pixels = torch.stack([one.pixels for one in chosen])
    count = len(chosen)
    inputs = Inputs(tuple(range(count)), (0,) * count, model.latents(pixels), pixels, tokens, {})
    with torch.no_grad():
        condition = model.condition(tokens, model.embed(tokens))
    context = condition.context.clone()
    if way.oracle:
        context = _oracle(model, inputs, chosen, way)
    elif way.invert is not None:
        learned = learn(model, inputs, [one.text for one in chosen], [one.id for one in chosen], way.recipe())
        for row, own in enumerate(learned):
            context[row, list(own.tokens[0])] = own.vectors[0].to(context)
    reader = AttentionReader(model, layers=way.layers, own=way.refine > 0)
    seen = average(
        reader,
        inputs.latents,
        condition.with_context(context),
        [one.id for one in chosen],
        NoisedRecipe.model_validate({"kind": "single-step", "at": (way.at,), "refine": way.refine}),
        rows=64,
    )
    found = []
    for row, one in enumerate(chosen):
        spans = list(words(one.text))
        values = Merger(tokens, [row], spans, special=False)([seen.mean(row)])
        maps = {(span.start, span.end): own for span, own in zip(spans, values, strict=True)}
        cuts = label_map(Parse(phrases=one.phrases), maps, (128, 128), ArgmaxRecipe.model_validate({}))
        found.append(_counts(one, [cuts["phrase", n].mask for n in range(len(one.phrases))]))
    return found


def _counts(one: Item, masks: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    names = one.names
    truth, prediction = np.full((2, 128, 128), -1)
    for number, (name, mask) in enumerate(zip(names, masks, strict=True)):
        prediction[mask] = number
        if name in one.truth:
            truth[one.truth[name]] = number
    counts = histogram(truth, prediction, len(names), ignore=-1)
    return {name: counts[:, n] for n, name in enumerate(names)}


def _oracle(
    model: DiffusionModel, inputs: Inputs, chosen: Sequence[Item], way: Way, steps: int = 60, lr: float = 0.03
) -> Float[torch.Tensor, "images columns width"]:
    """The encoding that says the truth best, by cross-entropy on the very noised image that is then read: what the
    prompt's encoding could reach at most, by no method."""
    with torch.no_grad():
        condition = model.condition(inputs.tokens, model.embed(inputs.tokens))
    context = condition.context.clone().requires_grad_()
    texts = [one.text for one in chosen]
    members = [own.to(model.device) for own in memberships(inputs.tokens, texts, "list", context.shape[1])]
    reader = AttentionReader(model, layers=way.layers, own=True)
    targets = [_shares(one).to(model.device) for one in chosen]
    optimiser = torch.optim.Adam([context], lr=lr, foreach=False)
    ids = [one.id for one in chosen]
    # The attender's own noise, so that the oracle looks at what is then judged.
    noise = torch.stack([noise_of(own, 0, one, way.at, 0) for own, one in zip(inputs.latents, ids, strict=True)])
    timesteps = torch.full((len(ids),), way.at, device=model.device)
    noised = model.path.noised(inputs.latents, noise, timesteps)
    for _ in range(steps):
        maps = reader(noised, timesteps, condition.with_context(context))
        loss = context.sum() * 0.0
        for row, (own, target) in enumerate(zip(members, targets, strict=True)):
            attention = maps.own[row].detach() if maps.own is not None else torch.zeros(())
            said = class_maps(maps.cross[row].flatten(1), attention, own, way.refine).unflatten(-1, reader.grid)
            large = torch.nn.functional.interpolate(said[None], size=(SIDE, SIDE), mode="bilinear", align_corners=False)
            loss = loss - (target * (SHARP * large[0]).log_softmax(dim=0)).sum(dim=0).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return context.detach()


def _shares(one: Item) -> Float[torch.Tensor, "classes side side"]:
    """Of each cell, the share that each listed class has in the truth."""
    masks = np.stack([one.truth.get(name, np.zeros((128, 128), bool)) for name in one.names])
    return torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(masks).float(), (SIDE, SIDE))
