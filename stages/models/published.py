"""Sizes of published models, for what is reckoned or timed without their weights. Light: no torch."""

from __future__ import annotations

from typing import Any

OUTLINED = ("embedded", "stable-diffusion", "ldm")
"""Families of backbones that can be reckoned without their weights (`outline`)."""

_UNET = {
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "attention_head_dim": 8,
}
_AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}


def _clip(width: int, layers: int, heads: int) -> dict[str, int]:
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers}
    return sizes | {"num_attention_heads": heads, "max_position_embeddings": 77}


SHAPES: dict[str, dict[str, Any]] = {
    "sd15": {
        "kind": "stable-diffusion",
        "name": "Stable Diffusion 1.5",
        "unet": {**_UNET, "sample_size": 64, "cross_attention_dim": 768},
        "autoencoder": _AUTOENCODER,
        "encoder": _clip(768, 12, 12),
    },
    "sd21": {
        "kind": "stable-diffusion",
        "name": "Stable Diffusion 2.1 (768)",
        "unet": {
            **_UNET,
            "sample_size": 96,
            "cross_attention_dim": 1024,
            "attention_head_dim": (5, 10, 20, 20),
            "use_linear_projection": True,
        },
        "autoencoder": _AUTOENCODER,
        "encoder": _clip(1024, 23, 16),
    },
    "ldm": {
        "kind": "ldm",
        "name": "latent diffusion text-to-image",
        "unet": {**_UNET, "sample_size": 32, "cross_attention_dim": 1280},
        "autoencoder": _AUTOENCODER,
        "encoder": {
            "d_model": 1280,
            "encoder_layers": 32,
            "encoder_ffn_dim": 5120,
            "encoder_attention_heads": 8,
            "head_dim": 64,
            "max_position_embeddings": 77,
        },
    },
}
"""Options of the denoiser, the autoencoder and the text encoder, by a short name."""


def like(kind: str, path: str) -> str:
    """Which of SHAPES a model has that is not at hand, by its family and name."""
    if kind == "ldm":
        return "ldm"
    return "sd21" if "stable-diffusion-2" in path else "sd15"
