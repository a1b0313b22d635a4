"""LoRA of the text encoder under the inverters' own losses; UNet, autoencoder and the encoder's weights stay frozen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from stages.adapt.recipe import LoraRecipe
from stages.artifacts.progress import track
from stages.artifacts.seeds import generator, seed_of
from stages.learning.draws import draw_batch, prediction_error, timestep_range
from stages.learning.entropy import entropy
from stages.learning.trainable_tokens import Lessons
from stages.models.diffusion import DiffusionBackbone

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The attention projections, so named in CLIP's encoder and in LDMBert."""


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
    lessons: Lessons

    def embeddings(self, backbone: DiffusionBackbone) -> Float[torch.Tensor, "rows window width"]:
        """The encoder's input, joined words at their mean."""
        found = backbone.embed(self.lessons.encoding.input_ids)
        if self.lessons.initial is not None:
            words = self.lessons.learning()
            found[words.text, words.token] = self.lessons.initial.to(found)
        return found

    def known(self, backbone: DiffusionBackbone) -> Bool[torch.Tensor, "rows window"]:
        """Tokens but those of words that the tokenizer splits or does not know."""
        found = torch.ones(self.lessons.encoding.input_ids.shape, dtype=torch.bool, device=backbone.device)
        for row, one in enumerate(self.lessons.chosen):
            found[row, list(one.unknown)] = False
        return found


def train(backbone: DiffusionBackbone, pairs: Pairs, recipe: LoraRecipe) -> Adapter:
    """Learn an adapter from pairs. `backbone.encoder` is changed: load it anew to use it without.

    The loss is the diffusion loss and, where the recipe says so, the entropy of the phrases' maps and what the encoder
    has changed of words that it knew.
    """
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, bias="none", target_modules=list(TARGETS)
    )
    input_ids, embeddings = pairs.lessons.encoding.input_ids, pairs.embeddings(backbone)
    words = pairs.lessons.content()
    known = pairs.known(backbone)
    torch.manual_seed(seed_of(recipe.seed, "adapt", "initial") % 2**32)  # LoRA's first A is random, its B zero
    model = get_peft_model(backbone.encoder, config)
    model.eval()  # dropout stays off; gradients do not depend on it
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=recipe.lr, weight_decay=recipe.weight_decay)
    losses = []
    for step, chosen in enumerate(track(_batches(len(pairs.ids), recipe), "adapt", recipe.steps)):
        index = torch.tensor(chosen, device=backbone.device)
        timesteps, noise = draw_batch(
            recipe.seed,
            "adapt",
            [pairs.ids[n] for n in chosen],
            step,
            1,
            pairs.latents.shape[1:],
            timestep_range(backbone, recipe.timesteps),
            backbone.device,
        )
        context = backbone.encode(input_ids[index], embeddings[index])
        with backbone.capture() if recipe.entropy else nullcontext() as capture:
            loss = prediction_error(backbone, pairs.latents[index], context, timesteps, noise).square().mean()
            total = loss
            if capture is not None and recipe.entropy is not None:
                maps = capture.take().unflatten(0, (-1, 1))
                total = loss + recipe.entropy.weight * entropy(maps, words.of(chosen)).mean()
        if recipe.keep:
            with torch.no_grad(), model.disable_adapter():
                before = backbone.encode(input_ids[index], embeddings[index])
            total = total + recipe.keep * (context - before)[known[index]].square().mean()
        if recipe.schedule == "linear":
            optimiser.param_groups[0]["lr"] = recipe.lr * (1 - step / recipe.steps)
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    weights = {name: value.detach().cpu().contiguous() for name, value in get_peft_model_state_dict(model).items()}
    return Adapter(weights, plain_config(config, backbone.id), tuple(losses))


def plain_config(config: Any, base: str) -> dict[str, Any]:
    """PEFT's configuration as the same JSON on every machine: no local path, no unordered set."""
    values = {
        name: sorted(value) if isinstance(value, set) else value
        for name, value in config.to_dict().items()
        if value is not None
    }
    return values | {"base_model_name_or_path": base, "peft_type": "LORA", "inference_mode": True}


def _batches(count: int, recipe: LoraRecipe) -> list[list[int]]:
    """Pairs of each step: whole passes in a seeded order, one after the other."""
    size = min(recipe.pairs_a_step, count)
    order: list[int] = []
    turn = 0
    while len(order) < recipe.steps * size:
        order += generator(recipe.seed, "adapt", "order", turn).permutation(count).tolist()
        turn += 1
    return [order[step * size : (step + 1) * size] for step in range(recipe.steps)]
