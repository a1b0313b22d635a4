"""Families of diffusion models: how a folder is told to be of one, what it holds, and which class reads it. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CLIP, _CLIP_PROJECTED, _T5 = ("CLIPTextModel",), ("CLIPTextModelWithProjection",), ("T5EncoderModel",)


@dataclass(frozen=True)
class Family:
    """What a family's folder holds, and the class that reads it."""

    model: str
    """Module and class, in `stages.models`."""
    parts: Mapping[str, tuple[str, ...]]
    """Folders of the denoiser, the autoencoder and the text encoders, in this order, each with the classes that it
    may be of."""
    pipelines: tuple[str, ...] = ()
    """How the names of its pipelines begin."""
    optional: tuple[str, ...] = ()
    """Parts that a pipeline may do without."""

    @property
    def tokenizers(self) -> dict[str, str]:
        """By text encoder, the folder of its tokenizer."""
        _, _, *encoders = self.parts
        return {part: "tokenizer" + part.removeprefix("text_encoder").removeprefix("bert") for part in encoders}

    def held(self, index: Mapping[str, Any]) -> tuple[str, ...]:
        """Parts, tokenizers and scheduler that a `model_index.json` says are there."""
        return tuple(part for part in (*self.parts, *self.tokenizers.values(), "scheduler") if _names(index, part))

    def lacking(self, index: Mapping[str, Any]) -> tuple[str, ...]:
        """Those that the family needs and the index has not."""
        optional = {*self.optional, *(self.tokenizers[part] for part in self.optional)}
        wanted = {*self.parts, *self.tokenizers.values(), "scheduler"} - optional
        return tuple(sorted(wanted - set(self.held(index))))


def _names(index: Mapping[str, Any], part: str) -> bool:
    """Whether an index names a library and a class for a part; null stands for none."""
    value = index.get(part)
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)


_UNET, _KL = ("UNet2DConditionModel",), ("AutoencoderKL",)
_AUTOENCODERS = ("AutoencoderKL", "VQModel")
_ONE_ENCODER = ("CLIPTextModel", "LDMBertModel")
_SMALL = {"unet": _UNET, "vae": _AUTOENCODERS, "text_encoder": _ONE_ENCODER}

FAMILIES = {
    "stable-diffusion": Family("unet.UNetModel", _SMALL),
    "embedded": Family("unet.UNetModel", _SMALL),
    "ldm": Family("unet.UNetModel", {"unet": _UNET, "vqvae": _AUTOENCODERS, "bert": _ONE_ENCODER}),
    "sdxl": Family(
        "sdxl.SdxlModel",
        {"unet": _UNET, "vae": _KL, "text_encoder": _CLIP, "text_encoder_2": _CLIP_PROJECTED},
        ("StableDiffusionXL",),
    ),
    "pixart": Family(
        "pixart.PixArtModel",
        {"transformer": ("PixArtTransformer2DModel",), "vae": _KL, "text_encoder": _T5},
        ("PixArt",),
    ),
    "sd3": Family(
        "sd3.Sd3Model",
        {
            "transformer": ("SD3Transformer2DModel",),
            "vae": _KL,
            "text_encoder": _CLIP_PROJECTED,
            "text_encoder_2": _CLIP_PROJECTED,
            "text_encoder_3": _T5,
        },
        ("StableDiffusion3",),
        optional=("text_encoder_3",),
    ),
    "flux": Family(
        "flux.FluxModel",
        {"transformer": ("FluxTransformer2DModel",), "vae": _KL, "text_encoder": _CLIP, "text_encoder_2": _T5},
        ("Flux",),
    ),
}
"""By kind. A new family is its line here, its kind in the recipe below, and its class."""


def _begins(name: str, beginning: str) -> bool:
    """A number that follows makes it another family: Flux2Pipeline."""
    return name.startswith(beginning) and not name[len(beginning) :][:1].isdigit()


def kind_of(index: Mapping[str, Any]) -> str | None:
    """The family of a pipeline by its `model_index.json`: by its name, else by its parts; None where none fits.

    >>> kind_of({"_class_name": "StableDiffusionXLImg2ImgPipeline"}), kind_of({"_class_name": "SanaPipeline"})
    ('sdxl', None)
    """
    name = str(index.get("_class_name", ""))
    named = [kind for kind, own in FAMILIES.items() if any(_begins(name, one) for one in own.pipelines)]
    if named or "transformer" in index:  # transformers' parts have the same names in many families
        return named[0] if named else None
    fits = [kind for kind, own in FAMILIES.items() if all(_names(index, part) for part in own.parts)]
    return max(fits, key=lambda kind: len(FAMILIES[kind].parts), default=None)
