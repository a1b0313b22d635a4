"""The vectors that learn: one a token, packed by text encoder, and what the denoiser is given with them in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from stages.learning.trainable_tokens import TrainableRow, TrainableTokens
from stages.models.face import Condition, DiffusionModel

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


class Vectors:
    """The learning vectors of a batch of texts in one encoder, packed one row a token."""

    def __init__(
        self,
        base: Float[torch.Tensor, "texts window width"],
        rows: Sequence[TrainableRow],
        known_rate: float = 1.0,
    ) -> None:
        """base: the encoder's input, learning tokens at their first vectors. known_rate: of words that the tokenizer
        knows whole, as a share of the others' rate."""
        self.base = base

        def column(values: list[int]) -> Int[torch.Tensor, " rows"]:
            return torch.tensor(values, dtype=torch.long, device=base.device)

        self.text = column([text for text, one in enumerate(rows) for _ in one.tokens])
        self.token = column([token for one in rows for token in one.tokens])
        self.first = base[self.text, self.token].clone()
        self.now = self.first.clone().requires_grad_()
        unknown = [token in one.unknown for one in rows for token in one.tokens]
        self.unknown: Bool[torch.Tensor, " rows"] = torch.tensor(unknown, dtype=torch.bool, device=base.device)
        self.share: Float[torch.Tensor, "rows 1"] = torch.where(self.unknown, 1.0, known_rate)[:, None]
        """Of the learning rate, a row."""

    def embeddings(self) -> Float[torch.Tensor, "texts window width"]:
        """The encoder's input with the learned vectors in place."""
        return self.base.index_put((self.text, self.token), self.now)


class Learner:
    """The vectors of a batch of texts in every encoder of a model."""

    def __init__(self, model: DiffusionModel, trainable: TrainableTokens, known_rate: float = 1.0) -> None:
        self.model = model
        self.tokens = trainable.tokens
        self.words = trainable.learning()
        self.content = trainable.content()
        self.encoders = [
            Vectors(base, rows, known_rate)
            for base, rows in zip(trainable.embeddings(model), trainable.rows, strict=True)
        ]

    @property
    def moving(self) -> list[int]:
        """Texts with a vector that may move; the others would only cost time."""
        return sorted({text for one in self.encoders for text in one.text[one.share[:, 0] > 0].tolist()})

    def condition(self, texts: Sequence[int]) -> Condition:
        """What the denoiser is given of some of the texts, with the learned vectors in place."""
        index = torch.tensor(list(texts), device=self.model.device)
        return self.model.condition(self.tokens.select(texts), [one.embeddings()[index] for one in self.encoders])
