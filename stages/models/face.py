"""What every stage knows of a frozen diffusion model: six verbs, whatever family it is of.

tokens = model.tokenize("a red circle on grass")            # one encoding a text encoder, a row a window
embeddings = model.embed(tokens)                            # one tensor an encoder, to learn or to leave
condition = model.condition(tokens, embeddings)             # what the denoiser is given; differentiable
latents = model.latents(pixels)
noised = model.path.noised(latents, noise, timesteps)
prediction, readings = model.run(noised, timesteps, condition, reads)

No stage sees a scheduler, a denoiser, an encoder, a tokenizer or an autoencoder. A new family is a class that derives
from DiffusionModel, and its branch in `load` of `diffusion.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch.utils.checkpoint import checkpoint

from stages.artifacts import ModelRecord
from stages.models.memory import Memory, bytes_of
from stages.models.noise_path import NoisePath
from stages.models.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

What = Literal["image-to-text", "image-to-text by head", "image-to-text by output", "image-to-image", "query", "output"]
"""What can be read of an attention layer, for every cell of the image: the share that each context column gets of it,
averaged over heads, or not, or weighed by how much each goes along with what the layer returns (`head_weights.py`); the
share of each cell, averaged over heads; and, heads side by side, the image's queries, and what attention returns before
the output projection.
"""
ALL: frozenset[What] = frozenset(get_args(What))


@dataclass(frozen=True)
class Layer:
    """An attention layer in which the image asks the text."""

    name: str
    grid: tuple[int, int]
    """Rows and columns of image cells."""
    gives: frozenset[What]

    @property
    def side(self) -> int:
        """The grid's longer side, by which recipes name resolutions."""
        return max(self.grid)


@dataclass(frozen=True)
class Read:
    """A reading wanted of a pass: the mean over some layers of one grid, kept as a running sum."""

    layers: tuple[str, ...]
    what: What = "image-to-text"


@dataclass(frozen=True)
class Condition:
    """What the denoiser is given of texts, a row a text."""

    context: Float[torch.Tensor, "rows columns width"]
    """States of the texts' tokens."""
    extras: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """What else the family needs, rows first: pooled states, masks, sizes."""

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Condition:
        return Condition(change(self.context), {name: change(one) for name, one in self.extras.items()})

    def select(self, rows: Sequence[int] | Int[torch.Tensor, " chosen"]) -> Condition:
        return self._each(lambda one: one[rows])

    def repeat(self, times: int) -> Condition:
        """Every row so many times, one after the other."""
        return self._each(lambda one: one.repeat_interleave(times, dim=0))

    def with_context(self, context: Float[torch.Tensor, "rows columns width"]) -> Condition:
        return Condition(context, self.extras)

    def fresh(self) -> Condition:
        """The same values without their history, where gradients can be gathered."""
        return self._each(lambda one: one.detach().requires_grad_(one.requires_grad))

    @property
    def learning(self) -> list[torch.Tensor]:
        """Those of its tensors that have gradients."""
        return [one for one in (self.context, *self.extras.values()) if one.requires_grad]


def _learns(latents: torch.Tensor, condition: Condition) -> bool:
    return torch.is_grad_enabled() and (latents.requires_grad or bool(condition.learning))


Readings = Mapping[Read, torch.Tensor]
"""image-to-text, by output: [rows, columns, height, width]; by head: [rows, heads, columns, height, width];
image-to-image: [rows, cells, cells], the cell that asks first; query, output: [rows, height, width, channels]."""


