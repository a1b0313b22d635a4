"""What a user may say about adapting the text encoder. Light: no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stages.artifacts import Stage
from stages.artifacts.recipes import Recipe
from stages.learning.recipe import Entropy
from stages.models import recipe as backbones

STAGE = Stage(name="adapt", version="1")


class LoraRecipe(Recipe):
    """LoRA of the text encoder on a dataset's training pairs (the fast variant of Segment Anyword, section 3 and C.1).

    The paper gives 500 pairs, 1 100 steps (section 3) and r = 16 (C.1); it states neither alpha, rate nor batch.
    """

    kind: Literal["lora"] = "lora"
    backbone: backbones.BackboneRecipe = Field(
        default_factory=backbones.BackboneRecipe, description="The diffusion model, the inverter's own."
    )
    dataset: str | None = Field(None, description="One of `datasets`: where the pairs come from, of its train split.")
    pairs: int = Field(500, ge=1, description="Image-text pairs, drawn by the seed from the dataset's.")
    rank: int = Field(16, ge=1, description="r of LoRA.")
    alpha: int = Field(16, gt=0, description="LoRA's scale: its update counts alpha / r.")
    steps: int = Field(1100, ge=1, description="Optimisation steps; 1 100 are the paper's (section 3).")
    pairs_a_step: int = Field(8, ge=1, description="Pairs a step, each with one noise draw.")
    lr: float = Field(1e-4, gt=0, description="Learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay.")
    timesteps: tuple[int, int] = Field((0, 1000), description="Range of timesteps drawn, end exclusive.")
    schedule: Literal["constant", "linear"] = Field(
        "constant", description="'linear': lr falls to zero over the steps."
    )
    pieces: Literal["each", "joined"] = Field(
        "each",
        description="A word that the tokenizer splits: as its pieces, or as one token, their mean, which is what an "
        "inverter with pieces: joined begins with. As the inverter's.",
    )
    entropy: Entropy | None = Field(
        None, description="Entropy of phrases' maps as a further loss, as the inverter's; off by default."
    )
    keep: float = Field(
        0.0,
        ge=0.0,
        description="Weight of the squared change in what the encoder says of tokens whose words the tokenizer knows "
        "whole: the diffusion loss alone costs them their maps. 0: off.",
    )
    seed: int = Field(0, ge=0, description="Names the choice of pairs, their order and the noise.")

    @model_validator(mode="after")
    def _consistent(self) -> LoraRecipe:
        low, high = self.timesteps
        if not 0 <= low < high:
            raise ValueError(f"timesteps {low}..{high} is not a range")
        return self
