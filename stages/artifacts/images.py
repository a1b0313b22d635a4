"""Reading a sample's image: a plain file within its root, of a known format, verified, in RGB.

A file that is not there, or is no image, is its sample's failure. A root that is not there, and whatever else the
machine has against reading, ends the job: it would fail every sample of every shard.
"""

from __future__ import annotations

import errno
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.atomic import sha256_of
from stages.artifacts.errors import AnywordError, SampleError

if TYPE_CHECKING:
    from jaxtyping import Float64, UInt8
    from PIL.Image import Image as Picture

MAX_PIXELS = 64_000_000
"""Larger images are refused before they are decoded: a 12 kB file can claim gigapixels."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are read. Pillow knows more, among them some that start other programs."""
_NOT_THERE = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file",
    errno.ENAMETOOLONG: "its path is too long",
    errno.ELOOP: "its links lead round in a circle",
}

# TIFF's tags and values.
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_DARK = 32  # of 255: colours of 13 bits or fewer in 16


def read_file(root: Path, name: str, what: str = "image") -> bytes:
    """The bytes of the plain file `name` below `root`.

    Raises:
        SampleError: it is not there, leads outside (also through a link), or is no plain file: a pipe or device is
            never opened.
        AnywordError: the root is not there or empty (a mount that is gone), or the machine cannot read the file.
    """
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise SampleError(f"{what} '{name}' leads outside the image folder.", remedy="Give a path below it.")
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
            raise SampleError(f"{what} '{name}' is {kind}, no file.", remedy="Give the path of a file.")
        return path.read_bytes()
    except RuntimeError:  # Python 3.12's word for a loop of links
        reason = _NOT_THERE[errno.ELOOP]
    except OSError as error:
        reason = _NOT_THERE.get(error.errno or 0, "")
        if not reason:
            raise AnywordError(f"{root / name}: cannot be read ({error.strerror}).") from None
    if not root.is_dir() or next(root.iterdir(), None) is None:
        state = "is empty" if root.is_dir() else "no such folder"
        raise AnywordError(f"{root}: {state}.", remedy="Is it mounted here? The images are read below it.")
    raise SampleError(f"{what} '{name}' cannot be read: {reason}.", remedy="Put the file there or drop the row.")


@contextmanager
def opened(data: bytes, name: str, what: str = "image") -> Iterator[Picture]:
    """The picture in a file's bytes, of a size that is safe to decode; whatever Pillow raises on it, also while it is
    decoded in the block, is a SampleError."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    try:
        with Image.open(io.BytesIO(data), formats=[one for one in FORMATS if one in Image.OPEN]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise SampleError(
                    f"{what} '{name}' has {image.width}x{image.height} pixels, over {MAX_PIXELS}.",
                    remedy="Make it smaller.",
                )
            yield image
    except (SampleError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise SampleError(
            f"{what} '{name}' cannot be decoded: it is none of {', '.join(FORMATS)}.", remedy="Replace the file."
        ) from None
    except Image.DecompressionBombError:
        raise SampleError(f"{what} '{name}' has over {MAX_PIXELS} pixels.", remedy="Make it smaller.") from None
    except Exception as error:  # plugins raise of every kind; all that they read is in memory
        raise SampleError(
            f"{what} '{name}' cannot be decoded: it is broken or cut off.", remedy="Replace the file."
        ) from error


def decode_image(data: bytes, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of an image file; 8- or 16-bit grey, palette and alpha become RGB; EXIF rotation is applied.

    Grey of more than 8 bits (PNG, TIFF; unsigned, signed or float) is spread from its least to its largest value over
    0..255. SampleError where that cannot be had: a stack of pages, or 16-bit colours in their lower bits only.
    """
    from PIL import ImageOps

    with opened(data, name) as image:
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


def read_image(root: Path, image: str, sha256: str) -> UInt8[np.ndarray, "height width 3"]:
    """The image that the samples table names; SampleError if it changed since it was recorded."""
    data = read_file(root, image)
    if sha256_of(data) != sha256:
        raise SampleError(f"image '{image}' changed since it was listed.", remedy="Run the samples stage again.")
    return decode_image(data, image)


def _is_stack(image: Picture) -> bool:
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
