"""The embedded tokenizer: byte-level BPE after CLIP's conventions, trained on training captions.

Every byte is in the vocabulary, so any word of any language can be written; words that no caption held come out
as several pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

START, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = 640
"""512 bytes (each once inside and once at the end of a word), the two marks, and the merges of common words."""
WINDOW = 64
"""Tokens a text may have, both marks included."""


def train(captions: Iterable[str], folder: Path) -> Any:
    """Train on captions and write `vocab.json`, `merges.txt` and transformers' other files; returns the tokenizer.

    The pieces are those of CLIP: text lower-cased, digits single, each word's last piece marked with "</w>".
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    plain = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    plain.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True
            ),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
        min_frequency=2,
    )
    plain.train_from_iterator(captions, trainer)
    merges = [tuple(merge) for merge in json.loads(plain.to_str())["model"]["merges"]]
    # CLIP's own order: bytes, bytes that end a word, merges in the order learned, the two marks.
    pieces = [*alphabet, *(byte + "</w>" for byte in alphabet)]
    pieces += [piece for piece in dict.fromkeys(a + b for a, b in merges) if piece not in set(pieces)]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, START, END])}
    return _clip(vocabulary, merges, folder)


def _clip(vocabulary: dict[str, int], merges: list[tuple[str, str]], folder: Path) -> Any:
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,  # type: ignore[arg-type]
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=WINDOW,
    )
    tokenizer.save_pretrained(folder)
    # The two plain files are CLIP's older layout, which other loaders read.
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tokenizer


def load(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder)
