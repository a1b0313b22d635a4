"""Attention in which image cells and text tokens are one sequence, as MM-DiTs have it, read without changing it.

Stable Diffusion 3 puts the image first, FLUX the text. What is read is the image's rows: the columns of a text are a
part of a softmax over both, so their shares sum to less than 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from stages.models.face import ALL, What
from stages.models.head_weights import by_output

if TYPE_CHECKING:
    from jaxtyping import Float

JOINT: frozenset[What] = ALL - {"query"}
"""What joint layers give: their queries are turned by place, so they are not compared."""


class JointAttention:
    """One layer of a transformer of diffusers' in one pass: `JointAttnProcessor2_0`'s or `FluxAttnProcessor`'s
    projections."""

    def __init__(
        self,
        attn: Any,
        hidden_states: Float[torch.Tensor, "rows tokens channels"],
        encoder_hidden_states: Float[torch.Tensor, "rows columns width"] | None = None,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
        *,
        columns: int,
        text_first: bool,
    ) -> None:
        """What the layer was called with. columns: of the text. text_first: where it stands in the sequence; where no
        encoder_hidden_states come, hidden_states are both."""
        if attention_mask is not None:
            raise ValueError("joint attention with a mask is not read")
        self._attn = attn
        query, key, value = (
            _heads(attn, project(hidden_states)) for project in (attn.to_q, attn.to_k, attn.to_v)
        )  # [B, h, N, d]
        query, key = _normed(attn.norm_q, query), _normed(attn.norm_k, key)
        if encoder_hidden_states is not None:
            text = [
                _heads(attn, project(encoder_hidden_states))
                for project in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
            ]
            text[0], text[1] = _normed(attn.norm_added_q, text[0]), _normed(attn.norm_added_k, text[1])
            pairs = zip(text, (query, key, value), strict=True)
            query, key, value = (torch.cat([a, b] if text_first else [b, a], dim=2) for a, b in pairs)
        if image_rotary_emb is not None:
            from diffusers.models.embeddings import apply_rotary_emb

            query, key = (apply_rotary_emb(one, image_rotary_emb, sequence_dim=2) for one in (query, key))  # type: ignore[arg-type, assignment]
        cells = query.shape[2] - columns
        self._image = slice(columns, None) if text_first else slice(0, cells)
        self._text = slice(0, columns) if text_first else slice(cells, None)
        # Float32, as maps are kept; autocast does not reach scores that are float already.
        self._query, self._key, self._value = query[:, :, self._image].float(), key.float(), value.float()

    def value(self, what: What) -> torch.Tensor:
        attend = torch.nn.functional.scaled_dot_product_attention
        if what == "output":
            return attend(self._query, self._key, self._value).transpose(1, 2).flatten(2)
        if what == "image-to-text by output":
            outputs = attend(self._query, self._key, self._value)
            return by_output(self._text_shares(), outputs, self._attn.to_out[0].weight)
        if what == "image-to-image":
            # A head at a time: all of them would be gigabytes at 4096 cells.
            total = torch.zeros(())
            for query, key in zip(self._query.unbind(1), self._key.unbind(1), strict=True):
                shares = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(dim=-1)
                total = total.to(shares) + shares[:, :, self._image]
            return total / self._query.shape[1]
        by_head = self._text_shares()
        return by_head if what == "image-to-text by head" else by_head.mean(dim=1)

    def _text_shares(self) -> Float[torch.Tensor, "rows heads cells columns"]:
        """The text's part of the softmax, which itself is never made whole: attention to values that are one at each
        text token's own column. Fused kernels take values as wide as the queries, so columns come in such parts."""
        rows, heads, keys, width = self._key.shape
        chosen = torch.eye(keys, device=self._key.device)[:, self._text]
        columns = chosen.shape[1]
        chosen = torch.nn.functional.pad(chosen, (0, -columns % width))
        parts = [
            torch.nn.functional.scaled_dot_product_attention(
                self._query, self._key, one.contiguous().expand(rows, heads, -1, -1)
            )
            for one in chosen.split(width, dim=1)
        ]
        return torch.cat(parts, dim=-1)[..., :columns]


def _heads(attn: Any, states: torch.Tensor) -> torch.Tensor:
    return states.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _normed(norm: Any, states: torch.Tensor) -> torch.Tensor:
    normed: torch.Tensor = states if norm is None else norm(states)
    return normed
