"""Frozen promptable segmenters: an image encoded once, then any number of point prompts.

`load(kind, checkpoint)` finds a builder in BUILDERS. Checkpoints are safetensors, or `.pth` as Meta publishes them,
which are read without unpickling objects. Nothing is ever fetched.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.atomic import sha256_file
from stages.artifacts.errors import AnywordError, SampleError
from stages.models.hub import on_disk

if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool, Float, Int, UInt8
    from segment_anything.modeling import Sam

    from stages.models.memory import Memory

EMBEDDED = "models/sam"
"""Folder of the embedded SAM, below the repository."""
URL = "https://github.com/facebookresearch/segment-anything#model-checkpoints"
_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
_CHUNK = 8  # masks brought to the image's size at a time: a mask of a 12-megapixel photo takes 48 MB


@dataclass(frozen=True)
class Encoded:
    """An image as prompts see it."""

    embedding: Float[torch.Tensor, "1 c h w"]
    input_size: tuple[int, int]
    """Height and width of the image as it was encoded, without padding."""
    size: tuple[int, int]
    """Height and width of the image itself."""


@dataclass(frozen=True)
class SegmentAnything:
    """A Segment Anything Model (Kirillov et al., 2023) on one device."""

    id: str
    weights_sha256: str
    model: Sam

    def check(self, size: tuple[int, int]) -> None:
        """SampleError for an image (height, width) that would be less than a pixel wide."""
        check_shape(size, self.model.image_encoder.img_size)

    @cached_property
    def memory(self) -> Memory:
        """What this model may take of its device."""
        from stages.models.memory import Memory, bytes_of

        return Memory(self.model.device, bytes_of([self.model]))

    def encode(self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]]) -> list[Encoded]:
        """Images of any sizes, RGB in 0..255, resized by their longest side and encoded as many together as fit.

        Raises SampleError for an image that would be less than a pixel wide then.
        """
        import torch
        from segment_anything.utils.transforms import ResizeLongestSide

        transform = ResizeLongestSide(self.model.image_encoder.img_size)
        prepared, sizes = [], []
        for image in images:
            check_shape(image.shape[:2], transform.target_length)
            resized = torch.from_numpy(transform.apply_image(np.ascontiguousarray(image))).to(self.model.device)
            prepared.append(self.model.preprocess(resized.permute(2, 0, 1).float()))
            sizes.append((resized.shape[0], resized.shape[1]))
        with torch.inference_mode():
            encoder = self.model.image_encoder
            embeddings = self.memory.in_parts(prepared, "images", lambda own: encoder(torch.stack(list(own))))
        return [
            Encoded(embedding[None], size, (image.shape[0], image.shape[1]))
            for embedding, size, image in zip(embeddings, sizes, images, strict=True)
        ]

    def decode(
        self,
        encoded: Encoded,
        points: Float[np.ndarray, "n k 2"],
        labels: Int[np.ndarray, "n k"],
        *,
        multimask: bool,
    ) -> tuple[Bool[np.ndarray, "n height width"], Float[np.ndarray, " n"]]:
        """One mask for each of n prompts of k points, in one call of the decoder, and the IoU it predicts.

        points: (x, y) in pixels of the image, pixel centres at .5. labels: 1 inside, 0 outside. multimask: of three
        masks the one of highest predicted IoU, rather than the single mask.
        """
        import torch

        device = self.model.device
        where = torch.as_tensor(self._scaled(encoded, points), dtype=torch.float, device=device)
        kinds = torch.as_tensor(labels, dtype=torch.int, device=device)
        return self._decode(encoded, multimask, points=(where, kinds), boxes=None)

    def decode_boxes(
        self, encoded: Encoded, boxes: Float[np.ndarray, "n 4"]
    ) -> tuple[Bool[np.ndarray, "n height width"], Float[np.ndarray, " n"]]:
        """The single mask for each of n boxes (x0, y0, x1, y1; pixels of the image), and the IoU it predicts."""
        import torch

        corners = self._scaled(encoded, boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        where = torch.as_tensor(corners, dtype=torch.float, device=self.model.device)
        return self._decode(encoded, False, points=None, boxes=where)

    @staticmethod
    def _scaled(encoded: Encoded, points: Float[np.ndarray, "n k 2"]) -> Float[np.ndarray, "n k 2"]:
        """Points of the image where the encoder saw them."""
        scale = np.array([encoded.input_size[1] / encoded.size[1], encoded.input_size[0] / encoded.size[0]])
        return points * scale - 0.5  # Segment Anything counts pixel centres as whole numbers and adds the half itself

    def _decode(
        self, encoded: Encoded, multimask: bool, **prompts: Any
    ) -> tuple[Bool[np.ndarray, "n height width"], Float[np.ndarray, " n"]]:
        import torch

        with torch.inference_mode():
            sparse, dense = self.model.prompt_encoder(**prompts, masks=None)
            logits, scores = self.model.mask_decoder(
                image_embeddings=encoded.embedding,
                image_pe=self.model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
            # Choose before enlarging: the other masks would take twice the memory for nothing.
            best = scores.argmax(dim=1, keepdim=True)
            chosen = logits.gather(1, best[..., None, None].expand(-1, -1, *logits.shape[-2:]))
            masks = np.empty((len(chosen), *encoded.size), dtype=bool)
            for first in range(0, len(chosen), _CHUNK):
                part = self.model.postprocess_masks(chosen[first : first + _CHUNK], encoded.input_size, encoded.size)
                masks[first : first + _CHUNK] = (part[:, 0] > self.model.mask_threshold).cpu().numpy()
        return masks, scores.gather(1, best)[:, 0].float().cpu().numpy()


def check_shape(size: tuple[int, ...], target: int) -> None:
    """SampleError for an image (height, width) so thin that a side vanishes at `target` pixels on the long side."""
    if min(size) * target / max(size) < 0.5:
        raise SampleError(
            f"image of {size[1]}x{size[0]} pixels is too thin to segment at {target} on its long side.",
            remedy="Crop it.",
        )


def load(kind: str, checkpoint: str | Path | None = None, device: str | torch.device = "cpu") -> SegmentAnything:
    """A frozen SAM. checkpoint: a file, or the embedded kind's folder (which it finds by itself).

    Raises AnywordError where the kind is unknown, or the checkpoint is missing, damaged, another model's, or holds
    pickled objects.
    """
    path = locate(kind, checkpoint)
    model, weights = BUILDERS[kind](path)
    model.to(device).eval().requires_grad_(False)
    return SegmentAnything(id=name_of(kind, checkpoint, path), weights_sha256=weights, model=model)


def locate(kind: str, checkpoint: str | Path | None) -> Path:
    """The checkpoint that `load` reads; AnywordError as there, where the kind is unknown or there is no such path."""
    if kind not in BUILDERS:
        raise AnywordError(f"SAM '{kind}' is not known.", remedy=f"Use one of {', '.join(BUILDERS)}.")
    if checkpoint is None and kind != "embedded":
        raise AnywordError(
            f"SAM '{kind}' needs a checkpoint.", remedy=f"Download it from {URL} and give the file's path."
        )
    return _locate(str(checkpoint or EMBEDDED), kind)


def name_of(kind: str, checkpoint: str | Path | None, path: Path) -> str:
    """What results call the model."""
    return kind if kind == "embedded" and checkpoint is None else f"{kind} {path.name}"


def kind_of(checkpoint: Path) -> str:
    """The kind whose checkpoint this is, by the shapes of its tensors."""
    if checkpoint.is_dir():
        return "embedded"
    weights = _read(_locate(str(checkpoint), ""))
    patch = weights.get("image_encoder.patch_embed.proj.weight")
    width = int(patch.shape[0]) if patch is not None else 0
    if width not in _WIDTHS:
        raise AnywordError(
            f"{checkpoint}: no checkpoint of Segment Anything.", remedy=f"Its checkpoints are listed at {URL}."
        )
    return _WIDTHS[width]


def _registered(kind: str) -> Callable[[Path], tuple[Sam, str]]:
    """Builder of a model in segment-anything's own registry."""

    def build(path: Path) -> tuple[Sam, str]:
        from segment_anything import sam_model_registry

        weights = _read(path)
        patch = weights.get("image_encoder.patch_embed.proj.weight")
        fits = _WIDTHS.get(int(patch.shape[0])) if patch is not None else None
        if fits is not None and fits != kind:
            raise AnywordError(f"{path}: is a {fits} checkpoint, not {kind}.", remedy=f"Say model: {fits}.")
        model = sam_model_registry[kind]()
        _fill(model, weights, path, kind)
        return model, sha256_file(path)

    return build


