"""Words and tokens of texts, joined by character offsets, for models with one text encoder or several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.language import Span

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Encoding:
    """Texts as one text encoder takes them: ids padded to its window, as it was trained with."""

    input_ids: Int[torch.Tensor, "texts window"]
    offsets: tuple[tuple[tuple[int, int], ...], ...]
    """Of every token of every text: its characters, (0, 0) for special and padding tokens."""
    padding_id: int = 0
    unknown_id: int | None = None
    """Id of what the tokenizer does not know; None where it knows every byte."""
    marks: tuple[tuple[int | None, int | None], ...] = ()
    """Of every text, positions of the begin and the (first) end mark, where the encoder has such."""
    first_column: int = 0
    """Where the states of this encoder's tokens begin among the denoiser's context columns."""

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def window(self) -> int:
        """Tokens a text may have, special ones included."""
        return int(self.input_ids.shape[1])

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

    def join(self, words: Sequence[Sequence[Sequence[int]]]) -> Encoding:
        """The same texts with some words made one token each, under their first piece's id: pseudo-words.

        words: by text, the positions of the pieces of every word to join. Later tokens move up, and padding fills the
        window's end.
        """
        ids, places = self.input_ids.tolist(), [list(own) for own in self.offsets]
        marks = list(self.marks)
        for text, groups in enumerate(words):
            own, offsets = ids[text], places[text]
            for pieces in sorted(groups, key=min, reverse=True):  # from the end, so that positions stay true
                first, last = min(pieces), max(pieces)
                offsets[first : last + 1] = [(offsets[first][0], offsets[last][1])]
                own[first : last + 1] = [own[first]]
                own.extend([self.padding_id] * (last - first))
                offsets.extend([(0, 0)] * (last - first))
                if marks:
                    begin, end = marks[text]
                    marks[text] = (begin, end if end is None or end < first else end - (last - first))
        joined = torch.tensor(ids, device=self.input_ids.device)
        return replace(self, input_ids=joined, offsets=tuple(map(tuple, places)), marks=tuple(marks))

    def moved(self, part: Span, to: int) -> Encoding:
        """The same tokens for another text, which holds this one's `part` at `to`; the other tokens are nowhere."""

        def place(start: int, end: int) -> tuple[int, int]:
            inside = start < end and part.start < end and start < part.end
            low, high = max(start, part.start), min(end, part.end)
            return (low - part.start + to, high - part.start + to) if inside else (0, 0)

        return replace(self, offsets=tuple(tuple(place(*one) for one in own) for own in self.offsets))

    @classmethod
    def together(cls, encodings: Sequence[Encoding]) -> Encoding:
        """The texts of several encodings by one encoder, one after the other."""
        return replace(
            encodings[0],
            input_ids=torch.cat([one.input_ids for one in encodings]),
            offsets=tuple(offsets for one in encodings for offsets in one.offsets),
            marks=tuple(mark for one in encodings for mark in one.marks),
        )

    def select(self, indices: Sequence[int]) -> Encoding:
        return replace(
            self,
            input_ids=self.input_ids[list(indices)],
            offsets=tuple(self.offsets[i] for i in indices),
            marks=tuple(self.marks[i] for i in indices) if self.marks else (),
        )


