"""Embeddings and images of a shard to one averaged attention map a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts import ArtifactError, Folder, Job, Outcome, Result
from stages.artifacts.language import words
from stages.artifacts.maps import WordMaps, write_maps
from stages.attend.recipe import STAGE, ChainRecipe, NoisedRecipe

if TYPE_CHECKING:
    import torch

    from stages.attend.maps import Averager
    from stages.backbones.diffusion import DiffusionBackbone

ROWS_AN_IMAGE = 8
"""Latents a UNet call may hold for each image of a batch, where time is batched too."""


def run(
    *,
    samples: Path,
    embeddings: Path,
    recipe: Mapping[str, Any],
    output: Path,
    images: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
) -> None:
    """Write `maps.zarr` for one shard: a map for every word of every text.

    samples, embeddings: manifests of the shard's samples and invert. images: folder of the images, by default the
    samples' own. recipe: ChainRecipe or NoisedRecipe as a dict. ArtifactError where the embeddings were learned with
    another backbone.
    """
    from stages.backbones.devices import choose_device
    from stages.backbones.diffusion import load
    from stages.backbones.inputs import prepare, record
    from stages.backbones.text import word_maps

    settings = recipe_of(recipe)
    inputs = {"samples": Folder(samples, "samples"), "embeddings": Folder(embeddings, "invert")}
    rows = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
    backbone = load(settings.backbone, choose_device(device))
    models = {"backbone": record(backbone)}
    _check_backbone(inputs["embeddings"], models["backbone"].sha256, settings)
    learned = read_embeddings(inputs["embeddings"], backbone.window)
    job = Job(STAGE, settings.model_dump(mode="json"), output, inputs=inputs, models=models)

    def process(batch: Sequence[int]) -> list[Result]:
        own = [rows[job.ids[position]] for position in batch]
        prepared = prepare(backbone, own, images or inputs["samples"].path)
        results: dict[int, Result] = dict(prepared.failures)
        if prepared.owner:
            embeddings = backbone.embed(prepared.encoding.input_ids)
            for row, (index, part) in enumerate(zip(prepared.owner, prepared.part, strict=True)):
                tokens, vectors = learned(batch[index], part)
                embeddings[row, tokens] = vectors.to(embeddings)
            context = _encode(backbone, prepared.encoding.input_ids, embeddings)
            ids = [own[index]["sample_id"] for index in prepared.owner]
            averager = average(backbone, prepared.latents, context, ids, settings, ROWS_AN_IMAGE * batch_size)
        for index, windows in prepared.rows_of().items():
            spans = list(words(own[index]["text"]))

            def merged(maps: list[torch.Tensor], windows=windows, spans=spans) -> np.ndarray:
                merge = settings.pieces
                return word_maps(maps, prepared.encoding, windows, spans, merge=merge).numpy()

            tensors = {
                "maps": merged([averager.mean(row) for row in windows]),
                "start": np.asarray([span.start for span in spans], np.int32),
                "end": np.asarray([span.end for span in spans], np.int32),
            }
            if settings.keep_steps:
                steps = zip(*(averager.steps(row) for row in windows), strict=True)
                tensors["steps"] = np.stack([merged(list(one)) for one in steps], axis=1)
            results[index] = Outcome(tensors=tensors)
        return [results[index] for index in range(len(batch))]

    job.run(process, batch_size=batch_size)
    maps = pack(job.outcomes, backbone.map_resolution, settings.keep_steps)
    job.publish({"maps.zarr": lambda path: write_maps(path, maps)}, summary={"words": len(maps.maps)})


def recipe_of(recipe: Mapping[str, Any]) -> ChainRecipe | NoisedRecipe:
    """The recipe's model, by its kind."""
    model = NoisedRecipe if recipe.get("kind") in ("noised", "single-step") else ChainRecipe
    return model.model_validate(recipe)


def average(
    backbone: DiffusionBackbone,
    latents: torch.Tensor,
    context: torch.Tensor,
    sample_ids: Sequence[str],
    settings: ChainRecipe | NoisedRecipe,
    rows: int,
) -> Averager:
    """The averaged token maps of a batch of images, by the recipe's kind."""
    from stages.attend import chain
    from stages.attend.maps import Averager
    from stages.attend.noised import maps_noised

    if isinstance(settings, NoisedRecipe):
        last = int(backbone.scheduler.config.num_train_timesteps)
        averager = Averager(len(latents), (0, last), keep_steps=settings.keep_steps)
        maps_noised(
            backbone,
            latents,
            context,
            averager,
            at=settings.at,
            draws=settings.draws,
            seed=settings.seed,
            sample_ids=sample_ids,
            rows=rows,
        )
        return averager
    averager = Averager(len(latents), settings.timesteps, keep_steps=settings.keep_steps)
    if settings.kind == "ddim":
        timesteps, stored = chain.invert(backbone, latents, context, settings.steps)
        chain.denoise(backbone, stored[-1], timesteps, context, averager, steps=settings.steps)
        return averager
    while_rising = averager if settings.during_inversion else None
    timesteps, stored = chain.invert(
        backbone, latents, context, settings.steps, below=settings.timesteps[1], averager=while_rising
    )
    if while_rising is None:
        chain.maps_at(backbone, stored, timesteps, context, averager, rows=rows)
    return averager


def read_embeddings(folder: Folder, window: int) -> Callable[[int, int], tuple[torch.Tensor, torch.Tensor]]:
    """(position of a sample in the shard, window of its text) -> (token positions there, vectors) that it learned."""
    from safetensors.torch import load_file

    tensors = load_file(folder.file("embeddings.safetensors"))

    def of(position: int, part: int) -> tuple[torch.Tensor, torch.Tensor]:
        own = (tensors["sample"] == position) & (tensors["token"] // window == part)
        return tensors["token"][own].long() % window, tensors["vectors"][own]

    return of


def pack(outcomes: Mapping[int, Outcome], side: int, keep_steps: bool) -> WordMaps:
    """The arrays of `maps.zarr` from each sample's own, by position in the shard."""
    own = [(position, outcome.tensors) for position, outcome in outcomes.items()]

    def joined(name: str, empty: np.ndarray) -> np.ndarray:
        return np.concatenate([empty, *(tensors[name] for _, tensors in own)]) if own else empty

    counts = [len(tensors["start"]) for _, tensors in own]
    steps = [tensors["steps"] for _, tensors in own] if keep_steps else []
    return WordMaps(
        maps=joined("maps", np.zeros((0, side, side), np.float32)),
        sample=np.repeat(np.asarray([p for p, _ in own], np.int32), counts).astype(np.int32),
        start=joined("start", np.zeros(0, np.int32)),
        end=joined("end", np.zeros(0, np.int32)),
        steps=np.concatenate(steps) if steps else None,
    )


def _encode(backbone: DiffusionBackbone, input_ids: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    import torch

    with torch.no_grad():
        return backbone.encode(input_ids, embeddings)


def _check_backbone(embeddings: Folder, sha256: str, settings: ChainRecipe | NoisedRecipe) -> None:
    """The embeddings mean something only to the backbone that they were learned with."""
    learned_with = embeddings.manifest.models.get("backbone")
    if learned_with is None or learned_with.sha256 != sha256:
        other = learned_with.id if learned_with else "none"
        raise ArtifactError(
            f"{embeddings.path}: its embeddings were learned with backbone '{other}', and '{settings.backbone.id}' "
            "(by its weights and files) is another.",
            remedy="Give attend the inverter's backbone, or run invert again.",
        )
