"""Frozen models that find what a phrase names: GroundingDINO (boxes) and SAM 3 (masks), through transformers.

No map, no point, no inversion: what Segment Anyword is compared with in its Table 9. Each phrase is asked for alone,
so that its answer does not depend on the other phrases of its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import SampleError
from stages.models import hub
from stages.models.pretrained import load_with_processor

if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool, Float, UInt8

    Image = UInt8[np.ndarray, "height width 3"]

_SAM3_WINDOW = 32  # tokens of a phrase, as Sam3Processor pads it


@dataclass(frozen=True)
class GroundingDino:
    """GroundingDINO (Liu et al., 2024): an image and a phrase to boxes."""

    id: str
    weights_sha256: str
    model: Any
    """GroundingDinoForObjectDetection, or MMGroundingDino's."""
    processor: Any

    def boxes(
        self, image: Image, phrase: str, threshold: float
    ) -> tuple[Float[np.ndarray, "boxes 4"], Float[np.ndarray, " boxes"]]:
        """Boxes (x0, y0, x1, y1; pixels of the image, clipped to it) that answer a phrase, and their scores, best
        first. threshold: of the score, the highest of the phrase's tokens.
        """
        import torch

        # The model takes phrases in small letters that end with a full stop, which also parts phrase from phrase.
        text = " ".join(phrase.lower().replace(".", " ").split()) + "."
        inputs = self.processor(images=image, text=text, return_tensors="pt").to(self.model.device)
        limit = int(self.model.config.max_text_len)
        if inputs["input_ids"].shape[1] > limit:
            raise SampleError(f"a phrase has more than {limit} tokens: '{phrase[:60]}…'.", remedy="Shorten it.")
        height, width = image.shape[:2]
        with torch.inference_mode():
            outputs = self.model(**inputs)
        (found,) = self.processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold=threshold, target_sizes=[(height, width)]
        )
        scores = found["scores"].float().cpu().numpy()
        boxes = found["boxes"].float().cpu().numpy()
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float32))
        order = np.argsort(-scores, kind="stable")
        return boxes[order], scores[order]


@dataclass(frozen=True)
class Seen:
    """An image as SAM 3's phrases see it."""

    features: Any
    size: tuple[int, int]
    """Height and width of the image itself."""


@dataclass(frozen=True)
class Sam3:
    """Segment Anything 3: an image and a phrase to the masks of all that the phrase names."""

    id: str
    weights_sha256: str
    model: Any
    """Sam3Model."""
    processor: Any

    def encode(self, image: Image) -> Seen:
        import torch

        inputs = self.processor(images=image, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            features = self.model.get_vision_features(pixel_values=inputs["pixel_values"])
        return Seen(features, (image.shape[0], image.shape[1]))

    def masks(
        self, seen: Seen, phrase: str, threshold: float, mask_threshold: float
    ) -> tuple[Bool[np.ndarray, "masks height width"], Float[np.ndarray, " masks"]]:
        """A mask for each thing that the phrase names, at the image's size, and their scores, best first."""
        import torch

        inputs = self.processor(text=phrase, return_tensors="pt").to(self.model.device)
        if inputs["input_ids"].shape[1] > _SAM3_WINDOW:
            raise SampleError(f"a phrase has more than {_SAM3_WINDOW} tokens: '{phrase[:60]}…'.", remedy="Shorten it.")
        with torch.inference_mode():
            outputs = self.model(
                vision_embeds=seen.features,
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
            )
            (found,) = self.processor.post_process_instance_segmentation(
                outputs, threshold=threshold, mask_threshold=mask_threshold, target_sizes=[seen.size]
            )
        scores = found["scores"].float().cpu().numpy()
        masks = found["masks"].bool().cpu().numpy().reshape(-1, *seen.size)
        order = np.argsort(-scores, kind="stable")
        return masks[order], scores[order]


def load_grounding_dino(
    path: str, revision: str | None = None, *, offline: bool = True, device: str | torch.device = "cpu"
) -> GroundingDino:
    """A frozen GroundingDINO; AnywordError where it is missing, another kind of model, or only pickled."""
    import transformers

    folder = hub.locate(path, revision, offline=offline, what="GroundingDINO")
    hub.check(folder, ("grounding-dino", "mm-grounding-dino"), "GroundingDINO")
    cls = transformers.AutoModelForZeroShotObjectDetection
    model, processor = load_with_processor(cls, transformers.AutoProcessor, folder, device)
    return GroundingDino(path_name(path), hub.hash_of(folder), model, processor)


def load_sam3(
    path: str, revision: str | None = None, *, offline: bool = True, device: str | torch.device = "cpu"
) -> Sam3:
    """A frozen SAM 3; AnywordError where it is missing, another kind of model, or only pickled."""
    import transformers

    folder = hub.locate(path, revision, offline=offline, what="SAM 3")
    hub.check(folder, ("sam3", "sam3_video"), "SAM 3")
    model, processor = load_with_processor(transformers.Sam3Model, transformers.Sam3Processor, folder, device)
    return Sam3(path_name(path), hub.hash_of(folder), model, processor)


def path_name(path: str) -> str:
    """A model as results name it: a hub id as it is, of a folder its own name."""
    return path if not Path(path).expanduser().is_dir() else Path(path).name
