"""What runs when: a new parser touches nothing that learns, and what changes nothing runs nothing.

The property that the pipeline exists for: parse and invert never see each other.
"""

import copy

import pytest
from tiny_workflow import manifest, planned, snakemake, tiny_config

AFTER_A_PARSER = {"prompt", "segment", "score", "report"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of the experiment `one`, and its configuration."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config(folder)
    snakemake(folder, config)
    return folder, config


@pytest.fixture
def config(finished):
    return copy.deepcopy(finished[1])


def test_a_finished_run_plans_nothing(finished, config):
    assert planned(finished[0], config) == {}


def test_another_parser_reruns_no_inversion(finished, config):
    config["targets"] = ["two"]
    assert planned(finished[0], config) == dict.fromkeys({"parse"} | AFTER_A_PARSER, 1)


def test_an_experiment_whose_parser_changes_reruns_no_inversion(finished, config):
    config["experiments"]["one"]["parser"] = "words"
    assert set(planned(finished[0], config)) == {"parse"} | AFTER_A_PARSER


def test_another_threshold_reruns_what_follows_prompt(finished, config):
    config["prompters"] = {"binding": {"kind": "points", "threshold": 0.5}}
    assert set(planned(finished[0], config)) == AFTER_A_PARSER


def test_more_steps_rerun_inversion_and_what_follows_but_no_parse(finished, config):
    config["inverters"]["tiny"]["steps"] = 3
    assert set(planned(finished[0], config)) == {"invert", "attend"} | AFTER_A_PARSER


def test_another_backbone_reruns_inversion_and_attention(finished, config):
    config["backbones"]["tiny"]["resolution"] = 64
    assert set(planned(finished[0], config)) == {"invert", "attend"} | AFTER_A_PARSER


def test_how_work_is_carried_out_reruns_nothing(finished, config):
    config["execution"] = {"device": "cpu", "batch_size": {"invert": 1, "attend": 1, "segment": 1}}
    assert planned(finished[0], config) == {}


def test_a_touched_file_reruns_nothing(finished, config):
    folder = finished[0]
    for path in (folder / "results" / "tiny").rglob("manifest.json"):
        path.touch()
    assert planned(folder, config) == {}


def test_the_run_left_what_it_promises(finished):
    folder, _ = finished
    scored = manifest(folder, "tiny", "experiments", "one", "score")
    assert [sample["id"] for sample in scored["samples"]] == ["val-000000", "val-000001"]
    assert (folder / "results" / "tiny" / "experiments" / "one" / "report" / "index.html").stat().st_size > 0
    for path in (folder / "results" / "tiny").rglob("manifest.json"):
        if "invert" not in path.parts and "attend" not in path.parts:  # their recipes name the model as the user did
            assert str(folder) not in path.read_text()


@pytest.mark.parametrize(
    ("model", "reruns"),
    [("sam", {"segment", "score", "report"}), ("backbone", {"invert", "attend"} | AFTER_A_PARSER)],
)
def test_weights_replaced_at_the_same_path_rerun_what_they_made(finished, config, model, reruns):
    folder = finished[0]
    weights = max((folder / model).rglob("*.safetensors"), key=lambda path: path.stat().st_size)
    trained = weights.read_bytes()
    weights.write_bytes(trained[:-4] + bytes(4))
    assert set(planned(folder, config)) == reruns
    weights.write_bytes(trained)  # the same again, with another date
    assert planned(folder, config) == {}
