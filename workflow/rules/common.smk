"""What the rules share: the validated configuration, names, paths, and where a job finds this checkout's code."""

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
# Jobs run the code of this checkout, also in a conda environment that holds only what it imports.
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join(
    [str(ROOT / "workflow" / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
)

from stages.artifacts.errors import AnywordError
from stages.config import NAME, Workflow, stage_of

try:
    wf = Workflow(config)
except AnywordError as error:
    raise WorkflowError(str(error))


wildcard_constraints:
    dataset=NAME,
    parser=NAME,
    inverter=NAME,
    attender=NAME,
    experiment=NAME,
    shard=r"[0-9]{5,}",


# A folder a shard; its manifest, written last, stands for it.
INDEX = "results/{dataset}/samples/index/manifest.json"
SAMPLES = "results/{dataset}/samples/{shard}/manifest.json"
PHRASES = "results/{dataset}/parse/{parser}/{shard}/manifest.json"
EMBEDDINGS = "results/{dataset}/invert/{inverter}/{shard}/manifest.json"
MAPS = "results/{dataset}/attend/{inverter}/{attender}/{shard}/manifest.json"
POINTS = "results/{dataset}/experiments/{experiment}/prompt/{shard}/manifest.json"
MASKS = "results/{dataset}/experiments/{experiment}/segment/{shard}/manifest.json"
SCORE = "results/{dataset}/experiments/{experiment}/score/manifest.json"
REPORT = "results/{dataset}/experiments/{experiment}/report/manifest.json"


def log_of(manifest):
    """`logs/` beside `results/`, a file a job."""
    return manifest.replace("results/", "logs/", 1).replace("/manifest.json", ".log")


def benchmark_of(manifest):
    """Seconds and memory of a job, kept beside `results/` because they differ from run to run."""
    return manifest.replace("results/", "benchmarks/runs/", 1).replace("/manifest.json", ".tsv")


def recipe(section, key):
    """Params function: the recipe that the wildcard `key` names in `section`, as canonical JSON."""
    return lambda wildcards: wf.recipe(section, wildcards[key])


def chosen_recipe(key, section):
    """Params function: the recipe that the experiment chooses for `key`."""
    return lambda wildcards: wf.recipe(section, getattr(wf.experiment(wildcards.experiment), key))


def version(room, name="STAGE"):
    """The version of a stage: Snakemake sees no edits in imported modules, so this says that results changed."""
    return stage_of(room, name).version


def place(flags):
    """Params function: where the dataset lies on this machine, as options. It takes `output` so that Snakemake
    leaves it out of what decides a rerun: data that moved to another disk is the same data."""

    def options(wildcards, output):
        found = wf.place(wildcards.dataset)
        return [part for key, flag in flags.items() if key in found for part in (flag, found[key])]

    return options


def execution(stage):
    """Params function: device and batch size as options, left out of what decides a rerun like `place`."""

    def options(wildcards, output):
        chosen = wf.config.execution
        size = chosen.batch_size.get(stage)
        return ["--device", chosen.device, *(["--batch-size", str(size)] if size else [])]

    return options


def mapped(pattern):
    """Input function: the experiment's own choice of recipes filled into a path."""

    def path(wildcards):
        choice = wf.experiment(wildcards.experiment)
        return pattern.format(
            **{
                "dataset": choice.dataset,
                "parser": choice.parser,
                "inverter": choice.inverter,
                "attender": choice.attender,
                "experiment": wildcards.experiment,
                "shard": wildcards.get("shard", "{shard}"),
            }
        )

    return path


def every_shard(pattern):
    """Input function: `pattern` for all shards of the dataset, known once its index is there."""
    return lambda wildcards: expand(mapped(pattern)(wildcards), shard=shards_of(wildcards.dataset))


def report_of(experiment):
    return REPORT.format(dataset=wf.experiment(experiment).dataset, experiment=experiment)


def scores_of(experiments):
    """Input function: the scores of those experiments whose dataset has truth."""

    def paths(wildcards):
        chosen = [(name, wf.experiment(name).dataset) for name in experiments]
        return [SCORE.format(dataset=data, experiment=name) for name, data in chosen if summary_of(data)["truth"]]

    return paths
