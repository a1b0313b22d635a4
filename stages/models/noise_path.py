"""How a model's latents become noise: the one thing about schedulers that stages know.

A path is labelled by timesteps from 0, the image, up to `timesteps`, all noise. A chain is a rising list of such labels
(`levels`), along which `move` takes latents by the model's own predictions, up or down, without a random draw.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from stages.artifacts.errors import AnywordError

if TYPE_CHECKING:
    from jaxtyping import Float

Level = float
"""A label of a chain: a timestep, whole where the model was trained on whole ones."""


class NoisePath(Protocol):
    timesteps: int
    """Labels run from 0 to this, end exclusive."""

    def noised(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        noise: Float[torch.Tensor, "rows channels h w"],
        timesteps: torch.Tensor,
    ) -> Float[torch.Tensor, "rows channels h w"]:
        """Latents with noise added, each row at its timestep."""

    def target(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        noise: Float[torch.Tensor, "rows channels h w"],
        timesteps: torch.Tensor,
    ) -> Float[torch.Tensor, "rows channels h w"]:
        """What the model was trained to predict for these latents and this noise."""

    def levels(self, steps: int) -> list[Level]:
        """The labels of a chain of so many steps, rising. AnywordError where there is no such chain."""

    def move(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        predicted: Float[torch.Tensor, "rows channels h w"],
        at: Level | None,
        to: Level | None,
    ) -> Float[torch.Tensor, "rows channels h w"]:
        """Latents at one label taken to another by a prediction made there; None is the image's own level."""

    def noise_share(self, level: Level) -> float:
        """How much of the sum of amplitudes is noise at a label: what tells levels of two families apart."""

    def facts(self) -> dict[str, str]:
        """For people."""


