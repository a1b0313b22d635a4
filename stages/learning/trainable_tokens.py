"""Which words of a text learn: a closed list decides, never a parser.

Inversion and parsing must not see each other (a new parser reruns nothing here), so content words are told from
function words by this list alone. Function words that learn take over objects' roles: measured on the embedded
world, nouns' maps suffer. Changing the list changes results, and so the stage's version.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from stages.artifacts.language import Span, words
from stages.learning.token_groups import TokenGroups
from stages.models.tokens import Encoding, Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

    from stages.models.face import DiffusionModel

_LIST = """
a an the this that these those some any each every either neither no none all both half many much more most
few fewer several such another other others own same

i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
herself it its itself they them their theirs themselves one ones someone somebody something anyone anybody
anything everyone everybody everything nobody nothing who whom whose which what whatever whoever

aboard about above across after against along alongside amid among amongst around as at atop before behind below
beneath beside besides between beyond by despite down during except for from in inside into like near of off on
onto opposite out outside over past per since than through throughout till to toward towards under underneath
until unto up upon via with within without next left right away apart together

and but or nor so yet if because although though while whereas whether unless when where why how then there here
not n't also too very just only even still again once almost quite rather

am is are was were be been being do does did doing done have has had having can could may might must shall should
will would ought i'm you're he's she's it's we're they're there's that's isn't aren't wasn't weren't don't
doesn't didn't hasn't haven't can't cannot won't
"""
# In this order: determiners and quantifiers; pronouns; prepositions and directions; conjunctions and adverbs
# without content; auxiliaries.

FUNCTION_WORDS = frozenset(_LIST.split())


def is_content(word: str) -> bool:
    """Whether a word learns by default: it has a letter and is not a function word.

    >>> [is_content(w) for w in ("dog", "The", ",", "12", "circle1", "isn’t")]
    [True, False, False, False, True, False]
    """
    plain = word.casefold().replace("’", "'")
    return any(letter.isalpha() for letter in word) and plain not in FUNCTION_WORDS


def trainable_words(text: str, choice: Literal["content", "all"] | Sequence[str]) -> list[Span]:
    """The words of `text` that learn: content words, all words that are not punctuation, or those on a list.

    A list's entries match whole words whatever their case; each occurrence in the text learns by itself.
    """
    spans = list(words(text))
    if choice == "content":
        return [span for span in spans if is_content(span.of(text))]
    if choice == "all":
        return [span for span in spans if any(letter.isalnum() for letter in span.of(text))]
    wanted = {entry.casefold() for entry in choice}
    return [span for span in spans if span.of(text).casefold() in wanted]


@dataclass(frozen=True)
class TrainableRow:
    """What learns of one text in one encoder's tokens."""

    tokens: tuple[int, ...]
    """Positions of the tokens that learn."""
    unknown: tuple[int, ...]
    """Those among them whose word the tokenizer splits or does not know."""
    joined: tuple[tuple[int, ...], ...]
    """Words that are to become one token: the positions of their pieces. The other positions count after that."""
    content: tuple[int, ...]
    """Positions of the content words' tokens, whether they learn or not."""


def trainable_row(
    text: str,
    encoding: Encoding,
    index: int,
    choice: Literal["content", "all"] | Sequence[str],
    *,
    join: bool = False,
) -> TrainableRow:
    """What learns in text `index`; with `join`, words of several pieces as one token each."""
    learn: list[tuple[tuple[int, ...], bool]] = []
    for span in trainable_words(text, choice):
        pieces = tuple(encoding.pieces(index, span))
        unknown = any(int(encoding.input_ids[index, piece]) == encoding.unknown_id for piece in pieces)
        learn.append((pieces, len(pieces) > 1 or unknown))
    # A piece that two words share (a tokenizer need not cut where words end) cannot be joined into both.
    counts = Counter(piece for pieces, _ in learn for piece in pieces)
    joined = tuple(p for p, _ in learn if join and len(p) > 1 and all(counts[piece] == 1 for piece in p))
    first = {piece: pieces[0] for pieces in joined for piece in pieces}
    gone = sorted(set(first) - set(first.values()))

    def positions(words: Iterable[Sequence[int]]) -> tuple[int, ...]:
        kept = {first.get(piece, piece) for pieces in words for piece in pieces}
        return tuple(sorted(piece - bisect(gone, piece) for piece in kept))

    return TrainableRow(
        tokens=positions(pieces for pieces, _ in learn),
        unknown=positions(pieces for pieces, split in learn if split),
        joined=joined,
        content=positions(encoding.pieces(index, span) for span in trainable_words(text, "content")),
    )


@dataclass(frozen=True)
class TrainableTokens:
    """Texts ready to learn."""

    tokens: Tokens
    """The texts, words joined where they are to be one token."""
    rows: tuple[tuple[TrainableRow, ...], ...]
    """By encoder and text."""
    initial: tuple[Float[torch.Tensor, "_tokens _width"], ...] | None
    """By encoder, where the learning tokens start, text by text; None where that is the tables' own vectors."""

    def learning(self) -> TokenGroups:
        """The tokens that learn, of all texts."""
        return TokenGroups([[one.tokens for one in own] for own in self.rows], self.tokens)

    def content(self) -> TokenGroups:
        """The tokens of content words, of all texts."""
        return TokenGroups([[one.content for one in own] for own in self.rows], self.tokens)

    def embeddings(self, model: DiffusionModel) -> list[Float[torch.Tensor, "texts _window _width"]]:
        """The encoders' input, learning tokens at their first vectors."""
        found = model.embed(self.tokens)
        for values, initial, own in zip(found, self.initial or [None] * len(found), self.rows, strict=True):
            if initial is not None:
                text = [n for n, one in enumerate(own) for _ in one.tokens]
                values[text, [token for one in own for token in one.tokens]] = initial.to(values)
        return found


def trainable_tokens(
    model: DiffusionModel,
    tokens: Tokens,
    texts: Sequence[str],
    choice: Literal["content", "all"] | Sequence[str],
    *,
    join: bool,
) -> TrainableTokens:
    """What learns of each row of tokens (texts: each row's own), words joined if `join` says so."""
    rows = tuple(
        tuple(trainable_row(text, encoding, row, choice, join=join) for row, text in enumerate(texts))
        for encoding in tokens
    )
    if not any(one.joined for own in rows for one in own):
        return TrainableTokens(tokens, rows, None)
    joined = tokens.join([[one.joined for one in own] for own in rows])
    initial = tuple(
        _first_vectors(table, plain, made, own)
        for table, plain, made, own in zip(model.tables, tokens, joined, rows, strict=True)
    )
    return TrainableTokens(joined, rows, initial)


def _first_vectors(
    table: Float[torch.Tensor, "vocabulary width"], plain: Encoding, joined: Encoding, rows: Sequence[TrainableRow]
) -> Float[torch.Tensor, "tokens width"]:
    """Where the learning tokens start, text by text: the table's own vectors, a joined word the mean of its pieces."""
    found = [table[:0]]
    for n, one in enumerate(rows):
        first = {plain.offsets[n][pieces[0]][0]: pieces for pieces in one.joined}  # by the word's first character
        for token in one.tokens:
            pieces = first.get(joined.offsets[n][token][0])
            ids = joined.input_ids[n, token : token + 1] if pieces is None else plain.input_ids[n, list(pieces)]
            found.append(table[ids].mean(dim=0, keepdim=True))
    return torch.cat(found)
