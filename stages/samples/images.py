"""An image file looked at once: is it there, is it an image, how large, which bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.atomic import sha256_of
from stages.artifacts.errors import SampleError
from stages.artifacts.images import decode_image, read_file
from stages.samples.listing import image_problem


@dataclass(frozen=True)
class ImageFacts:
    """Of the image as the stages see it: after EXIF rotation."""

    sha256: str
    width: int
    height: int


def look_at(root: Path, image: str) -> ImageFacts:
    """Facts of the image at `root/image`, decoded whole, since a truncated file opens well.

    Raises SampleError where it is missing, leads outside `root`, is no image, or is too small or too large;
    AnywordError where nothing below `root` can be read.
    """
    problem = image_problem(image)
    if problem:
        raise SampleError(problem)
    data = read_file(root, image)
    height, width = decode_image(data, image).shape[:2]
    return ImageFacts(sha256_of(data), width, height)
