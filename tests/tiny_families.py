"""Tiny random models of the larger families, saved by the library's own pipelines.

Images have 32 pixels a side, latents 16.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from tiny_models import TEXTS, WINDOW, _byte_pairs


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


def _sdxl(scheduler: str = "DDIMScheduler", spacing: str = "leading", **options):
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
        **options,
    )
    return diffusers.StableDiffusionXLPipeline(
        unet=unet.eval(),
        vae=_autoencoder(scaling_factor=0.13025).eval(),
        text_encoder=encoder,
        text_encoder_2=encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        scheduler=getattr(diffusers, scheduler)(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing=spacing,
        ),
        add_watermarker=False,
    )


def _t5(width: int = 32):
    """A text encoder and its tokenizer: of words that it does not know whole it knows the letters."""
    import string

    import transformers

    known = dict.fromkeys(word for text in TEXTS for word in text.split())
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -6.0)]
    pieces += [(f"▁{word}", -2.0) for word in known] + [(one, -5.0) for one in string.ascii_lowercase + ".,?!-"]
    tokenizer = transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=WINDOW)
    config = transformers.T5Config(
        vocab_size=len(pieces),
        d_model=width,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return _spread(transformers.T5EncoderModel(config).eval()), tokenizer


def _pixart(sample_size: int = 16, **options):
    import diffusers

    encoder, tokenizer = _t5()
    made = {"num_attention_heads": 2, "cross_attention_dim": 32, "num_layers": 3, **options}
    transformer = diffusers.PixArtTransformer2DModel(
        attention_head_dim=16, sample_size=sample_size, caption_channels=32, norm_num_groups=8, **made
    )
    return diffusers.PixArtSigmaPipeline(
        transformer=transformer.eval(),
        vae=_autoencoder(scaling_factor=0.13025).eval(),
        text_encoder=encoder,
        tokenizer=tokenizer,
        scheduler=diffusers.DDIMScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear"),
    )


def _pixart_alpha():
    """Of 1024 pixels, which is told the image's size."""
    import diffusers

    sigma = _pixart(sample_size=128, num_attention_heads=3, cross_attention_dim=48)
    return diffusers.PixArtAlphaPipeline(**sigma.components)


def _sd3(t5: bool = True, **options):
    import diffusers

    encoder, tokenizer = _clip(32, projection=24)
    encoder_2, tokenizer_2 = _clip(48, projection=40, pad="!")
    encoder_3, tokenizer_3 = _t5(96) if t5 else (None, None)
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=16,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=96,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        out_channels=16,
        pos_embed_max_size=24,
        **options,
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        vae=_autoencoder(16, scaling_factor=1.5305, shift_factor=0.0609).eval(),
        text_encoder=encoder,
        text_encoder_2=encoder_2,
        text_encoder_3=encoder_3,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        tokenizer_3=tokenizer_3,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def _flux(guidance: bool = True):
    import diffusers

    encoder, tokenizer = _clip(24)
    encoder_2, tokenizer_2 = _t5()
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=64,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=24,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 6, 6),
    )
    return diffusers.FluxPipeline(
        transformer=transformer.eval(),
        vae=_autoencoder(16, scaling_factor=0.3611, shift_factor=0.1159).eval(),
        text_encoder=encoder,
        text_encoder_2=encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            shift=3.0 if guidance else 1.0, use_dynamic_shifting=guidance
        ),
    )


_MAKE = {
    "sdxl": _sdxl,
    "sdxl-turbo": partial(_sdxl, "EulerAncestralDiscreteScheduler", "trailing"),
    # SSD-1B: no attention in the middle, and blocks of unlike depth on the way up.
    "sdxl-ssd": partial(
        _sdxl, mid_block_type="UNetMidBlock2D", reverse_transformer_layers_per_block=((2, 1), (1, 2), 1)
    ),
    "pixart": _pixart,
    "pixart-alpha": _pixart_alpha,
    "sd3": _sd3,
    "sd3-without-t5": partial(_sd3, t5=False),
    "sd3-of-3.5": partial(_sd3, qk_norm="rms_norm", dual_attention_layers=(0, 1)),
    "flux": _flux,
    "flux-schnell": partial(_flux, guidance=False),
}
KINDS = ("sdxl", "pixart", "sd3", "flux")
VARIANTS = tuple(kind for kind in _MAKE if kind not in KINDS)
"""Of kinds, which differ in what the denoiser is given."""
