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
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        identity=lambda wildcards: wf.identity("parsers", wildcards.parser),
        recipe=recipe_as_run("parsers", "parser"),
        version=version("parse"),
        weights=weights("parsers", "parser"),
    shell:
        "logged {log} anyword stage parse --samples {input.samples} --recipe {params.recipe:q}"
        " --output {output.manifest}"
