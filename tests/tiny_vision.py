"""Tiny BLIP and CLIP of random weights, in transformers' own classes and layout, saved to a folder."""

import torch
from tiny_models import WINDOW, _byte_pairs

VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


def save_blip(folder, words, seed=0):
    """A captioner whose whole language is `words`."""
    import transformers

    torch.manual_seed(seed)
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    tokenizer = transformers.BertTokenizer(vocab={word: index for index, word in enumerate(known)})
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    encoder = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "encoder_hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = transformers.BlipConfig(text_config=encoder, vision_config=VISION, projection_dim=32)
    model = transformers.BlipForConditionalGeneration(config)
    # Random layers answer almost alike to every picture; larger weights make them differ, as training would.
    for name, weight in model.named_parameters():
        if ("crossattention" in name or name.startswith("vision_model")) and weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.5)
    processor = transformers.BlipProcessor(transformers.BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_clip(folder, seed=0):
    import transformers

    torch.manual_seed(seed)
    tokenizer = _byte_pairs()
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": WINDOW,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16))
    torch.nn.init.normal_(model.text_model.embeddings.token_embedding.weight, std=0.5)
    processor = transformers.CLIPProcessor(
        transformers.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_center_crop=True
        ),
        tokenizer,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
