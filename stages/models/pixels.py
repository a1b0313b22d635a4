"""Images as the autoencoder wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


def to_pixels(
    image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]
) -> Float[torch.Tensor, "3 rows columns"]:
    """Resize to `size`, height before width (bicubic, aspect ratio not kept: latent diffusion's own preprocessing), and
    scale to -1..1.

    Maps then cover the whole image, so a map's cell (i, j) of R x S lies over pixels [j W/S, (j+1) W/S) x [i H/R, …).
    """
    from PIL import Image

    if image.shape[:2] != size:
        resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC)
        image = np.asarray(resized)
    return torch.from_numpy(image.astype(np.float32) / 127.5 - 1.0).permute(2, 0, 1)
