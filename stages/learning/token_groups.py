"""Which word, and which run of words, the tokens of a text belong to: by their offsets, without a parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.models.text import Encoding

if TYPE_CHECKING:
    from jaxtyping import Int


class Words:
    """Tokens of some texts, with the word and the run of words that each belongs to; one row a token."""

    def __init__(self, tokens: Sequence[Sequence[int]], encoding: Encoding) -> None:
        """tokens: by text of the encoding, positions in rising order.

        Neighbouring tokens whose characters touch are pieces of one word. Words with nothing but a space between
        them form a run ("striped red circle"): without a parser, that is what says which adjective is a noun's.
        """
        device = encoding.input_ids.device
        text = [row for row, own in enumerate(tokens) for _ in own]
        token = [position for own in tokens for position in own]
        word, run = [], []
        before: tuple[int, int] | None = None  # text, end
        for own, position in zip(text, token, strict=True):
            start, end = encoding.offsets[own][position]
            if before is None or before[0] != own:
                word.append(0)
                run.append(0)
            else:
                word.append(word[-1] + (start > before[1]))
                run.append(run[-1] + (start > before[1] + 1))
            before = (own, end)
        self.text: Int[torch.Tensor, " rows"] = torch.tensor(text, device=device).long()
        self.token: Int[torch.Tensor, " rows"] = torch.tensor(token, device=device).long()
        self.word: Int[torch.Tensor, " rows"] = torch.tensor(word, device=device).long()
        self.run: Int[torch.Tensor, " rows"] = torch.tensor(run, device=device).long()

    def of(self, texts: Sequence[int]) -> Words:
        """The rows of some of the texts (which need not have any), then counted by their place in `texts`."""
        place = torch.full((max([*texts, *self.text.tolist()]) + 1,), -1, device=self.text.device)
        place[torch.tensor(list(texts), device=self.text.device)] = torch.arange(len(texts), device=self.text.device)
        kept = place[self.text] >= 0
        chosen = object.__new__(Words)
        chosen.text, chosen.token = place[self.text[kept]], self.token[kept]
        chosen.word, chosen.run = self.word[kept], self.run[kept]
        return chosen