@dataclass(frozen=True)
class Tokens:
    """Texts as a model takes them: one encoding by each of its text encoders that names words."""

    encodings: tuple[Encoding, ...]
    silent: tuple[Encoding, ...] = ()
    """The same texts as encoders take them that name no word: only their pooled state counts, words are never joined,
    and what is beyond the window is cut, as the models' own pipelines do."""

    def __len__(self) -> int:
        return len(self.encodings[0])

    def __iter__(self) -> Iterator[Encoding]:
        return iter(self.encodings)

    def columns(self, index: int, span: Span) -> list[int]:
        """All context columns of a word of text `index`: those of its tokens in every encoder, each once, also where
        encoders share columns."""
        found = (one.first_column + piece for one in self.encodings for piece in one.pieces(index, span))
        return list(dict.fromkeys(found))

    def characters(self, index: int, encoder: int | None) -> dict[int, tuple[int, int]]:
        """The characters of every token of text `index` that has some, by its position in an encoder; or, without one,
        by its context column."""
        every = self.encodings if encoder is None else self.encodings[encoder : encoder + 1]
        return {
            position + (one.first_column if encoder is None else 0): place
            for one in every
            for position, place in enumerate(one.offsets[index])
            if place[0] < place[1]
        }

    def positions(self, space: Literal["input", "output"]) -> list[int]:
        """How many positions a window has: by encoder; or, in the denoiser's context, once."""
        if space == "input":
            return [one.window for one in self.encodings]
        return [max(one.first_column + one.window for one in self.encodings)]

    def mark_columns(self, index: int, mark: int) -> list[int]:
        """Context columns of the begin (0) or end (1) marks of text `index`."""
        found = [(one.first_column, one.marks[index][mark]) for one in self.encodings if one.marks]
        return list(dict.fromkeys(first + position for first, position in found if position is not None))

    def join(self, words: Sequence[Sequence[Sequence[Sequence[int]]]]) -> Tokens:
        """The same texts with words joined, given by encoder and text (see `Encoding.join`)."""
        return replace(self, encodings=tuple(one.join(own) for one, own in zip(self.encodings, words, strict=True)))

    def moved(self, part: Span, to: int) -> Tokens:
        """See `Encoding.moved`."""
        return Tokens(tuple(one.moved(part, to) for one in self.encodings))

    def select(self, indices: Sequence[int]) -> Tokens:
        return Tokens(*(tuple(one.select(indices) for one in own) for own in (self.encodings, self.silent)))

    @classmethod
    def together(cls, several: Sequence[Tokens]) -> Tokens:
        """The texts of several, one after the other."""
        kinds = [[one.encodings for one in several], [one.silent for one in several]]
        return cls(*(tuple(Encoding.together(own) for own in zip(*one, strict=True)) for one in kinds))


