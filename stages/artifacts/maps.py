"""`maps.zarr`: one attention map a word, with a checksum on every chunk.

Zarr returns zeros for a chunk that is not there, and a flipped bit goes unnoticed without a checksum codec
(measured on zarr 3.1). So chunks carry crc32c, empty chunks are written too, and a missing one is an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from stages.artifacts.atomic import aside
from stages.artifacts.errors import ArtifactError

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int32

WORDS_A_CHUNK = 256
_DIMENSIONS = {
    "maps": ("word", "row", "column"),
    "parts": ("word", "part", "row", "column"),
    "sample": ("word",),
    "start": ("word",),
    "end": ("word",),
}


@dataclass(frozen=True)
class WordMaps:
    """Averaged cross-attention of every word of every sample of a shard."""

    maps: Float32[np.ndarray, "words height width"]
    """Attention probability, averaged over heads, layers and steps; not rescaled."""
    sample: Int32[np.ndarray, " words"]
    """Position of the word's sample in the shard."""
    start: Int32[np.ndarray, " words"]
    end: Int32[np.ndarray, " words"]
    """The word's characters in the sample's text."""
    parts: Float32[np.ndarray, "words parts height width"] | None = None
    """The same maps step by step, layer by layer or head by head, where the recipe keeps them."""
    part_names: tuple[str, ...] = ()
    """Which steps, layers or heads; the file's attribute `parts`."""

    def of_sample(self, position: int) -> dict[tuple[int, int], Float32[np.ndarray, "height width"]]:
        """The maps of one sample by (start, end) of the word."""
        rows = np.flatnonzero(self.sample == position)
        return {(int(self.start[row]), int(self.end[row])): self.maps[row] for row in rows}


def mean_map(
    maps: Mapping[tuple[int, int], Float[np.ndarray, "rows columns"]], start: int, end: int
) -> Float[np.ndarray, "rows columns"] | None:
    """The mean of the maps, by (start, end) of their words, of the words that the span start:end touches; None where
    it touches none."""
    found = [one for (first, last), one in maps.items() if first < end and start < last]
    return np.mean(found, axis=0) if found else None


def resized(values: Float[np.ndarray, "rows columns"], size: tuple[int, int]) -> Float[np.ndarray, "height width"]:
    """Bilinear interpolation to an image's size, with cell edges on the image's edges and borders held."""
    rows, columns = values.shape
    y, low, high = _weights(rows, size[0])
    between = values[low] * (1 - y)[:, None] + values[high] * y[:, None]
    x, low, high = _weights(columns, size[1])
    return between[:, low] * (1 - x) + between[:, high] * x


def _weights(cells: int, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel centre along a side: the share of the second of the two cells around it, and both cells."""
    place = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    low = np.floor(place).astype(int)
    return place - low, low, np.minimum(low + 1, cells - 1)


def described(
    maps: WordMaps, ids: Sequence[str], rows: Mapping[str, Mapping[str, Any]], recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """What makes the file understandable by itself: its attributes.

    ids: the shard's samples in order. rows: of the samples table, by id; a sample that failed before has none. recipe:
    the attender's.
    """
    spans = zip(maps.sample.tolist(), maps.start.tolist(), maps.end.tolist(), strict=True)
    found = [rows.get(one, {}) for one in ids]
    return {
        "about": "Attention probability of each word over its image, the mean over heads, layers and steps. `sample` "
        "is the word's place in `samples`; start:end are its characters in that sample's text.",
        "samples": list(ids),
        "texts": [one.get("text", "") for one in found],
        "image_sizes": [[one.get("height", 0), one.get("width", 0)] for one in found],
        # -1:-1 and -2:-2 are the begin and the end mark, where an attender keeps them.
        "words": [str(found[of].get("text", ""))[start:end] if start >= 0 else "" for of, start, end in spans],
        "recipe": dict(recipe),
    }


def write_maps(path: Path, maps: WordMaps, attributes: Mapping[str, Any] | None = None) -> None:
    """A Zarr group at `path`, published whole; `attributes` say what it holds (`described`)."""
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    arrays = {"maps": maps.maps, "sample": maps.sample, "start": maps.start, "end": maps.end}
    if maps.parts is not None:
        arrays["parts"] = maps.parts
        attributes = {**(attributes or {}), "parts": list(maps.part_names)}
    with aside(path) as partial:
        group = zarr.open_group(partial, mode="w", zarr_format=3, attributes=dict(attributes or {}))
        for name, values in arrays.items():
            chunk = (max(1, min(WORDS_A_CHUNK, len(values))), *values.shape[1:])
            array = group.create_array(
                name,
                shape=values.shape,
                dtype=values.dtype,
                chunks=chunk,
                dimension_names=_DIMENSIONS[name],
                compressors=[ZstdCodec(level=3), Crc32cCodec()],
                config={"write_empty_chunks": True},
            )
            array[...] = values


def read_maps(path: Path, *, parts: bool = False) -> WordMaps:
    """All maps of a shard, with their parts where the file has some and they are asked for; ArtifactError where a chunk
    is missing or fails its checksum."""
    import zarr

    try:
        group = zarr.open_group(path, mode="r", zarr_format=3)
        parts = parts and "parts" in group
        names = ["maps", "sample", "start", "end"] + (["parts"] if parts else [])
        values: dict[str, Any] = {}
        for name in names:
            if name not in group:
                raise ArtifactError(f"{path}: holds no '{name}'.", remedy="Run attend again.")
            array = group[name]
            if not isinstance(array, zarr.Array):
                raise ArtifactError(f"{path}: '{name}' is not an array.")
            expected = math.prod(math.ceil(n / c) for n, c in zip(array.shape, array.chunks, strict=True))
            if array.nchunks_initialized != expected:
                raise ArtifactError(
                    f"{path}: '{name}' has {array.nchunks_initialized} of {expected} chunks.",
                    remedy="Take it away with `anyword verify --repair` and run attend again.",
                )
            values[name] = np.asarray(array[...])
        if parts:
            values["part_names"] = tuple(map(str, cast(list[Any], group.attrs["parts"])))
            if len(values["part_names"]) != values["parts"].shape[1]:
                raise ArtifactError(
                    f"{path}: its attribute 'parts' does not name each part.", remedy="Run attend again."
                )
    except ArtifactError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ArtifactError(
            f"{path}: cannot be read ({error}).",
            remedy="Take it away with `anyword verify --repair` and run attend again.",
        ) from error
    return WordMaps(**values)
