"""What the denoiser is given of texts that have learned: vectors in the encoder's input, or in its output."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from stages.artifacts.embeddings import Embeddings
from stages.models.face import Condition, DiffusionModel
from stages.models.tokens import Tokens


@torch.no_grad()
def conditioned(
    model: DiffusionModel, tokens: Tokens, learned: Embeddings, rows: Sequence[tuple[int, int]]
) -> tuple[Tokens, Condition]:
    """Tokens with the words joined that learned as one, and their condition with the learned vectors in place.

    rows: of every row of tokens, its sample's position in the shard and which window of its text it is.
    """
    if learned.space == "output":
        condition = model.condition(tokens, model.embed(tokens))
        context = condition.context.clone()
        for row, (position, part) in enumerate(rows):
            own = learned.of(position, part, 0, *tokens.positions("output"))
            context[row, own.token.astype(int)] = torch.from_numpy(own.vectors).to(context)
        return tokens, condition.with_context(context)
    found = [
        [learned.of(position, part, encoder, window) for position, part in rows]
        for encoder, window in enumerate(tokens.positions("input"))
    ]
    if any(len(one.joined) for own in found for one in own):
        words = [
            [[[first + piece for piece in range(count)] for first, count in one.joined.tolist()] for one in own]
            for own in found
        ]
        tokens = tokens.join(words)
    embeddings = model.embed(tokens)
    for values, windows_of in zip(embeddings, found, strict=True):
        for row, one in enumerate(windows_of):
            values[row, one.token.astype(int)] = torch.from_numpy(one.vectors).to(values)
    return tokens, model.condition(tokens, embeddings)
