"""Samples: list the dataset once, then make its tables shard by shard."""


checkpoint index:
    input:
        texts=texts_of,
    output:
        manifest=INDEX,
    log:
        log_for(INDEX),
    benchmark:
        benchmark_for(INDEX)
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=fixed_minutes(60),
    params:
        recipe=recipe("datasets", "dataset"),
        version=version("samples", "INDEX"),
        place=place({"root": "--root", "texts": "--texts"}),
    shell:
        "logged {log} anyword stage index --recipe {params.recipe:q} {params.place:q}"
        " --output {output.manifest}"


rule samples:
    input:
        index=listing_of,
    output:
        manifest=SAMPLES,
    log:
        log_for(SAMPLES),
    benchmark:
        benchmark_for(SAMPLES)
    wildcard_constraints:
        dataset=one_of(name for name in wf.config.datasets if not wf.chooses(name)),
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes("samples"),
    params:
        recipe=lambda wildcards: wf.reader(wildcards.dataset),
        version=version("samples"),
        place=place({"root": "--root"}),
    shell:
        "logged {log} anyword stage samples --index {input.index} --recipe {params.recipe:q} {params.place:q}"
        " --output {output.manifest}"


# The same with models that choose each image's candidate classes: another environment, and a GPU where there is one.
rule samples_by_models:
    input:
        index=listing_of,
    output:
        manifest=SAMPLES,
    log:
        log_for(SAMPLES),
    benchmark:
        benchmark_for(SAMPLES)
    wildcard_constraints:
        dataset=one_of(name for name in wf.config.datasets if wf.chooses(name)),
    conda:
        "../../envs/segment.yaml"
    threads: 2
    resources:
        mem_mb=memory(16000),
        runtime=minutes("samples"),
    params:
        recipe=lambda wildcards: wf.reader(wildcards.dataset),
        version=version("samples"),
        weights=weights("datasets", "dataset"),
        place=place({"root": "--root"}),
        execution=execution("samples"),
    shell:
        "logged {log} anyword stage samples --index {input.index} --recipe {params.recipe:q} {params.place:q}"
        " {params.execution} --output {output.manifest}"
