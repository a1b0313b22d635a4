"""Attend: one averaged attention map a word, with the fitted embeddings and the inverter's own backbone."""


rule attend:
    input:
        samples=SAMPLES,
        adapter=adapter_of,
        embeddings=EMBEDDINGS,
    output:
        manifest=MAPS,
    log:
        log_for(MAPS),
    benchmark:
        benchmark_for(MAPS)
    conda:
        "../../envs/diffusion.yaml"
    threads: 2
    resources:
        mem_mb=memory(16000),
        runtime=minutes("attend"),
    params:
        recipe=lambda wildcards: wf.attend_recipe(
            wildcards.inverter, wildcards.attender
        ),
        version=version("attend"),
        weights=weights("inverters", "inverter"),  # the same backbone
        images=place({"root": "--images"}),
        adapter=adapter_option,
        execution=execution("attend"),
    shell:
        "logged {log} anyword stage attend --samples {input.samples} {params.images:q} {params.adapter:q} --embeddings {input.embeddings}"
        " --recipe {params.recipe:q} {params.execution} --output {output.manifest}"
