"""The JSON schema of the configuration, for editors: made from the models, kept in `workflow/schemas/`.

python -m stages.schema workflow/schemas/config.schema.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from stages.artifacts.atomic import write_json
from stages.artifacts.recipes import models as models_of
from stages.config import ROOMS, Configuration


def config_schema() -> dict[str, Any]:
    """`config.yaml` with every recipe of every room: each section maps names to one of its room's recipes."""
    schema = Configuration.model_json_schema()
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    for section, room in ROOMS.items():
        kinds = models_of(room)
        models = list(dict.fromkeys(kinds.values()))
        # Two rooms may call a model the same, so each room's definitions carry its name.
        references, found = models_json_schema(
            [(model, "validation") for model in models], ref_template=f"#/$defs/{room}.{{model}}"
        )
        definitions |= {f"{room}.{name}": one for name, one in found["$defs"].items()}
        recipes = [references[model, "validation"] for model in models]
        for reference in recipes:
            own = definitions[reference["$ref"].removeprefix("#/$defs/")]
            own["required"] = sorted({"kind", *own.get("required", ())} - _given(section))
            _refer_by_name(section, own["properties"])
        schema["properties"][section] = {
            "type": "object",
            "description": Configuration.model_fields[section].description,
            "additionalProperties": {"oneOf": recipes},
        }
    schema["required"] = []  # a file laid over config.yaml holds just what differs
    return schema


def _given(section: str) -> set[str]:
    return {"backbone"} if section == "attenders" else set()


def _refer_by_name(section: str, properties: dict[str, Any]) -> None:
    """Recipes are nested when they run and named when they are written."""
    if section == "backbones" or "backbone" not in properties:
        return
    if section == "attenders":
        del properties["backbone"]
    else:
        properties["backbone"] = {"type": "string", "description": "One of `backbones`."}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the configuration's schema to a file.")
    parser.add_argument("file", type=Path)
    write_json(parser.parse_args().file, config_schema())
