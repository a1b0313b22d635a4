"""The embedded diffusion model in the library's own classes: a UNet on 16×16 latents, CLIP's text model, DDIM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.training.autoencoder import LATENTS
from lab.training.tokenizer import WINDOW
from stages.artifacts.atomic import aside, write_json

SIDE = 16
WIDTH = 128
SHARD = "15MB"


def build_unet() -> Any:
    """UNet2DConditionModel with cross-attention at the latents' own 16×16 only: one layer down, two up."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=LATENTS,
        out_channels=LATENTS,
        block_out_channels=(160, 224),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # the number of heads, whatever its name says
    )


def build_text_encoder(vocabulary: int) -> Any:
    """CLIPTextModel, 2 layers of width 128. The tokenizer's last two entries are its marks."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=WINDOW,
            projection_dim=WIDTH,
            hidden_act="quick_gelu",
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def build_scheduler() -> Any:
    """DDIM with Stable Diffusion's own noise schedule, epsilon prediction."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
    )


def save(folder: Path, unet: Any, text_encoder: Any, tokenizer: Path, vae: Path, record: dict[str, Any]) -> None:
    """Write the model in diffusers' layout, fp16, every file under 16 MB, whole or not at all.

    `tokenizer` and `vae` are folders to take over; `record` becomes `anyword.json`.
    """
    import copy
    import shutil

    import torch
    from diffusers import AutoencoderKL

    card = folder / "README.md"
    with aside(folder) as partial:
        partial.mkdir(parents=True)
        if card.is_file():
            shutil.copy(card, partial)
        for name, module in (
            ("unet", copy.deepcopy(unet)),
            ("text_encoder", copy.deepcopy(text_encoder)),
            ("vae", AutoencoderKL.from_pretrained(vae)),
        ):
            module = module.to("cpu", torch.float16, memory_format=torch.contiguous_format)
            module.save_pretrained(partial / name, safe_serialization=True, max_shard_size=SHARD)
        build_scheduler().save_pretrained(partial / "scheduler")
        shutil.copytree(tokenizer, partial / "tokenizer")
        write_json(partial / "model_index.json", _index())
        write_json(partial / "anyword.json", record)


def _index() -> dict[str, Any]:
    """`model_index.json`: what StableDiffusionPipeline.from_pretrained reads."""
    import diffusers

    return {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def load(folder: Path) -> tuple[Any, Any, Any, Any, Any, dict[str, Any]]:
    """UNet, text encoder, tokenizer, autoencoder, scheduler and `anyword.json` of a saved model, in float32."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    record = json.loads((folder / "anyword.json").read_text(encoding="utf-8"))
    return (
        UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval(),
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval(),
        CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval(),
        DDIMScheduler.from_pretrained(folder / "scheduler"),
        record,
    )
