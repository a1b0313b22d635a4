"""Whether results were made with the models that their recipes name now.

A run of the workflow keeps its configuration beside the results. With it, `anyword status`, `verify` and `explain` ask
of a result what a stage asks before it keeps one: the hashes of its models' files.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stages.artifacts.atomic import json_bytes, write_bytes
from stages.artifacts.errors import AnywordError
from stages.artifacts.manifest import ModelRecord
from stages.artifacts.recipes import Recipe, Weights, implementation, marked
from stages.artifacts.results import WEIGHTS, Results
from stages.config import Workflow

if TYPE_CHECKING:
    from stages.models.recipe import BackboneRecipe

R = TypeVar("R", bound=Recipe)
CONFIG = ".config.json"
"""Below results/: the configuration of the last run."""


def keep_config(workflow: Workflow, root: Path) -> None:
    """Write the configuration of a run below `root` (results/)."""
    data = json_bytes(workflow.config.model_dump(mode="json"))
    path = root / CONFIG
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)


class Models:
    """The models of the results below `root`, as they lie on this machine now."""

    def __init__(self, root: Path, workflow: Workflow | None = None) -> None:
        """workflow: by default the last run's; where there was none, nothing is known of any result."""
        self.root = root.resolve()
        self.workflow = workflow or _kept(self.root / CONFIG)
        self.of = lru_cache(maxsize=None)(self._of)

    def replaced(self, dataset: str, stage: str, name: str, made_with: Mapping[str, str]) -> list[str]:
        """Which models a result was made with in another state than now. name: of its recipe or experiment, as
        `Results.stages` gives it. made_with: hash of each."""
        now = self.of(dataset, stage, name) or {}
        return sorted(role for role, sha256 in now.items() if made_with.get(role, sha256) != sha256)

    def _of(self, dataset: str, stage: str, name: str) -> dict[str, str] | None:
        """Hash by role of the models of a stage's recipe; None where that cannot be told here: the recipe is not of
        this configuration, or a model is not on this machine."""
        from stages.models.file_hashes import remembering

        if self.workflow is None:
            return None
        # Paths of a configuration begin in the folder of the run.
        with contextlib.chdir(self.root.parent), remembering(self.root / WEIGHTS):
            try:
                found = self._records(self.workflow, dataset, stage, name)
            except (AnywordError, OSError, KeyError):
                return None
        return {role: record.sha256 for role, record in found.items()}

    def _records(self, workflow: Workflow, dataset: str, stage: str, name: str) -> Mapping[str, ModelRecord]:
        from stages.models import records

        if stage == "adapt":
            return records.backbone(_backbone(workflow, "adapters", name))
        if stage in ("invert", "attend"):
            inverter = name.partition("/")[0]
            adapter = workflow.adapter_of(inverter)
            trained = Results(self.root / adapter[1]).adapter(adapter[0]) if adapter else None
            return records.backbone(_backbone(workflow, "inverters", inverter), trained)
        if stage == "parse":
            return _own(workflow.models["parsers"][name])
        if stage == "segment":
            return _own(workflow.models["segmenters"][workflow.experiment(name).segmenter])
        return {}


def _own(recipe: Recipe) -> Mapping[str, ModelRecord]:
    if not any(marked(recipe, Weights)):
        return {}
    found: Mapping[str, ModelRecord] = implementation(recipe).records(_offline(recipe))
    return found


def _backbone(workflow: Workflow, section: str, name: str) -> BackboneRecipe:
    recipe: Any = workflow.models[section][name]
    return _offline(recipe.backbone)


def _offline(recipe: R) -> R:
    """Nothing is fetched to answer a question."""
    return recipe.model_copy(update={"offline": True}) if "offline" in type(recipe).model_fields else recipe


def _kept(path: Path) -> Workflow | None:
    try:
        return Workflow(json.loads(path.read_bytes()))
    except (OSError, ValueError, AnywordError):
        return None
