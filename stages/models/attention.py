"""Attention as a denoiser computes it, read without changing what the denoiser computes.

Only the chosen layers get an explicit softmax, as a side computation: their outputs, and every other layer, keep
the processor they had (scaled_dot_product_attention), so the denoiser's output stays bit for bit the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch

from stages.artifacts.errors import AnywordError
from stages.models.face import ALL, Layer, Read, Readings, What
from stages.models.head_weights import by_output

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention
    from jaxtyping import Float


def text_layers(unet: Any, latent_size: tuple[int, int]) -> tuple[Layer, ...]:
    """Every cross-attention layer (`attn2`) of a UNet2DConditionModel, in the order in which it runs them.

    The grid follows from the block: every down block but the last halves it after its layers, every up block
    but the last doubles it after its layers.
    """
    depth = len(unet.down_blocks)

    def level(name: str) -> tuple[int, int]:
        part, _, rest = name.partition(".")
        index = int(rest.split(".")[0]) if part != "mid_block" else 0
        halved = {"down_blocks": index, "mid_block": depth - 1, "up_blocks": depth - 1 - index}[part]
        order = {"down_blocks": index, "mid_block": depth, "up_blocks": depth + 1 + index}[part]
        return order, halved

    found = [(level(name), name) for name, _ in unet.named_modules() if name.endswith(".attn2")]
    # named_modules keeps the order within a block; sorting by block alone is stable.
    found.sort(key=lambda item: item[0][0])
    height, width = latent_size
    return tuple(Layer(name, (height // 2**halved, width // 2**halved), ALL) for (_, halved), name in found)


def beside(name: str) -> str:
    """The self-attention of a cross-attention layer's block, which runs just before it; a joint layer is its own."""
    return name.removesuffix("attn2") + "attn1" if name.endswith("attn2") else name


class LayerAttention(Protocol):
    """One layer's attention in one pass."""

    def value(self, what: What) -> torch.Tensor:
        """image-to-text, by output, image-to-image: [rows, cells, columns]; by head: [rows, heads, cells, columns];
        query, output: [rows, cells, channels]."""


class CrossAttention:
    """A layer in which the image asks the text, or the one beside it in which it asks itself."""

    def __init__(
        self,
        attn: Attention,
        hidden_states: Float[torch.Tensor, "rows cells channels"],
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *others: Any,
        **named: Any,
    ) -> None:
        """What the layer was called with."""
        self._attn, self._hidden, self._text = attn, hidden_states, encoder_hidden_states
        self._shares = probabilities(attn, hidden_states, encoder_hidden_states, attention_mask)  # [B, h, Q, K]

    def value(self, what: What) -> torch.Tensor:
        if what == "image-to-text by head":
            return self._shares
        if what == "image-to-text by output":
            projection: Any = self._attn.to_out[0]
            return by_output(self._shares, self._outputs(), projection.weight)
        if what == "output":
            return self._outputs().transpose(1, 2).flatten(2)
        if what == "query":
            query: torch.Tensor = self._attn.to_q(self._hidden)
            return query.float()
        return self._shares.mean(dim=1)

    def _outputs(self) -> Float[torch.Tensor, "rows heads cells width"]:
        context = _context(self._attn, self._hidden, self._text)
        value = self._attn.to_v(context).unflatten(-1, (self._attn.heads, -1)).transpose(1, 2)  # [B, h, K, d]
        return self._shares @ value.float()


class Stop(Exception):  # noqa: N818 (control flow, as StopIteration)
    """Raised inside a denoiser once the last wanted layer has been read."""


