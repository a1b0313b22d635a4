"""Tiny random-weight backbones in the real classes and file layouts, saved to a folder."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import torch

WINDOW = 24
TEXTS = [
    "a striped red circle and a blue circle on grass",
    "the crimson disk is left of a dotted star , above sand",
    "azure hoop touching a green square inside a yellow ring",
]


def save_tiny(folder: Path, kind: str = "stable-diffusion", prediction: str = "epsilon", seed: int = 0) -> Path:
    """A backbone whose images are 32x32, latents 16x16x4 and cross-attention 16x16, in diffusers' layout."""
    import diffusers
    import transformers
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    torch.manual_seed(seed)
    width = 32
    unet = diffusers.UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        cross_attention_dim=width,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    if kind == "ldm":
        autoencoder = diffusers.VQModel(
            block_out_channels=(16, 32),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            num_vq_embeddings=16,
            norm_num_groups=8,
        )
        tokenizer = _wordpiece()
        encoder: torch.nn.Module = LDMBertModel(
            LDMBertConfig(
                vocab_size=len(tokenizer),
                max_position_embeddings=WINDOW,
                encoder_layers=2,
                encoder_ffn_dim=64,
                encoder_attention_heads=2,
                head_dim=16,
                d_model=width,
                pad_token_id=0,
            )
        )
    else:
        autoencoder = diffusers.AutoencoderKL(
            block_out_channels=(16, 32),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=8,
        )
        tokenizer = _byte_pairs()
        encoder = transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=width,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=WINDOW,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    # Random encoders answer almost alike to every word; a wider table makes words differ, as training would.
    inner = encoder.model if kind == "ldm" else encoder
    torch.nn.init.normal_(inner.get_input_embeddings().weight, std=0.5)
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
    vae_part, encoder_part = ("vqvae", "bert") if kind == "ldm" else ("vae", "text_encoder")
    unet.save_pretrained(folder / "unet")
    autoencoder.save_pretrained(folder / vae_part)
    encoder.save_pretrained(folder / encoder_part)
    tokenizer.save_pretrained(folder / "tokenizer")
    scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "LDMTextToImagePipeline" if kind == "ldm" else "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        vae_part: ["diffusers", type(autoencoder).__name__],
        encoder_part: ["latent_diffusion" if kind == "ldm" else "transformers", type(encoder).__name__],
        "tokenizer": ["transformers", type(tokenizer).__name__],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def _byte_pairs():
    """CLIPTokenizer that knows the words of TEXTS; others have several pieces.

    Learned here, since the library's own trainer breaks ties at random: every run would have another model.
    """
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    words = [[*word[:-1], word[-1] + "</w>"] for text in TEXTS for word in text.split()]
    merges = []
    while counts := Counter(pair for word in words for pair in pairwise(word)):
        first, second = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append((first, second))
        for word in words:
            for at in reversed(range(len(word) - 1)):
                if word[at : at + 2] == [first, second]:
                    word[at : at + 2] = [first + second]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {piece: number for number, piece in enumerate(["<|startoftext|>", "<|endoftext|>", *pieces])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=WINDOW)


def _wordpiece():
    from transformers import BertTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    words += ["a", "red", "blue", "circle", "and", "on", "the", "##ed", "gr", "##ass"]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys(words))}
    return BertTokenizer(vocab=vocabulary, model_max_length=512)


def save_samples(folder: Path, texts: list[str], *, ids: list[str] | None = None, side: int = 40) -> Path:
    """A shard of samples with seeded noise images; returns its manifest."""
    import numpy as np
    from PIL import Image

    from stages.artifacts import ShardWriter, Stage
    from stages.artifacts.atomic import sha256_file
    from stages.artifacts.tables import write_table

    ids = ids or [f"s{n}" for n in range(len(texts))]
    rows = []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for sample_id, text in zip(ids, texts, strict=True):
        pixels = np.random.default_rng(sum(sample_id.encode())).integers(0, 256, (side, side + 8, 3), np.uint8)
        path = folder / "images" / f"{sample_id}.png"
        Image.fromarray(pixels).save(path)
        rows.append(
            {
                "sample_id": sample_id,
                "image": f"images/{sample_id}.png",
                "image_sha256": sha256_file(path),
                "width": side + 8,
                "height": side,
                "text": text,
                "split": "test",
                "phrases": [],
                "predicates": [],
                "referred": None,
                "notes": [],
                "tags": [],
            }
        )
    writer = ShardWriter(Stage(name="samples", version="1"), {}, folder / "manifest.json", inputs={}, ids=ids)
    writer.publish({"samples.parquet": lambda path: write_table(path, "samples", rows)})
    return folder / "manifest.json"


def tokens_of(model, texts: list[str]):
    """Tokens of short texts, a row each."""
    from stages.models.tokens import Tokens

    return Tokens.together([model.tokenize(text) for text in texts])


def condition_of(model, texts: list[str]):
    """What the denoiser is given of them, without gradients."""
    tokens = tokens_of(model, texts)
    with torch.no_grad():
        return model.condition(tokens, model.embed(tokens))


def alphas_of(folder: Path):
    """The share of the image at each timestep, as the folder's scheduler has it."""
    from diffusers import DDIMScheduler

    return DDIMScheduler.from_pretrained(folder / "scheduler").alphas_cumprod
