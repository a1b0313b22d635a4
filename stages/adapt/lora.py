"""LoRA of the text encoder under the inverters' own losses; the denoiser and the encoder's weights stay frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stages.adapt.recipe import LoraRecipe
from stages.artifacts.kept import Kept
from stages.artifacts.progress import track
from stages.artifacts.seeds import generator, seed_of
from stages.learning.draws import draw_batch, prediction_error, timestep_range
from stages.learning.entropy import entropy
from stages.learning.resumption import learned, take_up
from stages.learning.trainable_tokens import TrainableTokens
from stages.models.adapter import Lora
from stages.models.face import DiffusionModel
from stages.models.reading import AttentionReader

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Adapter:
    """LoRA weights in PEFT's names, the configuration to load them with, and the diffusion loss of every step."""

    weights: dict[str, torch.Tensor]
    config: dict[str, Any]
    losses: tuple[float, ...]


def choose(ids: Sequence[str], recipe: LoraRecipe) -> list[str]:
    """The pairs to learn from: by a hash of seed and id, so the shards they lie in do not matter."""
    ranked = sorted(ids, key=lambda one: (seed_of(recipe.seed, "adapt", "choice", one), one))
    return ranked[: recipe.pairs]


@dataclass(frozen=True)
class Pairs:
    """What an adapter is learned from; a row is one window of a text with its image."""

    ids: Sequence[str]
    """Of each row, its sample's id."""
    latents: Float[torch.Tensor, "rows channels h w"]
    texts: TrainableTokens
    """In their one encoder, words joined that the inverter will join."""

    def known(self) -> Bool[torch.Tensor, "rows window"]:
        """Tokens but those of words that the tokenizer splits or does not know."""
        (encoding,), (rows,) = self.texts.tokens.encodings, self.texts.rows
        found = torch.ones_like(encoding.input_ids, dtype=torch.bool)
        for row, one in enumerate(rows):
            found[row, list(one.unknown)] = False
        return found


def train(model: DiffusionModel, pairs: Pairs, recipe: LoraRecipe, kept: Kept | None = None) -> Adapter:
    """Learn an adapter from pairs. The model's text encoder is changed: load it anew to use it without. kept: where to
    go on, and to leave how far it has come.

    The loss is the diffusion loss and, where the recipe says so, the entropy of the phrases' maps and what the encoder
    has changed of words that it knew.
    """
    embeddings = pairs.texts.embeddings(model)
    content = pairs.texts.content()
    known = pairs.known()
    lora = Lora(model, rank=recipe.rank, alpha=recipe.alpha, seed=seed_of(recipe.seed, "adapt", "initial"))
    reader = AttentionReader(model) if recipe.entropy else None
    optimiser = torch.optim.AdamW(lora.parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
    kept = kept or Kept(None)
    losses: list[float] = []
    if before := kept.found(pairs.ids):
        take_up(optimiser, before)
        losses = before["losses"].tolist()
    batches = _batches(len(pairs.ids), recipe)
    with kept.steps(recipe.steps) as steps:
        for step in track(steps, "adapt"):
            chosen = batches[step]
            index = torch.tensor(chosen, device=model.device)
            timesteps, noise = draw_batch(
                recipe.seed,
                "adapt",
                [pairs.ids[n] for n in chosen],
                step,
                1,
                pairs.latents.shape[1:],
                timestep_range(model, recipe.timesteps),
                model.device,
            )

            def descend(
                chosen: list[int] = chosen,
                index: torch.Tensor = index,
                timesteps: torch.Tensor = timesteps,
                noise: torch.Tensor = noise,
            ) -> float:
                optimiser.zero_grad(set_to_none=True)
                given = pairs.texts.tokens.select(chosen), [one[index] for one in embeddings]
                condition = model.condition(*given)
                error, maps = prediction_error(model, pairs.latents[index], condition, timesteps, noise, reader)
                loss = error.square().mean()
                total = loss
                if maps is not None and recipe.entropy is not None:
                    total = loss + recipe.entropy.weight * entropy(maps.cross[:, None], content.of(chosen)).mean()
                if recipe.keep:
                    with torch.no_grad(), lora.disabled():
                        before = model.condition(*given).context
                    total = total + recipe.keep * (condition.context - before)[known[index]].square().mean()
                total.backward()
                return float(loss.detach())

            if recipe.schedule == "linear":
                optimiser.param_groups[0]["lr"] = recipe.lr * (1 - step / recipe.steps)
            losses.append(model.memory.until_it_fits(descend, spare=model.spare))
            optimiser.step()
            kept.after(step, lambda: {**learned(optimiser), "losses": np.array(losses)})
    return Adapter(lora.weights(), lora.config(), tuple(losses))


def _batches(count: int, recipe: LoraRecipe) -> list[list[int]]:
    """Pairs of each step: whole passes in a seeded order, one after the other."""
    size = min(recipe.pairs_a_step, count)
    order: list[int] = []
    turn = 0
    while len(order) < recipe.steps * size:
        order += generator(recipe.seed, "adapt", "order", turn).permutation(count).tolist()
        turn += 1
    return [order[step * size : (step + 1) * size] for step in range(recipe.steps)]
