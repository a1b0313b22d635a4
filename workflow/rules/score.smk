"""Score: an experiment's masks against the dataset's truth, over all shards."""


rule score:
    input:
        samples=every_shard(SAMPLES),
        masks=every_shard(MASKS),
    output:
        manifest=SCORE,
    log:
        log_of(SCORE),
    benchmark:
        benchmark_of(SCORE)
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        recipe=chosen_recipe("scorer", "scorers"),
        version=version("score"),
        shards=lambda wildcards: len(shards_of(wildcards.dataset)),
    conda:
        "../../envs/tables.yaml"
    shell:
        "anyword stage score --root results/{wildcards.dataset} --experiment {wildcards.experiment}"
        " --shards {params.shards} --recipe {params.recipe:q} --output {output.manifest} > {log} 2>&1"
