"""Low-rank adapters (LoRA) of a diffusion model's text encoder: trained, and merged in, by PEFT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from stages.artifacts import AnywordError, ShardReader
from stages.models.face import DiffusionModel
from stages.models.records import ADAPTER_WEIGHTS, with_adapter
from stages.models.unet import UNetModel

TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The attention projections, so named in CLIP's encoder and in LDMBert."""
CONFIG = "adapter_config.json"


class Lora:
    """An adapter that learns. The model given is changed: load it anew to use it without."""

    def __init__(self, model: DiffusionModel, *, rank: int, alpha: int, seed: int) -> None:
        """seed: of LoRA's first matrix, which is random; its second is zero."""
        from peft import LoraConfig, get_peft_model

        self._config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, bias="none", target_modules=list(TARGETS))
        self._base = model.record.id
        torch.manual_seed(seed % 2**32)
        self._adapted: Any = get_peft_model(_with_encoder(model).encoder, self._config)
        self._adapted.eval()  # dropout stays off; gradients do not depend on it

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for parameter in self._adapted.parameters() if parameter.requires_grad]

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The encoder as it was."""
        with self._adapted.disable_adapter():
            yield

    def weights(self) -> dict[str, torch.Tensor]:
        """In PEFT's names, for its own file."""
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self._adapted)
        return {name: value.detach().cpu().contiguous() for name, value in state.items()}

    def config(self) -> dict[str, Any]:
        """PEFT's configuration as the same JSON on every machine: no local path, no unordered set."""
        values = {
            name: sorted(value) if isinstance(value, set) else value
            for name, value in self._config.to_dict().items()
            if value is not None
        }
        return values | {"base_model_name_or_path": self._base, "peft_type": "LORA", "inference_mode": True}


def merge(model: DiffusionModel, adapter: Path | None) -> DiffusionModel:
    """The model with an adapter merged into its text encoder; as it is, where there is none."""
    if adapter is None:
        return model
    from peft import PeftModel

    adapted = _with_encoder(model)
    adapted.record = with_adapter(model.record, adapter)
    folder = ShardReader(adapter, "adapt")
    weights = folder.file(ADAPTER_WEIGHTS)
    folder.file(CONFIG)
    merged = PeftModel.from_pretrained(adapted.encoder, str(weights.parent)).merge_and_unload()
    adapted.encoder = merged.eval().requires_grad_(False)
    return adapted


def _with_encoder(model: DiffusionModel) -> UNetModel:
    """The model, if it is one whose text encoder adapters are for."""
    if not isinstance(model, UNetModel):
        raise AnywordError(
            f"backbone {model.record.id}: adapters of the text encoder are for models with one text encoder.",
            remedy="Leave the inverter's adapter out.",
        )
    return model
