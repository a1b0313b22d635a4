"""What the rules share: the validated configuration, names, paths, and where a job finds this checkout's code."""

import re
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from stages import cluster
from stages.artifacts.errors import AnywordError
from stages.artifacts.manifest import read_manifest
from stages.artifacts.summary import lifeless, summary
from stages.artifacts.results import (
    RESULTS,
    SHARD,
    WEIGHTS,
    Results,
    log_of,
    shard_name,
)
from stages.config import NAME, Workflow, stage_of
from stages.current import keep_config
from stages.environment import jobs_run_code_of
from stages.missing import absent, embedded_elsewhere
from stages.plan import needs
from stages.weights import Weights

jobs_run_code_of(Path(workflow.basedir))

try:
    wf = Workflow(config)
except AnywordError as error:
    raise WorkflowError(str(error))


def tell_missing():
    """What the unfinished targets need that is not here, and models that their images are not for. Said and no more: a
    cluster's nodes may have it, and a test may mean it."""
    for name in wf.config.targets:
        page = Results(RESULTS / wf.experiment(name).dataset).report(name)
        if page.is_file():
            continue
        for one in absent(wf, name):
            print(f"experiment {name}: not on this machine: {one}", file=sys.stderr)
        if said := embedded_elsewhere(wf, name):
            print(f"experiment {name}: {said}", file=sys.stderr)


if workflow.is_main_process:
    tell_missing()


def one_of(names):
    """Wildcard constraint: any of these names and nothing else; where there is none, nothing at all."""
    found = [re.escape(name) for name in names]
    return f"(?:{'|'.join(found)})" if found else r"(?!)"


wildcard_constraints:
    dataset=NAME,
    parser=NAME,
    adapter=NAME,
    inverter=NAME,
    attender=NAME,
    experiment=NAME,
    shard=SHARD,


# A folder a shard; its manifest, written last, stands for it.
OF_DATASET = Results(RESULTS / "{dataset}")
INDEX = str(OF_DATASET.index)
SAMPLES = str(OF_DATASET.samples("{shard}"))
PHRASES = str(OF_DATASET.phrases("{parser}", "{shard}"))
ADAPTER = str(OF_DATASET.adapter("{adapter}"))
EMBEDDINGS = str(OF_DATASET.embeddings("{inverter}", "{shard}"))
MAPS = str(OF_DATASET.maps("{inverter}", "{attender}", "{shard}"))
POINTS = str(OF_DATASET.points("{experiment}", "{shard}"))
MASKS = str(OF_DATASET.masks("{experiment}", "{shard}"))
SCORE = str(OF_DATASET.score("{experiment}"))
REPORT = str(OF_DATASET.report("{experiment}"))
ROOT = str(RESULTS / "{wildcards.dataset}")


def log_for(manifest):
    """A rule's log."""
    return str(log_of(Path(manifest)))


def benchmark_for(manifest):
    """A rule's benchmark file."""
    return str(log_of(Path(manifest), ".tsv"))


def recipe(section, key):
    """Params function: the recipe that the wildcard `key` names in `section`, as canonical JSON."""
    return lambda wildcards: wf.recipe(section, wildcards[key])


def recipe_as_run(section, key):
    """The same with what decides speed only; it takes `output`, so that Snakemake leaves it out of what decides a
    rerun. A rule that uses it has the recipe's identity as another param."""
    return lambda wildcards, output: wf.recipe(section, wildcards[key])


def chosen_recipe(key, section):
    """Params function: the recipe that the experiment chooses for `key`."""
    return lambda wildcards: wf.recipe(
        section, getattr(wf.experiment(wildcards.experiment), key)
    )


def choice_of(*keys):
    """Params function: the experiment's choices for `keys`, as options."""

    def options(wildcards):
        chosen = wf.experiment(wildcards.experiment)
        return [part for key in keys for part in (f"--{key}", getattr(chosen, key))]

    return options


def choice_scored(wildcards):
    """Params function: the parser, and where there are maps, whose they are."""
    keys = ("parser", "inverter", "attender") if uses_maps(wildcards) else ("parser",)
    return choice_of(*keys)(wildcards)


def uses_maps(wildcards):
    """Whether the experiment's masks come of attention at all: of maps, or of points made from them."""
    return "maps" in needs(wf, wildcards.experiment)


def adapter_of(wildcards):
    """Input function: the adapter that the inverter names, if it names one."""
    found = wf.adapter_of(wildcards.inverter)
    return ADAPTER.format(adapter=found[0], dataset=found[1]) if found else []


def adapter_option(wildcards, input):
    """Params function: the same as an option."""
    return ["--adapter", input.adapter] if input.adapter else []


def version(room, name="STAGE"):
    """The version of a stage: Snakemake sees no edits in imported modules, so this says that results changed."""
    return stage_of(room, name).version


known_weights = Weights(RESULTS / WEIGHTS)


@cache
def weights_of(section, name):
    """What the local models of a recipe hold, in short: weights replaced under the same path run their jobs again."""
    return known_weights.fingerprint(wf.models[section][name])


