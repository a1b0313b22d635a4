"""Words and tokens of a text, joined by character offsets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.language import Span

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Encoding:
    """Texts as token ids, padded to the encoder's window as the encoder was trained with."""

    input_ids: Int[torch.Tensor, "batch window"]
    offsets: tuple[tuple[tuple[int, int], ...], ...]
    """Of every token of every text: its characters, (0, 0) for special and padding tokens."""

    def pieces(self, index: int, span: Span) -> list[int]:
        """Positions of the tokens that share a character with `span`, in text `index`.

        A word of several pieces has several positions; two equal words have different ones. A word that the
        tokenizer drops (an invisible character) has none.
        """
        return [
            position
            for position, (start, end) in enumerate(self.offsets[index])
            if start < end and start < span.end and span.start < end
        ]

    def join(self, words: Sequence[Sequence[Sequence[int]]], padding: int) -> Encoding:
        """The same texts with some words made one token each, under their first piece's id: pseudo-words.

        words: by text, the positions of the pieces of every word to join. Later tokens move up, and `padding` (the
        tokenizer's id) fills the window's end.
        """
        ids, places = self.input_ids.tolist(), [list(own) for own in self.offsets]
        for own, offsets, groups in zip(ids, places, words, strict=True):
            for pieces in sorted(groups, key=min, reverse=True):  # from the end, so that positions stay true
                first, last = min(pieces), max(pieces)
                offsets[first : last + 1] = [(offsets[first][0], offsets[last][1])]
                own[first : last + 1] = [own[first]]
                own.extend([padding] * (last - first))
                offsets.extend([(0, 0)] * (last - first))
        return Encoding(torch.tensor(ids, device=self.input_ids.device), tuple(map(tuple, places)))

    @classmethod
    def together(cls, encodings: Sequence[Encoding]) -> Encoding:
        """The texts of several encodings, one after the other."""
        ids = torch.cat([one.input_ids for one in encodings])
        return cls(ids, tuple(offsets for one in encodings for offsets in one.offsets))

    def select(self, indices: Sequence[int]) -> Encoding:
        return Encoding(self.input_ids[list(indices)], tuple(self.offsets[i] for i in indices))


def window_of(tokenizer: Any, encoder: Any) -> int:
    """Tokens a text may have, special ones included: the smaller of the tokenizer's and the encoder's limit."""
    limit = int(getattr(encoder.config, "max_position_embeddings", tokenizer.model_max_length))
    return min(int(tokenizer.model_max_length), limit)


def tokenize(tokenizer: Any, texts: Sequence[str], window: int) -> Encoding:
    """Texts to ids and offsets. SampleError for an empty text, or one longer than the window (never cut)."""
    for text in texts:
        if not text.strip():
            raise SampleError("the text is empty.", remedy="Give every image a text.")
    batch = tokenizer(
        list(texts),
        padding="max_length",
        max_length=window,
        truncation=False,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    for text, ids in zip(texts, batch["input_ids"], strict=True):
        if len(ids) > window:
            raise SampleError(
                f"a sentence has {len(ids)} tokens where the text encoder's window holds {window}: '{text[:60]}…'.",
                remedy="Shorten it, or split it with a full stop.",
            )
    offsets = tuple(
        tuple((0, 0) if special else (int(start), int(end)) for special, (start, end) in zip(mask, spans, strict=True))
        for mask, spans in zip(batch["special_tokens_mask"], batch["offset_mapping"], strict=True)
    )
    return Encoding(torch.tensor(batch["input_ids"], dtype=torch.long), offsets)


_SENTENCE = re.compile(r".*?(?:[.!?;:。！？]+[\"'”’)\]]*(?=\s)\s*|\n\s*|$)", re.DOTALL)


def sentences(text: str) -> list[Span]:
    """A text cut after every full stop and the like that white space follows, and at line ends; nothing is lost.

    >>> [s.of("A red disk. It is 1.5 wide; on sand") for s in sentences("A red disk. It is 1.5 wide; on sand")]
    ['A red disk. ', 'It is 1.5 wide; ', 'on sand']
    """
    return [Span(start=m.start(), end=m.end()) for m in _SENTENCE.finditer(text) if m.end() > m.start()]


def tokenize_windows(tokenizer: Any, text: str, window: int) -> Encoding:
    """A text as one encoding, or as several windows of whole sentences where it is longer than one window.

    Row w holds window w; its offsets count in the whole text, so a word is found in the one window that has it.
    SampleError for an empty text, or for a single sentence longer than a window: nothing is ever cut silently.
    """

    def length(span: Span) -> int:
        return len(tokenizer(span.of(text))["input_ids"])

    if not text.strip() or length(Span(start=0, end=len(text))) <= window:
        return tokenize(tokenizer, [text], window)
    parts: list[Span] = []
    for sentence in sentences(text):
        if parts and length(joined := Span(start=parts[-1].start, end=sentence.end)) <= window:
            parts[-1] = joined
        else:
            parts.append(sentence)
    encoding = tokenize(tokenizer, [part.of(text) for part in parts], window)
    shifted = tuple(
        tuple((start + part.start, end + part.start) if start < end else (0, 0) for start, end in offsets)
        for part, offsets in zip(parts, encoding.offsets, strict=True)
    )
    return Encoding(encoding.input_ids, shifted)


def check_fast(tokenizer: Any, where: str) -> None:
    """AnywordError unless the tokenizer can say which characters a token covers."""
    if not getattr(tokenizer, "is_fast", False):
        raise AnywordError(
            f"{where}: its tokenizer gives no character offsets.",
            remedy="Save it with a tokenizer.json (a fast tokenizer).",
        )


def word_maps(
    maps: Sequence[Float[torch.Tensor, "tokens height width"]],
    encoding: Encoding,
    indices: Sequence[int],
    spans: Sequence[Span],
    *,
    merge: str = "mean",
) -> Float[torch.Tensor, "words height width"]:
    """Token maps of one text, given window by window (rows `indices` of the encoding), to one map a word: the mean
    (or `sum`) of its pieces' maps. A word without a token gets zeros.
    """
    rows = []
    for span in spans:
        found = [own[encoding.pieces(n, span)] for own, n in zip(maps, indices, strict=True)]
        pieces = torch.cat(found)
        if not len(pieces):
            rows.append(torch.zeros_like(maps[0][0]))
            continue
        rows.append(pieces.mean(dim=0) if merge == "mean" else pieces.sum(dim=0))
    return torch.stack(rows)
