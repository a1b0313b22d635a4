"""What a user may say about inversion. Light: no torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from stages.artifacts import Stage
from stages.artifacts.recipes import Options, Recipe
from stages.learning.recipe import Contrast, Entropy, Mask
from stages.models import recipe as backbones

STAGE = Stage(name="invert", version="3")


class Settle(Options):
    """Stop an image once its words' maps no longer change."""

    every: int = Field(10, ge=1, description="Steps between two looks at the maps.")
    tolerance: float = Field(
        0.01,
        gt=0,
        description="Mean total variation (0..1) between two looks' maps under which they count as settled.",
    )
    patience: int = Field(2, ge=1, description="Looks in a row that must find them settled.")
    draws: int = Field(4, ge=1, description="Fixed noised latents at which the maps are looked at.")


class InverterRecipe(Recipe):
    """What every inverter has."""

    SPACE: ClassVar[Literal["input", "output"]] = "input"
    """Whether its vectors are the encoder's input or what the denoiser is given."""

    backbone: backbones.BackboneRecipe = Field(
        default_factory=backbones.BackboneRecipe, description="The diffusion model."
    )
    adapter: str | None = Field(
        None, description="One of `adapters`: a text encoder fitted to the dataset, for which few steps suffice."
    )
    seed: int = Field(0, ge=0, description="Names the noise; a sample's draws depend on nothing else but its id.")
    steps: int = Field(1100, ge=0, description="Optimisation steps; 0 leaves every word as it is.")


class TextualRecipe(InverterRecipe):
    """Textual inversion of the words' input embeddings (Segment Anyword, section 2.3 and appendix C.1).

    The defaults are the paper's, for latent diffusion and Stable Diffusion, but for `initial`. They harm a small
    backbone, whose table of embeddings is much narrower than 0.005: see `lr_unit`.
    """

    MODULE: ClassVar = "stages.invert.textual"

    kind: Literal["textual"] = "textual"
    words: Literal["content", "all"] | tuple[str, ...] = Field(
        "content", description="Which words learn: content words, all words, or those listed."
    )
    initial: Literal["pretrained", "random-unknown", "random"] = Field(
        "pretrained",
        description="First vectors: the encoder's own; drawn from the table's mean and spread for words that the "
        "tokenizer splits or does not know (the paper's, C.1); or drawn so for every word that learns.",
    )
    pieces: Literal["each", "joined"] = Field(
        "each",
        description="A word that the tokenizer splits: every piece learns for itself; or the word is one token that "
        "learns, from the mean of its pieces on (a pseudo-word, as in textual inversion).",
    )
    draws: int = Field(8, ge=1, description="Noise draws an image and step (the paper's batch size).")
    antithetic: bool = Field(False, description="Draws in pairs of opposite noise at the same timestep.")
    stratified: bool = Field(False, description="A step's timesteps spread evenly over their range.")
    timesteps: tuple[int, int] = Field((0, 1000), description="Range of timesteps drawn, end exclusive.")
    lr: float = Field(0.005, gt=0, description="Learning rate of AdamW.")
    lr_unit: Literal["absolute", "table"] = Field(
        "absolute", description="'table': lr counts in standard deviations of the table of embeddings."
    )
    known_rate: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        description="Share of lr for words that the tokenizer knows whole: a model that was trained on a word has "
        "less to learn of it from one image than of a word it never saw.",
    )
    scale_lr: bool = Field(False, description="Multiply lr by the draws, as latent diffusion's trainer does.")
    schedule: Literal["constant", "linear"] = Field(
        "constant", description="'linear': lr falls to zero over the steps."
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay of the vectors towards zero.")
    mask: Mask | None = Field(None, description="Attention-masked loss; off by default.")
    contrast: Contrast | None = Field(None, description="PromptCL; off by default.")
    entropy: Entropy | None = Field(None, description="Entropy of phrases' maps as a further loss; off by default.")
    settle: Settle | None = Field(None, description="Early stop, image by image.")

    @model_validator(mode="after")
    def _consistent(self) -> TextualRecipe:
        low, high = self.timesteps
        if not 0 <= low < high:
            raise ValueError(f"timesteps {low}..{high} is not a range")
        if self.antithetic and self.draws % 2:
            raise ValueError(f"antithetic draws come in pairs, but draws is {self.draws}")
        return self