def _embedded(folder: Path) -> tuple[Sam, str]:
    """The embedded SAM: config.json and model.safetensors in one folder; both count in the hash."""
    from pydantic import ValidationError

    from stages.models.embedded_sam import EmbeddedSamConfig, build

    path = folder / "config.json"
    try:
        config = EmbeddedSamConfig.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).", remedy=_RESTORE) from None
    except (ValueError, ValidationError) as error:
        raise AnywordError(f"{path}: no configuration of a SAM ({type(error).__name__}).", remedy=_RESTORE) from None
    weights = folder / "model.safetensors"
    model = build(config)
    _fill(model, _read(weights), weights, "embedded")
    both = "".join(sha256_file(one) for one in (path, weights))
    return model, hashlib.sha256(both.encode()).hexdigest()


_RESTORE = "Restore it from the repository, or train it (anyword world train sam)."

BUILDERS: dict[str, Callable[[Path], tuple[Sam, str]]] = {
    "vit_h": _registered("vit_h"),
    "vit_l": _registered("vit_l"),
    "vit_b": _registered("vit_b"),
    "embedded": _embedded,
}
"""Kind to a function from the checkpoint's path to the model with its weights, and their hash."""


def _locate(given: str, kind: str) -> Path:
    """A checkpoint on this machine, a folder if the kind is embedded and a file if not."""
    path = on_disk(given)
    if path is None:
        where = _RESTORE if kind == "embedded" else f"Download it from {URL}, or mend the path."
        raise AnywordError(f"SAM checkpoint '{given}': no such file.", remedy=where)
    if path.is_dir() != (kind == "embedded"):
        wanted = "a folder with config.json and model.safetensors" if kind == "embedded" else "a file"
        raise AnywordError(f"SAM checkpoint '{given}' is not {wanted}.", remedy="Give another path.")
    return path


