"""Segment every word of a sentence in an image, over whole datasets.

snakemake -c2                              the embedded demo of config.yaml
snakemake -c2 --configfile mine.yaml       your own data: mine.yaml adds to config.yaml
snakemake --profile workflow/profiles/slurm --configfile mine.yaml
"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")


# Every key is described in the file itself; a file given with --configfile is laid over it.
configfile: str(Path(workflow.basedir) / "config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/parse.smk"
include: "workflow/rules/adapt.smk"
include: "workflow/rules/invert.smk"
include: "workflow/rules/attend.smk"
include: "workflow/rules/prompt.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/report.smk"


localrules:
    all,


onstart:
    cluster.know(workflow.executor_settings)
    keep_config(wf, RESULTS)


rule all:
    default_target: True
    input:
        reports=[report_of(name) for name in wf.config.targets],
        scores=scores_of(wf.config.targets),


onsuccess:
    if all_failed := tell_outcome():
        raise WorkflowError(all_failed)


onerror:
    tell_outcome()
