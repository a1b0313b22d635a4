"""Parsers compared by the masks that come of their phrases, on scenes of the embedded world (the paper's Table 7), and
what noise in the text costs (G.2).

All experiments share samples, inversions and maps; only what follows the parser is made anew. Under noise the words
are others, so their inversions are, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.artifacts.language import Parse

SCRIPTED = "scripted"
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
    clean = f"parsers-{first}-{scenes}"
    datasets: dict[str, Any] = {
        clean: {"kind": "world", "split": "test", "first": first, "count": scenes, "shard_size": shard_size}
    }
    for kind in noise:
        datasets[f"{clean}-{kind.replace('_', '-')}"] = {**datasets[clean], "kind": "noisy-world", "noise": kind}
    experiments = {
        f"{dataset}-{name}": {**chosen, "dataset": dataset, "parser": name}
        for dataset in datasets
        for name in parsers
        if dataset == clean or name in ("truth", "spacy")
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
    """How long a loaded parser takes for the texts."""
    import time

    from stages.parse.parser import ParseRequest, load_parser

    parser = load_parser(recipe)
    requests = [ParseRequest(str(number), text) for number, text in enumerate(texts)]
    parser.parse(requests[:1])
    began = time.perf_counter()
    parser.parse(requests)
    return time.perf_counter() - began
