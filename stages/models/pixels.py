"""Images as the autoencoder wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


def to_pixels(
    image: UInt8[np.ndarray, "height width 3"], resolution: int
) -> Float[torch.Tensor, "3 resolution resolution"]:
    """Resize to a square (bicubic, aspect ratio not kept: latent diffusion's own preprocessing), scale to -1..1.

    Maps then cover the whole image, so a map's cell (i, j) of R lies over pixels [j W/R, (j+1) W/R) x [i H/R, …).
    """
    from PIL import Image

    if image.shape[:2] != (resolution, resolution):
        resized = Image.fromarray(image).resize((resolution, resolution), Image.Resampling.BICUBIC)
        image = np.asarray(resized)
    return torch.from_numpy(image.astype(np.float32) / 127.5 - 1.0).permute(2, 0, 1)
