"""Reading a sample's image: verified, within its root, in RGB."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.atomic import sha256_of
from stages.artifacts.errors import SampleError

if TYPE_CHECKING:
    from jaxtyping import Float64, UInt8
    from PIL.Image import Image

MAX_PIXELS = 64_000_000
"""Larger images are refused before they are decoded: a 12 kB file can claim gigapixels."""

# TIFF's tags and values.
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_DARK = 32  # of 255: colours of 13 bits or fewer in 16


def resolve_image(root: Path, image: str) -> Path:
    """The path of an image below its root; SampleError where it leads outside (also through a link)."""
    path = (root / image).resolve()
    if not path.is_relative_to(root.resolve()):
        raise SampleError(f"image '{image}' leads outside the image folder.", remedy="Give a path below it.")
    return path


def decode_image(data: bytes, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of an image file; 8- or 16-bit grey, palette and alpha become RGB; EXIF rotation is applied.

    Grey of more than 8 bits (PNG, TIFF; unsigned, signed or float) is spread from its least to its largest value over
    0..255. SampleError where that cannot be had: a stack of pages, or 16-bit colours in their lower bits only.
    """
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
            if _is_stack(image):
                raise SampleError(
                    f"image '{name}' is a stack of {image.n_frames} pages.",  # type: ignore[attr-defined]
                    remedy="Save each page as a file of its own.",
                )
            tags = getattr(image, "tag_v2", {})  # a TIFF's; turning the image upright may lose them
            bits = data[24] if image.format == "PNG" else max(np.ravel(tags.get(_BITS, 8)))
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I") or upright.mode == "F":
                grey = _grey16(np.asarray(upright, dtype=np.float64))
                return 255 - grey if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey
            colours = np.array(upright.convert("RGB"))  # a copy: Pillow's own memory is read-only, which torch warns of
            # Pillow keeps the upper half of 16-bit colours: of 12 bits in 16 it leaves next to nothing.
            if bits == 16 and 0 < colours.max() < _DARK:
                raise SampleError(
                    f"image '{name}' has 16-bit colours that use the lower bits only, which would be cut off.",
                    remedy="Save it as 16-bit grey, or in 8 bits.",
                )
            return colours
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


def _is_stack(image: Image) -> bool:
    """Whether a TIFF holds pages of one size: a volume's slices. Pages of other sizes are previews."""
    if image.format != "TIFF" or getattr(image, "n_frames", 1) < 2:
        return False
    size = image.size
    image.seek(1)
    same = image.size == size
    image.seek(0)
    return bool(same)


def _grey16(values: Float64[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """16-bit or float grey spread over 0..255 (medical images seldom use their whole range); NaN counts as the least
    value, an infinity as the end that it stands for."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    filled = np.clip(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)
    grey = np.zeros(values.shape) if high <= low else (filled - low) / (high - low) * 255.0
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)
