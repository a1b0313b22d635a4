"""The embedded SAM: segment-anything's own modules with small dimensions, described by a config.json."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


class EmbeddedSamConfig(BaseModel):
    """Dimensions of a SAM; names follow segment-anything's `_build_sam`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_size: int = Field(default=128, gt=0, description="side of the square input in pixels")
    patch_size: int = Field(default=4, gt=0, description="side of a token in pixels; masks have 4 logits along it")
    encoder_embed_dim: int = Field(default=128, gt=0)
    encoder_depth: int = Field(default=5, gt=0)
    encoder_num_heads: int = Field(default=2, gt=0)
    encoder_mlp_ratio: float = Field(default=2.0, gt=0)
    encoder_window_size: int = Field(default=8, ge=0, description="tokens a side of an attention window; 0: none")
    encoder_global_attn_indexes: tuple[int, ...] = (2,)
    encoder_rel_pos: bool = False
    prompt_embed_dim: int = Field(default=96, gt=0)
    mask_in_chans: int = Field(default=16, gt=0)
    decoder_depth: int = Field(default=2, gt=0)
    decoder_num_heads: int = Field(default=4, gt=0)
    decoder_mlp_dim: int = Field(default=256, gt=0)
    iou_head_hidden_dim: int = Field(default=96, gt=0)


def build(config: EmbeddedSamConfig) -> Sam:
    """A SAM with random weights, in evaluation mode."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    side = config.image_size // config.patch_size
    sam = Sam(
        image_encoder=ImageEncoderViT(
            depth=config.encoder_depth,
            embed_dim=config.encoder_embed_dim,
            img_size=config.image_size,
            mlp_ratio=config.encoder_mlp_ratio,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=config.encoder_num_heads,
            patch_size=config.patch_size,
            qkv_bias=True,
            use_rel_pos=config.encoder_rel_pos,
            global_attn_indexes=config.encoder_global_attn_indexes,
            window_size=config.encoder_window_size,
            out_chans=config.prompt_embed_dim,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=config.prompt_embed_dim,
            image_embedding_size=(side, side),
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=config.mask_in_chans,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=config.decoder_depth,
                embedding_dim=config.prompt_embed_dim,
                mlp_dim=config.decoder_mlp_dim,
                num_heads=config.decoder_num_heads,
            ),
            transformer_dim=config.prompt_embed_dim,
            iou_head_depth=3,
            iou_head_hidden_dim=config.iou_head_hidden_dim,
        ),
    )
    return sam.eval()
