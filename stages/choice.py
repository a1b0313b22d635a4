"""An experiment's recipes with models that are given by path: what `anyword segment` runs by."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from stages.artifacts.errors import AnywordError
from stages.models.families import kind_of

log = logging.getLogger("anyword")

_BY_WORDS = ("sam3", "grounding-dino")
"""Kinds of segmenters that no backbone takes part in."""
_NAMED = {"ldm": "ldm", "xl": "sdxl", "ssd-1b": "sdxl", "pixart": "pixart", "flux": "flux", "diffusion-3": "sd3"}
"""What is in the names of hub ids, and the family that it tells."""
_WORLD_SIDE = 128  # pixels; the embedded world's images are squares of this side


def with_models(
    image: Path,
    *,
    experiment: str,
    config: Path | None = None,
    backbone: str | None = None,
    sam: str | None = None,
    parser: str | None = None,
    inverter: str | None = None,
    offline: bool = True,
) -> dict[str, Any]:
    """The configuration (the repository's, with the file `config` laid over it) in which `experiment` has these
    models; what is None stays as it is. Warns where an embedded model would be used on what looks like a photograph.

    Raises:
        AnywordError: a name that the configuration does not have, or no such file.
    """
    from stages.config import complete_config

    whole = complete_config(config)
    chosen = dict(_named(whole, "experiments", experiment, "--experiment"))
    chosen |= {key: name for key, name in (("parser", parser), ("inverter", inverter)) if name}
    if backbone is not None:
        whole, chosen = _with_backbone(whole, chosen, backbone, offline=offline, keep_inverter=inverter is not None)
    if sam is not None:
        whole, chosen = _with_sam(whole, chosen, sam)
    warn_if_embedded(whole, chosen, image)
    return {**whole, "experiments": {**whole["experiments"], experiment: chosen}}


def _with_backbone(
    config: dict[str, Any], chosen: dict[str, Any], backbone: str, *, offline: bool, keep_inverter: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration with an inverter on that backbone: the chosen one, or for a real backbone the papers'."""
    invseg = config["inverters"].get(chosen["inverter"], {}).get("kind") == "invseg"
    name = backbone
    if backbone not in config["backbones"]:
        name = "given"
        recipe = {"kind": backbone_kind(backbone), "path": backbone, "offline": offline}
        config = {**config, "backbones": {**config["backbones"], name: recipe}}
    embedded = config["backbones"][name]["kind"] == "embedded"
    base = chosen["inverter"] if keep_inverter or embedded else "invseg-paper" if invseg else "paper"
    inverter = {**_named(config, "inverters", base, "--inverter"), "backbone": name}
    config = {**config, "inverters": {**config["inverters"], f"{base}-here": inverter}}
    chosen = {**chosen, "inverter": f"{base}-here"}
    # The embedded prompter was tuned on the embedded world.
    return config, chosen if embedded else {**chosen, "prompter": "papers"}


def backbone_kind(path: str) -> str:
    """The family of a diffusion model: by its `model_index.json` where it is a local folder, else by its name."""
    index = Path(path) / "model_index.json"
    if index.is_file():
        try:
            parts = json.loads(index.read_text(encoding="utf-8"))
        except ValueError:
            raise AnywordError(f"{index}: not JSON.", remedy="Give a folder that diffusers saved.") from None
        return (kind_of(parts) if isinstance(parts, dict) else None) or "stable-diffusion"
    name = Path(path).name.lower()
    return next((kind for begin, kind in _NAMED.items() if begin in name), "stable-diffusion")


def _with_sam(config: dict[str, Any], chosen: dict[str, Any], sam: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if sam in config["segmenters"]:
        return config, {**chosen, "segmenter": sam}
    from stages.models import point_prompted
    from stages.models.sam import kind_of

    if not Path(sam).exists():
        raise AnywordError(
            f"--sam: '{sam}' is neither a file nor a name of `segmenters`.",
            remedy="Give a checkpoint as Meta publishes them, such as sam_vit_h_4b8939.pth, or transformers' folder.",
        )
    recipe = {"kind": "transformers", "path": sam}
    if not point_prompted.reads(Path(sam)):
        recipe = {"kind": "segment-anything", "model": kind_of(Path(sam)), "checkpoint": sam}
    config = {**config, "segmenters": {**config["segmenters"], "given": recipe}}
    return config, {**chosen, "segmenter": "given"}


def _named(config: dict[str, Any], section: str, name: str, option: str) -> dict[str, Any]:
    found = config[section].get(name)
    if found is None:
        raise AnywordError(
            f"{option}: '{name}' is not in `{section}` of the configuration.",
            remedy=f"Use one of {', '.join(sorted(config[section]))}.",
        )
    return dict(found)


def warn_if_embedded(config: dict[str, Any], chosen: dict[str, Any], image: Path) -> None:
    """Say once that an embedded model knows no photographs, unless this is one of its own scenes."""
    inverter = config["inverters"].get(chosen["inverter"], {})
    backbone = config["backbones"].get(inverter.get("backbone", ""), {})
    segmenter = config["segmenters"].get(chosen["segmenter"], {})
    takes_part = {
        "backbone (--backbone)": backbone.get("kind") == "embedded" and segmenter.get("kind") not in _BY_WORDS,
        "SAM (--sam)": _embedded_sam(segmenter),
    }
    named = [name for name, embedded in takes_part.items() if embedded]
    if not named:
        return
    from PIL import Image

    try:
        with Image.open(image) as opened:
            own = opened.size == (_WORLD_SIDE, _WORLD_SIDE)
    except OSError:
        return  # the samples stage says what is wrong with it
    if not own:
        log.warning(
            "The embedded %s knows only the embedded world (coloured shapes on textured grounds): on a photograph "
            "the masks mean nothing. Give a real model.",
            " and ".join(named),
        )


def _embedded_sam(segmenter: dict[str, Any]) -> bool:
    from stages.artifacts.recipes import validated
    from stages.segment.recipe import SegmenterRecipe

    try:
        recipe: Any = validated("segment", segmenter, SegmenterRecipe)
    except (KeyError, ValueError):
        return False  # the configuration's own check says what is wrong
    return getattr(recipe, "model", None) == "embedded" and recipe.checkpoint is None
