"""Frozen models that look at an image and speak: BLIP captions it (Li et al., 2022), CLIP holds it against phrases
(Radford et al., 2021). Both in transformers' own classes and folder layout.

Weights are read from safetensors only, in float32 and eval mode, and hashed for the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stages.artifacts.errors import AnywordError
from stages.artifacts.manifest import ModelRecord
from stages.models import hub
from stages.models.pretrained import pretrained

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


@dataclass(frozen=True)
class Captioner:
    """BlipForConditionalGeneration with its processor."""

    record: ModelRecord
    model: Any
    processor: Any

    @torch.inference_mode()
    def captions(
        self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]], *, beams: int, max_tokens: int
    ) -> list[str]:
        """A caption of each image by beam search (1 beam: greedily), without a prompt; nothing is drawn at random.

        One image a call: a batch's arithmetic differs in the last bits, and a beam may turn on them.
        """
        said = []
        for image in images:
            inputs = _picture(self.processor, image).to(self.model.device)
            tokens = self.model.generate(**inputs, num_beams=beams, max_new_tokens=max_tokens, do_sample=False)
            said += self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [" ".join(one.split()) for one in said]


@dataclass(frozen=True)
class Matcher:
    """CLIPModel with its processor."""

    record: ModelRecord
    model: Any
    processor: Any

    @torch.inference_mode()
    def probabilities(
        self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]], phrases: Sequence[str]
    ) -> Float[np.ndarray, "images phrases"]:
        """Zero-shot classification (CLIP, section 3.1.2): softmax over the phrases of cosine similarity times CLIP's
        learned scale. One image a call, as `Captioner.captions`: a class is chosen by a threshold."""
        device = self.model.device
        texts = self.processor(text=list(phrases), padding=True, truncation=True, return_tensors="pt").to(device)
        said = torch.nn.functional.normalize(self.model.get_text_features(**texts).pooler_output, dim=-1)
        rows = []
        for image in images:
            pictures = _picture(self.processor, image).to(device)
            seen = torch.nn.functional.normalize(self.model.get_image_features(**pictures).pooler_output, dim=-1)
            rows.append((self.model.logit_scale.exp() * seen @ said.T).softmax(dim=-1))
        return torch.cat(rows).double().cpu().numpy()


def load_captioner(path: str, *, offline: bool, device: torch.device) -> Captioner:
    """BLIP from a local folder or hub id; AnywordError where it is missing or another model."""
    import transformers

    return Captioner(*_load(transformers.BlipForConditionalGeneration, "blip", path, offline, device))


def load_matcher(path: str, *, offline: bool, device: torch.device) -> Matcher:
    """CLIP from a local folder or hub id; AnywordError where it is missing or another model."""
    import transformers

    return Matcher(*_load(transformers.CLIPModel, "clip", path, offline, device))


def _picture(processor: Any, image: np.ndarray) -> Any:
    """An image as the processor makes it; copied, since torch wants an array that it may write to."""
    return processor(images=[np.array(image)], input_data_format="channels_last", return_tensors="pt")


def _load(cls: Any, kind: str, path: str, offline: bool, device: torch.device) -> tuple[ModelRecord, Any, Any]:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    folder = hub.locate(path, offline=offline, what=kind)
    hub.check(folder, (kind,), f"{kind} model")
    model = pretrained(cls, folder, dtype=torch.float32)
    try:
        processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise AnywordError(f"{folder}: its processor cannot be loaded ({error}).", remedy="Fetch it again.") from error
    # A folder's place is this machine's affair; its hash says which model it is.
    name = folder.name if Path(path).expanduser().is_dir() else path
    record = ModelRecord(id=name, sha256=hub.hash_of(folder))
    return record, model.to(device), processor
