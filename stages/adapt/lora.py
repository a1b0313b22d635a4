"""LoRA of the text encoder under the diffusion loss; UNet, autoencoder and the encoder's own weights stay frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from stages.adapt.recipe import LoraRecipe
from stages.artifacts.progress import track
from stages.artifacts.seeds import generator, seed_of
from stages.backbones.diffusion import DiffusionBackbone
from stages.backbones.objective import draw_batch, prediction_error, timestep_range

if TYPE_CHECKING:
    from jaxtyping import Float, Int

TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The attention projections, so named in CLIP's encoder and in LDMBert."""


@dataclass(frozen=True)
class Adapter:
    """LoRA weights in PEFT's names, the configuration to load them with, and the loss of every step."""

    weights: dict[str, torch.Tensor]
    config: dict[str, Any]
    losses: tuple[float, ...]


def choose(ids: Sequence[str], recipe: LoraRecipe) -> list[str]:
    """The pairs to learn from: by a hash of seed and id, so the shards they lie in do not matter."""
    ranked = sorted(ids, key=lambda one: (seed_of(recipe.seed, "adapt", "choice", one), one))
    return ranked[: recipe.pairs]


def train(
    backbone: DiffusionBackbone,
    latents: Float[torch.Tensor, "pairs channels h w"],
    input_ids: Int[torch.Tensor, "pairs window"],
    sample_ids: Sequence[str],
    recipe: LoraRecipe,
) -> Adapter:
    """Learn an adapter from pairs. `backbone.encoder` is changed: load it anew to use it without."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, bias="none", target_modules=list(TARGETS)
    )
    torch.manual_seed(seed_of(recipe.seed, "adapt", "initial") % 2**32)  # LoRA's first A is random, its B zero
    model = get_peft_model(backbone.encoder, config)
    model.eval()  # dropout stays off; gradients do not depend on it
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=recipe.lr, weight_decay=recipe.weight_decay)
    losses = []
    for step, chosen in enumerate(track(_batches(len(sample_ids), recipe), "adapt", recipe.steps)):
        index = torch.tensor(chosen, device=backbone.device)
        ids = [sample_ids[n] for n in chosen]
        timesteps, noise = draw_batch(
            recipe.seed,
            "adapt",
            ids,
            step,
            1,
            latents.shape[1:],
            timestep_range(backbone, recipe.timesteps),
            backbone.device,
        )
        context = backbone.encode(input_ids[index], backbone.embed(input_ids[index]))
        loss = prediction_error(backbone, latents[index], context, timesteps, noise).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
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
