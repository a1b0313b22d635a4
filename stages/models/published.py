"""Sizes of published models, for what is reckoned or timed without their weights. Light: no torch."""

from __future__ import annotations

from typing import Any

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
_OF_16_CHANNELS = {**_AUTOENCODER, "latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}


def _clip(width: int, layers: int, heads: int, **options: Any) -> dict[str, Any]:
    sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers}
    return sizes | {"num_attention_heads": heads, "max_position_embeddings": 77, **options}


_LARGE_CLIP = _clip(768, 12, 12, vocab_size=49408, projection_dim=768)
_BIG_G = _clip(1280, 32, 20, vocab_size=49408, projection_dim=1280)
_T5 = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}

SHAPES: dict[str, dict[str, Any]] = {
    "sd15": {
        "kind": "stable-diffusion",
        "name": "Stable Diffusion 1.5",
        "parts": {
            "unet": {**_UNET, "sample_size": 64, "cross_attention_dim": 768},
            "vae": _AUTOENCODER,
            "text_encoder": _clip(768, 12, 12),
        },
    },
    "sd21": {
        "kind": "stable-diffusion",
        "name": "Stable Diffusion 2.1 (768)",
        "parts": {
            "unet": {
                **_UNET,
                "sample_size": 96,
                "cross_attention_dim": 1024,
                "attention_head_dim": (5, 10, 20, 20),
                "use_linear_projection": True,
            },
            "vae": _AUTOENCODER,
            "text_encoder": _clip(1024, 23, 16),
        },
    },
    "ldm": {
        "kind": "ldm",
        "name": "latent diffusion text-to-image",
        "parts": {
            "unet": {**_UNET, "sample_size": 32, "cross_attention_dim": 1280},
            "vqvae": _AUTOENCODER,
            "bert": {
                "d_model": 1280,
                "encoder_layers": 32,
                "encoder_ffn_dim": 5120,
                "encoder_attention_heads": 8,
                "head_dim": 64,
                "max_position_embeddings": 77,
            },
        },
    },
    "sdxl": {
        "kind": "sdxl",
        "name": "Stable Diffusion XL",
        "parts": {
            "unet": {
                "sample_size": 128,
                "block_out_channels": (320, 640, 1280),
                "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                "transformer_layers_per_block": (1, 2, 10),
                "attention_head_dim": (5, 10, 20),
                "cross_attention_dim": 2048,
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2816,
                "use_linear_projection": True,
            },
            "vae": _AUTOENCODER,
            "text_encoder": _LARGE_CLIP,
            "text_encoder_2": _BIG_G,
        },
    },
    "pixart": {
        "kind": "pixart",
        "name": "PixArt-Σ XL-2 (1024)",
        "parts": {
            "transformer": {
                "sample_size": 128,
                "caption_channels": 4096,
                "interpolation_scale": 2,
                "use_additional_conditions": False,
            },
            "vae": _AUTOENCODER,
            "text_encoder": _T5,
        },
    },
    "sd35": {
        "kind": "sd3",
        "name": "Stable Diffusion 3.5 medium",
        "parts": {
            "transformer": {
                "sample_size": 128,
                "patch_size": 2,
                "num_layers": 24,
                "attention_head_dim": 64,
                "num_attention_heads": 24,
                "joint_attention_dim": 4096,
                "caption_projection_dim": 1536,
                "pooled_projection_dim": 2048,
                "pos_embed_max_size": 384,
                "qk_norm": "rms_norm",
                "dual_attention_layers": tuple(range(13)),
            },
            "vae": _OF_16_CHANNELS,
            "text_encoder": _LARGE_CLIP,
            "text_encoder_2": _BIG_G,
            "text_encoder_3": _T5,
        },
    },
    "flux": {
        "kind": "flux",
        "name": "FLUX.1 dev",
        "parts": {
            "transformer": {"guidance_embeds": True},
            "vae": _OF_16_CHANNELS,
            "text_encoder": _LARGE_CLIP,
            "text_encoder_2": _T5,
        },
    },
}
"""Options of a family's parts (`families.py`), by a short name; those that the library's classes have by default are
left out."""


def like(kind: str, path: str) -> str:
    """Which of SHAPES a model has that is not at hand, by its family and name."""
    if kind in ("embedded", "stable-diffusion"):
        return "sd21" if "stable-diffusion-2" in path else "sd15"
    return next(name for name, one in SHAPES.items() if one["kind"] == kind)
