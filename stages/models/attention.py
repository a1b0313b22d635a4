"""Cross-attention as the UNet computes it, read without changing what the UNet computes.

with Capture(unet, layers) as attention:      # layers: cross_attention_layers(...)
    unet(latents, timesteps, context)
    maps = attention.take()                   # [B, tokens, R, R]

Only the chosen layers get an explicit softmax, as a side computation: their outputs, and every other layer, keep
the processor they had (scaled_dot_product_attention), so the UNet's output stays bit for bit the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from stages.artifacts.errors import AnywordError

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention
    from jaxtyping import Float


@dataclass(frozen=True)
class Layer:
    """An attention layer of a UNet: the module's name and the side of its square of queries."""

    name: str
    resolution: int


def attention_layers(unet: Any, latent_size: int, *, kind: str = "attn2") -> list[Layer]:
    """Every cross-attention (`attn2`) or self-attention (`attn1`) layer in the order in which the UNet runs them.

    The resolution follows from the block: every down block but the last halves it after its layers, every up block
    but the last doubles it after its layers.
    """
    depth = len(unet.down_blocks)

    def side(name: str) -> tuple[int, int]:
        part, _, rest = name.partition(".")
        index = int(rest.split(".")[0]) if part != "mid_block" else 0
        level = {"down_blocks": index, "mid_block": depth - 1, "up_blocks": depth - 1 - index}[part]
        order = {"down_blocks": index, "mid_block": depth, "up_blocks": depth + 1 + index}[part]
        return order, latent_size // 2**level

    found = [(side(name), name) for name, _ in unet.named_modules() if name.endswith(f".{kind}")]
    # named_modules keeps the order within a block; sorting by block alone is stable.
    found.sort(key=lambda item: item[0][0])
    return [Layer(name, resolution) for (_, resolution), name in found]


def choose_layers(layers: Sequence[Layer], resolution: int, prefixes: Sequence[str] | None, where: str) -> list[Layer]:
    """The layers whose name begins with one of `prefixes` (all, if None) at `resolution`; errors name `where`."""
    at = [layer for layer in layers if layer.resolution == resolution]
    if prefixes is not None:
        for prefix in prefixes:
            if not any(_begins(layer.name, prefix) for layer in at):
                names = ", ".join(f"{layer.name} ({layer.resolution}x{layer.resolution})" for layer in layers)
                raise AnywordError(
                    f"{where}: no cross-attention layer at {resolution}x{resolution} begins with '{prefix}'.",
                    remedy=f"It has: {names}.",
                )
        at = [layer for layer in at if any(_begins(layer.name, prefix) for prefix in prefixes)]
    if not at:
        sides = sorted({layer.resolution for layer in layers})
        raise AnywordError(
            f"{where}: no cross-attention layer works at {resolution}x{resolution}, only at {sides}.",
            remedy="Choose another image resolution, or one of these as map_resolution.",
        )
    return at


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


class Stop(Exception):  # noqa: N818 (control flow, as StopIteration)
    """Raised inside the UNet once the last wanted layer has been read; `Capture.stopping` catches it."""


