"""What a user may say about inversion. Light: no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from stages.artifacts import Stage
from stages.artifacts.recipes import Options, Recipe
from stages.learning.recipe import Clustering, Contrast, Entropy, Mask
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
    clustering: Clustering | None = Field(
        None, description="InvSeg's clustering of phrases' maps as a further loss; off by default."
    )
    settle: Settle | None = Field(None, description="Early stop, image by image.")

    @property
    def reads_maps(self) -> bool:
        """Whether a term of its loss is of maps."""
        return bool(self.mask or self.entropy or self.clustering)

    @model_validator(mode="after")
    def _consistent(self) -> TextualRecipe:
        low, high = self.timesteps
        if not 0 <= low < high:
            raise ValueError(f"timesteps {low}..{high} is not a range")
        if self.antithetic and self.draws % 2:
            raise ValueError(f"antithetic draws come in pairs, but draws is {self.draws}")
        return self


class InvSegRecipe(InverterRecipe):
    """InvSeg (Lin et al., AAAI 2025): the encoding of a class prompt learns from one image. What the paper leaves open
    is an option here; docs/invseg.md says why each default.
    """

    MODULE: ClassVar = "stages.invert.invseg"
    SPACE: ClassVar = "output"

    kind: Literal["invseg"] = "invseg"
    steps: int = Field(15, ge=0, description="Optimisation steps; 0 leaves the prompt as it is (Diffusion Baseline).")
    lr: float = Field(0.01, gt=0, description="Learning rate of Adam.")
    timesteps: tuple[int, int] = Field((5, 300), description="Range of timesteps drawn, end exclusive.")
    classes: Literal["list", "runs"] = Field(
        "list",
        description="What a class is. list: what stands between commas of a class prompt ('sky, hot dog'); runs: of a "
        "sentence, content words with but spaces between them ('a striped circle on grass': two).",
    )
    tokens: Literal["all", "classes"] = Field(
        "all", description="Which columns of the encoding learn: all, marks and padding too, or the classes' alone."
    )
    views: int = Field(2, ge=1, description="Random resized crops of the image in a step.")
    least_crop: float = Field(0.6, gt=0, le=1, description="Smallest share of the image that a crop shows.")
    crops: Literal["fixed", "redrawn"] = Field(
        "fixed",
        description="One set of crops for all steps, or new ones at every step, which doubles the time: each is "
        "encoded anew.",
    )
    clustering: float = Field(1.0, ge=0, description="Weight of contrastive soft clustering.")
    entropy: float = Field(1.0, ge=0, description="Weight of the entropy over the views (alpha).")
    scale: float = Field(4.0, gt=0, description="How sharply anchors are selected: sigmoid(scale (M - centre)).")
    centre: float = Field(0.5, ge=0, le=1, description="The map's value at which a cell is half an anchor.")
    divergence: Literal["sum", "mean"] = Field(
        "sum", description="The distance of two cells: both directions' KL added (equation 3), or their mean."
    )
    self_gradient: bool = Field(
        False, description="Whether gradients also flow through self-attention, which the encoding moves a little."
    )
    refine: int = Field(1, ge=0, le=8, description="How often maps are spread along self-attention (equation 2).")
    normalise: Literal["none", "classes"] = Field(
        "none",
        description="classes: cells are shared out between the classes before both losses (a softmax of ten times the "
        "map; M over its sum). Deviates from the paper, whose M is each class's own.",
    )
    scales: dict[int, Annotated[float, Field(gt=0)]] | None = Field(
        None, min_length=1, description="As an attender's: weights by resolution. Default: the backbone's own layers."
    )
    layers: tuple[str, ...] | None = Field(
        None, min_length=1, description="As an attender's: layers to read, by the beginning of their names."
    )
    side: int | None = Field(
        None,
        ge=4,
        le=128,
        description="Maps and self-attention are interpolated to so many cells a side before the losses (the paper: "
        "64). Default: as they are read, since interpolation adds cells and no structure.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> InvSegRecipe:
        low, high = self.timesteps
        if not 0 <= low < high:
            raise ValueError(f"timesteps {low}..{high} is not a range")
        if not self.clustering and not self.entropy:
            raise ValueError("clustering and entropy are both 0, so there is nothing to learn by")
        return self
