"""Training of the embedded SAM on scenes drawn as it goes.

Each step encodes eight scenes once and prompts three regions of each, as Segment Anything trains (Kirillov et al.
2023, appendix A): with one point, where the best of three masks learns and the IoU head learns all three; or with
two to six points, from the errors of a first answer or scattered, where the single mask learns. Loss: 20 focal +
dice + squared error of the predicted IoU.

For the first fifth of the time scenes are halved in size, which makes a step three times cheaper while objects are
still being discovered; then outlines are learnt at full size, from parts of scenes and, one step in three, whole ones.

Beside that, and thrown away after training, a linear head on the image embedding says for each pixel whether it is
an object and where that object's centre is. It teaches the encoder outlines and wholeness from every pixel of every
scene, while prompts alone show it a few regions a step.
"""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.training import sam_prompts
from lab.training.sam_batch import PROMPTS, Batch, View
from lab.training.sam_losses import dense_loss, mask_loss
from lab.training.training import RUNS, Run, device, one_thread
from stages.models.embedded_sam import EmbeddedSamConfig, build
from stages.models.sam import load

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int
    from segment_anything.modeling import Sam

log = logging.getLogger("anyword")

RATE, WARM_UP, FLOOR = 1.2e-3, 150, 0.01
FURTHER_RATE = 6e-4
"""The rate's peak where training goes on from saved weights."""
_FURTHER_STEP = 100_000
"""The first step of such a training: scenes follow from the step, and these are new."""
_LIKENESS = 3.0  # of the first attention between points and image: logits of about 5 for the same place
_ONE_POINT, _CORRECTED, _JOINED = 0.45, 0.65, 0.71
"""Steps below the first share have one point, below the second points correct an answer, below the third they lie
in two objects that are cut out together (what a plural or a verb asks for); the rest scatters them."""
_THREE = (1, 2, 3)
_HALVED = 0.22
"""Share of the time in which scenes are halved."""
_WHOLE = 3
"""After that, one step in so many sees whole scenes, the others parts."""
_SHARPNESS = 2.0  # of the random position frequencies: a point must find a token of four pixels


class Trainee:
    """The SAM that learns, its bfloat16 twin that computes, the running average that is kept, and the optimiser.

    Everything but positions is computed in bfloat16 by the twin (whole-model bfloat16 is a fifth faster on AMX
    than autocast, whose casts are memory traffic); weights, gradients' moments and averages stay float32.
    """

    def __init__(self, config: EmbeddedSamConfig, where: str, seed: int = 0) -> None:
        import torch

        torch.manual_seed(seed)
        sam = build(config)
        _initialise(sam)
        side = config.patch_size
        self.model = torch.nn.ModuleDict(
            {"sam": sam, "dense": torch.nn.Conv2d(config.prompt_embed_dim, 3 * side * side, 1)}
        ).to(where)
        self.average = copy.deepcopy(sam).to(where)
        self.twin = copy.deepcopy(self.model).bfloat16()
        # A position in bfloat16 would be off by up to half a pixel.
        self.twin["sam"].prompt_encoder.float()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.02)

    def update(self, rate: float, step: int) -> None:
        """One optimiser step from the twin's gradients, into the twin and the average."""
        import torch

        pairs = list(zip(self.model.parameters(), self.twin.parameters(), strict=True))
        for master, computed in pairs:
            master.grad = None if computed.grad is None else computed.grad.float()
            computed.grad = None
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        with torch.no_grad():
            decay = min(0.998, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model["sam"].parameters()), 1 - decay)
        self.synchronise()

    def synchronise(self) -> None:
        """Copy the weights into the twin."""
        import torch

        with torch.no_grad():
            for master, computed in zip(self.model.parameters(), self.twin.parameters(), strict=True):
                computed.copy_(master)


