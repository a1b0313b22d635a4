"""Samples of a shard to the token embeddings that their images taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.artifacts import AnywordError, Outcome, Result, ShardReader, ShardWriter
from stages.artifacts.atomic import aside
from stages.invert.recipe import STAGE, TextualRecipe


def run(
    *,
    samples: Path,
    recipe: Mapping[str, Any],
    output: Path,
    images: Path | None = None,
    adapter: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
) -> None:
    """Write `embeddings.safetensors` for one shard.

    samples: manifest of the shard's samples. images: folder of the images, by default the samples' own. adapter:
    manifest of the adapter that the recipe names. recipe: TextualRecipe as a dict.

    The file holds `vectors` [P, D] (float32); `sample` [P] (int32, position in the shard) and `token` [P] (int32,
    position in the encoded text, where window w of a long text begins at w times the window); `loss` [N, steps]
    (float32, NaN where no step was taken); and `joined` [J, 3] (int32: sample, first token, number of tokens), the
    words whose pieces are one token, counted before any is joined, while `token` counts after it.
    """
    from stages.invert.textual import optimise
    from stages.learning.trainable_tokens import prepared
    from stages.models.adapter import adapted
    from stages.models.devices import choose_device
    from stages.models.diffusion import load
    from stages.models.inputs import prepare, records

    settings = TextualRecipe.model_validate(recipe)
    if settings.adapter and adapter is None:
        raise AnywordError(
            f"invert: the recipe names adapter '{settings.adapter}', and none is given.",
            remedy="Give its manifest with --adapter.",
        )
    folder = ShardReader(samples, "samples")
    rows = {row["sample_id"]: row for row in folder.table("samples")}
    backbone = adapted(load(settings.backbone, choose_device(device)), adapter)
    writer = ShardWriter(
        STAGE,
        settings.model_dump(mode="json"),
        output,
        inputs={"samples": folder, **({"adapter": ShardReader(adapter, "adapt")} if adapter else {})},
        models=records(backbone),
    )

    def process(batch: Sequence[int]) -> list[Result]:
        own = [rows[writer.ids[position]] for position in batch]
        inputs = prepare(backbone, own, images or folder.path)
        join = settings.pieces == "joined" and settings.steps > 0
        texts = [own[index]["text"] for index in inputs.owner]
        lessons = prepared(backbone, inputs.encoding, texts, settings.words, join=join)
        learned = optimise(
            backbone,
            inputs.latents,
            lessons,
            [own[index]["sample_id"] for index in inputs.owner],
            settings,
        )
        results: dict[int, Result] = dict(inputs.failures)
        for index, windows in inputs.rows_of().items():
            parts = [learned[row] for row in windows]
            tokens = [part * backbone.window + token for part, one in enumerate(parts) for token in one.tokens]
            joined = [
                (part * backbone.window + pieces[0], len(pieces))
                for part, row in enumerate(windows)
                for pieces in (lessons.chosen[row].joined if learned[row].tokens else ())
            ]
            results[index] = Outcome(
                tensors={
                    "vectors": np.concatenate([one.vectors.float().numpy() for one in parts]),
                    "token": np.asarray(tokens, dtype=np.int32),
                    "joined": np.asarray(joined, dtype=np.int32).reshape(-1, 2),
                    "loss": mean_trace([one.losses for one in parts]),
                }
            )
        return [results[index] for index in range(len(batch))]

    writer.run(process, batch_size=batch_size)
    outcomes = writer.outcomes
    tensors = pack(outcomes, len(writer.ids), settings.steps, int(backbone.table.shape[1]))
    steps = {writer.ids[p]: len(outcome.tensors["loss"]) for p, outcome in outcomes.items()}
    writer.publish(
        {"embeddings.safetensors": lambda path: write_embeddings(path, tensors)},
        summary={
            "tokens": len(tensors["vectors"]),
            "steps_taken": sum(steps.values()),
            "steps_saved": sum(settings.steps - taken for taken in steps.values() if taken),
            "settled": {name: taken for name, taken in steps.items() if 0 < taken < settings.steps},
        },
    )


def mean_trace(traces: Sequence[Sequence[float]]) -> np.ndarray:
    """Loss by step of a text: the mean over those of its windows that still learned then."""
    steps = max(len(trace) for trace in traces)
    return np.asarray(
        [np.mean([trace[step] for trace in traces if step < len(trace)]) for step in range(steps)], np.float32
    )


def pack(outcomes: Mapping[int, Outcome], samples: int, steps: int, width: int) -> dict[str, np.ndarray]:
    """The tensors of `embeddings.safetensors` from each sample's own, by position in the shard."""
    loss = np.full((samples, steps), np.nan, dtype=np.float32)
    vectors, sample, token = [np.zeros((0, width), np.float32)], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    joined = [np.zeros((0, 3), np.int32)]
    for position, outcome in outcomes.items():
        own = outcome.tensors
        loss[position, : len(own["loss"])] = own["loss"]
        vectors.append(own["vectors"].reshape(-1, width))
        sample.append(np.full(len(own["token"]), position, np.int32))
        token.append(own["token"])
        joined.append(np.insert(own["joined"], 0, position, axis=1))
    return {
        "vectors": np.concatenate(vectors),
        "sample": np.concatenate(sample),
        "token": np.concatenate(token),
        "joined": np.concatenate(joined),
        "loss": loss,
    }


def write_embeddings(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Safetensors, published whole; equal tensors give equal bytes."""
    from safetensors.numpy import save_file

    with aside(path) as partial:
        save_file(dict(tensors), partial)
