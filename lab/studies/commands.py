"""`anyword study`: one command a study, each at the end of the module that holds the study."""

from __future__ import annotations

import typer

from lab.studies import (
    ablation,
    batches,
    captions,
    inversion,
    invseg,
    ladder,
    no_target,
    parsers,
    parsing,
    picture,
    results,
    speed,
    suspicion,
    text_only,
    variance,
)

app = typer.Typer(
    no_args_is_help=True,
    help="""Compare experiments: each study writes a configuration, lets Snakemake run it, and tabulates.

    Results go below results/ of the current folder and are shared between studies; one that is started again goes
    on where it stopped.
    """,
)

app.command()(ladder.ladder)
app.command()(ladder.thresholds)
app.command()(ablation.ablation)
app.command()(captions.captions)
app.command()(speed.speed)
app.command()(parsers.parsers)
app.command()(parsing.parsing)
app.command()(parsing.treebank)
app.command()(inversion.inversion)
app.command()(invseg.invseg)
app.command()(batches.batches)
app.command()(results.tables)
app.command()(picture.picture)
app.command()(suspicion.suspicion)
app.command("no-target")(no_target.no_target)
app.command(
    epilog="Examples: anyword study variance --samples 200\n\n"
    "anyword study variance --dataset refs --paraphraser gpt4o --samples 500 --like photos --config mine.yaml"
)(variance.variance)
app.command(
    "text-only",
    epilog="Example: anyword study text-only --dataset grandf --like photos --config mine.yaml "
    "--grounding-dino models/grounding-dino-base",
)(text_only.text_only)
