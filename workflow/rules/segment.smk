"""Segment: points become masks (or maps and phrases do, for a segmenter that asks for them)."""


rule segment:
    input:
        unpack(segment_reads),
        samples=SAMPLES,
    output:
        manifest=MASKS,
    log:
        log_for(MASKS),
    benchmark:
        benchmark_for(MASKS)
    conda:
        "../../envs/segment.yaml"
    threads: 2
    resources:
        mem_mb=memory(16000),
        runtime=minutes("segment"),
    params:
        recipe=chosen_recipe("segmenter", "segmenters"),
        version=version("segment"),
        weights=chosen_weights("segmenter", "segmenters"),
        reads=lambda wildcards, input: [
            part
            for name in wf.segment_reads(wildcards.experiment)
            for part in (f"--{name}", input[name])
        ],
        images=place({"root": "--images"}),
        execution=execution("segment"),
    shell:
        "logged {log} anyword stage segment --samples {input.samples} {params.reads} {params.images:q}"
        " --recipe {params.recipe:q} {params.execution} --output {output.manifest}"
