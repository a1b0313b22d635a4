"""Parse: which phrases a text has. Never sees an image, and nothing that learns sees a parse."""


rule parse:
    input:
        samples=SAMPLES,
    output:
        manifest=PHRASES,
    log:
        log_for(PHRASES),
    benchmark:
        benchmark_for(PHRASES)
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes("parse"),
    params:
        identity=lambda wildcards: wf.identity("parsers", wildcards.parser),
        recipe=recipe_as_run("parsers", "parser"),
        version=version("parse"),
        weights=weights("parsers", "parser"),
    shell:
        "logged {log} anyword stage parse --samples {input.samples} --recipe {params.recipe:q}"
        " --output {output.manifest}"
