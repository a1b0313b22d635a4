"""Weights replaced under the same path: status, verify and explain say which results they leave stale, and the next run
makes just those again."""

import json
import logging

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_shard import prepare, run
from typer.testing import CliRunner

from stages.artifacts.results import WEIGHTS, Results
from stages.artifacts.status import status
from stages.cli import app
from stages.config import Workflow, complete_config, merged
from stages.current import CONFIG, Models, keep_config
from stages.explain import explain

ROWS = [("a", "a red circle on grass"), ("b", "a blue star")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("base"))


@pytest.fixture
def workflow(base):
    config = json.loads((base / "config.json").read_text())
    return Workflow(merged(complete_config(), config))


@pytest.fixture
def results(base, workflow, tmp_path):
    root = tmp_path / "results"
    run(base, root / "tiny", ROWS)
    keep_config(workflow, root)
    return root


def replace(path):
    """Another training's weights, in a file of the same size."""
    weights = {name: tensor.clone() for name, tensor in load_file(path).items()}
    first = next(iter(weights.values()))
    first += torch.ones_like(first)
    save_file(weights, path)


def stale(root):
    return {one.stage for one in status(root, replaced=Models(root).replaced) if one.stale}


def verify(root, *options):
    said = CliRunner().invoke(app, ["verify", str(root), *options])
    logging.getLogger("anyword").propagate = True
    return said


@pytest.mark.parametrize(
    ("model", "role", "stages"),
    [("sam/model", "sam", {"segment"}), ("backbone/unet/diffusion_pytorch_model", "backbone", {"invert", "attend"})],
)
def test_what_was_made_with_them_is_stale_everywhere_and_is_made_again(
    base, workflow, results, caplog, model, role, stages
):
    assert stale(results) == set()
    assert verify(results).exit_code == 0
    assert list(explain(workflow, "one", Results(results / "tiny"))) == []
    replace(base / f"{model}.safetensors")
    assert stale(results) == stages
    said = verify(results)
    assert said.exit_code == 1
    assert said.output.count(f"was made with other weights of its {role}.") == len(stages)
    again = {(one.stage, one.reason) for one in explain(workflow, "one", Results(results / "tiny"))}
    assert (min(stages, key=["invert", "attend", "segment"].index), f"other weights of its {role} now") in again
    assert verify(results, "--repair").exit_code == 0
    with caplog.at_level("INFO", logger="anyword"):
        run(base, results / "tiny", ROWS)
    kept = {line.partition(":")[0] for line in caplog.messages if line.endswith(": unchanged, kept")}
    assert not kept & stages
    assert {"parse"} <= kept
    assert stale(results) == set()
    assert verify(results).exit_code == 0


def test_a_content_is_hashed_once_and_what_is_not_here_says_nothing(base, workflow, results, monkeypatch):
    from stages.models import file_hashes

    assert stale(results) == set()
    assert (results / WEIGHTS).is_file()
    monkeypatch.setattr(file_hashes, "sha256_file", lambda path: pytest.fail(f"{path} was read again"))
    assert stale(results) == set()
    (base / "sam").rename(base / "elsewhere")
    assert stale(results) == set()
    (base / "elsewhere").rename(base / "sam")
    (results / CONFIG).write_text("{}")
    assert Models(results).replaced("tiny", "segment", "one", {"sam": "0"}) == []
