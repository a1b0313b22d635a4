"""Parser recipes by name: those that come with the program, and those of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages import REPOSITORY
from stages.artifacts import AnywordError
from stages.artifacts.recipes import models

NAMED: dict[str, dict[str, Any]] = {
    "spacy-sm": {"kind": "spacy", "pipeline": "en_core_web_sm"},
    "spacy-trf": {"kind": "spacy", "pipeline": "en_core_web_trf"},
    "openai-paper": {"kind": "openai", "template": "paper"},
    "vocabulary": {"kind": "vocabulary", "classes": {}},
}
"""Beside every kind that needs no option, which goes by its own name."""


def recipes(config: Path | None = None) -> dict[str, dict[str, Any]]:
    """Every parser recipe by name: kinds, NAMED, `parsers` of the repository's config.yaml, and of `config`."""
    plain = (
        kind for kind, model in models("parse").items() if not any(f.is_required() for f in model.model_fields.values())
    )
    found = {kind: {"kind": kind} for kind in plain} | NAMED
    own = REPOSITORY / "config.yaml"
    for path in (own if own.is_file() else None, config):
        if path is not None:
            found |= _parsers_of(path)
    return found


def recipe_named(name: str, config: Path | None = None) -> dict[str, Any]:
    """One recipe; AnywordError lists the names there are."""
    known = recipes(config)
    if name not in known:
        raise AnywordError(
            f"no parser recipe is called '{name}'.",
            remedy=f"Use one of {', '.join(sorted(known))}, or name yours under `parsers` in a file given by --config.",
        )
    return known[name]


def _parsers_of(path: Path) -> dict[str, dict[str, Any]]:
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AnywordError(f"{path}: not YAML ({' '.join(str(error).split())}).") from None
    parsers = config.get("parsers", {}) if isinstance(config, Mapping) else None
    if not isinstance(parsers, Mapping) or not all(isinstance(one, Mapping) for one in parsers.values()):
        raise AnywordError(f"{path}: `parsers` is no mapping of names to recipes.")
    return {str(name): dict(recipe) for name, recipe in parsers.items()}
