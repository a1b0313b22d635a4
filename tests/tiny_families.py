"""Tiny random models of the larger families, saved by the library's own pipelines.

Images have 32 pixels a side, latents 16.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_models import WINDOW, _byte_pairs


def save_family(folder: Path, kind: str) -> Path:
    """A pipeline of that kind, in diffusers' layout."""
    pipeline(kind).save_pretrained(folder)
    return folder


def pipeline(kind: str):
    """The library's own, the same at every call."""
    torch.manual_seed(0)
    return _MAKE[kind]()


def _autoencoder(channels: int = 4, **options):
    import diffusers

    return diffusers.AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=8,
        **options,
    )


def _clip(width: int, projection: int | None = None, pad: str | None = None):
    """A text encoder and its tokenizer."""
    import transformers

    tokenizer = _byte_pairs()
    if pad:
        tokenizer.pad_token = pad
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=WINDOW,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=projection or width,
    )
    cls = transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel
    return _spread(cls(config).eval()), tokenizer


def _spread(encoder):
    """Random encoders answer almost alike to every word; a wider table makes words differ, as training would."""
    torch.nn.init.normal_(encoder.get_input_embeddings().weight, std=0.5)
    return encoder


def _sdxl():
    import diffusers

    encoder, tokenizer = _clip(32)
    encoder_2, tokenizer_2 = _clip(48, projection=40, pad="!")
    unet = diffusers.UNet2DConditionModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(16, 16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 2, 4),
        cross_attention_dim=80,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=88,
        use_linear_projection=True,
        norm_num_groups=8,
    )
    return diffusers.StableDiffusionXLPipeline(
        unet=unet.eval(),
        vae=_autoencoder(scaling_factor=0.13025).eval(),
        text_encoder=encoder,
        text_encoder_2=encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        add_watermarker=False,
    )


_MAKE = {"sdxl": _sdxl}
KINDS = tuple(_MAKE)
