"""Samples: list the dataset once, then make its tables shard by shard."""


checkpoint index:
    input:
        texts=lambda wildcards: wf.place(wildcards.dataset).get("texts", []),
    output:
        manifest=INDEX,
    log:
        log_of(INDEX),
    benchmark:
        benchmark_of(INDEX)
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
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
        log_of(SAMPLES),
    benchmark:
        benchmark_of(SAMPLES)
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        recipe=lambda wildcards: wf.reader(wildcards.dataset),
        version=version("samples"),
        place=place({"root": "--root"}),
    shell:
        "logged {log} anyword stage samples --index {input.index} --recipe {params.recipe:q} {params.place:q}"
        " --output {output.manifest}"
