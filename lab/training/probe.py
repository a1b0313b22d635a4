"""Cross-attention of the embedded UNet made visible: explicit softmax, kept by layer, gradients and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


class _Watching:
    """Diffusers' attention with the probabilities kept in a shared dict."""

    def __init__(self, name: str, seen: dict[str, Any]) -> None:
        self.name, self.seen = name, seen

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        words = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        batch, places, width = hidden_states.shape[0], hidden_states.shape[1], attn.inner_dim
        heads = attn.heads

        def split(x: torch.Tensor) -> torch.Tensor:
            return x.view(batch, -1, heads, width // heads).transpose(1, 2)

        query, key, value = split(attn.to_q(hidden_states)), split(attn.to_k(words)), split(attn.to_v(words))
        share = (query @ key.transpose(-1, -2) * attn.scale).float().softmax(-1)  # b, heads, places, tokens
        self.seen[self.name] = share
        mixed = (share.to(value.dtype) @ value).transpose(1, 2).reshape(batch, places, width)
        return attn.to_out[1](attn.to_out[0](mixed))


def watch(unet: Any) -> dict[str, Float[torch.Tensor, "batch heads places tokens"]]:
    """Keep the probabilities of every cross-attention layer; the dict fills anew with each call of the UNet."""
    from diffusers.models.attention_processor import AttnProcessor2_0

    seen: dict[str, Any] = {}
    unet.set_attn_processor(
        {
            name: _Watching(name.removesuffix(".processor"), seen) if ".attn2." in name else AttnProcessor2_0()
            for name in unet.attn_processors
        }
    )
    return seen


def unwatch(unet: Any) -> None:
    from diffusers.models.attention_processor import AttnProcessor2_0

    unet.set_attn_processor(AttnProcessor2_0())
