"""`config.yaml` as the workflow understands it: validated, its recipes resolved, its names safe.

Sections name recipes; experiments choose one of each. A recipe's model is in the room that runs it
(`stages/<room>/recipe.py`, found by its `kind`), so this module knows rooms and how they refer to one another, and no
option of any of them. It imports recipes only: nothing here needs torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from stages import REPOSITORY
from stages.artifacts.atomic import canonical
from stages.artifacts.errors import AnywordError
from stages.artifacts.kept import MINUTES
from stages.artifacts.manifest import Stage
from stages.artifacts.recipes import Location, Options, Recipe, complaint, identity, marked, models, validated, without

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""What a recipe, dataset or experiment may be called: names become folders and wildcards."""
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}$")]
Raw = dict[str, Any]

ROOMS = {
    "datasets": "samples",
    "backbones": "models",
    "parsers": "parse",
    "adapters": "adapt",
    "inverters": "invert",
    "attenders": "attend",
    "prompters": "prompt",
    "segmenters": "segment",
    "scorers": "score",
    "reporters": "report",
}
"""Section of the configuration to the subpackage whose recipes it names."""
CHOICES = {
    "dataset": "datasets",
    "parser": "parsers",
    "inverter": "inverters",
    "attender": "attenders",
    "prompter": "prompters",
    "segmenter": "segmenters",
    "scorer": "scorers",
    "reporter": "reporters",
}
"""Key of an experiment to the section that it chooses from."""
LIMITED = ("adapt", "invert", "attend", "segment")
"""Stages whose models keep to `execution.memory`."""


class Experiment(Options):
    """One recipe a stage. Experiments that agree on a recipe share its results."""

    dataset: Name = Field(description="One of `datasets`.")
    parser: Name = Field(description="One of `parsers`: which phrases a text has.")
    inverter: Name = Field(description="One of `inverters`: how words are fitted to the image.")
    attender: Name = Field(description="One of `attenders`: how a word's map is averaged.")
    prompter: Name = Field(description="One of `prompters`: how maps become points.")
    segmenter: Name = Field(description="One of `segmenters`: how points become masks.")
    scorer: Name = Field("default", description="One of `scorers`; used where the dataset has truth.")
    reporter: Name = Field("default", description="One of `reporters`: what the page shows.")


class Limits(Options):
    """The most that a job may ask of a cluster, whatever the attempt."""

    minutes: int | None = Field(
        default=None, ge=1, description="The partition's time limit; a job killed there goes on."
    )
    memory_mb: int | None = Field(default=None, ge=1, description="Memory of the partition's nodes.")


class Execution(Options):
    """How work is carried out. Nothing here changes a result, so nothing here runs a stage again."""

    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N; auto takes a GPU if torch sees one.")
    batch_size: dict[Literal["samples", "adapt", "invert", "attend", "segment"], Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="Images a step of these stages."
    )
    memory: float | None = Field(
        default=None,
        gt=0,
        description="GiB of the device that a job may take, weights included; default: on a GPU what it has free, on a "
        "CPU no bound while what is free suffices. How many rows a call of a model holds follows from it.",
    )
    checkpoint_minutes: float = Field(
        default=MINUTES,
        ge=0,
        description="Minutes after which adapt and invert keep how far they have come, so that a kill costs no more.",
    )
    seconds_an_image: dict[
        Literal["samples", "parse", "invert", "attend", "prompt", "segment"], Annotated[float, Field(gt=0)]
    ] = Field(default_factory=dict, description="What these stages take on your device: the time asked of a cluster.")
    limits: Limits = Field(default=Limits(), description="The most that a job may ask of a cluster.")


class Configuration(Options):
    """The whole file. Recipes stay as written here; `Workflow` checks them in their rooms."""

    datasets: dict[Name, Raw] = Field(description="Where samples come from.")
    backbones: dict[Name, Raw] = Field(description="Diffusion models, by local path or hub id.")
    parsers: dict[Name, Raw] = Field(description="Text to phrases.")
    adapters: dict[Name, Raw] = Field(
        default_factory=dict, description="Text encoders fitted to a dataset's training pairs; an inverter names one."
    )
    inverters: dict[Name, Raw] = Field(description="Image and text to token embeddings.")
    attenders: dict[Name, Raw] = Field(description="Embeddings to averaged attention maps.")
    prompters: dict[Name, Raw] = Field(description="Maps and phrases to point prompts.")
    segmenters: dict[Name, Raw] = Field(description="Points to masks.")
    scorers: dict[Name, Raw] = Field(description="Masks and truth to figures.")
    reporters: dict[Name, Raw] = Field(description="Everything to one offline page.")
    experiments: dict[Name, Experiment] = Field(description="Each a choice of one recipe a stage.")
    targets: list[Name] = Field(min_length=1, description="Experiments that plain `snakemake` makes.")
    execution: Execution = Field(default_factory=Execution, description="Device and batch sizes.")


def stage_of(room: str, name: str = "STAGE") -> Stage:
    """Name and version of the stage in a room."""
    stage: Stage = getattr(importlib.import_module(f"stages.{room}.recipe"), name)
    return stage


