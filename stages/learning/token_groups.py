"""Which word, and which run of words, the tokens of a text belong to: by their offsets, without a parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.models.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class TokenGroups:
    """Tokens of some texts, with the word and the run of words that each belongs to; one row a token."""

    def __init__(self, positions: Sequence[Sequence[Sequence[int]]], tokens: Tokens) -> None:
        """positions: by encoder and text, of the tokens meant, rising.

        Neighbouring tokens whose characters touch are pieces of one word. Words with nothing but a space between
        them form a run ("striped red circle"): without a parser, that is what says which adjective is a noun's. What
        several encoders say of the same characters belongs to the same word.
        """
        device = tokens.encodings[0].input_ids.device
        rows: list[tuple[int, int, int, int, int]] = []  # text, start, end, encoder, position
        for encoder, (encoding, texts) in enumerate(zip(tokens, positions, strict=True)):
            for text, own in enumerate(texts):
                rows += [(text, *encoding.offsets[text][position], encoder, position) for position in own]
        if len(tokens.encodings) > 1:
            rows.sort()
        word, run = [], []
        before: tuple[int, int] | None = None  # text, end
        for text, start, end, _, _ in rows:
            if before is None or before[0] != text:
                word.append(0)
                run.append(0)
                before = (text, end)
            else:
                word.append(word[-1] + (start > before[1]))
                run.append(run[-1] + (start > before[1] + 1))
                before = (text, max(end, before[1]))

        def column(values: list[int]) -> Int[torch.Tensor, " rows"]:
            return torch.tensor(values, device=device).long()

        first = [one.first_column for one in tokens]
        self.text = column([row[0] for row in rows])
        self.encoder = column([row[3] for row in rows])
        self.token = column([row[4] for row in rows])
        """Position in the encoder's window."""
        self.column = column([first[row[3]] + row[4] for row in rows])
        """Position in the denoiser's context."""
        self.word = column(word)
        self.run = column(run)

    def of(self, texts: Sequence[int]) -> TokenGroups:
        """The rows of some of the texts (which need not have any), then counted by their place in `texts`."""
        place = torch.full((max([*texts, *self.text.tolist()]) + 1,), -1, device=self.text.device)
        place[torch.tensor(list(texts), device=self.text.device)] = torch.arange(len(texts), device=self.text.device)
        kept = place[self.text] >= 0
        chosen = object.__new__(TokenGroups)
        chosen.text = place[self.text[kept]]
        for name in ("encoder", "token", "column", "word", "run"):
            setattr(chosen, name, getattr(self, name)[kept])
        return chosen

    def run_members(self, texts: int, columns: int) -> list[Float[torch.Tensor, "_runs columns"]]:
        """Of each text, the share that each column has in each run: a run is the mean of its words, a word that of its
        pieces. Rows sum to 1."""
        found = []
        for text in range(texts):
            mine = self.text == text
            run, word, column = (values[mine] for values in (self.run, self.word, self.column))
            members = torch.zeros(len(run.unique()), columns, device=column.device)
            for row, one in enumerate(run.unique()):
                words = word[run == one].unique()
                for own in words:
                    pieces = column[word == own]
                    members[row, pieces] += 1 / (len(words) * len(pieces))
            found.append(members)
        return found
