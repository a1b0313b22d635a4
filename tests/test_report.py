"""The page: whole offline, nothing of the data leaves its place, every overlay is where the page says."""

import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image
from toy_results import CIRCLE, HEIGHT, SQUARE, WIDTH, toys, write_results

from stages.artifacts import ArtifactError, ShardReader
from stages.artifacts.manifest import write_manifest
from stages.report import draw, view
from stages.report.command import run
from stages.report.page import pages_of
from stages.score.command import run as score

NAMES = {"parser": "truth", "inverter": "toy", "attender": "toy"}


def make(root, *, samples=None, scored=True, shard_size=2, **recipe):
    shards = write_results(root, samples, shard_size=shard_size)
    own = root / "experiments" / "toy"
    if scored:
        score(
            root=root,
            experiment="toy",
            shards=shards,
            recipe={"kind": "grounding", "replicates": 20},
            output=own / "score/manifest.json",
        )
    output = own / "report" / "manifest.json"
    run(root=root, experiment="toy", shards=shards, **NAMES, recipe={"kind": "page", **recipe}, output=output)
    return ShardReader(output, "report")


class Elements(html.parser.HTMLParser):
    """Every element with its attributes, and the text outside style and script."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(text)
        assert self.open == [], "elements left open"

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_hostile_texts_and_ids_stay_text(tmp_path):
    folder = make(tmp_path)
    page = Elements(folder.file("index.html").read_text())
    assert '<script>alert("1")</script> & a cat' in page.text
    assert "second <b>" in page.text and "../third" in page.text
    raw = folder.file("index.html").read_text()
    assert "<script>alert" not in raw and "second <b>" not in raw
    names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
    assert all(
        re.fullmatch(r"(manifest|\.published)\.json|index\.html|data/\d{6}(-maps|-masks)?\.png", name) for name in names
    )


def test_everything_that_the_page_loads_is_beside_it(tmp_path):
    folder = make(tmp_path)
    page = Elements(folder.file("index.html").read_text())
    loads = [value for _, attributes in page.found for key, value in attributes.items() if key in ("src", "href")]
    loads += [one[key] for one in page.all("article") for key in ("data-maps", "data-masks") if key in one]
    assert len([one for one in loads if one.startswith("data/")]) >= 4
    for one in loads:
        assert one.startswith("#") or (folder.path / one.partition("#")[0]).is_file()
    assert "http:" not in str(page.found) and "https:" not in str(page.found)


def test_every_word_has_a_button_and_its_map_a_cell(tmp_path):
    folder = make(tmp_path)
    page = Elements(folder.file("index.html").read_text())
    buttons = [one for one in page.all("button") if "word" in one.get("class", "").split()]
    assert len(buttons) == 7 + 5 + len(list(view.words(toys()[3].text)))
    first = page.all("article")[0]
    with Image.open(folder.file(first["data-maps"])) as strip:
        assert strip.size == (16, 16 * int(first["data-map-cells"]))
        cell = np.asarray(strip)[:16]
    y, x = np.unravel_index(cell[..., 3].argmax(), (16, 16))
    assert CIRCLE[int((y + 0.5) * HEIGHT / 16), int((x + 0.5) * WIDTH / 16)]


def test_scores_reasons_recipes_and_model_hashes_are_there(tmp_path):
    folder = make(tmp_path)
    text = Elements(folder.file("index.html").read_text()).text
    for part in ("IoU 0.50", "IoU 1.00", "in prompt: no map. Look there.", "0" * 64, "phrases tagged small: mIoU"):
        assert part in text
    assert "answers no truth" in text


def test_pages_split_and_the_worst_are_linked(tmp_path):
    folder = make(tmp_path, page_size=3, worst=2)
    index = Elements(folder.file("index.html").read_text())
    second = Elements(folder.file("page-0002.html").read_text())
    assert [one["id"] for one in index.all("article")] == ["s1", "s2", "s3"]
    assert [one["id"] for one in second.all("article")] == ["s4"]
    links = [one["href"] for one in index.all("a")]
    assert {"index.html#s3", "page-0002.html#s4"} <= set(links)


def test_a_smaller_page_leaves_nothing_of_the_larger_one(tmp_path):
    make(tmp_path, page_size=1)
    output = tmp_path / "experiments/toy/report/manifest.json"
    assert (output.parent / "page-0004.html").is_file()
    run(root=tmp_path, experiment="toy", shards=2, **NAMES, recipe={"kind": "page", "max_samples": 1}, output=output)
    names = {path.name for path in output.parent.rglob("*.*") if path.is_file()}
    assert names == {
        "manifest.json",
        ".published.json",
        "index.html",
        "000001.png",
        "000001-maps.png",
        "000001-masks.png",
    }


def test_without_truth_there_is_a_page_too(tmp_path):
    folder = make(tmp_path, samples=toys()[:1], scored=False)
    text = Elements(folder.file("index.html").read_text()).text
    assert "Scores" not in text and "IoU 0" not in text


def test_a_score_of_other_masks_is_refused(tmp_path):
    make(tmp_path)
    manifest = tmp_path / "experiments/toy/segment/00001/manifest.json"
    masks = ShardReader(manifest, "segment").manifest
    write_manifest(manifest, masks.model_copy(update={"summary": {"made": "again"}}))
    output = tmp_path / "experiments/toy/report/manifest.json"
    with pytest.raises(ArtifactError, match="scores other masks"):
        run(root=tmp_path, experiment="toy", shards=2, **NAMES, recipe={"kind": "page"}, output=output)


def test_masks_are_filled_and_truths_are_outlined():
    data = draw.outlines([(CIRCLE, 1)], [SQUARE], (WIDTH, HEIGHT))
    with Image.open(io.BytesIO(data)) as strip:
        pixels = np.asarray(strip.convert("RGBA"))
    predicted, truth = pixels[:HEIGHT], pixels[HEIGHT:]
    np.testing.assert_array_equal(predicted[..., 3] > 0, CIRCLE)
    assert tuple(predicted[10, 8][:3]) == draw.COLOURS[1]
    assert truth[20, 35, 3] == 0 and tuple(truth[10, 30]) == (255, 255, 255, 255)


def test_the_style_sheet_has_the_colours_of_the_overlays():
    from importlib.resources import files

    style = files("stages.report").joinpath("templates", "page.css").read_text()
    for number, colour in enumerate(draw.COLOURS):
        assert f".chip.c{number} {{ --c: #{bytes(colour).hex()}; }}" in style


@pytest.mark.parametrize(
    ("count", "size", "expected"), [(0, 50, [(1, 0)]), (50, 50, [(1, 50)]), (51, 50, [(1, 50), (51, 51)])]
)
def test_page_ranges(count, size, expected):
    assert [(one.first, one.last) for one in pages_of(count, size)] == expected
