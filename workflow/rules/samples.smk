"""Samples: list the dataset once, then make its tables shard by shard."""

import json


checkpoint index:
    input:
        texts=lambda wildcards: wf.place(wildcards.dataset).get("texts", []),
    output:
        manifest=INDEX,
    log:
        log_of(INDEX),
    benchmark:
        benchmark_of(INDEX)
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        recipe=recipe("datasets", "dataset"),
        version=version("samples", "INDEX"),
        place=place({"root": "--root", "texts": "--texts"}),
    conda:
        "../../envs/tables.yaml"
    shell:
        "anyword stage index --recipe {params.recipe:q} {params.place:q}"
        " --output {output.manifest} > {log} 2>&1"


def summary_of(dataset):
    """What the index says of a dataset: shards, samples, truth."""
    manifest = checkpoints.index.get(dataset=dataset).output.manifest
    with open(manifest) as file:
        return json.load(file)["summary"]


def shards_of(dataset):
    return [f"{number:05d}" for number in range(summary_of(dataset)["shards"])]


def listing_of(wildcards):
    """The shard's own listing: a dataset that grows at its end leaves the others as they are."""
    manifest = checkpoints.index.get(dataset=wildcards.dataset).output.manifest
    return str(Path(manifest).parent / wildcards.shard / "manifest.json")


rule samples:
    input:
        index=listing_of,
    output:
        manifest=SAMPLES,
    log:
        log_of(SAMPLES),
    benchmark:
        benchmark_of(SAMPLES)
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        recipe=lambda wildcards: wf.reader(wildcards.dataset),
        version=version("samples"),
        place=place({"root": "--root"}),
    conda:
        "../../envs/tables.yaml"
    shell:
        "anyword stage samples --index {input.index} --recipe {params.recipe:q} {params.place:q}"
        " --output {output.manifest} > {log} 2>&1"
