"""Embeddings and images of a shard to one averaged attention map a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from stages.artifacts import (
    AnywordError,
    ArtifactError,
    Failure,
    ModelRecord,
    Outcome,
    Result,
    ShardReader,
    ShardWriter,
    unchanged,
)
from stages.artifacts.embeddings import NAME, Embeddings
from stages.artifacts.language import words
from stages.artifacts.maps import WordMaps, described, read_maps, write_maps
from stages.artifacts.recipes import implementation, validated
from stages.attend.attender import Module
from stages.attend.recipe import STAGE, AttenderRecipe

ROWS_AN_IMAGE = 8
"""Latents a pass may hold for each image of a batch, where time is batched too."""


def run(
    *,
    samples: Path,
    embeddings: Path,
    recipe: Mapping[str, Any],
    output: Path,
    images: Path | None = None,
    adapter: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
    memory: float | None = None,
) -> None:
    """Write `maps.zarr` for one shard: a map for every word of every text.

    samples, embeddings: manifests of the shard's samples and invert. images: folder of the images, by default the
    samples' own. adapter: manifest of the adapter that the inverter used. recipe: one of the models of `recipe.py` as a
    dict. ArtifactError where the embeddings were learned with another backbone or adapter.
    """
    from stages.attend.merger import Merger
    from stages.attend.rescaling import among_content
    from stages.learning.classes import each_class
    from stages.learning.conditioning import conditioned
    from stages.models import records
    from stages.models.adapter import merge
    from stages.models.devices import choose_device, with_dtype
    from stages.models.diffusion import load
    from stages.models.inputs import prepare
    from stages.models.limit import limit_memory
    from stages.models.reading import AttentionReader, stretched

    settings = validated("attend", recipe, AttenderRecipe)
    chosen = choose_device(device)
    settings = settings.model_copy(update={"backbone": with_dtype(settings.backbone, chosen)})
    inputs = {"samples": ShardReader(samples, "samples"), "embeddings": ShardReader(embeddings, "invert")}
    rows = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
    identity = settings.model_dump(mode="json")
    if unchanged(STAGE, identity, output, inputs=inputs, models=lambda: records.backbone(settings.backbone, adapter)):
        return
    limit_memory(memory)
    model = merge(load(settings.backbone, chosen), adapter)
    _check_backbone(inputs["embeddings"], model.record)
    learned = Embeddings(inputs["embeddings"].file(NAME))
    if settings.template is not None and len(learned):
        raise AnywordError(
            "attend: `template` gives every class a text of its own, and the embeddings were learned in another.",
            remedy="Choose an inverter with steps: 0.",
        )
    tokenize = partial(each_class, model, template=settings.template) if settings.template is not None else None
    attender = cast(Module, implementation(settings))
    chosen_by = settings.model_dump(include={"scales", "stretch", "layers", "reference", "heads"})
    apart = None if settings.keep == "steps" else settings.keep
    reader = AttentionReader(model, **chosen_by, own=settings.refine > 0, apart=apart)
    place = inputs["samples"].images(images)
    models = {"backbone": model.record}
    writer = ShardWriter(STAGE, identity, output, inputs=inputs, models=models)

    def process(batch: Sequence[int]) -> list[Result]:
        own = [rows[writer.ids[position]] for position in batch]
        prepared = prepare(model, own, place, tokenize)
        results: dict[int, Result] = dict(prepared.failures)
        if prepared.owner:
            windows_of = [(batch[index], part) for index, part in zip(prepared.owner, prepared.part, strict=True)]
            tokens, condition = conditioned(model, prepared.tokens, learned, windows_of)
            ids = [own[index]["sample_id"] for index in prepared.owner]
            averager = attender.average(
                reader, prepared.latents, condition, ids, settings, rows=ROWS_AN_IMAGE * batch_size
            )
        for index, windows in prepared.rows_of().items():
            text = own[index]["text"]
            merger = Merger(tokens, windows, list(words(text)), special=settings.special)
            tensors = merger.extents()
            means = [averager.mean(row, refined=not settings.rescale) for row in windows]
            if settings.rescale:
                # Weights of heads may leave negative cells. What was compared is then refined, as GoCA does.
                maps = among_content(merger([one.clamp_min(0) for one in means]), text, merger.counts())
                tensors["maps"] = stretched(averager.refined(maps, windows)).numpy()
            else:
                tensors["maps"] = merger(means)
            if settings.keep:
                parts = zip(*(averager.parts(row) for row in windows), strict=True)
                tensors["parts"] = np.stack([merger(one) for one in parts], axis=1)
            if np.isfinite(tensors["maps"]).all():
                results[index] = Outcome(tensors=tensors)
            else:
                results[index] = Failure("attention is not finite. Give the backbone dtype: float32.")
        return [results[index] for index in range(len(batch))]

    writer.run(process, batch_size=batch_size, earlier=_earlier)
    maps = pack(writer.outcomes, reader.grid, parts=settings.keep is not None)
    if maps.parts is not None:
        levels = attender.levels(model, settings) if settings.keep == "steps" else []
        names = [f"t = {one:g}" for one in levels] or reader.part_names(maps.parts.shape[1])
        maps = replace(maps, part_names=tuple(names))
    about = described(maps, writer.ids, rows, identity)
    writer.publish({"maps.zarr": lambda path: write_maps(path, maps, about)}, summary={"words": len(maps.maps)})


def _earlier(shard: ShardReader) -> Callable[[int], Outcome]:
    maps = read_maps(shard.file("maps.zarr"), parts=True)

    def of(position: int) -> Outcome:
        own = maps.sample == position
        kept = {"parts": maps.parts[own]} if maps.parts is not None else {}
        return Outcome(tensors={"maps": maps.maps[own], "start": maps.start[own], "end": maps.end[own], **kept})

    return of


def pack(outcomes: Mapping[int, Outcome], grid: tuple[int, int], *, parts: bool) -> WordMaps:
    """The arrays of `maps.zarr` from each sample's own, by position in the shard."""
    own = [(position, outcome.tensors) for position, outcome in outcomes.items()]

    def joined(name: str, empty: np.ndarray) -> np.ndarray:
        return np.concatenate([empty, *(tensors[name] for _, tensors in own)]) if own else empty

    counts = [len(tensors["start"]) for _, tensors in own]
    kept = [tensors["parts"] for _, tensors in own] if parts else []
    return WordMaps(
        maps=joined("maps", np.zeros((0, *grid), np.float32)),
        sample=np.repeat(np.asarray([p for p, _ in own], np.int32), counts).astype(np.int32),
        start=joined("start", np.zeros(0, np.int32)),
        end=joined("end", np.zeros(0, np.int32)),
        parts=np.concatenate(kept) if kept else None,
    )


def _check_backbone(embeddings: ShardReader, backbone: ModelRecord) -> None:
    """The embeddings mean something only to the backbone that they were learned with."""
    learned_with = embeddings.manifest.models.get("backbone")
    if learned_with is None or learned_with.sha256 != backbone.sha256:
        other = learned_with.id if learned_with else "none"
        raise ArtifactError(
            f"{embeddings.path}: its embeddings were learned with backbone '{other}', and '{backbone.id}' "
            "(by its weights and files) is another.",
            remedy="Give attend the inverter's backbone, or run invert again.",
        )
