"""What inversion and attention cost as others write them, on the same models and tensors.

`textual_inversion_step` is the training step of diffusers' example (examples/textual_inversion), one image at a time:
the batch is the image repeated, autoencoder and text encoder run for every row and step, the whole table of embeddings
has a gradient and an optimiser, and every row but the learned one is put back. `attention_store_pass` is
prompt-to-prompt's: denoising step after step with guidance, an explicit softmax in every attention layer, all maps up
to 32x32 kept in lists.
"""

from __future__ import annotations

from typing import Any

import torch

from stages.models.face import Condition
from stages.models.tokens import Encoding, Tokens
from stages.models.unet import UNetModel


class TextualInversionExample:
    """diffusers' example, reduced to its step."""

    def __init__(self, backbone: UNetModel, lr: float) -> None:
        self.backbone = backbone
        self.table = torch.nn.Parameter(backbone.tables[0].detach().clone())
        self.original = backbone.tables[0].detach().clone()
        self.optimiser = torch.optim.AdamW([self.table], lr=lr)

    def step(self, pixels: torch.Tensor, input_ids: torch.Tensor, learned: torch.Tensor, draws: int) -> float:
        """pixels (3, H, W), input_ids (L,): one image and its text. learned: ids whose rows may change."""
        backbone = self.backbone
        rows = pixels[None].expand(draws, -1, -1, -1)
        with torch.no_grad():
            latents = backbone.autoencoder.encode(rows).latent_dist.sample()
            latents = latents * backbone.autoencoder.config.scaling_factor
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, backbone.path.scheduler.config.num_train_timesteps, (draws,)).long()
        noised = backbone.path.scheduler.add_noise(latents, noise, timesteps)
        ids = input_ids[None].expand(draws, -1)
        embeddings = torch.nn.functional.embedding(ids, self.table)
        tokens = Tokens((Encoding(ids, (((0, 0),) * ids.shape[1],) * draws),))
        context = backbone.condition(tokens, [embeddings]).context
        predicted = backbone.unet(noised, timesteps, context).sample
        loss = torch.nn.functional.mse_loss(predicted.float(), noise.float(), reduction="mean")
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        with torch.no_grad():
            others = torch.ones(len(self.table), dtype=torch.bool)
            others[learned] = False
            self.table[others] = self.original[others]
        return float(loss.detach())


class StoringProcessor:
    """prompt-to-prompt's attention: explicit softmax, probabilities appended to a list."""

    def __init__(self, store: list[torch.Tensor]) -> None:
        self.store = store

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(context))
        value = attn.head_to_batch_dim(attn.to_v(context))
        probabilities = attn.get_attention_scores(query, key, attention_mask)
        if probabilities.shape[1] <= 32**2:
            half = len(probabilities) // 2  # the conditional half
            self.store.append(probabilities[half:].clone())
        out = attn.batch_to_head_dim(torch.bmm(probabilities, value))
        return attn.to_out[1](attn.to_out[0](out))


@torch.no_grad()
def attention_store_pass(
    backbone: UNetModel, start: torch.Tensor, condition: Condition, empty: Condition, steps: int, guidance: float = 7.5
) -> torch.Tensor:
    """Maps (L, 16, 16) of one image: denoise `start` (1, C, h, w) with guidance, averaging the stored maps."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_config(backbone.path.scheduler.config)
    scheduler.set_timesteps(steps)
    kept = dict(backbone.unet.attn_processors)
    store: list[torch.Tensor] = []
    backbone.unet.set_attn_processor(StoringProcessor(store))
    try:
        z, sums = start, None
        both = Condition(torch.cat([empty.context, condition.context]))
        for t in scheduler.timesteps:
            predicted = backbone.predict(torch.cat([z, z]), t.expand(2), both)
            free, conditional = predicted.chunk(2)
            z = scheduler.step(free + guidance * (conditional - free), int(t), z).prev_sample
            sums = [s + new for s, new in zip(sums, store, strict=True)] if sums else list(store)
            store.clear()
    finally:
        backbone.unet.set_attn_processor(kept)
    grid = backbone.read_by_default[0].grid
    window = condition.context.shape[1]
    maps = [m for m in sums or [] if m.shape[1] == grid[0] * grid[1] and m.shape[2] == window]
    return (torch.cat(maps).mean(0) / steps).T.unflatten(-1, grid)


@torch.no_grad()
def inversion_pass(backbone: UNetModel, latents: torch.Tensor, condition: Condition, steps: int) -> torch.Tensor:
    """DDIM inversion of one image, step after step; returns the last latent."""
    from diffusers import DDIMInverseScheduler

    scheduler = DDIMInverseScheduler.from_config(backbone.path.scheduler.config)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        predicted = backbone.predict(latents, t.expand(1), condition)
        latents = scheduler.step(predicted, int(t), latents).prev_sample
    return latents
