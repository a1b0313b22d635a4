"""Weights in the layout of transformers and diffusers, read strictly.

Both libraries fill a weight that a file does not hold with a random draw, and leave out one that they do not know; then
the same files give another model each time they are read. Here that is an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.artifacts.errors import AnywordError

_SHOWN = 3  # names of weights in an error
_SPARE = re.compile(r"(^|\.)position_ids$")
"""What older files hold of a module and no module needs: the numbers from 0 on."""
_HALF = re.compile(r"\.fp16[.-]")
"""In the names of files of half precision."""


def pretrained(cls: Any, folder: Path, *, spare: str | None = None, **options: Any) -> Any:
    """A frozen module of a class with `from_pretrained`, in eval mode, from safetensors in a local folder; those
    of half precision where there are no others.

    spare: names of weights (a regular expression, from the name's beginning) that the file may hold or lack beyond what
    the class has, since nothing that is asked of the model depends on them.

    Raises:
        AnywordError: there are no safetensors, they cannot be read, or a weight is missing, left over, or of another
            shape.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise AnywordError(
            f"{folder}: holds no .safetensors weights, and pickled ones are never read.",
            remedy="Choose a revision that has them, or convert once with save_pretrained.",
        )
    if all(_HALF.search(one.name) for one in files):
        options["variant"] = "fp16"
    try:
        module, report = cls.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise AnywordError(
            f"{folder}: cannot be loaded as {cls.__name__} ({' '.join(str(error).split())[:300]}).",
            remedy="Fetch it again.",
        ) from error
    for problem, said in (
        ("missing", "lacks"),
        ("unexpected", "has left over"),
        ("mismatched", "has of another shape"),
    ):
        names = sorted(one if isinstance(one, str) else one[0] for one in report.get(f"{problem}_keys") or ())
        names = [one for one in names if not _SPARE.search(one) and not (spare and re.match(spare, one))]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise AnywordError(
                f"{folder}: as a {type(module).__name__} it {said} the weights {', '.join(names[:_SHOWN])}{more}.",
                remedy="Fetch it again, or choose the model that this folder is of.",
            )
    return module.eval().requires_grad_(False)


def load_with_processor(cls: Any, processor_class: Any, folder: Path, device: Any, **options: Any) -> tuple[Any, Any]:
    """A model of transformers on a device, read as `pretrained` reads it, and its processor; AnywordError likewise.
    options: of the class's from_pretrained."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    model = pretrained(cls, folder, **options)
    try:
        processor = processor_class.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise AnywordError(
            f"{folder}: its processor cannot be loaded ({error!s:.200}).", remedy="Fetch it again."
        ) from error
    return model.to(device), processor