def _initialise(sam: Sam) -> None:
    """Start where training would get slowly: neighbouring tokens are alike, and a point looks at its own place.

    Positions start from sines. Queries and keys between points and image start from the same projection, so that
    attention begins as likeness of positions; from independent ones the decoder is long blind to where points are.
    """
    import torch

    embed = sam.image_encoder.pos_embed
    _, side, _, width = embed.shape
    rates = torch.exp(torch.linspace(math.log(0.1), math.log(2.0), width // 4))
    angles = torch.arange(side)[:, None] * rates  # [side, width/4]
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
    rows = waves[:, None].expand(side, side, -1)
    with torch.no_grad():
        embed.copy_(0.5 * torch.cat([rows, rows.transpose(0, 1)], dim=-1)[None])
        sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(_SHARPNESS)
        for label in sam.prompt_encoder.point_embeddings:
            label.weight.mul_(0.3)
        decoder = sam.mask_decoder.transformer
        across = [decoder.final_attn_token_to_image]
        for layer in decoder.layers:
            across += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
        for attention in across:
            attention.q_proj.weight.mul_(_LIKENESS)
            attention.k_proj.weight.copy_(attention.q_proj.weight)


def embed(
    sam: Sam, images: Float[torch.Tensor, "b 3 side side"], corners: Int[torch.Tensor, "b 2"] | None = None
) -> Float[torch.Tensor, "b c h w"]:
    """`ImageEncoderViT.forward` for scenes of any size, positions interpolated, or for parts that begin at corners."""
    from torch.nn.functional import interpolate

    encoder: Any = sam.image_encoder
    pixels = (images - sam.pixel_mean.float()) / sam.pixel_std.float()
    x = encoder.patch_embed(pixels.to(encoder.patch_embed.proj.weight.dtype))
    position = encoder.pos_embed.permute(0, 3, 1, 2)
    if corners is not None:
        position = _parts(position, corners * position.shape[-1] // encoder.img_size, x.shape[1])
    elif x.shape[1:3] != position.shape[2:]:
        position = interpolate(position.float(), x.shape[1:3], mode="bilinear", antialias=True).to(x.dtype)
    x = x + position.permute(0, 2, 3, 1)
    for block in encoder.blocks:
        x = block(x)
    return encoder.neck(x.permute(0, 3, 1, 2))


def _parts(
    grid: Float[torch.Tensor, "1 c h w"], corners: Int[torch.Tensor, "b 2"], side: int
) -> Float[torch.Tensor, "b c side side"]:
    """Squares of `side` cells of a grid that begin at (x, y)."""
    import torch

    return torch.cat([grid[:, :, y : y + side, x : x + side] for x, y in corners.tolist()])


def decode(
    sam: Sam,
    embeddings: Float[torch.Tensor, "b c h w"],
    points: Float[torch.Tensor, "n k 2"],
    labels: Int[torch.Tensor, "n k"],
    outputs: tuple[int, ...],
    previous: Float[torch.Tensor, "n 1 s s"] | None = None,
    corners: Int[torch.Tensor, "b 2"] | None = None,
) -> tuple[Float[torch.Tensor, "n m s s"], Float[torch.Tensor, "n m"]]:
    """Mask logits and predicted IoU of the outputs asked for (0: the single mask), n/b prompts for each of b images.

    `MaskDecoder.predict_masks` serves one image; this is the same computation for several, and for embeddings of
    any size or of parts of images. Points are in pixels of the whole input.
    """
    import torch

    decoder, prompts = sam.mask_decoder, sam.prompt_encoder
    kind = embeddings.dtype
    sparse, _ = prompts(points=(points, labels), boxes=None, masks=None)
    dense = prompts.no_mask_embed.weight[..., None, None] if previous is None else prompts.mask_downscaling(previous)
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse.to(kind)], dim=1)
    each = len(points) // len(embeddings)
    # expand, not indexing: the gradient of an index is a scatter, many times slower than a sum.
    source = embeddings[:, None].expand(-1, each, -1, -1, -1).flatten(0, 1) + dense.to(kind)
    if corners is None:
        position = prompts.pe_layer(source.shape[-2:])[None].to(kind).expand_as(source)
    else:
        whole = prompts.get_dense_pe()
        parts = _parts(whole, corners * whole.shape[-1] // sam.image_encoder.img_size, source.shape[-1])
        position = parts.to(kind)[:, None].expand(-1, each, -1, -1, -1).flatten(0, 1)
    h, w = source.shape[-2:]
    heads, source = decoder.transformer(source, position, tokens)
    weights = torch.stack(
        [decoder.output_hypernetworks_mlps[number](heads[:, 1 + number]) for number in outputs], dim=1
    )
    logits = _upscaled(decoder.output_upscaling, source, weights, (h, w))
    guess = decoder.iou_prediction_head(heads[:, 0])[:, list(outputs)]
    return logits.float(), guess.float()


def _upscaled(
    layers: Any,
    tokens: Float[torch.Tensor, "n hw c"],
    weights: Float[torch.Tensor, "n m k"],
    size: tuple[int, int],
) -> Float[torch.Tensor, "n m height width"]:
    """Mask logits by the decoder's upscaling, with channels last and pixels put in place at the very end.

    Transposed convolutions of kernel and stride 2 are matrix products, four outputs a token; laid out this way the
    twelve channels of every pixel need not be moved about. Equal to `output_upscaling` up to rounding.
    """
    import torch
    from torch.nn.functional import gelu, layer_norm

    first, norm, _, second, _ = layers
    n, (h, w) = len(tokens), size
    x = tokens @ first.weight.permute(0, 2, 3, 1).flatten(1) + first.bias.repeat(4)
    x = gelu(layer_norm(x.unflatten(2, (4, -1)), first.bias.shape, norm.weight, norm.bias, norm.eps))
    x = gelu(x @ second.weight.permute(0, 2, 3, 1).flatten(1) + second.bias.repeat(4))  # [n, hw, 4, 4k]
    x = x.reshape(n, h * w * 16, -1) @ weights.transpose(1, 2)  # [n, hw·4·4, m]
    x = x.view(n, h, w, 2, 2, 2, 2, -1)  # row, column, then their halves, then quarters
    return torch.einsum("nhwabcdm->nmhacwbd", x).reshape(n, -1, 4 * h, 4 * w)


def step_loss(twin: torch.nn.ModuleDict, batch: Batch, dense_weight: float) -> tuple[torch.Tensor, dict[str, float]]:
    """The whole loss of a step, and what to log of it."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, mse_loss, pixel_shuffle

    sam: Any = twin["sam"]
    generator, rng, masks = batch.generator, batch.rng, batch.masks
    images, owner = batch.images, batch.owner
    if batch.view == "halved":
        images, owner = avg_pool2d(images, 2), owner[:, ::2, ::2]
    corners = batch.corners if batch.view == "part" else None
    shift = batch.corners.repeat_interleave(PROMPTS, dim=0)[:, None]
    embeddings = embed(sam, images, corners)
    patch = images.shape[-1] // embeddings.shape[-1]
    whole = sam.image_encoder.img_size if batch.view == "part" else None
    dense = dense_loss(pixel_shuffle(twin["dense"](embeddings), patch).float(), owner, corners, whole)

    def answer(
        points: torch.Tensor, labels: torch.Tensor, outputs: tuple[int, ...], previous: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return decode(sam, embeddings, points + shift, labels, outputs, previous, corners)

    points = sam_prompts.draw(masks, 1, generator)
    labels = torch.ones(points.shape[:2], dtype=torch.int, device=points.device)
    turn = rng.random()
    if turn < _ONE_POINT:
        logits, guess = answer(points, labels, _THREE)
        losses, iou = mask_loss(logits, adaptive_avg_pool2d(masks, logits.shape[-1]))
        loss = losses.amin(1).mean() + mse_loss(guess, iou)
        figures = {"iou_1": float(iou.gather(1, guess.argmax(1, keepdim=True)).mean())}
    else:
        previous = None
        if turn < _CORRECTED:
            with torch.no_grad():
                logits, guess = answer(points, labels, _THREE)
            chosen = logits[torch.arange(len(guess)), guess.argmax(1)]
            answered = (interpolate(chosen[:, None], masks.shape[-2:], mode="bilinear")[:, 0] > 0).float()
            more, kinds = sam_prompts.corrections(answered, masks, int(rng.integers(1, 4)), generator)
            points, labels = torch.cat([points, more], dim=1), torch.cat([labels, kinds], dim=1)
            if rng.random() < 0.5:
                previous = chosen[:, None].clamp(-32, 32)
        elif turn < _JOINED:
            points, labels = sam_prompts.joined(masks, batch.partners, int(rng.integers(0, 3)), generator)
            masks = torch.maximum(masks, batch.partners)
        else:
            positives = int(rng.integers(1, 4))
            negatives = int(rng.integers(1 if positives == 1 else 0, 4))
            stray = positives > 1 and rng.random() < 0.2
            points, labels = sam_prompts.scattered(masks, batch.others, positives, negatives, stray, generator)
        logits, guess = answer(points, labels, (0,), previous)
        losses, iou = mask_loss(logits, adaptive_avg_pool2d(masks, logits.shape[-1]))
        loss = losses.mean() + mse_loss(guess, iou)
        figures = {"iou_joined" if turn >= _CORRECTED and turn < _JOINED else "iou_n": float(iou.mean())}
    figures |= {"loss": float(loss.detach()), "dense": float(dense.detach())}
    return loss + dense_weight * dense, figures


def _view(done: float, step: int) -> View:
    """How a step sees its scenes, by the share of the time that is done."""
    if done < _HALVED and step < _FURTHER_STEP:
        return "halved"
    return "whole" if step % _WHOLE == 0 else "part"


def train(
    minutes: float | None = None,
    out: Path = Path("models/sam"),
    *,
    folder: Path = RUNS / "sam",
    horizon: float = 85.0,
    seed: int = 0,
    every: float = 6.0,
    watched: int = 60,
    config: EmbeddedSamConfig | None = None,
    start: Path | None = None,
) -> dict[str, float]:
    """Train for `minutes`, or to the end of the schedule, going on from the newest checkpoint in `folder`.

    Without a checkpoint, `start` is a saved model to go on from: a schedule of its own, at a lower rate, on new scenes.
    The rate falls as a cosine over `horizon` minutes of training time, all calls together. Every `every` minutes the
    averaged weights are measured on `watched` validation scenes, and written to `out`. Returns the last measurement.
    """
    import torch

    from lab.training.evaluate_sam import evaluate_model
    from lab.training.sam_files import write
    from stages.models.cpu_bfloat16 import products

    one_thread()
    where = device()
    config = config or EmbeddedSamConfig()
    trainee = Trainee(config, where, seed)
    parts = {"model": trainee.model, "average": trainee.average, "optimiser": trainee.optimiser}
    run = Run(folder, parts, minutes)
    if start is not None:
        run.step = _FURTHER_STEP
        weights = load("embedded", start).model.state_dict()
        trainee.model["sam"].load_state_dict(weights)
        trainee.average.load_state_dict(weights)
    run.resume()
    first, peak = (_FURTHER_STEP, FURTHER_RATE) if run.step >= _FURTHER_STEP else (0, RATE)
    trainee.synchronise()
    recent: dict[str, list[float]] = {}
    last_note = run.seconds
    while not run.out_of_time() and run.seconds < 60 * horizon:
        done = run.seconds / (60 * horizon)
        rate = peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done)))
        rate *= min(1.0, (run.step - first + 1) / WARM_UP)
        batch = Batch(run.step, where, _view(done, run.step), seed)
        with products(torch.device(where), torch.bfloat16):
            loss, figures = step_loss(trainee.twin, batch, 0.4 if first else 1 - 0.8 * done)
        loss.backward()
        trainee.update(rate, run.step - first)
        run.step += 1
        run.tick()
        for key, value in figures.items():
            recent.setdefault(key, []).append(value)
        if run.step % 100 == 0:
            means = "  ".join(f"{key} {np.mean(values):.3f}" for key, values in sorted(recent.items()))
            log.info("sam step %d, %.1f min  %s", run.step, run.seconds / 60, means)
            recent = {}
        if run.seconds - last_note > 60 * every:
            run.note(**evaluate_model(trainee.average, watched, "val"))
            run.save()
            write(trainee.average, config, out)
            last_note = run.seconds
    figures = evaluate_model(trainee.average, watched, "val")
    run.note(**figures)
    run.save()
    write(trainee.average, config, out)
    return figures
