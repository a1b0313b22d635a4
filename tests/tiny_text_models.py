"""Tiny models of random weights that take a phrase and an image: GroundingDINO and SAM 3, in transformers' layout."""

from __future__ import annotations

from pathlib import Path

import torch


def save_grounding_dino(folder: Path, seed: int = 0) -> Path:
    import transformers
    from transformers import GroundingDinoConfig, GroundingDinoImageProcessor, GroundingDinoProcessor, SwinConfig

    torch.manual_seed(seed)
    tokenizer = _bert_tokenizer()
    width = 32
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64, embed_dim=8, depths=[1, 1, 1], num_heads=[1, 1, 1], window_size=4,
            out_features=["stage1", "stage2", "stage3"],
        ),
        text_config=transformers.BertConfig(
            vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64,
        ),
        d_model=width, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=12, num_feature_levels=3, max_text_len=64,
        disable_custom_kernels=True,
    )  # fmt: skip
    model = transformers.GroundingDinoForObjectDetection(config)
    model.save_pretrained(folder)
    size = {"shortest_edge": 64, "longest_edge": 96}
    GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), tokenizer).save_pretrained(folder)
    return folder


def _bert_tokenizer():
    """A WordPiece vocabulary with BERT's ids for the marks that part phrases: 101, 102, 1012, 1029."""
    from transformers import BertTokenizer

    fixed = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
    letters = iter(
        [*"abcdefghijklmnopqrstuvwxyz0123456789", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]
    )
    words = (next(letters, f"[unused{i}]") for i in range(2000))
    vocabulary = {fixed.get(i) or next(words): i for i in range(1030)}
    return BertTokenizer(vocab=vocabulary, model_max_length=64)


def save_sam3(folder: Path, seed: int = 0) -> Path:
    import transformers
    from tiny_models import _byte_pairs
    from transformers import Sam3Config, Sam3ImageProcessor, Sam3Processor

    torch.manual_seed(seed)
    tokenizer = _byte_pairs()
    tokenizer.model_max_length = 32
    width, side, patch = 16, 56, 14
    small = {"hidden_size": width, "num_attention_heads": 2, "intermediate_size": 32}
    config = Sam3Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam3_vit_model", **small, "num_hidden_layers": 2, "image_size": side,
                "patch_size": patch, "pretrain_image_size": side, "window_size": 2, "global_attn_indexes": [1],
            },
            "fpn_hidden_size": width,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={
            "model_type": "clip_text_model", **small, "vocab_size": len(tokenizer), "projection_dim": width,
            "num_hidden_layers": 1, "max_position_embeddings": 32, "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id,
        },
        geometry_encoder_config={**small, "num_layers": 1},
        detr_encoder_config={**small, "num_layers": 1},
        detr_decoder_config={**small, "num_layers": 1, "num_queries": 6},
        mask_decoder_config={"hidden_size": width, "num_attention_heads": 2},
    )  # fmt: skip
    transformers.Sam3Model(config).save_pretrained(folder)
    square = {"height": side, "width": side}
    Sam3Processor(Sam3ImageProcessor(size=square), tokenizer).save_pretrained(folder)
    return folder
