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
from typing import TYPE_CHECKING, Literal, get_args

import torch

from stages.artifacts import ModelRecord
from stages.models.noise_path import NoisePath
from stages.models.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int

What = Literal["image-to-text", "image-to-text by head", "image-to-text by output", "image-to-image", "output"]
"""What can be read of an attention layer, for every cell of the image: the share that each context column gets of it,
averaged over heads, or not, or weighed by how much each goes along with what the layer returns (`head_weights.py`); the
share of each cell, averaged over heads; and what attention returns, heads side by side, before the output projection.
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


Readings = Mapping[Read, torch.Tensor]
"""image-to-text, by output: [rows, columns, height, width]; by head: [rows, heads, columns, height, width];
image-to-image: [rows, cells, cells], the cell that asks first; output: [rows, height, width, channels]."""


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
        rows are parted when they do not fit.
        """
        most = self.rows_that_fit(latents, reads)
        if len(latents) <= most:
            return self._pass(latents, timesteps, condition, reads, stop=stop)
        parts = [
            self._pass(latents[at], timesteps[at], condition.select(list(range(len(latents)))[at]), reads, stop=stop)
            for at in (slice(begin, begin + most) for begin in range(0, len(latents), most))
        ]
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

    def rows_that_fit(self, latents: Float[torch.Tensor, "rows channels h w"], reads: Sequence[Read]) -> int:
        """Rows that one pass may hold; the caller's number, where the family knows no limit."""
        return len(latents)

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
