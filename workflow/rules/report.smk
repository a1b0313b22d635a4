"""Report: one offline page an experiment, from image to mask with every step between."""


rule report:
    input:
        samples=every_shard(SAMPLES),
        phrases=every_shard(PHRASES),
        maps=maps_if_any,
        points=points_if_any,
        masks=every_shard(MASKS),
        score=score_if_any,
    output:
        manifest=REPORT,
    log:
        log_for(REPORT),
    benchmark:
        benchmark_for(REPORT)
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=fixed_minutes(60),
    params:
        recipe=chosen_recipe("reporter", "reporters"),
        version=version("report"),
        shards=lambda wildcards: len(shards_of(wildcards.dataset)),
        images=place({"root": "--images"}),
    shell:
        "logged {log} anyword stage report --root "
        + ROOT
        + " --experiment {wildcards.experiment}"
        " --shards {params.shards} {params.images:q} --recipe {params.recipe:q}"
        " --output {output.manifest}"
