"""The samples stage's two commands: `index` lists a dataset once, `run` makes one shard's tables."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.atomic import write_folder, write_json
from stages.artifacts.errors import AnywordError, SampleError
from stages.artifacts.images import read_image
from stages.artifacts.manifest import NAME, Manifest, fingerprint
from stages.artifacts.publication import publish
from stages.artifacts.recipes import Location, Recipe, identity, model_of, validated, without
from stages.artifacts.rows import attempted
from stages.artifacts.shard_reader import ShardReader
from stages.artifacts.shard_writer import Failure, Outcome, Result, ShardWriter
from stages.artifacts.tables import UNNAMED, targets_of, unnamed, write_table
from stages.samples.listing import Contents, Entry, in_shards, quote, told, with_unique_ids
from stages.samples.reader import DRAWN, DataLocation, Reader, reader_of
from stages.samples.readers.semantic import choosable, chosen
from stages.samples.recipe import INDEX, STAGE, CandidateFilter

if TYPE_CHECKING:
    from stages.samples.candidates import Chooser

log = logging.getLogger("anyword")

LISTING = "listing.json"
_BATCH = 256  # images looked at between two saves


def index(*, recipe: Mapping[str, Any], output: Path, root: Path | None = None, texts: Path | None = None) -> Manifest:
    """List the dataset of `recipe`: the manifest at `output` says how many shards there are, and the folder
    `{shard}` beside it holds each shard's own manifest and listing.

    A shard's listing depends on its own rows only, so a dataset that grows at its end leaves finished shards be.
    """
    settings = _settings(recipe)
    reader = reader_of(settings["kind"])
    place = DataLocation(root, texts)
    shards = samples = failed = 0
    truth = False
    contents = Contents()
    for shard in in_shards(with_unique_ids(reader.entries(settings, place)), settings["shard_size"]):
        writer = ShardWriter(
            INDEX,
            {"kind": settings["kind"]},
            output.parent / f"{shards:05d}" / NAME,
            inputs={},
            ids=[entry.id for entry in shard],
        )
        writer.results.update(
            {position: Failure(entry.problem) for position, entry in enumerate(shard) if entry.problem}
        )
        rows = [entry.model_dump(mode="json") for entry in shard]
        writer.publish({LISTING: lambda path, rows=rows: write_json(path, rows)})  # type: ignore[misc]
        truth = truth or reader.has_truth(shard)
        contents.add(shard)
        shards, samples = shards + 1, samples + len(shard)
        failed += sum(entry.problem is not None for entry in shard)
    _drop_shards_from(output.parent, shards)
    manifest = Manifest(
        stage=INDEX,
        recipe=settings,
        inputs={},
        fingerprint=fingerprint(INDEX, settings, {}, {}),
        summary={
            "shards": shards,
            "samples": samples,
            "refused": failed,
            "truth": truth,
            **contents.summary(),
            "files": place.read,
        },
    )
    publish(output.parent, {}, lambda files: manifest)
    log.info("%s", told(manifest))
    return manifest


def _settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe checked, with its defaults. Where data lies stands beside it, as options of the commands."""
    fields = model_of("samples", recipe.get("kind")).model_fields
    elsewhere = {
        name: "" for name, field in fields.items() if any(isinstance(mark, Location) for mark in field.metadata)
    }
    return without(validated("samples", {**elsewhere, **recipe}, Recipe), Location)


def run(
    *,
    index: Path,
    recipe: Mapping[str, Any],
    output: Path,
    root: Path | None = None,
    batch_size: int = 8,
    device: str = "auto",
) -> Manifest:
    """One shard: `index` is its listing's manifest. Writes samples.parquet and truth.parquet; groups.parquet where the
    dataset groups its samples (paraphrases of one expression); `images/` where it draws them. A sample that cannot be
    had is a failed row of the manifest.

    A recipe with a `filter` has models choose each image's candidate classes; batch_size and device are theirs.
    """
    settings = dict(recipe)
    reader = reader_of(settings.get("kind", ""))
    listed = ShardReader(index, INDEX.name)
    entries = [Entry.model_validate(row) for row in json.loads(listed.file(LISTING).read_bytes())]
    place = DataLocation(root)
    if root is not None:
        _check_root(root, entries)
    chooser = _chooser(settings, device)
    if chooser is not None:
        settings["filter"] = identity(chooser.recipe)
    models = chooser.models if chooser is not None else {}
    writer = ShardWriter(STAGE, settings, output, inputs={"index": listed}, models=models, observed=True)

    def process(batch: Sequence[int]) -> list[Result]:
        if chooser is None:
            return [_result(reader, entries[position], place) for position in batch]
        return _chosen([entries[position] for position in batch], chooser, reader, place)

    writer.run(process, batch_size=_BATCH if chooser is None else batch_size, description="samples")
    kept = [outcome.rows for outcome in writer.outcomes.values()]
    listed_rows = [{key: value for key, value in rows[0].items() if key != "group"} for rows in kept]
    groups = [{"sample_id": r[0]["sample_id"], "group": r[0]["group"]} for r in kept if "group" in r[0]]
    drawn = {o.rows[0]["image"]: o.tensors["png"] for o in writer.outcomes.values() if "png" in o.tensors}
    writers: dict[str, Callable[[Path], None]] = {
        "samples.parquet": lambda path: write_table(path, "samples", listed_rows),
        "truth.parquet": lambda path: write_table(path, "truth", [r for rows in kept for r in rows[1:]]),
    }
    if groups:
        writers["groups.parquet"] = lambda path: write_table(path, "groups", groups)
    if drawn:
        pictures = {PurePosixPath(image).name: data.tobytes() for image, data in drawn.items()}
        writers[DRAWN] = lambda path: write_folder(path, pictures)
    return writer.publish(
        writers,
        summary={"samples": len(entries), "done": len(kept), "truth": sum(len(rows) - 1 for rows in kept)},
    )


