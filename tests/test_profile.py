"""The SLURM profile's plan, by a dry run: nothing is submitted twice, in a run that begins and in one that goes on."""

import re
from collections import Counter

import pytest
import yaml
from tiny_workflow import ROOT, snakemake, tiny_config

from stages.artifacts.results import Results
from stages.samples.command import index

SHARDS = 20


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp("models"), count=SHARDS, shard_size=1)


def planned(folder, config):
    """Every submission by its group or rule, and how often each result is among them."""
    profile = yaml.safe_load((ROOT / "workflow" / "profiles" / "slurm" / "config.yaml").read_text())
    options = [f"{rule}={group}" for rule, group in profile["groups"].items()]
    components = [f"{group}={count}" for group, count in profile.get("group-components", {}).items()]
    more = ["--group-components", *components] if components else []
    told = snakemake(folder, config, "--dry-run", "--groups", *options, *more).stdout
    submitted = re.findall(r"^(?:\[.*\] Group job (\w+) |(?:rule|checkpoint) (\w+):)", told, flags=re.MULTILINE)
    results = Counter(re.findall(r"^ +output: (\S+)", told, flags=re.MULTILINE))
    return Counter(group or rule for group, rule in submitted), results


def test_a_run_that_goes_on_submits_every_result_once(config, tmp_path):
    """With its listing there, Snakemake looks at its plan twice before it submits."""
    recipe = {"kind": "world", "split": "val", "first": 0, "count": SHARDS, "shard_size": 1}
    index(recipe=recipe, output=Results(tmp_path / "results" / "tiny").index)
    submitted, results = planned(tmp_path, config)
    assert submitted - Counter(all=1) == {"read": SHARDS, "shard": SHARDS, "score": 1, "report": 1}
    assert len(results) == 6 * SHARDS + 2
    assert set(results.values()) == {1}