@dataclass(frozen=True)
class TokenizerOf:
    """One text encoder's tokenizer, and what is known of that encoder."""

    tokenizer: Any
    """A fast tokenizer of transformers."""
    window: int
    device: torch.device
    first_column: int = 0
    begins: bool = True
    """Whether texts begin with a mark."""

    def length(self, text: str) -> int:
        """Tokens of a text, special ones included."""
        return len(self.tokenizer(text)["input_ids"])

    @property
    def unknown_id(self) -> int | None:
        """Id of the token that stands for what the tokenizer does not know (CLIP's, which knows every byte, ends
        the text instead, so a match there is none)."""
        unknown = self.tokenizer.unk_token_id
        return None if unknown == self.tokenizer.eos_token_id else unknown

    def _nothing(self) -> list[int]:
        """Ids of the empty text."""
        ids: list[int] = self.tokenizer([""], padding="max_length", max_length=self.window)["input_ids"][0]
        return ids

    @property
    def empty_ids(self) -> Int[torch.Tensor, "1 window"]:
        """The empty text, which stands for "no condition"."""
        return torch.tensor([self._nothing()], dtype=torch.long, device=self.device)

    @property
    def empty(self) -> Encoding:
        """The empty text, one row, as an encoding without words."""
        ids = self._nothing()  # as plain numbers, which also a tokenizer of a model without values has
        return Encoding(
            self.empty_ids,
            (((0, 0),) * self.window,),
            padding_id=ids[-1],
            marks=(self._marks(ids),),
            first_column=self.first_column,
        )

    def __call__(self, texts: Sequence[str], *, cut: bool = False) -> Encoding:
        """Texts to ids and offsets. SampleError for an empty text, or one longer than the window unless it may be
        cut."""
        for text in texts:
            if not text.strip():
                raise SampleError("the text is empty.", remedy="Give every image a text.")
        batch = self.tokenizer(
            list(texts),
            padding="max_length",
            max_length=self.window,
            truncation=cut,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        for text, ids in zip(texts, batch["input_ids"], strict=True):
            if len(ids) > self.window:
                raise SampleError(
                    f"a sentence has {len(ids)} tokens where the text encoder's window holds {self.window}: "
                    f"'{text[:60]}…'.",
                    remedy="Shorten it, or split it with a full stop.",
                )
        offsets = tuple(
            tuple(
                (0, 0) if special else (int(start), int(end)) for special, (start, end) in zip(mask, spans, strict=True)
            )
            for mask, spans in zip(batch["special_tokens_mask"], batch["offset_mapping"], strict=True)
        )
        return Encoding(
            torch.tensor(batch["input_ids"], dtype=torch.long, device=self.device),
            offsets,
            padding_id=self._nothing()[-1],
            unknown_id=self.unknown_id,
            marks=tuple(self._marks(ids) for ids in batch["input_ids"]),
            first_column=self.first_column,
        )

    def _marks(self, ids: Sequence[int]) -> tuple[int | None, int | None]:
        last = self.tokenizer.eos_token_id
        last = self.tokenizer.sep_token_id if last is None else last
        return 0 if self.begins else None, list(ids).index(last) if last in ids else None


def tokenize(tokenizers: Sequence[TokenizerOf], text: str, silent: Sequence[TokenizerOf] = ()) -> Tokens:
    """A text of any length, one row a window of whole sentences, where a window is what every encoder can hold that
    names words (the silent ones take what they can).

    Row w holds window w; its offsets count in the whole text, so a word is found in the one window that has it.
    SampleError for an empty text, or for a single sentence longer than a window: nothing is ever cut silently.
    """

    def fits(span: Span) -> bool:
        return all(one.length(span.of(text)) <= one.window for one in tokenizers)

    whole = Span(start=0, end=len(text))
    parts = [whole] if not text.strip() or fits(whole) else []
    for sentence in sentences(text) if not parts else ():
        if parts and fits(joined := Span(start=parts[-1].start, end=sentence.end)):
            parts[-1] = joined
        else:
            parts.append(sentence)
    texts = [part.of(text) for part in parts]
    named = tuple(_shifted(one(texts), parts) for one in tokenizers)
    return Tokens(named, tuple(_shifted(one(texts, cut=True), parts) for one in silent))


def _shifted(encoding: Encoding, parts: Sequence[Span]) -> Encoding:
    """Offsets within the parts of a text as offsets in the whole text."""
    offsets = tuple(
        tuple((start + part.start, end + part.start) if start < end else (0, 0) for start, end in own)
        for part, own in zip(parts, encoding.offsets, strict=True)
    )
    return replace(encoding, offsets=offsets)


_SENTENCE = re.compile(r".*?(?:[.!?;:。！？]+[\"'”’)\]]*(?=\s)\s*|\n\s*|$)", re.DOTALL)


def sentences(text: str) -> list[Span]:
    """A text cut after every full stop and the like that white space follows, and at line ends; nothing is lost.

    >>> [s.of("A red disk. It is 1.5 wide; on sand") for s in sentences("A red disk. It is 1.5 wide; on sand")]
    ['A red disk. ', 'It is 1.5 wide; ', 'on sand']
    """
    return [Span(start=m.start(), end=m.end()) for m in _SENTENCE.finditer(text) if m.end() > m.start()]


def window_of(tokenizer: Any, encoder: Any) -> int:
    """Tokens a text may have, special ones included: the smaller of the tokenizer's and the encoder's limit."""
    limit = int(getattr(encoder.config, "max_position_embeddings", tokenizer.model_max_length))
    return min(int(tokenizer.model_max_length), limit)


def check_fast(tokenizer: Any, where: str) -> None:
    """AnywordError unless the tokenizer can say which characters a token covers."""
    if not getattr(tokenizer, "is_fast", False):
        raise AnywordError(
            f"{where}: its tokenizer gives no character offsets.",
            remedy="Save it with a tokenizer.json (a fast tokenizer).",
        )


def word_maps(
    maps: Sequence[Float[torch.Tensor, "columns height width"]],
    tokens: Tokens,
    rows: Sequence[int],
    spans: Sequence[Span],
) -> Float[torch.Tensor, "words height width"]:
    """Maps of one text's context columns, given window by window (`rows` of `tokens`), to one map a word: the mean of
    its pieces' maps. A word without a token gets zeros.
    """
    found = []
    for span in spans:
        pieces = torch.cat([own[tokens.columns(row, span)] for own, row in zip(maps, rows, strict=True)])
        found.append(pieces.mean(dim=0) if len(pieces) else torch.zeros_like(maps[0][0]))
    return torch.stack(found)
