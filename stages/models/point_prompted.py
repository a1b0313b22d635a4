"""Frozen segmenters of transformers that take points: SAM, SAM-HQ, SAM 2 and 2.1, SAM 3's tracker, EdgeTAM.

One face for all of them, that of `sam.py`: an image encoded once, then any number of prompts. Point and box go where
`sam.py` puts them: a pixel's centre at .5 of the image is that place of the resized one, where the library's processors
scale a pixel's number and are off by half a pixel's change in size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.models import hub, sam
from stages.models.pretrained import load_with_processor
from stages.models.text_prompted import path_name

if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool, Float, Int, UInt8

WHAT = "segmenter that takes points"
CLASSES = {
    "sam": ("SamModel", "SamProcessor"),
    "sam_hq": ("SamHQModel", "SamHQProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    "sam3_tracker": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    "edgetam": ("EdgeTamModel", "Sam2Processor"),
}
"""By `model_type`, the class and its processor."""
FOR_VIDEO = {
    "sam2_video": "sam2",
    "sam3_tracker_video": "sam3_tracker",
    "sam3_video": "sam3_tracker",
    "edgetam_video": "edgetam",
}
"""Folders that hold a model for video, and which of the classes for images reads its own part of it."""
_FINER = 4  # cells of a mask along a cell of the embedding, in all of these models
_CHUNK = 8  # masks brought to the image's size at a time
_SURE = 1e-4  # how near to 0 and 1 a map comes as log odds: the mask decoder's own span


@dataclass(frozen=True)
class Seen:
    """An image as prompts see it."""

    features: Mapping[str, Any]
    """Arguments of the model that stand for the image."""
    input_size: tuple[int, int]
    """Height and width of the image as it was encoded, without padding."""
    size: tuple[int, int]
    """Height and width of the image itself."""


@dataclass(frozen=True)
class PointPrompted:
    """A model of `CLASSES` on one device."""

    id: str
    weights_sha256: str
    model: Any
    processor: Any

    @property
    def _pads(self) -> bool:
        """Whether images keep their shape in the square; SAM 2 and later stretch them to it."""
        return getattr(self.processor.image_processor, "pad_size", None) is not None

    @property
    def _side(self) -> int:
        size = self.processor.image_processor.size
        return int(size["longest_edge"] if self._pads else size["height"])

    def check(self, size: tuple[int, int]) -> None:
        """SampleError for an image (height, width) that would be less than a pixel wide."""
        if self._pads:
            sam.check_shape(size, self._side)

    def encode(self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]]) -> list[Seen]:
        """Images of any sizes, RGB in 0..255, one at a time, so that no mask depends on an image's company."""
        return [self._encode(image) for image in images]

    def _encode(self, image: UInt8[np.ndarray, "height width 3"]) -> Seen:
        import torch

        inputs = self.processor(images=image, return_tensors="pt")
        reshaped = inputs["reshaped_input_sizes"][0] if self._pads else inputs["pixel_values"].shape[-2:]
        with torch.inference_mode():
            found = self.model.get_image_embeddings(inputs["pixel_values"].to(self.model.device))
        # SAM-HQ gives what its layers saw on the way beside the embedding.
        names = ("image_embeddings", "intermediate_embeddings")
        features = dict(zip(names, found if isinstance(found, tuple) else (found,), strict=False))
        return Seen(features, (int(reshaped[0]), int(reshaped[1])), (image.shape[0], image.shape[1]))

    def decode(
        self,
        encoded: Seen,
        points: Float[np.ndarray, "n k 2"],
        labels: Int[np.ndarray, "n k"],
        *,
        multimask: bool,
        boxes: Float[np.ndarray, "n 4"] | None = None,
        odds: Float[np.ndarray, "rows columns"] | None = None,
    ) -> tuple[Bool[np.ndarray, "n height width"], Float[np.ndarray, " n"]]:
        """One mask for each of n prompts of k points, in one call of the decoder, and the IoU it predicts.

        points: (x, y) in pixels of the image, pixel centres at .5. labels: 1 inside, 0 outside. multimask: of three
        masks the one of highest predicted IoU. boxes: (x0, y0, x1, y1) likewise. odds: a map in 0..1 over the image
        that is given as a mask, for a single prompt.
        """
        import torch

        device = self.model.device
        where = torch.as_tensor(self._scaled(encoded, points), dtype=torch.float, device=device)[None]
        prompts = {"input_points": where, "input_labels": torch.as_tensor(labels, dtype=torch.int, device=device)[None]}
        if boxes is not None:
            corners = self._scaled(encoded, boxes.reshape(-1, 2, 2)).reshape(1, -1, 4)
            prompts["input_boxes"] = torch.as_tensor(corners, dtype=torch.float, device=device)
        if odds is not None:
            prompts["input_masks"] = self._as_mask(encoded, odds)
        with torch.inference_mode():
            output = self.model(**encoded.features, **prompts, multimask_output=multimask)
            scores = output.iou_scores[0].float()
            best = scores.argmax(dim=1, keepdim=True)  # chosen before they are enlarged, as in `sam.py`
            low = output.pred_masks[0]
            chosen = low.gather(1, best[..., None, None].expand(-1, -1, *low.shape[-2:]))
            masks = np.empty((len(chosen), *encoded.size), dtype=bool)
            sizes = {"reshaped_input_sizes": [encoded.input_size]} if self._pads else {}
            for first in range(0, len(chosen), _CHUNK):
                part = [chosen[first : first + _CHUNK]]
                (enlarged,) = self.processor.post_process_masks(part, original_sizes=[encoded.size], **sizes)
                masks[first : first + _CHUNK] = enlarged[:, 0].cpu().numpy()
        return masks, scores.gather(1, best)[:, 0].cpu().numpy()

    @staticmethod
    def _scaled(encoded: Seen, points: Float[np.ndarray, "n k 2"]) -> Float[np.ndarray, "n k 2"]:
        """Points of the image where the encoder saw them."""
        scale = np.array([encoded.input_size[1] / encoded.size[1], encoded.input_size[0] / encoded.size[0]])
        return points * scale - 0.5  # the models add the half themselves

    def _as_mask(
        self, encoded: Seen, odds: Float[np.ndarray, "rows columns"]
    ) -> Float[torch.Tensor, "1 1 height width"]:
        """A map as the low-resolution log odds that the decoder gives and takes; padding is outside."""
        import torch

        embeddings = encoded.features["image_embeddings"]
        last = embeddings[-1] if isinstance(embeddings, list) else embeddings
        side = _FINER * int(last.shape[-1])
        share = side / self._side
        height, width = (max(1, round(one * share)) for one in encoded.input_size)
        given = torch.as_tensor(odds, dtype=torch.float, device=self.model.device)[None, None]
        mask = torch.nn.functional.interpolate(given, size=(height, width), mode="bilinear", align_corners=False)
        mask = torch.nn.functional.pad(mask, (0, side - width, 0, side - height))
        return torch.logit(mask.to(self.model.dtype), eps=_SURE)