def _chooser(settings: Mapping[str, Any], device: str) -> Chooser | None:
    """What chooses candidate classes, where the recipe asks for it; its models are loaded here, once a shard."""
    if settings.get("filter") is None:
        return None
    from stages.models.devices import choose_device
    from stages.samples.candidates import Chooser

    return Chooser(CandidateFilter.model_validate(settings["filter"]), choose_device(device))


def _chosen(entries: Sequence[Entry], chooser: Chooser, reader: Reader, place: DataLocation) -> list[Result]:
    """The results of a batch whose classes models choose: all images of one list of classes are looked at at once."""
    results: dict[int, Result] = {}
    pictures: dict[int, np.ndarray] = {}
    for number, entry in enumerate(entries):
        # The entry's sample with all its classes: what is wrong with image or label map shows before any model runs.
        found = _result(reader, entry, place)
        if isinstance(found, Failure):
            results[number] = found
        else:
            row = found.rows[0]
            pictures[number] = read_image(place.root or Path(), row["image"], row["image_sha256"])
    groups: dict[tuple[str, ...], list[int]] = {}
    for number in pictures:
        groups.setdefault(choosable(entries[number]), []).append(number)
    for names, members in groups.items():
        for number, choice in zip(members, chooser.choose([pictures[n] for n in members], names), strict=True):
            kept = [name for name, keep in zip(choice.names, choice.kept, strict=True) if keep]
            results[number] = _result(reader, chosen(entries[number], kept), place, choice.row())
    return [results[number] for number in range(len(entries))]


def _result(reader: Reader, entry: Entry, place: DataLocation, more: Mapping[str, Any] | None = None) -> Result:
    """The sample of an entry, or why its row fails; what belongs to the machine ends the job."""
    found = attempted(partial(_outcome, reader, entry, place, more))
    return Failure(str(found)) if isinstance(found, SampleError) else found


def _check_root(root: Path, entries: Sequence[Entry]) -> None:
    """AnywordError where not one image of several is there: a wrong root, or a mount that is gone, is no fault of
    theirs."""
    named = [entry.source["image"] for entry in entries if entry.problem is None and "image" in entry.source]
    if len(named) > 1 and not any((root / name).exists() for name in named):
        raise AnywordError(
            f"{root}: none of the {len(named)} images of this shard is there (the first is {quote(named[0])}).",
            remedy="Set `root` to the folder that their paths begin in, and mount it.",
        )


def _outcome(reader: Reader, entry: Entry, place: DataLocation, more: Mapping[str, Any] | None = None) -> Outcome:
    """The sample's row (with its group, if it has one, and `more` columns), then its truth rows; a drawn image's file
    as bytes."""
    sample = reader.sample(entry, place)
    row = {
        "sample_id": entry.id,
        "image": sample.image,
        "image_sha256": sample.sha256,
        "width": sample.width,
        "height": sample.height,
        "text": sample.text,
        "split": sample.split,
        **sample.parse.row(),
        "tags": list(sample.tags),
        **(more or {}),
    }
    if sample.group is not None:
        row["group"] = sample.group
    targets = {(one["kind"], one["index"]): one for one in targets_of(entry.id, sample.parse)}
    truth = [
        {
            **(unnamed(entry.id, mask.index) if mask.kind == UNNAMED else targets[mask.kind, mask.index]),
            **mask.mask,
            "tags": list(mask.tags),
        }
        for mask in sample.truth
    ]
    tensors = {"png": np.frombuffer(sample.png, dtype=np.uint8)} if sample.png is not None else {}
    return Outcome(rows=[row, *truth], tensors=tensors)


def _drop_shards_from(folder: Path, first: int) -> None:
    """Remove listings of an earlier, longer version of the dataset."""
    for path in folder.glob("[0-9]*"):
        if path.is_dir() and path.name.isdigit() and int(path.name) >= first:
            shutil.rmtree(path)
