"""Report: one offline page an experiment, from image to mask with every step between."""


def score_if_any(wildcards):
    """The experiment's score, where its dataset has truth to score against."""
    if not summary_of(wildcards.dataset)["truth"]:
        return []
    return SCORE.format(dataset=wildcards.dataset, experiment=wildcards.experiment)


def points_if_any(wildcards):
    """The experiment's points, where its segmenter uses them."""
    if "points" not in wf.segment_reads(wildcards.experiment):
        return []
    return every_shard(POINTS)(wildcards)


rule report:
    input:
        samples=every_shard(SAMPLES),
        phrases=every_shard(PHRASES),
        maps=every_shard(MAPS),
        points=points_if_any,
        masks=every_shard(MASKS),
        score=score_if_any,
    output:
        manifest=REPORT,
    log:
        log_of(REPORT),
    benchmark:
        benchmark_of(REPORT)
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        recipe=chosen_recipe("reporter", "reporters"),
        version=version("report"),
        shards=lambda wildcards: len(shards_of(wildcards.dataset)),
        choice=lambda wildcards: [
            part
            for key in ("parser", "inverter", "attender")
            for part in (f"--{key}", getattr(wf.experiment(wildcards.experiment), key))
        ],
        images=place({"root": "--images"}),
    conda:
        "../../envs/tables.yaml"
    shell:
        "anyword stage report --root results/{wildcards.dataset} --experiment {wildcards.experiment}"
        " {params.choice} --shards {params.shards} {params.images:q} --recipe {params.recipe:q}"
        " --output {output.manifest} > {log} 2>&1"
