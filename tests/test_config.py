"""The configuration: what is wrong in it is said by key, and what is derived from it does not drift."""

import copy
import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from stages.artifacts import AnywordError
from stages.artifacts.atomic import canonical
from stages.config import Workflow, complete_config, read_config
from stages.schema import config_schema

ROOT = Path(__file__).parents[1]
CONFIG = read_config(ROOT / "config.yaml")


@pytest.fixture
def config():
    return copy.deepcopy(CONFIG)


def test_the_demo_differs_in_the_parser_only():
    workflow = Workflow(CONFIG)
    one, two = (workflow.experiment(name).model_dump() for name in workflow.config.targets)
    assert {key for key in one if one[key] != two[key]} == {"parser"}


WRONG = {
    "a key of a recipe": (lambda c: c["inverters"]["embedded"].update(stepz=3), "inverters.embedded.stepz"),
    "a value of a recipe": (lambda c: c["inverters"]["embedded"].update(steps="many"), "steps: .*'many'"),
    "a kind": (lambda c: c["parsers"]["spacy"].update(kind="spicy"), "parsers.spacy.kind is 'spicy'.*truth"),
    "no kind": (lambda c: c["parsers"]["spacy"].pop("kind"), "parsers.spacy.kind"),
    "a name": (lambda c: c["experiments"]["spacy"].update(parser="gpt"), "experiments.spacy.parser is 'gpt'"),
    "a backbone": (lambda c: c["inverters"]["embedded"].update(backbone="x"), "inverters.embedded.backbone is 'x'"),
    "a target": (lambda c: c.update(targets=["nothing"]), "'nothing'"),
    "a section": (lambda c: c.update(parser={}), "parser is no key"),
    "a name that climbs": (lambda c: c["datasets"].update({"../x": {"kind": "world"}}), "pattern"),
    "a name for the shell": (lambda c: c["parsers"].update({"a;b": {"kind": "truth"}}), "pattern"),
    "an unused recipe": (lambda c: c["attenders"].update(x={"kind": "direct", "steps": 0}), "attenders.x.steps"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line_with_its_key(config, case):
    break_it, said = WRONG[case]
    break_it(config)
    with pytest.raises(AnywordError, match=said) as caught:
        Workflow(config)
    assert "\n" not in str(caught.value)


def test_an_attender_takes_the_backbone_of_the_inverter_it_reads(config):
    config["backbones"]["other"] = {"kind": "embedded", "resolution": 64}
    config["inverters"]["other"] = {"kind": "textual", "backbone": "other"}
    workflow = Workflow(config)
    for inverter in ("embedded", "other"):
        inverted = json.loads(workflow.recipe("inverters", inverter))
        attended = json.loads(workflow.attend_recipe(inverter, "direct"))
        assert attended["backbone"] == inverted["backbone"]
    assert inverted["backbone"]["resolution"] == 64


def test_a_recipe_is_the_same_however_it_is_written(config):
    whole = json.loads(Workflow(config).recipe("inverters", "embedded"))
    config["inverters"]["embedded"] = dict(reversed({**whole, "backbone": "embedded"}.items()))
    assert Workflow(config).recipe("inverters", "embedded") == canonical(whole)


def test_where_data_lies_is_no_part_of_a_recipe(config):
    config["datasets"]["photos"] = {"kind": "folder", "root": "here/photos", "texts": "here/texts.csv"}
    workflow = Workflow(config)
    assert "here" not in workflow.recipe("datasets", "photos")
    assert workflow.data_location("photos") == {"root": "here/photos", "texts": "here/texts.csv"}
    assert workflow.data_location("demo") == {}


def test_how_fast_a_server_is_asked_is_no_part_of_what_it_says(config):
    config["parsers"]["gpt"] = {"kind": "openai", "concurrency": 2}
    slow = Workflow(config)
    config["parsers"]["gpt"] = {"kind": "openai", "concurrency": 32}
    fast = Workflow(config)
    assert slow.recipe("parsers", "gpt") != fast.recipe("parsers", "gpt")
    assert slow.identity("parsers", "gpt") == fast.identity("parsers", "gpt")


def test_the_schema_for_editors_is_that_of_the_models():
    kept = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    assert kept == config_schema(), "run: python -m stages.schema workflow/schemas/config.schema.json"


def test_the_schema_takes_the_demo_and_part_of_it_and_refuses_a_typing_error(config):
    schema = config_schema()
    jsonschema.validate(config, schema)
    jsonschema.validate({"targets": ["spacy"]}, schema)
    config["prompters"]["binding"]["treshold"] = 0.5
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, schema)


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_configurations_of_studies_hold_together(path):
    jsonschema.validate(read_config(path), config_schema())
    config = complete_config(path)
    Workflow(config)
    assert set(config["targets"]) <= set(config["experiments"])


def test_every_top_key_of_the_demo_is_explained():
    lines = (ROOT / "config.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\w+:", line):
            assert "#" in line or lines[number - 1].startswith("#"), line


def test_environments_are_pyprojects_in_parts():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = set()
    for path in sorted((ROOT / "envs").glob("*.yaml")):
        python, _, pip = yaml.safe_load(path.read_text())["dependencies"]
        assert python == f"python{project['requires-python']}"
        assert set(pip["pip"]) <= set(project["dependencies"]), path
        listed |= set(pip["pip"])
    left = {re.split(r"[<>=]", one)[0] for one in set(project["dependencies"]) - listed}
    assert left == {"snakemake"}, "in pyproject.toml, but in no environment of a stage"