def _shares(path: NoisePath) -> dict[str, str]:
    """Of noise at some labels, which a user may compare."""
    at = [path.timesteps * share // 20 for share in (1, 2, 5, 10)]
    shares = ", ".join(f"{path.noise_share(level):.2f}" for level in at)
    return {"share of noise": f"{shares} at timesteps {', '.join(map(str, at))}"}


class DdpmPath:
    """Denoising diffusion: sqrt(a_t) z + sqrt(1 - a_t) noise, moved by DDIM's formula (Song et al., 2021).

    Of a scheduler's file only the noise schedule and the prediction's type count: which sampler it names, and how that
    spaces its steps, are a matter of drawing images. Chains are spaced evenly ("leading"), as both papers' code does.
    """

    def __init__(self, scheduler: Any) -> None:
        """scheduler: diffusers' DDIMScheduler, of whatever file."""
        self.scheduler = scheduler
        self._alphas = scheduler.alphas_cumprod
        self.prediction_type: str = scheduler.config.prediction_type
        self.timesteps = int(scheduler.config.num_train_timesteps)

    @classmethod
    def from_folder(cls, folder: Path) -> DdpmPath:
        """The noise schedule in `scheduler_config.json`."""
        from diffusers import DDIMScheduler

        return cls(DDIMScheduler.from_pretrained(folder, local_files_only=True))

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        noised: torch.Tensor = self.scheduler.add_noise(latents, noise, timesteps)
        return noised

    def target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        if self.prediction_type == "v_prediction":
            velocity: torch.Tensor = self.scheduler.get_velocity(latents, noise, timesteps)
            return velocity
        return latents if self.prediction_type == "sample" else noise

    def levels(self, steps: int) -> list[Level]:
        if steps > self.timesteps:
            raise AnywordError(
                f"attend: a chain of {steps} steps, and the backbone knows {self.timesteps} timesteps.",
                remedy="Give the attender fewer steps.",
            )
        offset = int(self.scheduler.config.steps_offset)
        return [offset + step * (self.timesteps // steps) for step in range(steps)]

    def _alpha(self, level: Level | None) -> torch.Tensor:
        alpha: torch.Tensor = self.scheduler.final_alpha_cumprod if level is None else self._alphas[int(level)]
        return alpha

    def move(self, latents: torch.Tensor, predicted: torch.Tensor, at: Level | None, to: Level | None) -> torch.Tensor:
        here, there = self._alpha(at), self._alpha(to)
        noise_here = 1 - here
        if self.prediction_type == "v_prediction":
            image = here**0.5 * latents - noise_here**0.5 * predicted
            noise = here**0.5 * predicted + noise_here**0.5 * latents
        elif self.prediction_type == "sample":
            image = predicted
            noise = (latents - here**0.5 * image) / noise_here**0.5
        else:
            image = (latents - noise_here**0.5 * predicted) / here**0.5
            noise = predicted
        return there**0.5 * image + (1 - there) ** 0.5 * noise

    def noise_share(self, level: Level) -> float:
        image, noise = float(self._alpha(level)) ** 0.5, (1 - float(self._alpha(level))) ** 0.5
        return noise / (image + noise)

    def facts(self) -> dict[str, str]:
        return {
            "predicts": self.prediction_type,
            "noise schedule": f"{self.scheduler.config.beta_schedule}, {self.timesteps} timesteps",
            **_shares(self),
        }


def _shares_of_stable_diffusion() -> Float[torch.Tensor, " timesteps"]:
    """The share of noise at Stable Diffusion's timesteps 1 to 999; at 0 none, and at 1000 nothing else."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0)
    noise, image = (1 - kept).sqrt(), kept.sqrt()
    return torch.cat([kept.new_zeros(1), (noise / (noise + image))[1:], kept.new_ones(1)])


class FlowPath:
    """Rectified flow: (1 - s) z + s noise for a share s of noise, predicted as noise - z and moved in straight steps.

    A timestep is Stable Diffusion's that has as much noise, sqrt(1 - a_t) / (sqrt(a_t) + sqrt(1 - a_t)) = s, so that
    a recipe's timesteps mean the same for both; only `shares` and `label` know of it. `shift` spreads a chain's steps
    towards noise, as Stable Diffusion 3 does.
    """

    timesteps = 1000
    _known = _shares_of_stable_diffusion()

    def __init__(self, *, shift: float = 1.0) -> None:
        self.shift = shift

    @classmethod
    def from_folder(cls, folder: Path, cells: int) -> FlowPath:
        """The shift in `scheduler_config.json`; where it follows the image's size, that for so many cells."""
        from diffusers import FlowMatchEulerDiscreteScheduler

        config = FlowMatchEulerDiscreteScheduler.from_pretrained(folder, local_files_only=True).config
        shift = config.shift
        if config.use_dynamic_shifting:
            few, many = config.base_image_seq_len, config.max_image_seq_len
            share = (cells - few) / (many - few)
            shift = config.base_shift + (config.max_shift - config.base_shift) * share
            shift = math.exp(shift) if config.time_shift_type == "exponential" else shift
        return cls(shift=shift)

    def shares(self, timesteps: torch.Tensor) -> Float[torch.Tensor, " rows"]:
        """Of noise at timesteps, which is what these models are told (Stable Diffusion 3 a thousand times as much)."""
        known = self._known.to(timesteps.device)
        below = timesteps.long().clamp(0, self.timesteps - 1)
        return torch.lerp(known[below], known[below + 1], timesteps.double() - below).float()

    def label(self, share: float) -> Level:
        """The timestep at which there is such a share of noise, in 0..1."""
        above = min(max(int(torch.searchsorted(self._known, share)), 1), self.timesteps)
        low, high = self._known[above - 1 : above + 1].tolist()
        return above - 1 + (share - low) / (high - low)

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        share = self.shares(timesteps).to(latents).view(-1, *[1] * (latents.ndim - 1))
        return (1 - share) * latents + share * noise

    def target(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        return noise - latents

    def levels(self, steps: int) -> list[Level]:
        even = [(step + 0.5) / steps for step in range(steps)]  # neither the image's own level nor pure noise
        return [self.label(self.shift * s / (1 + (self.shift - 1) * s)) for s in even]

    def move(self, latents: torch.Tensor, predicted: torch.Tensor, at: Level | None, to: Level | None) -> torch.Tensor:
        return latents + (self.noise_share(to or 0.0) - self.noise_share(at or 0.0)) * predicted

    def noise_share(self, level: Level) -> float:
        return float(self.shares(torch.tensor([level], dtype=torch.float64)))

    def facts(self) -> dict[str, str]:
        return {"predicts": "flow", "noise schedule": f"rectified flow, shift {self.shift:g}", **_shares(self)}
