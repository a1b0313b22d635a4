"""Samples of a shard to the token embeddings that their images taught."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from stages.artifacts import AnywordError, Failure, Outcome, Result, ShardReader, ShardWriter, unchanged
from stages.artifacts.embeddings import DRIFT, NAME, LearnedText, Space, named, pack, unpack, write_embeddings
from stages.artifacts.kept import MINUTES
from stages.artifacts.recipes import implementation, validated
from stages.artifacts.tables import write_table
from stages.invert.inverter import Learned, Module
from stages.invert.recipe import STAGE, InverterRecipe

if TYPE_CHECKING:
    from stages.models.tokens import Tokens


def run(
    *,
    samples: Path,
    recipe: Mapping[str, Any],
    output: Path,
    images: Path | None = None,
    adapter: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
    memory: float | None = None,
    checkpoint_minutes: float = MINUTES,
) -> None:
    """Write `embeddings.safetensors` for one shard (`stages.artifacts.embeddings` says what it holds), and
    `drift.parquet`, how far each word's went.

    samples: manifest of the shard's samples. images: folder of the images, by default the samples' own. adapter:
    manifest of the adapter that the recipe names. recipe: one of the models of `recipe.py` as a dict.
    """
    from stages.models import records
    from stages.models.adapter import merge
    from stages.models.devices import choose_device, with_dtype
    from stages.models.diffusion import load
    from stages.models.inputs import prepare
    from stages.models.limit import limit_memory

    settings = validated("invert", recipe, InverterRecipe)
    chosen = choose_device(device)
    settings = settings.model_copy(update={"backbone": with_dtype(settings.backbone, chosen)})
    if settings.adapter and adapter is None:
        raise AnywordError(
            f"invert: the recipe names adapter '{settings.adapter}', and none is given.",
            remedy="Give its manifest with --adapter.",
        )
    folder = ShardReader(samples, "samples")
    rows = {row["sample_id"]: row for row in folder.table("samples")}
    given = {"samples": folder, **({"adapter": ShardReader(adapter, "adapt")} if adapter else {})}
    identity = settings.model_dump(mode="json")
    if unchanged(STAGE, identity, output, inputs=given, models=lambda: records.backbone(settings.backbone, adapter)):
        return
    place = folder.images(images)
    inverter = cast(Module, implementation(settings))
    limit_memory(memory)
    model = merge(load(settings.backbone, chosen), adapter)
    writer = ShardWriter(STAGE, identity, output, inputs=given, models={"backbone": model.record})

    def process(batch: Sequence[int]) -> list[Result]:
        own = [rows[writer.ids[position]] for position in batch]
        inputs = prepare(model, own, place)
        results: dict[int, Result] = dict(inputs.failures)
        if inputs.owner:
            texts = [own[index]["text"] for index in inputs.owner]
            ids = [own[index]["sample_id"] for index in inputs.owner]
            kept = writer.kept(batch, minutes=checkpoint_minutes)
            learned = inverter.learn(model, inputs, texts, ids, settings, kept)
        for index, windows in inputs.rows_of().items():
            parts = [learned[row] for row in windows]
            tokens = inputs.tokens.select(windows)
            results[index] = _diverged(parts) or _outcome(own[index]["sample_id"], parts, tokens, settings.SPACE)
        return [results[index] for index in range(len(batch))]

    writer.run(process, batch_size=batch_size, earlier=_earlier)
    own = {position: outcome.tensors for position, outcome in writer.outcomes.items()}
    tensors = pack(own, len(writer.ids), settings.steps, model.widths(settings.SPACE))
    steps = {writer.ids[position]: len(one["loss"]) for position, one in own.items()}
    moved = [row for outcome in writer.outcomes.values() for row in outcome.rows]
    writer.publish(
        {
            NAME: lambda path: write_embeddings(path, tensors, space=settings.SPACE),
            DRIFT: lambda path: write_table(path, "drift", moved),
        },
        summary={
            "tokens": len(tensors["vectors"]),
            "steps_taken": sum(steps.values()),
            "steps_saved": sum(settings.steps - taken for taken in steps.values() if taken),
            "settled": {name: taken for name, taken in steps.items() if 0 < taken < settings.steps},
        },
    )


def _earlier(shard: ShardReader) -> Callable[[int], Outcome]:
    of = unpack(shard.file(NAME))
    moved: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in shard.table("drift") if DRIFT in shard.manifest.files else ():
        moved[row["sample_id"]].append(row)
    return lambda position: Outcome(moved[shard.ids[position]], of(position))


def _diverged(parts: Sequence[Learned]) -> Failure | None:
    """Why nothing is to be made of what a text learned, if that is so."""
    steps = [step for one in parts for step, loss in enumerate(one.losses) if not math.isfinite(loss)]
    if not steps and all(vectors.isfinite().all() for one in parts for vectors in one.vectors):
        return None
    when = f"its loss is not finite from step {min(steps)} on" if steps else "its last vectors are not finite"
    return Failure(f"inversion diverged: {when}. Lower lr, or give the backbone dtype: float32.")


def _outcome(sample_id: str, parts: Sequence[Learned], tokens: Tokens, space: Space) -> Outcome:
    """What the windows of one text learned. tokens: the text's, a row a window."""
    whole = []
    for n, window in enumerate(tokens.positions(space)):
        token = [part * window + token for part, one in enumerate(parts) for token in one.tokens[n]]
        joined = [(part * window + word[0], len(word)) for part, one in enumerate(parts) for word in one.joined[n]]
        whole.append(
            LearnedText(
                np.concatenate([one.vectors[n].float().numpy() for one in parts]),
                np.asarray(token, dtype=np.int32),
                np.asarray(joined, dtype=np.int32).reshape(-1, 2),
            )
        )
    moved = [
        {"sample_id": sample_id, "start": start, "end": end, "drift": went}
        for (start, end), went in sorted(_drift(parts, tokens, space).items())
    ]
    return Outcome(moved, {**named(whole), "loss": mean_trace([one.losses for one in parts])})


def _drift(parts: Sequence[Learned], tokens: Tokens, space: Space) -> dict[tuple[int, int], float]:
    """How far the vectors of each token went, by its characters; the mean over encoders. Marks and padding have no
    characters, and no place here."""
    if space == "input":
        tokens = tokens.join(list(zip(*(one.joined for one in parts), strict=True)))
    found: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for row, one in enumerate(parts):
        for n, (own, went) in enumerate(zip(one.tokens, one.drift, strict=True)):
            places = tokens.characters(row, n if space == "input" else None)
            for token, value in zip(own, went.tolist(), strict=True):
                if token in places:
                    found[places[token]].append(value)
    return {place: float(np.mean(values)) for place, values in found.items()}


def mean_trace(traces: Sequence[Sequence[float]]) -> np.ndarray:
    """Loss by step of a text: the mean over those of its windows that still learned then."""
    steps = max(len(trace) for trace in traces)
    return np.asarray(
        [np.mean([trace[step] for trace in traces if step < len(trace)]) for step in range(steps)], np.float32
    )
