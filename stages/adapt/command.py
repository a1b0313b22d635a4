"""Training pairs to an adapter of the text encoder, in PEFT's own files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.adapt.recipe import STAGE, LoraRecipe
from stages.artifacts import AnywordError, Failure, ShardReader, ShardWriter, unchanged
from stages.artifacts.atomic import aside, write_json
from stages.artifacts.kept import MINUTES
from stages.artifacts.recipes import validated

log = logging.getLogger("anyword")


def run(
    *,
    samples: Sequence[Path],
    recipe: Mapping[str, Any],
    output: Path,
    images: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
    memory: float | None = None,
    checkpoint_minutes: float = MINUTES,
) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`.

    samples: manifests of the shards to draw pairs from; failed samples are left out. images: folder of the images,
    by default the samples' own. recipe: LoraRecipe as a dict. batch_size: images the autoencoder takes at a time.
    AnywordError where no pair can be used.
    """
    import torch
    from safetensors.torch import save_file

    from stages.adapt.lora import Pairs, choose, train
    from stages.learning.trainable_tokens import trainable_tokens
    from stages.models import records
    from stages.models.devices import choose_device, with_dtype
    from stages.models.diffusion import load
    from stages.models.inputs import prepare
    from stages.models.limit import limit_memory
    from stages.models.tokens import Tokens

    settings = validated("adapt", recipe, LoraRecipe)
    chosen = choose_device(device)
    settings = settings.model_copy(update={"backbone": with_dtype(settings.backbone, chosen)})
    folders = [ShardReader(path, "samples") for path in samples]
    rows: dict[str, Any] = {}
    roots: dict[str, Path] = {}
    for folder in folders:
        place = folder.images(images)
        for row in folder.table("samples"):
            rows[row["sample_id"]] = row
            roots[row["sample_id"]] = place
    ids = choose(sorted(rows), settings)
    identity = settings.model_dump(mode="json")
    given = {f"samples-{number:05d}": folder for number, folder in enumerate(folders)}
    if unchanged(STAGE, identity, output, inputs=given, models=lambda: records.backbone(settings.backbone), ids=ids):
        return
    limit_memory(memory)
    model = load(settings.backbone, chosen)
    writer = ShardWriter(STAGE, identity, output, inputs=given, models={"backbone": model.record}, ids=ids)
    latents: list[torch.Tensor] = []
    tokens: list[Tokens] = []
    owners: list[str] = []
    for begin in range(0, len(ids), batch_size):
        own = ids[begin : begin + batch_size]
        for root in dict.fromkeys(roots[one] for one in own):
            part = [one for one in own if roots[one] == root]
            inputs = prepare(model, [rows[one] for one in part], root)
            for index, failure in inputs.failures.items():
                writer.results[ids.index(part[index])] = Failure(failure.reason)
            if inputs.owner:
                latents.append(inputs.latents)
                tokens.append(inputs.tokens)
                owners += [part[index] for index in inputs.owner]
    if not owners:
        raise AnywordError(
            f"adapt: none of {len(ids)} pairs of {len(folders)} shards can be used.",
            remedy="See the samples' failures in their manifests.",
        )
    texts = [rows[one]["text"] for one in owners]
    learning = trainable_tokens(model, Tokens.together(tokens), texts, "content", join=settings.pieces == "joined")
    kept = writer.kept([], minutes=checkpoint_minutes)
    adapter = train(model, Pairs(owners, torch.cat(latents), learning), settings, kept)

    def write_weights(path: Path) -> None:
        with aside(path) as partial:
            save_file(adapter.weights, partial)

    tenth = max(1, len(adapter.losses) // 10)
    writer.publish(
        {
            "adapter_model.safetensors": write_weights,
            "adapter_config.json": lambda path: write_json(path, adapter.config),
        },
        summary={
            "pairs": len(set(owners)),
            "loss_first_tenth": round(sum(adapter.losses[:tenth]) / tenth, 6),
            "loss_last_tenth": round(sum(adapter.losses[-tenth:]) / tenth, 6),
        },
    )