class Recorder:
    """A context in which chosen layers of a denoiser also record, each reading as a running sum over its layers.

    Memory is one reading's, whatever the number of its layers. Gradients flow through readings unless the caller
    disables them. Processors are put back on exit.
    """

    def __init__(
        self,
        denoiser: Any,
        layers: Sequence[Layer],
        reads: Sequence[Read],
        *,
        stop: bool = False,
        look: Callable[..., LayerAttention] = CrossAttention,
    ) -> None:
        """layers: all of the denoiser, in the order of a pass. stop: raise `Stop` at the last one that is read. look:
        makes of what a layer is called with what can be read of it."""
        self._denoiser = denoiser
        self._look = look
        self._grid = {layer.name: layer.grid for layer in layers}
        self._wanted: dict[str, list[Read]] = {}
        for name in self._grid:
            for read in reads:
                if name in read.layers:
                    module = beside(name) if read.what == "image-to-image" else name
                    self._wanted.setdefault(module, []).append(read)
        if not self._wanted or any(name not in self._grid for read in reads for name in read.layers):
            raise AnywordError("attention capture: no layer was chosen, or one that the model does not have.")
        # Self-attention runs before the cross-attention beside it, which comes later in `layers` than all before.
        order = [module for name in self._grid for module in (beside(name), name) if module in self._wanted]
        self._last = order[-1] if stop else None
        self._reads = tuple(reads)
        self._kept: dict[str, Any] = {}
        self._sums: dict[Read, torch.Tensor] = {}
        self._seen: list[str] = []
        self._again = False

    def __enter__(self) -> Recorder:
        modules = dict(self._denoiser.named_modules())
        for name in self._wanted:
            module = modules[name]
            self._kept[name] = (module, module.processor)
            module.processor = _Recording(self, name, module.processor)
        return self

    def __exit__(self, *error: object) -> None:
        for module, processor in self._kept.values():
            module.processor = processor
        self._kept.clear()

    @contextmanager
    def again(self) -> Iterator[None]:
        """For a part of the same pass that is computed once more, for its gradients: what was recorded stays."""
        self._again = True
        try:
            with self:
                yield
        finally:
            self._again = False

    def record(self, name: str, attn: Any, *inputs: Any, **named: Any) -> None:
        """Add one layer's attention to the readings that want it."""
        found = self._look(attn, *inputs, **named)
        for read in self._wanted[name]:
            values = found.value(read.what)
            if self._again:
                continue
            so_far = self._sums.get(read)
            self._sums[read] = values if so_far is None else so_far + values
        if self._again:
            return
        self._seen.append(name)
        if name == self._last:
            raise Stop

    def readings(self) -> Readings:
        """The mean over each reading's layers, over the image's grid.

        Raises AnywordError unless every chosen layer was visited exactly once: a hook that silently matched nothing,
        or a denoiser called twice, would otherwise give plausible wrong maps.
        """
        if sorted(self._seen) != sorted(self._wanted):
            raise AnywordError(
                f"attention capture: {len(self._seen)} layer visits recorded where {len(self._wanted)} were expected "
                f"({', '.join(self._wanted)}).",
                remedy="Call the denoiser exactly once between two reads.",
            )
        return {read: self._over_the_image(read, self._sums[read] / len(read.layers)) for read in self._reads}

    def _over_the_image(self, read: Read, mean: torch.Tensor) -> torch.Tensor:
        grid = self._grid[read.layers[0]]
        cells = mean.shape[-2]
        if cells != grid[0] * grid[1]:
            raise AnywordError(
                f"attention layer {read.layers[0]}: {cells} queries where {grid[0]}x{grid[1]} were expected.",
                remedy="Latents must be of the size the layers were chosen for.",
            )
        if read.what == "image-to-image":
            return mean
        if read.what in ("query", "output"):
            return mean.unflatten(-2, grid)
        return mean.transpose(-1, -2).unflatten(-1, grid)


class _Recording:
    """An attention processor that records, and leaves the output to the processor it stands in for."""

    def __init__(self, recorder: Recorder, name: str, inner: Any) -> None:
        self.recorder = recorder
        self.name = name
        self.inner = inner

    def __call__(self, attn: Any, *inputs: Any, **named: Any) -> Any:
        self.recorder.record(self.name, attn, *inputs, **named)
        return self.inner(attn, *inputs, **named)


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
) -> Float[torch.Tensor, "batch heads queries keys"]:
    """softmax(Q K^T / sqrt(d)) in float32, as AttnProcessor2_0 computes it implicitly.

    attention_mask: [batch, 1 or queries, keys], added to the scores, as transformers with padded texts are given.
    """
    if hidden_states.ndim != 3 or attn.group_norm or attn.spatial_norm:
        raise AnywordError(
            f"attention capture: this attention layer ({type(attn).__name__} with inner norms) is of a kind that is "
            "not read.",
        )
    context = _context(attn, hidden_states, encoder_hidden_states)
    batch, heads = hidden_states.shape[0], attn.heads
    query = attn.to_q(hidden_states).unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, h, Q, d]
    key = attn.to_k(context).unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, h, K, d]
    if attn.norm_q is not None:
        query = attn.norm_q(query)
    if attn.norm_k is not None:
        key = attn.norm_k(key)
    mask = attention_mask
    if mask is not None:
        mask = attn.prepare_attention_mask(mask, context.shape[1], batch).float()
    # Autocast would round the scores to bfloat16 again; maps are kept in float32.
    with torch.autocast(hidden_states.device.type, enabled=False):
        scores = attn.get_attention_scores(query.float().flatten(0, 1), key.float().flatten(0, 1), mask)
    return scores.unflatten(0, (batch, heads))


def _context(attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None) -> torch.Tensor:
    """What keys and values are made of: the text, or in self-attention the image itself."""
    if encoder_hidden_states is None:
        return hidden_states
    normed: torch.Tensor = (
        attn.norm_encoder_hidden_states(encoder_hidden_states) if attn.norm_cross else encoder_hidden_states
    )
    return normed
