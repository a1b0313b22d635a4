"""Embeddings and images of a shard to one averaged attention map a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts import ArtifactError, Outcome, Result, ShardReader, ShardWriter
from stages.artifacts.language import words
from stages.artifacts.maps import WordMaps, write_maps
from stages.attend.recipe import STAGE, ChainRecipe, NoisedRecipe

if TYPE_CHECKING:
    import torch

    from stages.models.diffusion import DiffusionBackbone

ROWS_AN_IMAGE = 8
"""Latents a UNet call may hold for each image of a batch, where time is batched too."""


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
) -> None:
    """Write `maps.zarr` for one shard: a map for every word of every text.

    samples, embeddings: manifests of the shard's samples and invert. images: folder of the images, by default the
    samples' own. adapter: manifest of the adapter that the inverter used. recipe: ChainRecipe or NoisedRecipe as a
    dict. ArtifactError where the embeddings were learned with another backbone or adapter.
    """
    from stages.attend.average import Merger, average, look_again
    from stages.models.adapter import adapted
    from stages.models.devices import choose_device
    from stages.models.diffusion import load
    from stages.models.inputs import prepare, records

    settings = recipe_of(recipe)
    inputs = {"samples": ShardReader(samples, "samples"), "embeddings": ShardReader(embeddings, "invert")}
    rows = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
    backbone = adapted(load(settings.backbone, choose_device(device)), adapter)
    models = records(backbone)
    _check_backbone(inputs["embeddings"], models["backbone"].sha256, settings)
    learned = Embeddings(inputs["embeddings"], backbone.window)
    writer = ShardWriter(STAGE, settings.model_dump(mode="json"), output, inputs=inputs, models=models)

    def process(batch: Sequence[int]) -> list[Result]:
        own = [rows[writer.ids[position]] for position in batch]
        prepared = prepare(backbone, own, images or inputs["samples"].path)
        results: dict[int, Result] = dict(prepared.failures)
        if prepared.owner:
            words_of = [learned.joined(batch[i], part) for i, part in zip(prepared.owner, prepared.part, strict=True)]
            if any(words_of):
                padding = int(backbone.empty_ids[0, -1])
                prepared = replace(prepared, encoding=prepared.encoding.join(words_of, padding))
            embeddings = backbone.embed(prepared.encoding.input_ids)
            for row, (index, part) in enumerate(zip(prepared.owner, prepared.part, strict=True)):
                tokens, vectors = learned.vectors(batch[index], part)
                embeddings[row, tokens] = vectors.to(embeddings)
            context = _encode(backbone, prepared.encoding.input_ids, embeddings)
            ids = [own[index]["sample_id"] for index in prepared.owner]
            most = ROWS_AN_IMAGE * batch_size
            averager = average(backbone, prepared.latents, context, ids, settings, rows=most)
        for index, windows in prepared.rows_of().items():
            text = own[index]["text"]
            merger = Merger(backbone, prepared.encoding, windows, list(words(text)), settings, text)
            tensors = merger.places()
            tensors["maps"] = merger([averager.mean(row) for row in windows])
            if settings.keep_steps:
                steps = zip(*(averager.steps(row) for row in windows), strict=True)
                tensors["steps"] = np.stack([merger(one) for one in steps], axis=1)
            if settings.second_look:
                image, name = prepared.images[index], own[index]["sample_id"]
                maps = tensors["maps"]
                tensors["maps"] = look_again(backbone, image, maps, merger, context, name, settings, rows=most)
            results[index] = Outcome(tensors=tensors)
        return [results[index] for index in range(len(batch))]

    writer.run(process, batch_size=batch_size)
    side = max(settings.scales) if settings.scales else backbone.map_resolution
    side = settings.second_look.side if settings.second_look else side
    maps = pack(writer.outcomes, side, settings.keep_steps)
    writer.publish({"maps.zarr": lambda path: write_maps(path, maps)}, summary={"words": len(maps.maps)})


def recipe_of(recipe: Mapping[str, Any]) -> ChainRecipe | NoisedRecipe:
    """The recipe's model, by its kind."""
    model = NoisedRecipe if recipe.get("kind") in ("noised", "single-step") else ChainRecipe
    return model.model_validate(recipe)


class Embeddings:
    """What invert learned, by a sample's position in the shard and the window of its text."""

    def __init__(self, folder: ShardReader, window: int) -> None:
        from safetensors.torch import load_file

        self._tensors = load_file(folder.file("embeddings.safetensors"))
        self._window = window

    def vectors(self, position: int, part: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token positions, counted once words are joined, and the vector that each learned."""
        token = self._tensors["token"]
        own = (self._tensors["sample"] == position) & (token // self._window == part)
        return token[own].long() % self._window, self._tensors["vectors"][own]

    def joined(self, position: int, part: int) -> list[list[int]]:
        """Positions of the pieces of each word that is one token."""
        rows = self._tensors["joined"].tolist()
        return [
            [token % self._window + piece for piece in range(count)]
            for sample, token, count in rows
            if sample == position and token // self._window == part
        ]


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


def _check_backbone(embeddings: ShardReader, sha256: str, settings: ChainRecipe | NoisedRecipe) -> None:
    """The embeddings mean something only to the backbone that they were learned with."""
    learned_with = embeddings.manifest.models.get("backbone")
    if learned_with is None or learned_with.sha256 != sha256:
        other = learned_with.id if learned_with else "none"
        raise ArtifactError(
            f"{embeddings.path}: its embeddings were learned with backbone '{other}', and '{settings.backbone.id}' "
            "(by its weights and files) is another.",
            remedy="Give attend the inverter's backbone, or run invert again.",
        )
