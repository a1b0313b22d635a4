"""What an experiment needs that is not on this machine: weights, images, annotations, keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.studies.workflow import run_experiments
from stages import REPOSITORY
from stages.config import Workflow, merged
from stages.models.hub import on_disk

_FILES = ("root", "texts", "checkpoint", "similarity", "data")
"""Keys of recipes that name a file or a folder of this machine."""


def absent(workflow: Workflow, experiment: str) -> list[str]:
    """What is not there, as a user would look for it; empty where the experiment can run.

    A model that may be fetched (`offline: false`) counts as there.
    """
    chosen = workflow.experiment(experiment)
    recipes = workflow.recipes
    parts = {
        f"datasets.{chosen.dataset}": recipes["datasets"][chosen.dataset],
        f"inverters.{chosen.inverter}": recipes["inverters"][chosen.inverter],
        f"segmenters.{chosen.segmenter}": recipes["segmenters"][chosen.segmenter],
        f"scorers.{chosen.scorer}": recipes["scorers"][chosen.scorer],
    }
    adapter = workflow.adapter_of(chosen.inverter)
    if adapter is not None:
        parts[f"adapters.{adapter[0]}"] = recipes["adapters"][adapter[0]]
        parts[f"datasets.{adapter[1]}"] = recipes["datasets"][adapter[1]]
    found = [one for name, recipe in parts.items() for one in _missing(name, recipe)]
    return [*dict.fromkeys(found), *_parser(recipes["parsers"][chosen.parser])]


def _missing(name: str, recipe: Mapping[str, Any]) -> Iterator[str]:
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _missing(key, value)
        elif isinstance(value, str) and (
            (key in _FILES and on_disk(value) is None)
            or (key == "path" and recipe.get("offline", True) and not _model(value, recipe))
        ):
            yield f"{name}.{key} '{value}'"


def _model(path: str, recipe: Mapping[str, Any]) -> bool:
    """Whether a local folder, or a hub id, can be opened without the network."""
    if on_disk(path) is not None:
        return True
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(path, "model_index.json", revision=recipe.get("revision"))
    except ValueError:  # neither a folder nor a hub id
        return False
    return isinstance(found, str)


def _parser(recipe: Mapping[str, Any]) -> list[str]:
    from stages.parse.parser import lacking

    reason = lacking(recipe)
    return [] if reason is None else [f"parser {recipe['kind']}: {reason}"]


def run_present(base: Mapping[str, Any], added: Mapping[str, Any], *, folder: Path, cores: int) -> dict[str, str]:
    """Run those experiments of `added` that can run here; why not, by name, of the others."""
    workflow = Workflow(merged(base, added))
    reasons = {name: "; ".join(found) for name in added["experiments"] if (found := absent(workflow, name))}
    rest = {name: one for name, one in added["experiments"].items() if name not in reasons}
    if rest:
        run_experiments(base, {**added, "experiments": rest, "targets": list(rest)}, folder=folder, cores=cores)
    return {name: f"absent: {reason}" for name, reason in reasons.items()}


def shipped(name: str, experiment: str) -> str:
    """Why the shipped configuration of a real dataset is not part of a study of embedded scenes, in one line."""
    from stages.config import complete_config

    path = Path("workflow", "studies", f"{name}.yaml")
    missing = absent(Workflow(complete_config(REPOSITORY / path)), experiment)
    how = f"--config {path} --dataset {name} --like {experiment}"
    return f"weights or data absent: {'; '.join(missing)} ({how})" if missing else f"can run here: {how}"
