"""Adapt: fit the text encoder to a dataset's training pairs, once, for inverters that name the adapter."""


rule adapt:
    input:
        samples=lambda wildcards: expand(
            SAMPLES, dataset=wildcards.dataset, shard=shards_of(wildcards.dataset)
        ),
    output:
        manifest=ADAPTER,
    log:
        log_for(ADAPTER),
    benchmark:
        benchmark_for(ADAPTER)
    conda:
        "../../envs/diffusion.yaml"
    threads: 2
    resources:
        mem_mb=memory(16000),
        runtime=fixed_minutes(240),
    params:
        recipe=recipe("adapters", "adapter"),
        version=version("adapt"),
        weights=weights("adapters", "adapter"),
        # Of a single shard, input.samples is no list but its path.
        samples=lambda wildcards, input: [f"--samples={path}" for path in input],
        images=place({"root": "--images"}),
        execution=execution("adapt"),
    shell:
        "logged {log} anyword stage adapt {params.samples:q} {params.images:q} --recipe {params.recipe:q}"
        " {params.execution} --output {output.manifest}"
