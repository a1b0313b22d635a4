"""Score: an experiment's masks and maps against the dataset's truth, over all shards."""


rule score:
    input:
        samples=every_shard(SAMPLES),
        phrases=every_shard(PHRASES),
        maps=maps_if_any,
        masks=every_shard(MASKS),
    output:
        manifest=SCORE,
    log:
        log_for(SCORE),
    benchmark:
        benchmark_for(SCORE)
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=fixed_minutes(60),
    params:
        recipe=chosen_recipe("scorer", "scorers"),
        version=version("score"),
        weights=chosen_weights("scorer", "scorers"),
        shards=lambda wildcards: len(shards_of(wildcards.dataset)),
        choice=choice_scored,
    shell:
        "logged {log} anyword stage score --root "
        + ROOT
        + " --experiment {wildcards.experiment}"
        " {params.choice} --shards {params.shards} --recipe {params.recipe:q}"
        " --output {output.manifest}"
