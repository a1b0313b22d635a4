"""Reading a sample's image: verified, within its root, in RGB."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.atomic import sha256_of
from stages.artifacts.errors import SampleError

if TYPE_CHECKING:
    from jaxtyping import UInt8

MAX_PIXELS = 64_000_000
"""Larger images are refused before they are decoded: a 12 kB file can claim gigapixels."""


def resolve_image(root: Path, image: str) -> Path:
    """The path of an image below its root; SampleError where it leads outside (also through a link)."""
    path = (root / image).resolve()
    if not path.is_relative_to(root.resolve()):
        raise SampleError(f"image '{image}' leads outside the image folder.", remedy="Give a path below it.")
    return path


def decode_image(data: bytes, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of an image file; 8- or 16-bit grey, palette and alpha become RGB; EXIF rotation is applied."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise SampleError(
                    f"image '{name}' has {image.width}x{image.height} pixels, over {MAX_PIXELS}.",
                    remedy="Make it smaller.",
                )
            if min(image.size) < 2:
                raise SampleError(
                    f"image '{name}' has {image.width}x{image.height} pixels; both sides need 2 or more.",
                    remedy="Leave it out.",
                )
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I") or upright.mode == "F":
                return _grey16(np.asarray(upright, dtype=np.float64))
            return np.asarray(upright.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, SampleError):
            raise
        raise SampleError(f"image '{name}' cannot be decoded ({error}).", remedy="Replace the file.") from error


def read_image(root: Path, image: str, sha256: str) -> UInt8[np.ndarray, "height width 3"]:
    """The image that the samples table names; SampleError if it changed since it was recorded."""
    try:
        data = resolve_image(root, image).read_bytes()
    except OSError as error:
        raise SampleError(f"image '{image}' cannot be read ({error.strerror}).", remedy="Restore it.") from error
    if sha256_of(data) != sha256:
        raise SampleError(f"image '{image}' changed since it was listed.", remedy="Run the samples stage again.")
    return decode_image(data, image)


def _grey16(values: np.ndarray) -> np.ndarray:
    """16-bit or float grey spread over 0..255 (medical images seldom use their whole range)."""
    low, high = float(values.min()), float(values.max())
    grey = np.zeros(values.shape) if high <= low else (values - low) / (high - low) * 255.0
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)
