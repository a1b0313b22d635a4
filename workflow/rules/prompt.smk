"""Prompt: maps and phrases meet here for the first time and become points."""


rule prompt:
    input:
        samples=SAMPLES,
        phrases=mapped(PHRASES),
        maps=mapped(MAPS),
    output:
        manifest=POINTS,
    log:
        log_for(POINTS),
    benchmark:
        benchmark_for(POINTS)
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes("prompt"),
    params:
        recipe=chosen_recipe("prompter", "prompters"),
        version=version("prompt"),
    shell:
        "logged {log} anyword stage prompt --samples {input.samples} --phrases {input.phrases} --maps {input.maps}"
        " --recipe {params.recipe:q} --output {output.manifest}"