class DiffusionModel(ABC):
    """A frozen diffusion model. What goes in and out is float32 on `device`; no weight ever has a gradient."""

    record: ModelRecord
    """Id as the user wrote it, revision, and the hash of all that decides what the model computes."""
    device: torch.device
    world: str | None
    """'embedded' where the model knows only the embedded world."""
    image_size: tuple[int, int]
    """Height and width, in pixels, of the images that it takes."""
    path: NoisePath
    layers: tuple[Layer, ...]
    """Every layer in which the image asks the text, in the order in which a pass visits them."""
    read_by_default: tuple[Layer, ...]
    """Those whose maps are read where nobody says otherwise, all of one grid."""
    guided: bool = True
    """Whether passes with and without a text can be weighed against each other (classifier-free guidance)."""

    @property
    def smallest_image(self) -> tuple[int, int]:
        """Height and width of the smallest image that a pass without readings takes."""
        return self.image_size

    @abstractmethod
    def tokenize(self, text: str) -> Tokens:
        """A text of any length, one row a window of whole sentences. SampleError for an empty text, or for a sentence
        longer than a window."""

    @property
    @abstractmethod
    def empty(self) -> Tokens:
        """One row: the empty text, which stands for "no condition"."""

    @property
    @abstractmethod
    def tables(self) -> Sequence[Float[torch.Tensor, "_vocabulary _width"]]:
        """The input embeddings of each text encoder that names words (not to be changed)."""

    def widths(self, space: Literal["input", "output"]) -> list[int]:
        """Of vectors that may be learned: by encoder those of its table; or, once, of the denoiser's context."""
        if space == "input":
            return [int(table.shape[1]) for table in self.tables]
        with torch.no_grad():
            return [int(self.condition(self.empty, self.embed(self.empty)).context.shape[-1])]

    def embed(self, tokens: Tokens) -> list[Float[torch.Tensor, "texts _window _width"]]:
        """Input embeddings by encoder, fresh tensors without history."""
        return [table[one.input_ids].clone() for table, one in zip(self.tables, tokens, strict=True)]

    @abstractmethod
    def condition(self, tokens: Tokens, embeddings: Sequence[Float[torch.Tensor, "texts _window _width"]]) -> Condition:
        """What the encoders say of texts whose input embeddings are given; differentiable with respect to them."""

    @abstractmethod
    def latents(self, pixels: Float[torch.Tensor, "batch 3 height width"]) -> Float[torch.Tensor, "batch channels h w"]:
        """Latents of images in -1..1, without a random draw."""

    def run(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        timesteps: torch.Tensor,
        condition: Condition,
        reads: Sequence[Read] = (),
        *,
        stop: bool = False,
    ) -> tuple[Float[torch.Tensor, "rows channels h w"] | None, Readings]:
        """One pass: what the model predicts, and what was read on the way.

        timesteps: [rows], labels of `path`. stop: end the pass at the last layer that is read; the prediction is then
        None. Gradients flow through both unless the caller disables them. All passes go through here, so this is where
        rows are parted when they do not fit: parts that have gradients keep nothing and are computed again on the way
        back, unless the caller takes no more rows than `rows_that_fit`.
        """
        return self.memory.until_it_fits(
            lambda: self._in_parts(latents, timesteps, condition, reads, stop=stop), spare=self.spare
        )

    def _in_parts(
        self, latents: torch.Tensor, timesteps: torch.Tensor, condition: Condition, reads: Sequence[Read], *, stop: bool
    ) -> tuple[torch.Tensor | None, Readings]:
        most = self.rows_that_fit(latents, condition, reads, stop=stop)
        if len(latents) <= most:
            return self._pass(latents, timesteps, condition, reads, stop=stop)

        def part(at: slice) -> tuple[torch.Tensor | None, Readings]:
            own = latents[at], timesteps[at], condition.select(list(range(len(latents)))[at])
            if not _learns(latents, condition):
                return self._pass(*own, reads, stop=stop)
            found: tuple[torch.Tensor | None, Readings] = checkpoint(
                self._pass, *own, reads, stop=stop, use_reentrant=False, preserve_rng_state=False
            )
            return found

        parts = [part(slice(begin, begin + most)) for begin in range(0, len(latents), most)]
        predictions = [one for one, _ in parts if one is not None]
        readings = {read: torch.cat([found[read] for _, found in parts]) for read in reads}
        return (None if stop else torch.cat(predictions)), readings

    def predict(
        self, latents: Float[torch.Tensor, "rows channels h w"], timesteps: torch.Tensor, condition: Condition
    ) -> Float[torch.Tensor, "rows channels h w"]:
        """The prediction alone."""
        predicted, _ = self.run(latents, timesteps, condition)
        if predicted is None:
            raise RuntimeError(f"{type(self).__name__}: a whole pass gave no prediction")
        return predicted

    @cached_property
    def memory(self) -> Memory:
        """What this model may take of its device."""
        return Memory(self.device, bytes_of(vars(self).values()))

    def rows_that_fit(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        condition: Condition,
        reads: Sequence[Read],
        *,
        stop: bool = False,
        beside: Callable[[], object] | None = None,
    ) -> int:
        """How many of these rows one pass may hold, with the way back if there are gradients.

        beside: makes what is alive at the same time, to be counted. Decides memory and speed, not the result.
        """
        learns = _learns(latents, condition)
        key = (learns, stop, tuple(reads), latents.shape[1:], condition.context.shape[1:])

        def row() -> object:
            return self._counted_rows(1, latents, condition, reads, learns, stop)

        spare = self.spare if learns else lambda: False
        return self.memory.rows(len(latents), key, row, beside=beside, spare=spare)

    def _counted_rows(
        self,
        rows: int,
        latents: torch.Tensor,
        condition: Condition,
        reads: Sequence[Read],
        learns: bool,
        stop: bool,
    ) -> object:
        """A pass and, if it learns, its way back; for counting, so what the rows hold is of no matter."""
        context = condition.context[:rows].detach().clone()
        wanted = [context.requires_grad_()] if learns else []
        own = Condition(context, {name: one[:rows].detach().clone() for name, one in condition.extras.items()})
        with torch.set_grad_enabled(learns):
            timesteps = latents.new_zeros(rows, dtype=torch.long)
            found, readings = self._pass(latents[:rows].detach(), timesteps, own, reads, stop=stop)
            outputs = [*([] if found is None else [found]), *readings.values()]
            if not learns:
                return outputs
            return torch.autograd.grad(torch.stack([one.sum() for one in outputs]).sum(), wanted)

    def spare(self) -> bool:
        """Make passes with gradients keep less and compute it again; False where that is so already or cannot be."""
        return False

    def encode(self, pixels: Float[torch.Tensor, "batch 3 height width"]) -> Float[torch.Tensor, "batch channels h w"]:
        """`latents` of as many images at a time as fit."""
        return self.memory.in_parts(
            list(pixels), ("images", pixels.shape[1:]), lambda own: self.latents(torch.stack(list(own)))
        )

    @abstractmethod
    def _pass(
        self,
        latents: Float[torch.Tensor, "rows channels h w"],
        timesteps: torch.Tensor,
        condition: Condition,
        reads: Sequence[Read],
        *,
        stop: bool,
    ) -> tuple[Float[torch.Tensor, "rows channels h w"] | None, Readings]:
        """`run` for rows that fit."""

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """What the model is, in words and numbers, for people."""
