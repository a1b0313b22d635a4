"""Invert: fit the words' token embeddings to the image, by far the longest stage."""


rule invert:
    input:
        samples=SAMPLES,
        adapter=adapter_of,
    output:
        manifest=EMBEDDINGS,
    log:
        log_for(EMBEDDINGS),
    benchmark:
        benchmark_for(EMBEDDINGS)
    conda:
        "../../envs/diffusion.yaml"
    threads: 2
    resources:
        mem_mb=memory(16000),
        runtime=minutes("invert"),
    params:
        recipe=recipe("inverters", "inverter"),
        version=version("invert"),
        weights=weights("inverters", "inverter"),
        images=place({"root": "--images"}),
        adapter=adapter_option,
        execution=execution("invert"),
    shell:
        "logged {log} anyword stage invert --samples {input.samples} {params.images:q} {params.adapter:q} --recipe {params.recipe:q}"
        " {params.execution} --output {output.manifest}"
