"""Few-step adapters (LCM-LoRA, TCD, Hyper-SD): a distilled UNet as a LoRA, merged by diffusers' own loader.

Such an adapter changes what the UNet computes and the sampler that belongs to it; the noise schedule stays. Only local
safetensors files are read: nothing is fetched, nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.artifacts import ModelRecord
from stages.artifacts.atomic import sha256_file
from stages.artifacts.errors import AnywordError
from stages.models.recipe import FewStep

log = logging.getLogger("anyword")

_SECOND = re.compile(r"lora(_B|_up|\.up)(\.\w+)?\.weight$")
NAME = "pytorch_lora_weights.safetensors"
"""What diffusers' save_lora_weights calls the file."""


def find(settings: FewStep) -> Path:
    """The adapter's one file. AnywordError where there is none, where a folder holds several, or a pickled one."""
    path = Path(settings.path).expanduser()
    if path.is_dir():
        named = path / NAME
        found = [named] if named.is_file() else sorted(path.glob("*.safetensors"))
        if len(found) != 1:
            raise AnywordError(
                f"few_step: {path} holds {len(found)} .safetensors files and no {NAME}.",
                remedy="Give the file itself.",
            )
        return found[0]
    if not path.is_file():
        raise AnywordError(
            f"few_step: {path} is no file or folder.",
            remedy="Fetch the adapter once (hf download OWNER/NAME FILE) and give the local path.",
        )
    if path.suffix != ".safetensors":
        raise AnywordError(f"few_step: {path} is no .safetensors file, and pickled weights are never read.")
    return path


def merge(settings: FewStep, path: Path, parts: dict[str, Any], scheduler: Any) -> None:
    """Merge the adapter at `path` into `unet` (and `text_encoder`, where it holds keys of one) of `parts`, in place.

    parts: vae, text_encoder, tokenizer and unet of a Stable Diffusion pipeline, in float32. AnywordError where the
    file is no LoRA, fits another model, or changes nothing of the UNet.
    """
    from diffusers import StableDiffusionPipeline
    from safetensors import SafetensorError

    own = type(scheduler).from_config(scheduler.config)  # a pipeline mends what it finds odd in its scheduler
    pipe: Any = StableDiffusionPipeline(
        **parts, scheduler=own, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    try:
        pipe.load_lora_weights(str(path.parent), weight_name=path.name, local_files_only=True, use_safetensors=True)
        held = pipe.get_list_adapters()
        if "unet" not in held:
            raise ValueError("it holds no weights of a UNet")
        there, read = _layers_in(path), _layers_of([parts["unet"], parts["text_encoder"]])
        if read < there:  # the loader takes one spelling of names a file, and passes over the others in silence
            raise ValueError(f"only {read} of its {there} layers were recognised")
        pipe.fuse_lora(lora_scale=settings.scale, safe_fusing=True)
    except (OSError, ValueError, RuntimeError, KeyError, IndexError, TypeError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AnywordError(
            f"few_step: {path} does not fit this backbone ({first:.160}).",
            remedy="Give a LoRA in diffusers' format that was distilled from a model of this family.",
        ) from error
    pipe.unload_lora_weights()  # the layers; what was merged stays
    log.info("few_step: %s merged into %s", path.name, ", ".join(sorted(held)))


def _layers_in(path: Path) -> int:
    """How many layers a file changes: its second factors (in any of the usual spellings) that are not all zero."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if _SECOND.search(name)]  # noqa: SIM118 (a reader, not a dict)
        return sum(bool(file.get_tensor(name).any()) for name in names)


def _layers_of(modules: Sequence[Any]) -> int:
    """The same of the LoRA layers that a loader has put into modules."""
    return sum(
        bool(second.weight.any())
        for module in modules
        for layer in module.modules()
        for second in getattr(layer, "lora_B", {}).values()
    )


def sampler(settings: FewStep, scheduler: Any) -> Any:
    """The scheduler that the adapter was distilled for, with the backbone's own noise schedule."""
    import diffusers

    if settings.scheduler == "ddim":
        return diffusers.DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    kind = {"lcm": diffusers.LCMScheduler, "tcd": diffusers.TCDScheduler}[settings.scheduler]
    return kind.from_config(scheduler.config)


def record(settings: FewStep, path: Path) -> ModelRecord:
    """The adapter as a manifest names it."""
    return ModelRecord(id=settings.path, sha256=sha256_file(path))


def combined(backbone_sha256: str, settings: FewStep, adapter: ModelRecord) -> str:
    """One hash of the backbone with the adapter in it at its scale."""
    return hashlib.sha256(f"{backbone_sha256} {adapter.sha256} {settings.scale!r}".encode()).hexdigest()