def _read(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors by name; a pickle that would make anything but tensors is refused."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).", remedy="Mend the path.") from None
    except pickle.UnpicklingError as error:
        raise AnywordError(
            f"{path}: not plain tensors, so it is not loaded ({str(error).splitlines()[0]:.120}).",
            remedy=f"Download the checkpoint again from {URL}.",
        ) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise AnywordError(
            f"{path}: damaged ({type(error).__name__}: {error!s:.80}).", remedy="Download or restore it again."
        ) from None
    if not isinstance(weights, dict) or not all(isinstance(one, torch.Tensor) for one in weights.values()):
        raise AnywordError(f"{path}: holds no table of tensors.", remedy=f"Checkpoints are listed at {URL}.")
    return weights


def _fill(model: Sam, weights: dict[str, torch.Tensor], path: Path, kind: str) -> None:
    """Copy weights into the model (in its float32); AnywordError naming the first that does not fit."""
    own = model.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        if name not in weights or name not in own:
            how = "lacks" if name not in weights else "has, beyond the model,"
            raise AnywordError(f"{path}: {how} '{name}', so it is no '{kind}' SAM.", remedy="Choose another model.")
        if own[name].shape != weights[name].shape:
            found, wanted = tuple(weights[name].shape), tuple(own[name].shape)
            raise AnywordError(
                f"{path}: '{name}' is {found}, not {wanted} as in a '{kind}' SAM.", remedy="Choose another model."
            )
    model.load_state_dict(weights)