class Capture:
    """A context in which chosen attention layers also record their probabilities, averaged over heads and layers.

    The average runs along as the layers are visited, so memory is one map a resolution, whatever the number of
    layers. Gradients flow through the maps unless the caller disables them. Processors are put back on exit.
    """

    def __init__(self, unet: Any, layers: Sequence[Layer], *, stop: bool = False) -> None:
        """`stop`: end the UNet's forward pass at the last of `layers` (run it inside `stopping()`)."""
        if not layers:
            raise AnywordError("attention capture: no layer was chosen.")
        self._unet = unet
        self._layers = {layer.name: layer for layer in layers}
        self._last = layers[-1].name if stop else None
        self._kept: dict[str, Any] = {}
        self._sums: dict[int, torch.Tensor] = {}
        self._seen: list[str] = []

    def __enter__(self) -> Capture:
        modules = dict(self._unet.named_modules())
        for name in self._layers:
            module = modules[name]
            self._kept[name] = (module, module.processor)
            module.processor = _Recorder(self, name, module.processor)
        return self

    def __exit__(self, *error: object) -> None:
        for module, processor in self._kept.values():
            module.processor = processor
        self._kept.clear()
        self._sums.clear()
        self._seen.clear()

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Around a UNet call that ends early."""
        try:
            yield
        except Stop:
            return

    def record(
        self,
        name: str,
        probabilities: Callable[[], Float[torch.Tensor, "batch queries keys"]],
    ) -> None:
        """Add one layer's probabilities (mean over heads) to those of its resolution."""
        layer = self._layers[name]
        values = probabilities()
        if values.shape[1] != layer.resolution**2:
            raise AnywordError(
                f"attention layer {name}: {values.shape[1]} queries where "
                f"{layer.resolution}x{layer.resolution} were expected.",
                remedy="Latents must be square and of the size the layers were chosen for.",
            )
        so_far = self._sums.get(layer.resolution)
        self._sums[layer.resolution] = values if so_far is None else so_far + values
        self._seen.append(name)
        if name == self._last:
            raise Stop

    def take_all(self) -> dict[int, Float[torch.Tensor, "batch keys queries"]]:
        """Mean probabilities since the last call, by resolution, and forget them.

        Raises AnywordError unless every chosen layer was visited exactly once: a hook that silently matched nothing,
        or a UNet called twice, would otherwise give plausible wrong maps.
        """
        seen, sums = sorted(self._seen), dict(self._sums)
        self._seen.clear()
        self._sums.clear()
        if seen != sorted(self._layers):
            raise AnywordError(
                f"attention capture: {len(seen)} layer visits recorded where {len(self._layers)} were expected "
                f"({', '.join(self._layers)}).",
                remedy="Call the UNet exactly once between two reads.",
            )
        counts: dict[int, int] = {}
        for layer in self._layers.values():
            counts[layer.resolution] = counts.get(layer.resolution, 0) + 1
        return {side: (total / counts[side]).transpose(1, 2) for side, total in sums.items()}

    def take(self) -> Float[torch.Tensor, "batch tokens height width"]:
        """`take_all` where all layers share one resolution, as maps over the image."""
        taken = self.take_all()
        if len(taken) != 1:
            raise AnywordError(f"attention capture: layers of several resolutions {sorted(taken)} are read.")
        ((side, maps),) = taken.items()
        return maps.unflatten(-1, (side, side))


class _Recorder:
    """An attention processor that records, and leaves the output to the processor it stands in for."""

    def __init__(self, capture: Capture, name: str, inner: Callable[..., torch.Tensor]) -> None:
        self.capture = capture
        self.name = name
        self.inner = inner

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        self.capture.record(
            self.name,
            lambda: probabilities(attn, hidden_states, encoder_hidden_states, attention_mask),
        )
        return self.inner(attn, hidden_states, encoder_hidden_states, attention_mask, *args, **kwargs)


class CpuAttention:
    """The faster of diffusers' two attention processors on a CPU.

    Forward, scaled_dot_product_attention wins; its backward there is so slow that an explicit softmax wins by a
    fifth of a whole step (bfloat16, 256 queries). Long sequences stay implicit for memory.
    """

    EXPLICIT_UP_TO = 1024  # queries

    def __init__(self) -> None:
        from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

        self.explicit = AttnProcessor()
        self.implicit = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        learning = torch.is_grad_enabled() and hidden_states.shape[1] <= self.EXPLICIT_UP_TO
        processor = self.explicit if learning else self.implicit
        return processor(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def probabilities(
    attn: Attention,
    hidden_states: Float[torch.Tensor, "batch queries channels"],
    encoder_hidden_states: Float[torch.Tensor, "batch keys width"] | None,
    attention_mask: torch.Tensor | None = None,
) -> Float[torch.Tensor, "batch queries keys"]:
    """softmax(Q K^T / sqrt(d)) in float32, averaged over heads, as AttnProcessor2_0 computes it implicitly."""
    if hidden_states.ndim != 3 or attention_mask is not None or attn.group_norm or attn.spatial_norm:
        raise AnywordError(
            f"attention capture: this attention layer ({type(attn).__name__} with masks or inner norms) is of a "
            "kind that is not read.",
        )
    context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
    if encoder_hidden_states is not None and attn.norm_cross:
        context = attn.norm_encoder_hidden_states(context)
    batch, heads = hidden_states.shape[0], attn.heads
    query = attn.to_q(hidden_states).unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, h, Q, d]
    key = attn.to_k(context).unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, h, K, d]
    if attn.norm_q is not None:
        query = attn.norm_q(query)
    if attn.norm_k is not None:
        key = attn.norm_k(key)
    # Autocast would round the scores to bfloat16 again; maps are kept in float32.
    with torch.autocast(hidden_states.device.type, enabled=False):
        scores = attn.get_attention_scores(query.float().flatten(0, 1), key.float().flatten(0, 1))
    return scores.unflatten(0, (batch, heads)).mean(dim=1)