def load(
    path: str, revision: str | None = None, *, offline: bool = True, device: str | torch.device = "cpu"
) -> PointPrompted:
    """A frozen model; AnywordError where it is missing, another kind of model, or only pickled."""
    import transformers

    folder = hub.locate(path, revision, offline=offline, what=WHAT)
    kind = hub.check(folder, (*CLASSES, *FOR_VIDEO), WHAT)
    model_class, processor_class = (getattr(transformers, name) for name in CLASSES[FOR_VIDEO.get(kind, kind)])
    options = _in_sam3(folder) if kind == "sam3_video" else {}
    try:
        model, processor = load_with_processor(model_class, processor_class, folder, device, **options)
    except ImportError as error:  # EdgeTAM's encoder is timm's
        raise AnywordError(
            f"{folder}: {' '.join(str(error).split())[:200]}.", remedy="pip install 'segment-anyword[edgetam]'"
        ) from error
    return PointPrompted(path_name(path), hub.hash_of(folder), model, processor)


def _in_sam3(folder: Path) -> dict[str, Any]:
    """How the tracker is read out of the folder of the whole SAM 3: the library, left alone, takes defaults for its
    configuration and leaves its decoder's weights."""
    import transformers

    whole = transformers.AutoConfig.from_pretrained(folder, local_files_only=True).tracker_config
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    config = transformers.Sam3TrackerConfig(**{part: getattr(whole, part).to_dict() for part in parts})
    return {"config": config, "key_mapping": {r"^tracker_model\.": ""}}


def reads(folder: Path) -> bool:
    """Whether a folder's model is one of these."""
    try:
        hub.check(folder, (*CLASSES, *FOR_VIDEO), WHAT)
    except AnywordError:
        return False
    return True
