"""One recipe option at several values, on validation scenes: how the embedded recipes' thresholds were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.studies.ladder import Choice, experiment
from lab.studies.ladder import configuration as ladder_configuration


def configuration(
    base: Mapping[str, Any], *, dataset: str, samples: int, values: Sequence[float]
) -> tuple[dict[str, Any], dict[str, dict[float, str]]]:
    """What to add to the configuration, and the experiments by rung and threshold."""
    choice = Choice()
    added = ladder_configuration(
        base, choice, dataset=dataset, split="val", first=0, samples=samples, shard_size=samples
    )
    template = added["experiments"]
    recipes = {
        "attention_only": ("segmenters", "segmenter", base["segmenters"][choice.attention]),
        "sam": ("prompters", "prompter", added["prompters"]["unbound"]),
        "inversion": ("prompters", "prompter", added["prompters"]["unbound"]),
        "full": ("prompters", "prompter", base["prompters"][choice.prompter]),
    }
    experiments: dict[str, dict[float, str]] = {rung: {} for rung in recipes}
    chosen: dict[str, Any] = {}
    for rung, (section, key, recipe) in recipes.items():
        for value in values:
            name = f"{recipe_name(section, rung)}-{value:g}"
            added[section][name] = {**recipe, "threshold": value}
            full = f"{experiment(dataset, rung)}-{value:g}"
            chosen[full] = {**template[experiment(dataset, rung)], key: name}
            experiments[rung][value] = full
    return {**added, "experiments": chosen, "targets": list(chosen)}, experiments


def recipe_name(section: str, rung: str) -> str:
    """Rungs that prompt alike share a recipe's name, and so its results."""
    if section == "segmenters":
        return "attention"
    return "bound" if rung == "full" else "unbound"
