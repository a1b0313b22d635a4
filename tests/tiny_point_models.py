"""Tiny models of random weights that take points, one of each class, in transformers' layout."""

from __future__ import annotations

from pathlib import Path

import torch

KINDS = ("sam", "sam_hq", "sam2", "sam3_tracker", "edgetam")
WIDTH, SIDE = 16, 64


def save_point_model(folder: Path, kind: str) -> Path:
    import transformers

    torch.manual_seed(0)
    config = _CONFIGS[kind]()
    model = getattr(transformers, type(config).__name__.replace("Config", "Model"))(config)
    # Masks of one sign everywhere would show nothing.
    for parameter in model.mask_decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    model.eval().save_pretrained(folder)
    _processor(kind).save_pretrained(folder)
    return folder


VIDEO = ("Sam2Video", "EdgeTamVideo", "Sam3TrackerVideo", "Sam3Video")
"""Classes whose folders are published, and hold a model for images."""


def save_video_model(folder: Path, name: str):
    """Returns the model."""
    import transformers
    from tiny_text_models import save_sam3

    torch.manual_seed(0)
    kind = {"Sam2Video": "sam2", "EdgeTamVideo": "edgetam"}.get(name, "sam3_tracker")
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    own = {part: getattr(_CONFIGS[kind](), part).to_dict() for part in parts}
    own |= {"memory_attention_hidden_size": WIDTH, "memory_attention_num_layers": 1}
    own |= {"memory_attention_num_attention_heads": 1, "memory_attention_feed_forward_hidden_size": 16}
    own |= {"memory_encoder_hidden_size": WIDTH, "memory_encoder_output_channels": 8}
    if kind == "sam3_tracker":
        own["image_size"] = 56
    if name == "Sam3Video":
        detector = transformers.Sam3Config.from_pretrained(save_sam3(folder.parent / "detector")).to_dict()
        tracker = transformers.Sam3TrackerVideoConfig(**own).to_dict()
        config = transformers.Sam3VideoConfig(detector_config=detector, tracker_config=tracker)
    else:
        config = getattr(transformers, f"{name}Config")(**own)
    model = getattr(transformers, f"{name}Model")(config).eval()
    model.save_pretrained(folder)
    _processor(kind).save_pretrained(folder)
    return model


def _processor(kind: str):
    import transformers

    if kind in ("sam", "sam_hq"):
        images = transformers.SamImageProcessor(
            size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE},
            mask_size={"longest_edge": SIDE // 4}, mask_pad_size={"height": SIDE // 4, "width": SIDE // 4},
        )  # fmt: skip
        return {"sam": transformers.SamProcessor, "sam_hq": transformers.SamHQProcessor}[kind](images)
    side = 56 if kind == "sam3_tracker" else SIDE
    cls = transformers.Sam3ImageProcessor if kind == "sam3_tracker" else transformers.Sam2ImageProcessor
    processor = transformers.Sam3TrackerProcessor if kind == "sam3_tracker" else transformers.Sam2Processor
    return processor(cls(size={"height": side, "width": side}))


def _prompts(side: int = SIDE, patch: int = 16) -> dict:
    return {
        "prompt_encoder_config": {
            "hidden_size": WIDTH, "image_size": side, "patch_size": patch, "mask_input_channels": 8,
        },
        "mask_decoder_config": {
            "hidden_size": WIDTH, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    }  # fmt: skip


def _sam(high_quality: bool = False):
    import transformers

    vision = {
        "hidden_size": WIDTH, "output_channels": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": SIDE, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": WIDTH // 2,
        "mlp_dim": 32, "initializer_range": 0.02,
    }  # fmt: skip
    prompts = _prompts()
    if high_quality:
        prompts["mask_decoder_config"]["vit_dim"] = WIDTH
    return (transformers.SamHQConfig if high_quality else transformers.SamConfig)(vision_config=vision, **prompts)


def _sam2():
    import transformers

    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 24, 32],
        "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [4, 4, 4, 4],
        "window_positional_embedding_background_size": [2, 2], "global_attention_blocks": [3],
    }  # fmt: skip
    return transformers.Sam2Config(
        vision_config={
            "backbone_config": backbone, "backbone_channel_list": [32, 24, 16, 8], "fpn_hidden_size": WIDTH,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        **_prompts(),
    )  # fmt: skip


def _sam3_tracker():
    import transformers

    side, patch = 56, 14
    backbone = {
        "model_type": "sam3_vit_model", "hidden_size": WIDTH, "num_attention_heads": 2, "intermediate_size": 32,
        "num_hidden_layers": 2, "image_size": side, "patch_size": patch, "pretrain_image_size": side,
        "window_size": 2, "global_attn_indexes": [1],
    }  # fmt: skip
    return transformers.Sam3TrackerConfig(
        vision_config={
            "model_type": "sam3_vision_model", "backbone_config": backbone, "fpn_hidden_size": WIDTH,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        **_prompts(side, patch),
    )  # fmt: skip


def _edgetam():
    import transformers

    backbone = {
        "model_type": "timm_wrapper", "architecture": "test_resnet", "num_classes": 2,
        "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    }  # fmt: skip
    return transformers.EdgeTamConfig(
        vision_config={
            "backbone_config": backbone, "backbone_channel_list": [192, 48, 32, 32], "fpn_hidden_size": WIDTH,
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        },
        **_prompts(patch=8),
    )  # fmt: skip


_CONFIGS = {
    "sam": _sam,
    "sam_hq": lambda: _sam(high_quality=True),
    "sam2": _sam2,
    "sam3_tracker": _sam3_tracker,
    "edgetam": _edgetam,
}
