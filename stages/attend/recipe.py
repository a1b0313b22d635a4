"""What a user may say about attention. Light: no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from stages.artifacts import Stage
from stages.artifacts.recipes import Recipe
from stages.models import recipe as backbones

STAGE = Stage(name="attend", version="1")


class AttenderRecipe(Recipe):
    """What all attenders share."""

    backbone: backbones.BackboneRecipe = Field(
        default_factory=backbones.BackboneRecipe, description="The inverter's; the workflow fills it in."
    )
    adapter: str | None = Field(None, description="The inverter's; the workflow fills it in.")
    keep: Literal["steps", "layers", "heads"] | None = Field(
        None,
        description="Also keep the maps of every timestep, of every layer, or of every head of every layer, for audit.",
    )
    special: bool = Field(
        False,
        description="Also keep the maps of the begin and the end mark, as words -1:-1 and -2:-2.",
    )
    scales: dict[int, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        min_length=1,
        description="Weight by resolution of cross-attention, e.g. {16: 0.7, 32: 0.3}: maps have the largest side, "
        "the others are interpolated to it. Default: the backbone's own layers alone.",
    )
    stretch: bool = Field(
        False, description="Stretch each resolution's maps to 0..1 before `scales` weighs them (DiffSegmenter)."
    )
    layers: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Cross-attention layers to read, by the beginning of their names ('up_blocks.1'), at each "
        "resolution that is read; default: the backbone's. Needs no other inversion, as the backbone's own would.",
    )
    refine: int = Field(
        0,
        ge=0,
        le=10,
        description="How often the averaged maps are spread along the averaged self-attention (A_self A_cross).",
    )
    template: str | None = Field(
        None,
        description="Every class of a list ('sky, hot dog') is read with a text of its own, such as 'a photograph of a "
        "{}' (DiffSegmenter). Needs an inverter without steps. Default: the text as it is.",
    )

    sharpen: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Sharpen self-attention before `refine`, by this strength (iSeg's entropy reduction: 0.015 on VOC, "
        "0.2 on COCO objects).",
    )
    heads: Literal["mean", "output"] = Field(
        "mean",
        description="A layer's maps: the mean of its heads'; or each head weighed at each place by how much it goes "
        "along with what the layer returns (GoCA).",
    )
    reference: str | None = Field(
        None,
        description="Weigh layers, all that are read, by how far their self-attention joins cells that are alike to "
        "this layer, given by the beginning of its name (GoCA; on Stable Diffusion 1.5 up_blocks.2.attentions.1).",
    )
    rescale: bool = Field(
        False,
        description="Divide each word's map at every place by the sum of the content words' maps there, smooth it and "
        "stretch it to 0..1 (GoCA), so that words are compared with one another. Leaves what `keep` keeps alone.",
    )

    @field_validator("template")
    @classmethod
    def _has_a_place(cls, value: str | None) -> str | None:
        if value is not None and (value.count("{}") != 1 or value.replace("{}", "").count("{")):
            raise ValueError("must hold {} once, where the class's name goes")
        return value

    @model_validator(mode="after")
    def _refined(self) -> AttenderRecipe:
        if self.sharpen is not None and not self.refine:
            raise ValueError("`sharpen` sharpens what `refine` spreads maps along: give `refine` too")
        return self


class ChainRecipe(AttenderRecipe):
    """Maps along a DDIM chain from the image to noise and back (Segment Anyword, sections 2.1 and 2.3).

    `direct` is the paper's choice. Direct inversion adds back, at every step of the way down, what the denoised latent
    lost against the stored one; for the image's own branch the corrected latent therefore IS the stored one, so its
    maps are the UNet's at the stored latents, whose steps need not wait for one another. `ddim` denoises without
    the correction, step after step, and drifts. `null-text` denoises with guidance, fitting the unconditional
    embedding at each step: about ten times the cost, for maps at nearly the stored latents.
    """

    MODULE: ClassVar = "stages.attend.chain"

    kind: Literal["direct", "ddim", "null-text"] = "direct"
    steps: int = Field(50, ge=1, description="Steps of the DDIM chain (T).")
    timesteps: tuple[int, int] = Field(
        (0, 1000),
        description="Only steps whose timestep lies in this range (end exclusive) count towards the maps.",
    )
    guidance: float = Field(7.5, gt=0, description="Guidance of `null-text`; the other kinds have none.")
    inner_steps: int = Field(10, ge=1, description="Most fits a step of `null-text`.")

    @model_validator(mode="after")
    def _consistent(self) -> ChainRecipe:
        low, high = self.timesteps
        if not 0 <= low < high:
            raise ValueError(f"timesteps {low}..{high} is not a range")
        return self


class NoisedRecipe(AttenderRecipe):
    """Maps at the image with seeded noise added, at timesteps of one's choice; a single one is single-step noising."""

    MODULE: ClassVar = "stages.attend.noised"

    kind: Literal["noised", "single-step"] = "noised"
    at: tuple[int, ...] = Field(
        (100, 250, 400, 550, 700, 850),
        min_length=1,
        description="Timesteps at which the image is noised; of a flow model, by Stable Diffusion's noise at them.",
    )
    draws: int = Field(1, ge=1, description="Noises a timestep.")
    seed: int = Field(0, ge=0, description="Names the noise; a sample's draws depend on nothing else but its id.")

    @model_validator(mode="after")
    def _single(self) -> NoisedRecipe:
        if self.kind == "single-step" and len(self.at) != 1:
            raise ValueError(f"kind 'single-step' takes one timestep in `at`, not {len(self.at)}")
        if any(step < 0 for step in self.at):
            raise ValueError(f"`at` holds a negative timestep: {self.at}")
        return self
