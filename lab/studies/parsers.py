"""Parsers compared by the masks that come of their phrases, on scenes of the embedded world (the paper's Table 7), and
what noise in the text costs (G.2).

All experiments share samples, inversions and maps; only what follows the parser is made anew. Under noise the words
are others, so their inversions are, too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.studies.comparison import Figure, Row, Table
from lab.studies.options import scenes as run_of_scenes
from stages.artifacts.language import Parse

SCRIPTED = "scripted"
UNDER_NOISE = ("truth", "spacy")
"""Parsers that are run under noise too."""
PRICES = {"price_in": 2.5, "price_out": 10.0}
"""Per million tokens, as GPT-4o is billed: what the scripted server's traffic would cost."""


def configuration(
    base: Mapping[str, Any],
    *,
    scenes: int,
    first: int,
    shard_size: int,
    parsers: Mapping[str, Mapping[str, Any]],
    like: str,
    noise: Sequence[str],
) -> dict[str, Any]:
    """What the study adds to the configuration: datasets, parsers, and an experiment for each pair of them.

    like: the experiment whose other recipes all of these use.
    """
    chosen = dict(base["experiments"][like])
    clean, recipe = run_of_scenes("test", first, scenes, shard_size)
    datasets: dict[str, Any] = {clean: recipe}
    for kind in noise:
        datasets[f"{clean}-{kind.replace('_', '-')}"] = {**datasets[clean], "kind": "noisy-world", "noise": kind}
    experiments = {
        f"{dataset}-{name}": {**chosen, "dataset": dataset, "parser": name}
        for dataset in datasets
        for name in parsers
        if dataset == clean or name in UNDER_NOISE
    }
    return {
        "datasets": datasets,
        "parsers": {name: dict(recipe) for name, recipe in parsers.items()},
        "experiments": experiments,
        "targets": list(experiments),
    }


def truths(scenes: int, first: int) -> dict[str, Parse]:
    """The captions of the scenes and what they say, for the scripted server."""
    from stages.world.sample import sample

    drawn = [sample("test", number) for number in range(first, first + scenes)]
    return {one.text: one.parse for one in drawn}


def seconds_of(recipe: Mapping[str, Any], texts: Sequence[str]) -> float:
    """How long a loaded parser takes for the texts; a server is asked anew, not the cache of its answers."""
    import time

    from stages.parse.parser import ParseRequest, load_parser

    requests = [ParseRequest(str(number), text) for number, text in enumerate(texts)]
    with _no_cache():
        parser = load_parser(recipe)
        if recipe["kind"] != "openai":
            parser.parse(requests[:1])  # the first text loads what loads late
        began = time.perf_counter()
        parser.parse(requests)
        return time.perf_counter() - began


@contextlib.contextmanager
def _no_cache() -> Iterator[None]:
    before = os.environ.get("ANYWORD_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ANYWORD_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("ANYWORD_CACHE")
            if before is not None:
                os.environ["ANYWORD_CACHE"] = before


def miou(score: Mapping[str, Any], kind: str = "phrases") -> Figure:
    """The mIoU by span of phrases or predicates, with its interval; nothing where there were none."""
    found: Figure = score[kind]["miou"] if score[kind]["count"] else None
    return found


def table(found: Mapping[str, Mapping[str, Figure]], missing: Mapping[str, str]) -> Table:
    """A row a parser, those that were not run after those that were."""
    rows = [Row([name, "answers from the truth" if name == SCRIPTED else ""], one) for name, one in found.items()]
    rows += [Row([name, ""], {}, reason) for name, reason in missing.items()]
    return Table(("parser", "remark"), ("mIoU", "predicates' mIoU", "seconds", "cost"), rows)


def noise_table(found: Mapping[str, Mapping[str, Figure]]) -> Table:
    """mIoU by kind of noise, a column a parser."""
    parsers = tuple(dict.fromkeys(name for one in found.values() for name in one))
    return Table(("text",), parsers, [Row([kind.replace("_", " ")], one) for kind, one in found.items()])
