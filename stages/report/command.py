"""Make an experiment's page from everything that it wrote."""

from __future__ import annotations

import csv
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.atomic import aside, write_bytes
from stages.artifacts.errors import ArtifactError, SampleError
from stages.artifacts.images import read_image
from stages.artifacts.maps import read_maps
from stages.artifacts.masks import decode
from stages.artifacts.progress import track
from stages.artifacts.recipes import validated
from stages.artifacts.results import Results, shard_name
from stages.artifacts.shard_reader import ShardReader, check_lineage
from stages.artifacts.shard_writer import ShardWriter
from stages.artifacts.tables import parse_of, targets_of
from stages.report import draw, page, view
from stages.report.recipe import STAGE, Page

if TYPE_CHECKING:
    from stages.artifacts.maps import WordMaps

log = logging.getLogger("anyword")

PICTURES = "data"


@dataclass(frozen=True)
class _Shard:
    name: str
    inputs: dict[str, ShardReader]
    """By what they are: samples, phrases, masks; maps and points where there are any."""

    @property
    def failures(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder in self.inputs.values():
            found.update({name: reason for name, reason in folder.failures.items() if name not in found})
        return found


def run(
    *,
    root: Path,
    experiment: str,
    shards: int,
    parser: str,
    inverter: str,
    attender: str,
    recipe: Mapping[str, Any],
    output: Path,
    images: Path | None = None,
) -> Path:
    """Write the page of `experiment` below `root` (results/{dataset}); returns the path of index.html.

    `images` is the folder that image paths are relative to, by default each shard's own.
    """
    chosen = validated("report", recipe, Page)
    results = Results(root)
    opened = [_open(results, experiment, shard_name(n), parser, inverter, attender) for n in range(shards)]
    score = _score_of(results.score(experiment), opened)
    inputs = {f"{name}/{one.name}": folder for one in opened for name, folder in one.inputs.items()}
    if score is not None:
        inputs["score"] = score
    ids = [sample_id for one in opened for sample_id in one.inputs["samples"].ids]
    writer = ShardWriter(STAGE, recipe, output, inputs=inputs, ids=ids)
    lines = _lines(score) if score is not None else {}
    cards: list[view.Card] = []
    pages = page.pages_of(min(len(ids), chosen.max_samples), chosen.page_size)
    shared: dict[str, Any] = {
        "experiment": experiment,
        "pages": pages,
        "total": len(ids),
        "failures": [{"id": name, "reason": reason} for one in opened for name, reason in one.failures.items()],
        "provenance": _provenance(opened, score),
        "score": json.loads(score.file("score.json").read_bytes()) if score is not None else None,
    }

    def write_pictures(path: Path) -> None:
        with aside(path) as folder:
            folder.mkdir()
            for one in track(opened, "report"):
                if len(cards) < chosen.max_samples:
                    cards.extend(_cards(one, chosen, len(cards), folder, images, lines))

    def write_page(one: page.PageName, path: Path) -> None:
        own = cards[one.first - 1 : one.last]
        html = page.render(page=one, cards=own, worst=_worst(cards, chosen), shown=len(cards), **shared)
        write_bytes(path, html.encode())

    writers: dict[str, Callable[[Path], None]] = {PICTURES: write_pictures}  # first: it makes the cards
    writers |= {one.name: partial(write_page, one) for one in pages}
    writer.publish(writers, summary={"samples": len(cards), "pages": len(pages)})
    log.info("report: %s", writer.folder / "index.html")
    return writer.folder / "index.html"


def _open(results: Results, experiment: str, name: str, parser: str, inverter: str, attender: str) -> _Shard:
    inputs = {
        "samples": ShardReader(results.samples(name), "samples"),
        "phrases": ShardReader(results.phrases(parser, name), "parse"),
        "masks": ShardReader(results.masks(experiment, name), "segment"),
    }
    made_of = inputs["masks"].manifest.inputs
    if "points" in made_of or "maps" in made_of:  # a segmenter that reads words alone has none
        inputs["maps"] = ShardReader(results.maps(inverter, attender, name), "attend")
    if "points" in made_of:  # a segmenter that works on maps alone has none
        inputs["points"] = ShardReader(results.points(experiment, name), "prompt")
    embeddings = results.embeddings(inverter, name)
    # Only to name its recipe and models: the maps hold all that the page shows.
    if "maps" in inputs and embeddings.is_file():
        inputs["embeddings"] = ShardReader(embeddings, "invert")
    check_lineage(inputs)
    return _Shard(name, inputs)


def _score_of(path: Path, opened: list[_Shard]) -> ShardReader | None:
    """The experiment's score, where its dataset has truth; ArtifactError where it scores other masks than these."""
    if not path.is_file():
        return None
    score = ShardReader(path, "score")
    for one in opened:
        if score.manifest.inputs.get(f"masks/{one.name}") != one.inputs["masks"].sha256:
            raise ArtifactError(
                f"{path}: scores other masks than {one.inputs['masks'].path}.", remedy="Run score again."
            )
    return score


def _lines(score: ShardReader) -> dict[str, dict[view.Key, dict[str, str]]]:
    """The lines of scores.csv by sample, kind and index."""
    found: defaultdict[str, dict[view.Key, dict[str, str]]] = defaultdict(dict)
    with score.file("scores.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            found[line["sample_id"]][line["kind"], int(line["index"])] = line
    return found


def _cards(
    shard: _Shard,
    chosen: Page,
    before: int,
    folder: Path,
    images: Path | None,
    lines: Mapping[str, Mapping[view.Key, Mapping[str, str]]],
) -> Iterator[view.Card]:
    """The shard's samples as cards, their pictures written; running numbers go on from `before`."""
    inputs, failures = shard.inputs, shard.failures
    rows = {row["sample_id"]: row for row in inputs["samples"].table("samples")}
    parses = {row["sample_id"]: parse_of(row) for row in inputs["phrases"].table("phrases")}
    masks = _grouped(inputs["masks"].table("masks"))
    truth = _grouped(inputs["samples"].table("truth")) if lines else {}  # who answers whom is the score's to say
    points = _grouped(inputs["points"].table("points")) if "points" in inputs else {}
    maps: WordMaps | None = read_maps(inputs["maps"].file("maps.zarr")) if "maps" in inputs else None
    place = inputs["samples"].images(images)
    for position, name in enumerate(inputs["samples"].ids[: chosen.max_samples - before]):
        row = rows.get(name)
        card = view.Card(before + position + 1, name, row["text"] if row else "", reason=failures.get(name))
        if row is not None:
            card.width, card.height = row["width"], row["height"]
            _picture(card, row, folder, place, chosen.picture_size)
        if row is not None and card.reason is None:
            targets = targets_of(name, parses[name])
            card.words, cells = view.sentence(row["text"], targets, maps.of_sample(position) if maps else {})
            found = view.targets_of_card(
                row["text"],
                targets,
                masks.get(name, {}),
                points.get(name, {}),
                list(truth.get(name, {}).values()),
                lines.get(name, {}),
            )
            card.targets, card.missed, predicted, wanted = found
            colours = [target.colour for target in card.targets if target.mask is not None]
            _overlays(card, cells, predicted, colours, wanted, folder)
        if name in lines:
            ious = [float(line["iou"]) for (kind, _), line in lines[name].items() if kind == "phrase"]
            card.miou = float(np.mean(ious)) if ious else None
        yield card


def _picture(card: view.Card, row: view.Row, folder: Path, root: Path, longest: int) -> None:
    try:
        pixels = read_image(root, row["image"], row["image_sha256"])
    except SampleError as error:
        log.warning("report: sample '%s' is shown without its image: %s", card.id, error)
        card.canvas = draw.fitted(row["width"], row["height"], longest)
        return
    data, suffix, _ = draw.picture(pixels, longest)
    # Small images get overlays of at least 256 pixels, or outlines would be as thick as what they outline.
    scale = max(1, -(-256 // max(row["width"], row["height"])))
    card.canvas = draw.fitted(row["width"] * scale, row["height"] * scale, longest)
    card.picture = f"{PICTURES}/{card.number:06d}{suffix}"
    (folder / f"{card.number:06d}{suffix}").write_bytes(data)


def _overlays(
    card: view.Card,
    cells: list[np.ndarray],
    predicted: list[view.Row],
    colours: list[int],
    truth: list[view.Row],
    folder: Path,
) -> None:
    if cells:
        card.maps, card.map_cells = f"{PICTURES}/{card.number:06d}-maps.png", len(cells)
        (folder / f"{card.number:06d}-maps.png").write_bytes(draw.heat(cells))
    if predicted or truth:
        card.masks, card.cells = f"{PICTURES}/{card.number:06d}-masks.png", len(predicted) + len(truth)
        filled = [(decode(row), colour) for row, colour in zip(predicted, colours, strict=True)]
        strip = draw.outlines(filled, [decode(row) for row in truth], card.canvas)
        (folder / f"{card.number:06d}-masks.png").write_bytes(strip)


def _provenance(opened: list[_Shard], score: ShardReader | None) -> list[dict[str, Any]]:
    """Recipe, version and models of each stage in the order of the data, with the fingerprints of its shards."""
    order = ("samples", "phrases", "embeddings", "maps", "points", "masks")
    stages = {name: [one.inputs[name] for one in opened] for name in order if opened and name in opened[0].inputs}
    if score is not None:
        stages["score"] = [score]
    found = []
    for folders in stages.values():
        manifest = folders[0].manifest
        found.append(
            {
                "stage": manifest.stage.name,
                "version": manifest.stage.version,
                "recipe": json.dumps(manifest.recipe, indent=2, sort_keys=True, ensure_ascii=False),
                "models": [{"name": name, **model.model_dump()} for name, model in manifest.models.items()],
                "fingerprints": [folder.manifest.fingerprint for folder in folders],
            }
        )
    return found


def _worst(cards: list[view.Card], chosen: Page) -> list[dict[str, Any]]:
    """The cards of the lowest mean IoU, with the page that each is on."""
    scored = sorted((card for card in cards if card.miou is not None), key=lambda card: (card.miou, card.number))
    pages = page.pages_of(len(cards), chosen.page_size)
    return [
        {
            "number": card.number,
            "miou": f"{card.miou:.2f}",
            "page": pages[(card.number - 1) // chosen.page_size].name,
        }
        for card in scored[: chosen.worst]
    ]


def _grouped(rows: Iterable[dict[str, Any]]) -> dict[str, dict[view.Key, dict[str, Any]]]:
    found: defaultdict[str, dict[view.Key, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        found[row["sample_id"]][row["kind"], row["index"]] = row
    return found
