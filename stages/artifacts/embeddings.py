"""`embeddings.safetensors`: what the words of a shard's texts learned from their images.

`vectors` [P, width] (float32); `sample` [P] (int32, position in the shard) and `token` [P] (int32, position in the
encoded text, where window w of a long text begins at w times the window); `joined` [J, 3] (int32: sample, first token,
number of tokens), the words whose pieces are one token, counted before any is joined, while `token` counts after it;
and `loss` [N, steps] (float32, NaN where no step was taken). A model with further text encoders has `vectors.1`,
`sample.1`, `token.1` and `joined.1` for its second, and so on.

Vectors are the encoder's input, unless the file's metadata say `space: output`: then they are what the denoiser is
given of the text, and `token` counts its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from stages.artifacts.atomic import aside
from stages.artifacts.errors import ArtifactError

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32

NAME = "embeddings.safetensors"
DRIFT = "drift.parquet"
"""The table `drift` beside it."""
Space = Literal["input", "output"]
_TABLES = ("vectors", "token", "joined")


@dataclass(frozen=True)
class LearnedText:
    """What one text learned in one encoder; positions count through its windows."""

    vectors: Float32[np.ndarray, "tokens width"]
    token: Int32[np.ndarray, " tokens"]
    joined: Int32[np.ndarray, "words 2"]
    """First token and number of tokens of every word that became one token."""


def named(learned: Sequence[LearnedText]) -> dict[str, np.ndarray]:
    """The tensors of one sample, by encoder."""
    return {_name(table, n): getattr(one, table) for n, one in enumerate(learned) for table in _TABLES}


def pack(
    samples: Mapping[int, Mapping[str, np.ndarray]], count: int, steps: int, widths: Sequence[int]
) -> dict[str, np.ndarray]:
    """The file's tensors from those of each sample (`named`, and its `loss`), by position in the shard.

    count: samples of the shard. widths: of the vectors, by encoder.
    """
    loss = np.full((count, steps), np.nan, dtype=np.float32)
    for position, own in samples.items():
        loss[position, : len(own["loss"])] = own["loss"]
    tensors = {"loss": loss}
    for n, width in enumerate(widths):
        vectors, sample, token = [np.zeros((0, width), np.float32)], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
        joined = [np.zeros((0, 3), np.int32)]
        for position, own in samples.items():
            tokens = own[_name("token", n)]
            vectors.append(own[_name("vectors", n)].reshape(-1, width))
            sample.append(np.full(len(tokens), position, np.int32))
            token.append(tokens)
            joined.append(np.insert(own[_name("joined", n)], 0, position, axis=1))
        tensors[_name("vectors", n)] = np.concatenate(vectors)
        tensors[_name("sample", n)] = np.concatenate(sample)
        tensors[_name("token", n)] = np.concatenate(token)
        tensors[_name("joined", n)] = np.concatenate(joined)
    return tensors


def unpack(path: Path) -> Callable[[int], dict[str, np.ndarray]]:
    """The opposite of `pack`: gives a sample's tensors by its position in the file's shard."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    encoders = sum(name.partition(".")[0] == "vectors" for name in tensors)

    def of(position: int) -> dict[str, np.ndarray]:
        loss = tensors["loss"][position]
        found = {"loss": loss[~np.isnan(loss)]}
        for n in range(encoders):
            own = tensors[_name("sample", n)] == position
            words = tensors[_name("joined", n)]
            found[_name("vectors", n)] = tensors[_name("vectors", n)][own]
            found[_name("token", n)] = tensors[_name("token", n)][own]
            found[_name("joined", n)] = words[words[:, 0] == position, 1:]
        return found

    return of


def write_embeddings(path: Path, tensors: Mapping[str, np.ndarray], *, space: Space = "input") -> None:
    """Safetensors, published whole; equal tensors give equal bytes."""
    from safetensors.numpy import save_file

    with aside(path) as partial:
        save_file(dict(tensors), partial, metadata=None if space == "input" else {"space": space})


class Embeddings:
    """The file, read: what each window of each sample's text learned."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            self._tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            space = (file.metadata() or {}).get("space", "input")
        if space not in ("input", "output"):
            raise ArtifactError(f"{path}: its vectors are of space '{space}'.", remedy="Run invert again.")
        self.space: Space = space

    def __len__(self) -> int:
        """Tokens that learned, of all samples, in the first encoder."""
        return len(self._tensors["vectors"])

    def of(self, position: int, part: int, encoder: int, window: int) -> LearnedText:
        """What window `part` of a sample's text learned in one encoder; positions count in that window."""
        token, joined = self._tensors[_name("token", encoder)], self._tensors[_name("joined", encoder)]
        own = (self._tensors[_name("sample", encoder)] == position) & (token // window == part)
        words = (joined[:, 0] == position) & (joined[:, 1] // window == part)
        return LearnedText(
            self._tensors[_name("vectors", encoder)][own],
            token[own] % window,
            np.stack([joined[words, 1] % window, joined[words, 2]], axis=1),
        )


def _name(table: str, encoder: int) -> str:
    return f"{table}.{encoder}" if encoder else table
