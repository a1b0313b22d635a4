"""The embedded autoencoder: diffusers' `AutoencoderKL`, f8, 16 channels, its encoder a patch PCA in closed form.

On scenes this regular, the 16 first principal components of 8×8 patches keep 97 % of the variance, and a trained
encoder of this size needs half an hour to reach what they give at once. So the encoder's convolutions are not
trained but written: strided convolutions gather patches and project them, the residual branches are zero, and only
the decoder learns. The classes, the configuration and the files are the library's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, UInt8

CHANNELS = (32, 32, 64, 128)
LATENTS = 16
GROUPS = 16
_LOGVAR = -8.0  # posterior spread e^-4: samples and mode differ by 2 % of the latents' own spread
_ANCHOR = 400.0


def build() -> Any:
    """The AutoencoderKL with random weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        latent_channels=LATENTS,
        norm_num_groups=GROUPS,
        sample_size=128,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def _components(
    patches: Float[np.ndarray, "n d"], count: int
) -> tuple[Float[np.ndarray, "count d"], Float[np.ndarray, " d"], Float[np.ndarray, " count"]]:
    """Principal components (rows), mean, and standard deviation along each component."""
    mean = patches.mean(0)
    values, vectors = np.linalg.eigh(np.cov((patches - mean).T.astype(np.float64)))
    order = np.argsort(values)[::-1][:count]
    rows = vectors[:, order].T
    rows *= np.sign(rows[np.arange(count), abs(rows).argmax(1)])[:, None]  # eigenvectors have no sign of their own
    return rows, mean.astype(np.float64), np.sqrt(values[order])


