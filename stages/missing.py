"""What an experiment needs that is not on this machine: said before anything runs, not after a night of inversion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stages.artifacts.recipes import Options, Weights, marked
from stages.config import Workflow
from stages.models.hub import on_disk
from stages.plan import needs


def absent(workflow: Workflow, experiment: str) -> list[str]:
    """What is not there, as a user would look for it; empty where the experiment can run.

    A model that may be fetched (`offline: false`) counts as there.
    """
    chosen = workflow.experiment(experiment)
    data, parts = [chosen.dataset], [("inverters", chosen.inverter), ("segmenters", chosen.segmenter)]
    adapter = workflow.adapter_of(chosen.inverter)
    if adapter is not None:
        parts.append(("adapters", adapter[0]))
        data.append(adapter[1])
    parts += [("scorers", chosen.scorer), *(("datasets", name) for name in data if workflow.chooses(name))]
    found = [
        f"datasets.{name}.{key} '{path}'"
        for name in data
        for key, path in workflow.data_location(name).items()
        if on_disk(path) is None
    ]
    models: dict[str, str] = {}  # an inverter and its adapter name the same backbone: it is missed once
    for section, name in parts:
        for one in _missing(workflow.models[section][name]):
            models.setdefault(one, f"{section}.{name}: {one}")
    return [*found, *models.values(), *_parser(workflow.recipes["parsers"][chosen.parser])]


def embedded_elsewhere(workflow: Workflow, experiment: str) -> str | None:
    """What to say where an embedded model would be used on other images than its own world's; else None."""
    chosen = workflow.experiment(experiment)
    if workflow.recipes["datasets"][chosen.dataset]["kind"] == "world":
        return None
    inverter = workflow.models["inverters"][chosen.inverter]
    segmenter: Any = workflow.models["segmenters"][chosen.segmenter]
    embedded = [
        name
        for name, own in (
            ("backbone", getattr(getattr(inverter, "backbone", None), "kind", None) == "embedded"),
            ("SAM", getattr(segmenter, "model", None) == "embedded" and segmenter.checkpoint is None),
        )
        if own and (name == "SAM" or "maps" in needs(workflow, experiment))
    ]
    if not embedded:
        return None
    return f"the embedded {' and '.join(embedded)} know only drawn shapes: on photographs the masks mean nothing"


def _missing(recipe: Options) -> Iterator[str]:
    """The models that can be had neither from this machine nor, where the recipe allows it, from the hub."""
    for options, name, mark in marked(recipe, Weights):
        named = mark.path(options, name)
        fetched = not getattr(options, "offline", True)
        if named is not None and on_disk(named) is None and not fetched and not _cached(named, options, mark):
            yield f"{name} '{named}'"


def _cached(path: str, options: Options, mark: Weights) -> bool:
    """Whether the hub's cache holds the model, if it is a hub id at all."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(path, mark.holds, revision=getattr(options, "revision", None))
    except ValueError:  # neither a folder nor a hub id
        return False
    return isinstance(found, str)


def _parser(recipe: Mapping[str, Any]) -> list[str]:
    from stages.parse.parser import lacking

    reason = lacking(recipe)
    return [] if reason is None else [f"parser {recipe['kind']}: {reason}"]