def weights(section, key):
    """Params function: the same of the recipe that the wildcard `key` names in `section`."""
    return lambda wildcards: weights_of(section, wildcards[key])


def chosen_weights(key, section):
    """Params function: the same of the recipe that the experiment chooses for `key`."""
    return lambda wildcards: weights_of(
        section, getattr(wf.experiment(wildcards.experiment), key)
    )


def texts_of(wildcards):
    """Input function: the dataset's texts, where it has some. Snakemake has no way to write braces in a path that are
    no wildcard."""
    path = wf.data_location(wildcards.dataset).get("texts", [])
    if "{" in path:
        raise WorkflowError(
            f"configuration: datasets.{wildcards.dataset}.texts is '{path}': braces stand for wildcards in Snakemake. "
            "Rename the folder, or name it by a link without braces (`root` may have them)."
        )
    return path


def place(flags):
    """Params function: where the dataset lies on this machine, as options. It takes `output` so that Snakemake
    leaves it out of what decides a rerun: data that moved to another disk is the same data.
    """

    def options(wildcards, output):
        found = wf.data_location(wildcards.dataset)
        return [
            part
            for key, flag in flags.items()
            if key in found
            for part in (flag, found[key])
        ]

    return options


def execution(stage):
    """Params function: how the stage is carried out, as options, left out of what decides a rerun like `place`."""
    return lambda wildcards, output: wf.execution(stage)


def minutes(stage):
    """Resources function: minutes for one shard of a stage, growing with each attempt."""

    def asked(wildcards, attempt):
        inverter = wildcards.get("inverter", "")
        return cluster.minutes(wf, stage, wildcards.dataset, inverter, attempt)

    return asked


def fixed_minutes(first):
    """Resources function: the same, where the work has no shards."""
    return lambda wildcards, attempt: cluster.grown(
        first, attempt, wf.config.execution.limits.minutes
    )


def memory(first):
    """Resources function: MB for a job, growing with each attempt."""
    return lambda wildcards, attempt: cluster.grown(
        first, attempt, wf.config.execution.limits.memory_mb
    )


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

    def paths(wildcards):
        shards = shards_of(wildcards.dataset)
        # Asked for here too, though only `adapt` reads it: of a checkpoint that is done already, Snakemake tells the
        # jobs that asked from the start, not those that come into being while shards become known.
        found = wf.adapter_of(wf.experiment(wildcards.experiment).inverter)
        if found and uses_maps(wildcards):
            summary_of(found[1])
        return expand(mapped(pattern)(wildcards), shard=shards)

    return paths


def report_of(experiment):
    return REPORT.format(
        dataset=wf.experiment(experiment).dataset, experiment=experiment
    )


def tell_outcome():
    """How the samples of the targets fared; gives what to say where all of an experiment failed, which is a success to
    Snakemake, but not to anyone."""
    found = [
        summary(Results(RESULTS / wf.experiment(name).dataset), name)
        for name in wf.config.targets
    ]
    for one in found:
        print("\n".join(one.lines()), file=sys.stderr)
    return lifeless(found)


def scores_of(experiments):
    """Input function: the scores of those experiments whose dataset has truth."""

    def paths(wildcards):
        chosen = [(name, wf.experiment(name).dataset) for name in experiments]
        return [
            SCORE.format(dataset=data, experiment=name)
            for name, data in chosen
            if summary_of(data)["truth"]
        ]

    return paths


def summary_of(dataset):
    """What the index says of a dataset: shards, samples, truth."""
    manifest = checkpoints.index.get(dataset=dataset).output.manifest
    try:
        return read_manifest(Path(manifest), "index").summary
    except AnywordError as error:
        raise WorkflowError(str(error))


def shards_of(dataset):
    return [shard_name(number) for number in range(summary_of(dataset)["shards"])]


def listing_of(wildcards):
    """The shard's own listing: a dataset that grows at its end leaves the others as they are."""
    checkpoints.index.get(dataset=wildcards.dataset)
    return str(Results(RESULTS / wildcards.dataset).listing(wildcards.shard))


SEGMENT_READS = {"points": POINTS, "maps": MAPS, "phrases": PHRASES}


def segment_reads(wildcards):
    """What the experiment's segmenter reads beside the samples, by name."""
    names = wf.segment_reads(wildcards.experiment)
    return {name: mapped(SEGMENT_READS[name])(wildcards) for name in names}


def score_if_any(wildcards):
    """The experiment's score, where its dataset has truth to score against."""
    if not summary_of(wildcards.dataset)["truth"]:
        return []
    return SCORE.format(dataset=wildcards.dataset, experiment=wildcards.experiment)


def maps_if_any(wildcards):
    """The experiment's maps, where its masks come of them: a segmenter that reads words alone inverts nothing."""
    return every_shard(MAPS)(wildcards) if uses_maps(wildcards) else []


def points_if_any(wildcards):
    """The experiment's points, where its segmenter uses them."""
    if "points" not in needs(wf, wildcards.experiment):
        return []
    return every_shard(POINTS)(wildcards)
