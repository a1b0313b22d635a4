"""Parsers compared by the masks that come of their phrases, on scenes of the embedded world (the paper's Table 7), and
what noise in the text costs (G.2).

All experiments share samples, inversions and maps; only what follows the parser is made anew. Under noise the words
are others, so their inversions are, too.
"""

from __future__ import annotations

import contextlib
import json as encoding
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import typer

from lab.studies.options import STUDIES, Config, Cores, Json, Samples, ShardSize
from lab.studies.options import scenes as run_of_scenes
from lab.studies.scores import score_of
from lab.studies.table import Figure, Row, Table, keep, save
from lab.studies.workflow import made_by, run_experiments
from stages.artifacts.errors import AnywordError
from stages.artifacts.language import Parse
from stages.artifacts.results import RESULTS, Results
from stages.artifacts.shard_reader import ShardReader

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


def captions_of(scenes: int, first: int) -> dict[str, Parse]:
    """The captions of the scenes and what they say, for the scripted server."""
    from stages.world.sample import sample

    drawn = [sample("test", number) for number in range(first, first + scenes)]
    return {one.text: one.parse for one in drawn}


def seconds_of(recipe: Mapping[str, Any], texts: Sequence[str]) -> float:
    """How long a loaded parser takes for the texts; a server is asked anew, not the cache of its answers."""
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


# ---- A stand-in for a language model's server


def answer_of(text: str, parse: Parse) -> dict[str, Any]:
    """What a model that knows the truth would say."""
    return {
        "objects": [
            {"noun": one.root.of(text), "attributes": [a.of(text) for a in one.adjectives]} for one in parse.phrases
        ],
        "actions": [
            {"verb": one.span.of(text), "subject": one.subject, "object": one.object} for one in parse.predicates
        ],
        "referred": parse.referred,
    }


@contextlib.contextmanager
def server(truth: Mapping[str, Parse], port: int, wrong: float = 0.1) -> Iterator[str]:
    """A scripted stand-in for a language-model server, on loopback; its URL while it runs.

    It looks the answer up in the captions' truth, and shows the whole way of the `openai` parser (requests, tokens,
    cost, resolution of words), not what a model knows; the study labels its row so. `wrong` of its answers lack an
    attribute and name a thing that is not there. AnywordError where the port is taken.
    """
    texts = sorted(truth)
    bad = {text for number, text in enumerate(texts) if wrong and number % round(1 / wrong) == 0}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            caption = encoding.loads(asked)["messages"][-1]["content"]
            text = encoding.loads(caption.removeprefix("<caption>").removesuffix("</caption>"))
            said = answer_of(text, truth.get(text, Parse()))
            if text in bad:
                said["objects"].append({"noun": "unicorn", "attributes": []})
                said["objects"][0]["attributes"] = said["objects"][0]["attributes"][1:]
            content = encoding.dumps(said)
            reply = {
                "id": "scripted",
                "object": "chat.completion",
                "created": 0,
                "model": "scripted",
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
                ],
                # About four characters a token, as such servers bill.
                "usage": {
                    "prompt_tokens": len(asked) // 4,
                    "completion_tokens": len(content) // 4,
                    "total_tokens": (len(asked) + len(content)) // 4,
                },
            }
            data = encoding.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: its requests are the client's to report."""

    try:
        running = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise AnywordError(
            f"port {port} on 127.0.0.1: {error.strerror}.", remedy="Name a free one by --port."
        ) from None
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/v1"
    finally:
        running.shutdown()
        running.server_close()


def parsers(
    samples: Samples = 200,
    first: Annotated[int, typer.Option(help="Number of the first test scene.", min=0)] = 0,
    noise: Annotated[str, typer.Option(help="Kinds of noise, comma-separated: each is inverted anew. '' for none.")] = (
        "typos,broken_grammar,capitals"
    ),
    ask: Annotated[str, typer.Option(help="Language models to ask, by recipe, comma-separated: this costs.")] = "",
    like: Annotated[str, typer.Option(help="The experiment whose other recipes are used.")] = "truth",
    shard_size: ShardSize = 50,
    port: Annotated[int, typer.Option(help="Port of the scripted server on this machine.", min=0)] = 8763,
    json: Json = None,
    cores: Cores = 2,
    config: Config = None,
) -> None:
    """mIoU, seconds and cost by parser, IoU of predicates' masks, and mIoU under noise (the paper's Table 7, G.2)."""
    from stages.config import complete_config, stage_of
    from stages.parse.catalogue import recipes
    from stages.parse.parser import lacking

    base = complete_config(config)
    asked = {one.strip() for one in ask.split(",") if one.strip()}
    known = {name: recipe for name, recipe in recipes(config).items() if recipe["kind"] != "vocabulary"}
    missing = {name: reason for name, recipe in known.items() if (reason := lacking(recipe)) is not None}
    for name, recipe in known.items():
        if recipe["kind"] == "openai" and name not in asked:
            missing.setdefault(name, f"a language model, asked with --ask {name} only")
    chosen = {name: recipe for name, recipe in known.items() if name not in missing}
    kinds = [kind.strip() for kind in noise.split(",") if kind.strip()]
    truths = captions_of(samples, first)
    with server(truths, port) as url:
        chosen[SCRIPTED] = {"kind": "openai", "model": "scripted", "base_url": url, **PRICES}
        added = configuration(
            base, scenes=samples, first=first, shard_size=shard_size, parsers=chosen, like=like, noise=kinds
        )
        clean = next(iter(added["datasets"]))
        folder = STUDIES / f"parsers-{clean}"
        run_experiments(base, added, folder=folder, cores=cores)
        timed = {name: recipe for name, recipe in chosen.items() if recipe["kind"] != "truth" and name not in asked}
        seconds = {name: seconds_of(recipe, list(truths)) for name, recipe in timed.items()}
    found: dict[str, Any] = {"samples": samples, "not_run": missing, "noise": {}, "made": made_by(base)}
    found["parse_version"] = stage_of("parse").version
    rows: dict[str, dict[str, Figure]] = {}
    for name in chosen:
        score = score_of(RESULTS, clean, f"{clean}-{name}")
        made = Results(RESULTS / clean)
        parses = [ShardReader(made.phrases(name, shard), "parse") for shard in made.shards()]
        rows[name] = {
            "mIoU": miou(score),
            "predicates' mIoU": miou(score, "predicates"),
            "seconds": seconds.get(name),
            "cost": sum(one.manifest.summary.get("cost", 0.0) for one in parses),
        }
        found[name] = {
            "miou": score["phrases"]["miou"]["value"],
            "predicate_iou": score["predicates"]["miou"]["value"],
            "seconds": seconds.get(name),
            "cost": rows[name]["cost"],
            "scripted": name == SCRIPTED,
        }
    texts = {"clean": clean} | {one["noise"]: name for name, one in added["datasets"].items() if name != clean}
    noisy = {
        kind: {name: miou(score_of(RESULTS, one, f"{one}-{name}")) for name in UNDER_NOISE}
        for kind, one in texts.items()
    }
    found["noise"] = {
        kind: {name: one["value"] if isinstance(one, dict) else one for name, one in by_parser.items()}
        for kind, by_parser in noisy.items()
        if kind != "clean"
    }
    keep(found, folder / "parsers.json", json)
    drawn = ["mIoU", "predicates' mIoU"]
    typer.echo(save(folder, "parsers", table(rows, missing), drawn=drawn, title=f"Parsers on {clean}"))
    if kinds:
        noises = noise_table(noisy)
        typer.echo("\n" + save(folder, "noise", noises, drawn=noises.columns, title=f"Noise in texts of {clean}"))