def write_patch_pca(model: Any, images: UInt8[np.ndarray, "n 128 128 3"]) -> None:
    """Give the encoder the weights of a patch PCA fitted on `images`, in place.

    Blocks of 4×4 pixels (48 numbers) are first brought to their 31 strongest components, then four of them to
    the 16 strongest of the 8×8 patch. A component's latent is its score divided by the square root of its
    spread: halfway between raw (only brightness would count) and whitened (fine grain would count as much).
    """
    import torch

    small = len(images)
    unit = images.astype(np.float32) / 127.5 - 1
    four = unit.reshape(small, 32, 4, 32, 4, 3).transpose(0, 1, 3, 2, 4, 5)  # n, rows, columns, y, x, colour
    flat = four.reshape(-1, 48)
    inner, mean4, _ = _components(flat[:: max(1, len(flat) // 200_000)], 31)
    score4 = ((flat - mean4) @ inner.T).reshape(small, 16, 2, 16, 2, 31).transpose(0, 1, 3, 2, 4, 5)
    flat8 = score4.reshape(-1, 4 * 31)
    outer, mean8, spread = _components(flat8[:: max(1, len(flat8) // 200_000)], LATENTS)
    outer = outer / np.sqrt(spread)[:, None]

    encoder = model.encoder
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
        blocks = encoder.down_blocks
        resnets = [resnet for block in blocks for resnet in block.resnets] + list(encoder.mid_block.resnets)
        for resnet in resnets:
            resnet.norm1.weight.fill_(1)
            resnet.norm2.weight.fill_(1)
            if resnet.conv_shortcut is not None:
                for channel in range(resnet.conv_shortcut.in_channels):
                    resnet.conv_shortcut.weight[channel, channel, 0, 0] = 1
        for colour in range(3):
            encoder.conv_in.weight[colour, colour, 1, 1] = 1
        # Strided convolutions pad right and bottom, so taps 0 and 1 of the three are the 2×2 block itself.
        gather = blocks[0].downsamplers[0].conv
        for y in range(2):
            for x in range(2):
                for colour in range(3):
                    gather.weight[(y * 2 + x) * 3 + colour, colour, y, x] = 1
        shrink = blocks[1].downsamplers[0].conv
        kernel = torch.from_numpy(inner.reshape(31, 2, 2, 2, 2, 3))  # component, Y, y, X, x, colour
        for y in range(2):
            for x in range(2):
                taps = kernel[:, :, y, :, x, :]  # component, Y, X, colour
                first = (y * 2 + x) * 3
                shrink.weight[:31, first : first + 3, :2, :2] = taps.permute(0, 3, 1, 2).float()
        shrink.bias[:31] = torch.from_numpy(-inner @ mean4).float()
        project = blocks[2].downsamplers[0].conv
        kernel = torch.from_numpy(outer.reshape(LATENTS, 2, 2, 31)).permute(0, 3, 1, 2).float()
        bias = torch.from_numpy(-outer @ mean8).float()
        # The last norm divides each group by its spread and SiLU bends what is left. Two channels of opposite
        # large constants in every group hold its mean at zero and its spread fixed, and
        # silu(x) - silu(-x) = x undoes the bend: the way out is linear.
        size = CHANNELS[-1] // GROUPS
        pairs = (size - 2) // 2
        project.weight[:LATENTS, :31, :2, :2] = kernel
        project.bias[:LATENTS] = bias
        widen = blocks[3].resnets[0].conv_shortcut
        widen.weight.zero_()
        out = encoder.conv_out
        gain = _ANCHOR * np.sqrt(2 / size)  # a group's spread: two anchors among `size` channels
        encoder.conv_norm_out.weight.fill_(1)
        for latent in range(LATENTS):
            group, pair = divmod(latent, pairs)
            plus = group * size + 2 * pair
            widen.weight[plus, latent, 0, 0] = 1
            widen.weight[plus + 1, latent, 0, 0] = -1
            for channel in (plus, plus + 1):
                encoder.conv_norm_out.weight[channel] = gain
            out.weight[latent, plus, 1, 1] = 1
            out.weight[latent, plus + 1, 1, 1] = -1
        for group in range(-(-LATENTS // pairs)):
            last = (group + 1) * size
            widen.bias[last - 2] = _ANCHOR
            widen.bias[last - 1] = -_ANCHOR
        out.bias[LATENTS:] = _LOGVAR
        model.quant_conv.weight.zero_()
        for channel in range(2 * LATENTS):
            model.quant_conv.weight[channel, channel, 0, 0] = 1
        model.quant_conv.bias.zero_()

        score8 = flat8[:: max(1, len(flat8) // 200_000)] @ outer.T - outer @ mean8
    model.register_to_config(scaling_factor=round(float(1 / score8.std()), 4))


def latents(model: Any, images: torch.Tensor) -> torch.Tensor:
    """The mode of the posterior, times the configuration's scaling factor: what the UNet sees."""
    return model.encode(images).latent_dist.mode() * model.config.scaling_factor


def psnr(decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio of each image in dB; both in [-1, 1]."""
    error = ((decoded.clamp(-1, 1) - images) / 2).square().flatten(1).mean(1)
    return -10 * error.clamp_min(1e-12).log10()


def as_projection(model: Any) -> torch.Tensor:
    """The encoder read out as what it is, a linear map of 8×8 patches: (16, 3 · 64 + 1), the constant last.

    Encoding unit impulses gives its columns; `project` applies it, a hundred times faster than the layers.
    """
    import torch

    with torch.no_grad():
        impulses = torch.eye(3 * 64, device=model.device).reshape(-1, 3, 8, 8)
        base = latents(model, torch.zeros(1, 3, 8, 8, device=model.device)).flatten()
        columns = latents(model, impulses).flatten(1) - base
    return torch.cat([columns.T, base[:, None]], dim=1).cpu()


def project(projection: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """`latents` of images (n, 3, h, w) in [-1, 1], by the linear map that `as_projection` read."""
    import torch

    kernel = projection[:, :-1].reshape(-1, 3, 8, 8)
    return torch.nn.functional.conv2d(images, kernel, projection[:, -1], stride=8)
