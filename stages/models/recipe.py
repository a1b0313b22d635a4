"""What a user may say about a diffusion backbone. Light: no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stages.artifacts.recipes import Recipe, Weights

EMBEDDED_BACKBONE = "models/backbone"
EMBEDDED_SAM = "models/sam"
"""Where the embedded world's own models lie, below the repository."""

Side = Annotated[int, Field(ge=16)]


class BackboneRecipe(Recipe):
    """A text-to-image diffusion model in diffusers' folder layout."""

    kind: Literal["embedded", "stable-diffusion", "ldm", "sdxl", "pixart", "sd3", "flux"] = Field(
        default="embedded",
        description="Family: the embedded world's own model, Stable Diffusion 1.x and 2.x (one CLIP text encoder), "
        "latent diffusion text-to-image (LDMBert), Stable Diffusion XL (two CLIP text encoders; SSD-1B and turbo "
        "too), PixArt-Sigma and -alpha (T5), Stable Diffusion 3 and 3.5 (two CLIP text encoders and T5), or FLUX.1 (T5 "
        "and CLIP). Checked against what is found.",
    )
    path: Annotated[str | None, Weights(EMBEDDED_BACKBONE, by="kind", holds="model_index.json")] = Field(
        default=None,
        description="Local folder, or hub id ('owner/name'). The embedded kind defaults to models/backbone.",
    )
    revision: str | None = Field(default=None, description="Commit, tag or branch of a hub id.")
    offline: bool = Field(default=True, description="Never touch the network: local folders and the hub cache only.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Arithmetic of the denoiser; auto: bfloat16 for a real model on a GPU that has it, else float32. "
        "Embeddings, text encoder, autoencoder, loss and optimiser stay in float32. Manifests say which it was.",
    )
    resolution: Side | tuple[Side, Side] | None = Field(
        default=None,
        description="Side of the square that images are resized to, or height and width; default: the square the model "
        "was trained at.",
    )
    map_resolution: int | None = Field(
        default=None,
        ge=1,
        description="Longer side of the attention maps; default: the backbone's own advice, else 16 (or the next "
        "finer: 24 at 768 pixels) for models of one text encoder, and the finest for others.",
    )
    layers: tuple[str, ...] | None = Field(
        default=None,
        description="Cross-attention layers to read, by the beginning of their names ('up_blocks.1'); default: the "
        "backbone's own advice (anyword.json), else every layer at the maps' resolution.",
    )

    @property
    def id(self) -> str:
        """The model as the user named it."""
        return self.path or "embedded"