class Workflow:
    """A validated configuration and its recipes, complete and in canonical form."""

    def __init__(self, config: dict[str, Any]) -> None:
        """AnywordError naming the key, the value, and what it may be, where anything in `config` does not fit."""
        try:
            self.config = Configuration.model_validate(config)
        except ValidationError as error:
            raise AnywordError(complaint(error, "configuration: ", Configuration.model_fields)) from None
        for name in self.config.targets:
            self._chosen("targets", "experiments", name)
        for name, experiment in self.config.experiments.items():
            for key, section in CHOICES.items():
                self._chosen(f"experiments.{name}.{key}", section, getattr(experiment, key))
        self.models  # noqa: B018 (every recipe is checked now, before anything runs)

    @cached_property
    def models(self) -> dict[str, dict[str, Recipe]]:
        """Every recipe by section and name, checked, references resolved. An attender stands here with some backbone;
        which one it takes depends on the inverter (`attend_recipe`)."""
        some = next(iter(self._backbones.values()), {"kind": "embedded"})
        return {
            section: {
                name: self._validated(section, name, raw, backbone=some)
                if section == "attenders"
                else self._validated(section, name, raw)
                for name, raw in getattr(self.config, section).items()
            }
            for section in ROOMS
        }

    @cached_property
    def recipes(self) -> dict[str, dict[str, Raw]]:
        """The same as plain values, defaults filled in."""
        return {
            section: {name: one.model_dump(mode="json") for name, one in named.items()}
            for section, named in self.models.items()
        }

    def recipe(self, section: str, name: str) -> str:
        """A recipe as the canonical JSON that rules hand to their stage; where data lies is handed over beside it."""
        return canonical(without(self.models[section][name], Location))

    def identity(self, section: str, name: str) -> str:
        """The part of a recipe that decides its result."""
        return canonical(identity(self.models[section][name]))

    def attend_recipe(self, inverter: str, attender: str) -> str:
        """An attender's recipe with the backbone and adapter of the inverter whose embeddings it reads."""
        chosen = self.recipes["inverters"][inverter]
        given = {"backbone": chosen["backbone"], "adapter": chosen.get("adapter")}
        recipe = self._validated("attenders", attender, self.config.attenders[attender], **given)
        return canonical(recipe.model_dump(mode="json"))

    def adapter_of(self, inverter: str) -> tuple[str, str] | None:
        """The adapter that an inverter names, if any, and the dataset that it is trained on."""
        name = self.recipes["inverters"][inverter].get("adapter")
        return (name, self.recipes["adapters"][name]["dataset"]) if name else None

    def experiment(self, name: str) -> Experiment:
        self._chosen("the experiment", "experiments", name)
        return self.config.experiments[name]

    def reader(self, dataset: str) -> str:
        """The part of a dataset's recipe that decides a shard's samples: its listing says the rest."""
        recipe = self.recipes["datasets"][dataset]
        models = {"filter": recipe["filter"]} if self.chooses(dataset) else {}
        return canonical({"kind": recipe["kind"], **models})

    def chooses(self, dataset: str) -> bool:
        """Whether models choose the candidate classes of a dataset's images."""
        return self.recipes["datasets"][dataset].get("candidates") == "blip-clip"

    def execution(self, stage: str) -> list[str]:
        """Options of a stage's command that say how it is carried out."""
        chosen = self.config.execution
        given = {
            "--batch-size": chosen.batch_size.get(stage),  # type: ignore[call-overload]
            "--memory": chosen.memory if stage in LIMITED else None,
            "--checkpoint-minutes": chosen.checkpoint_minutes if stage in ("adapt", "invert") else None,
        }
        return [
            "--device",
            chosen.device,
            *(part for name, value in given.items() if value is not None for part in (name, str(value))),
        ]

    def segment_reads(self, experiment: str) -> tuple[str, ...]:
        """What the experiment's segmenter reads beside samples: points, maps or phrases, as its model declares."""
        recipe = self.models["segmenters"][self.experiment(experiment).segmenter]
        return tuple(getattr(recipe, "READS", ()))

    def data_location(self, dataset: str) -> dict[str, str]:
        """`root` and `texts` of a dataset, where it has them."""
        found = {name: getattr(owner, name) for owner, name, _ in marked(self.models["datasets"][dataset], Location)}
        return {name: found[name] for name in sorted(found) if found[name]}

    @cached_property
    def _backbones(self) -> dict[str, Raw]:
        sections = self.config.backbones.items()
        return {name: self._validated("backbones", name, raw).model_dump(mode="json") for name, raw in sections}

    def _validated(self, section: str, name: str, raw: Raw, **given: Any) -> Recipe:
        """A recipe checked by its room's model, with what it names in the place of the names."""
        key, room = f"{section}.{name}", ROOMS[section]
        value = dict(raw)
        if section != "backbones" and isinstance(value.get("backbone"), str):
            chosen = self._chosen(f"{key}.backbone", "backbones", value["backbone"])
            value["backbone"] = self._backbones[chosen]
        if section == "inverters" and value.get("adapter") is not None:
            self._chosen(f"{key}.adapter", "adapters", value["adapter"])
        if section == "adapters":
            self._chosen(f"{key}.dataset", "datasets", value.get("dataset", ""))
        model = models(room).get(value.get("kind", ""))
        value |= {name: one for name, one in given.items() if model is not None and name in model.model_fields}
        return validated(room, value, Recipe, at=f"configuration: {key}")

    def _chosen(self, key: str, section: str, name: str) -> str:
        names = getattr(self.config, section)
        if name not in names:
            raise AnywordError(
                f"configuration: {key} is '{name}', which `{section}` does not name.",
                remedy=f"Use one of {', '.join(sorted(names)) or '(none yet)'}.",
            )
        return name


def read_config(path: Path) -> Raw:
    """A configuration file as plain values; AnywordError where it is missing or no YAML mapping."""
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AnywordError(f"{path}: not YAML ({error}).") from None
    if not isinstance(value, dict):
        raise AnywordError(f"{path}: holds no mapping of keys.", remedy="See config.yaml for the sections.")
    return value


def complete_config(path: Path | None = None) -> dict[str, Any]:
    """The repository's configuration, with that of `path` laid over it."""
    base = read_config(REPOSITORY / "config.yaml")
    return merged(base, read_config(path)) if path else base


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base` as Snakemake does with --configfile: mappings key by key, anything else as a whole."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result
