"""Report: one offline page an experiment, from image to mask with every step between."""

PLOTS = log_of(Path(REPORT), "")
PLOTTED = ("scores", "speed", "failures")


def shown(path, what, **options):
    """An output that `snakemake --report` embeds."""
    labels = {"dataset": "{dataset}", "experiment": "{experiment}", "shows": what}
    return report(path, category="Experiments", labels=labels, **options)


def page_in_zip():
    """For `--report FILE.zip` the page too, a folder, which a report in one .html cannot hold. No job makes it under
    this name: a folder that is an output is removed before its job runs."""
    asked = any(one.startswith("--report") for one in sys.argv)
    zipped = any(one.endswith(".zip") for one in sys.argv)
    if not asked or not zipped or "--report-after-run" in sys.argv:
        return {}
    folder = directory(str(Path(REPORT).parent))
    return {"page": shown(folder, "page", htmlindex="index.html")}


rule report:
    input:
        samples=every_shard(SAMPLES),
        phrases=every_shard(PHRASES),
        maps=maps_if_any,
        points=points_if_any,
        masks=every_shard(MASKS),
        score=score_if_any,
    output:
        **page_in_zip(),
        manifest=REPORT,
        plots=[shown(f"{PLOTS}/{name}.svg", name) for name in PLOTTED],
    log:
        log_for(REPORT),
    benchmark:
        benchmark_for(REPORT)
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=fixed_minutes(60),
    params:
        recipe=chosen_recipe("reporter", "reporters"),
        version=version("report"),
        shards=lambda wildcards: len(shards_of(wildcards.dataset)),
        images=place({"root": "--images"}),
    shell:
        "logged {log} anyword stage report --root "
        + ROOT
        + " --experiment {wildcards.experiment}"
        " --shards {params.shards} {params.images:q} --recipe {params.recipe:q}"
        " --plots "
        + str(PLOTS).replace("{", "{wildcards.")
        + " --output {output.manifest}"
