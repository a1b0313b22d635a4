"""The page's data: whole, bounded, and nothing of a dataset but text in JSON. test_page.py opens it in a browser."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from toy_results import CIRCLE, HEIGHT, SQUARE, WIDTH, Toy, toys, write_results

from stages.artifacts import ArtifactError, ShardReader
from stages.artifacts.language import Parse
from stages.artifacts.manifest import write_manifest
from stages.artifacts.masks import decode
from stages.report import draw, site
from stages.report.command import run
from stages.report.figures import figures
from stages.report.rows import Entry, Line, Selection
from stages.score.command import run as score


def make(root, *, samples=None, scored=True, shard_size=2, experiments=("toy",), **recipe):
    for name in experiments:
        shards = write_results(root, samples, shard_size=shard_size, experiment=name)
        own = root / "experiments" / name
        if scored:
            grounding = {"kind": "grounding", "replicates": 20}
            score(root=root, experiment=name, shards=shards, recipe=grounding, output=own / "score/manifest.json")
    output = root / "experiments" / "toy" / "report" / "manifest.json"
    run(root=root, experiment="toy", shards=shards, recipe={"kind": "page", **recipe}, output=output)
    return ShardReader(output, "report")


def values(folder, name):
    """What a file of the page's data holds; it is one call with the file's name and JSON."""
    text = folder.file(f"data/{name}.js").read_text(encoding="ascii")
    assert "<" not in text
    found = re.fullmatch(r'anyword\("([a-z0-9-]+)",(.*)\);\n', text, re.DOTALL)
    assert found[1] == name
    return json.loads(found[2])


def test_a_page_is_scripts_of_its_own_and_data(tmp_path):
    folder = make(tmp_path)
    shell = folder.file("index.html").read_text()
    loads = re.findall(r'(?:src|href)="([^"#]+)"', shell)
    assert [one for one in loads if one != "data:,"] == ["app/page.css", *(f"app/{name}" for name in site.SCRIPTS)]
    assert all(folder.file(one) for one in loads if one != "data:,")
    assert "unsafe" not in shell and "default-src 'none'" in shell and "<script>" not in shell
    names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
    data = r"data/(index|rows-\d{5}|details-\d{5})\.js|data/images-\d{5}\.jpg|data/masks-\d{5}\.png"
    wanted = rf"(manifest|\.published)\.json|index\.html|app/[a-z]+\.(js|css)|{data}"
    assert all(re.fullmatch(wanted, name) for name in names)


def test_hostile_texts_and_ids_stay_text(tmp_path):
    folder = make(tmp_path)
    rows = values(folder, "rows-00000")
    assert rows["id"] == ["first", "second <b>", "../third", "=fourth"]
    assert rows["text"][3] == '<script>alert("1")</script> & a cat'


def test_numbers_of_every_sample_with_truth_and_without(tmp_path):
    numbers = values(make(tmp_path / "scored"), "rows-00000")["numbers"]
    assert numbers["miou"] == [0.75, 1, 0, 0] and numbers["iou"][0] == 0.5
    assert numbers["phrases"] == [2, 2, 2, 1] and numbers["score"][:3] == [0.75, 0.75, None]
    folder = make(tmp_path / "plain", scored=False)
    names = [one["name"] for one in values(folder, "index")["columns"]]
    assert "miou" not in names and {"suspicion", "score", "entropy", "shared"} <= set(names)


def test_details_are_what_the_stages_wrote(tmp_path):
    folder = make(tmp_path)
    first = values(folder, "details-00000")[0]
    (run_,) = first["runs"]
    assert [word["map"] for word in run_["words"]] == list(range(7))
    circle = run_["targets"][0]
    assert circle["truth"] == ["phrase", 0] and circle["iou"] == 0.5
    assert decode(circle["mask"]).sum() == 100 and circle["points"][1][2:] == [0, -1, -1]
    np.testing.assert_array_equal(decode(first["truth"][1]["mask"]), SQUARE)
    assert first["picture"].startswith("data:image/png;base64,")


def test_failures_are_grouped_with_their_command(tmp_path):
    folder = make(tmp_path)
    index = values(folder, "index")
    (group,) = index["failures"]
    assert group["stage"] == "prompt" and group["count"] == 1
    assert group["command"].startswith("snakemake -c2 --forcerun ") and "prompt/00001/manifest.json" in group["command"]
    third = values(folder, "details-00000")[2]
    assert third["runs"][0]["failed"] == {"stage": "prompt", "reason": "no map. Look there."}
    assert third["runs"][0]["words"], "what came before the failure is shown"


def test_scores_recipes_and_model_hashes_are_there(tmp_path):
    index = values(make(tmp_path), "index")
    assert [
        one["stage"] for one in index["provenance"][0]
    ] == "samples parse invert attend prompt segment score".split()
    assert index["provenance"][0][2]["models"][0]["sha256"] == "0" * 64
    assert "phrases tagged small: mIoU" in [line["name"] for line in index["scores"][0]["lines"]]


def test_two_experiments_stand_beside_each_other(tmp_path):
    make(tmp_path, experiments=("toy", "other"))
    output = tmp_path / "compare" / "manifest.json"
    run(root=tmp_path, experiment="toy", beside="other", shards=2, recipe={"kind": "page"}, output=output)
    folder = ShardReader(output, "report")
    numbers = values(folder, "rows-00000")["numbers"]
    assert numbers["disagreement"] == [0, 0, None, 0] and numbers["gain"] == [0, 0, 0, 0]
    assert numbers["b_miou"] == numbers["miou"]
    assert len(values(folder, "details-00000")[0]["runs"]) == 2


def test_a_smaller_page_leaves_nothing_of_a_larger_one(tmp_path):
    folder = make(tmp_path)
    earlier = {path.name for path in (folder.path / "data").iterdir()}
    output = folder.path / "manifest.json"
    run(root=tmp_path, experiment="toy", shards=2, recipe={"kind": "page", "max_samples": 2}, output=output)
    assert {path.name for path in (folder.path / "data").iterdir()} == earlier
    index = values(ShardReader(output, "report"), "index")
    assert (index["total"], index["shown"]) == (4, 2)


def test_of_too_many_samples_half_are_the_worst_and_half_are_drawn():
    def chosen(most):
        selection = Selection(most)
        for i in range(1000):
            selection.add(Entry(0, i, i + 1, [Line(f"s{i}", numbers={"suspicion": i / 1000})]))
        return [one.position for one in selection.chosen()]

    found = chosen(40)
    assert len(found) == 40 and found == sorted(found)
    assert set(range(980, 1000)) <= set(found)
    assert len([one for one in found if one < 500]) > 3, "the others are drawn from all"
    assert found == chosen(40) and chosen(2000) == list(range(1000))


def test_every_number_of_files_is_bounded(tmp_path):
    folder = make(
        tmp_path,
        samples=[Toy(f"s{i}", "a cat", Parse(), {("phrase", 0): CIRCLE}) for i in range(60)],
        shard_size=7,
        scored=False,
    )
    names = [path.name for path in (folder.path / "data").iterdir()]
    assert sorted(names) == sorted(
        ["index.js", "rows-00000.js", *(f"details-{i:05d}.js" for i in range(6))]
        + [name for i in range(4) for name in (f"images-{i:05d}.jpg", f"masks-{i:05d}.png")]
    )


def test_figures_see_what_a_mask_shares_and_its_points_contradict():
    toy = toys()[0]
    from stages.artifacts.masks import encode
    from stages.artifacts.tables import targets_of

    rows = {(one["kind"], one["index"]): {**one, **encode(CIRCLE), "score": 0.9} for one in targets_of("a", toy.parse)}
    point = {"x": 40.5, "y": 2.5, "label": 1}
    points = {("phrase", 0): {"points": [point, {**point, "x": 8.5, "y": 10.5, "label": 0}]}}
    found = figures(toy.parse, {}, rows, points)
    assert found[0]["shared"] == 1.0 and found[0]["contradicted"] == 1.0 and "entropy" not in found[0]
    maps = np.full((16, 16), 0.01)
    found = figures(toy.parse, dict.fromkeys(((6, 12), (29, 35)), maps), rows, points)
    assert found[0]["entropy"] == 1.0


def test_a_score_of_other_masks_is_refused(tmp_path):
    make(tmp_path)
    manifest = tmp_path / "experiments/toy/segment/00001/manifest.json"
    masks = ShardReader(manifest, "segment").manifest
    write_manifest(manifest, masks.model_copy(update={"summary": {"made": "again"}}))
    output = tmp_path / "experiments/toy/report/manifest.json"
    with pytest.raises(ArtifactError, match="scores other masks"):
        run(root=tmp_path, experiment="toy", shards=2, recipe={"kind": "page"}, output=output)


def test_thumbnails_lie_in_their_cells_with_their_masks():
    image = draw.thumbnail(np.full((HEIGHT, WIDTH, 3), 200, np.uint8), 128)
    assert image.size == (128, 85)
    masks = draw.coloured([CIRCLE, SQUARE], image.size)
    from io import BytesIO

    with Image.open(BytesIO(draw.mask_sheet([None, masks], 128))) as sheet:
        pixels = np.asarray(sheet.convert("RGBA"))
    assert pixels.shape == (256, 256, 4) and not pixels[:, :128].any()
    cell = pixels[:85, 128:]
    assert tuple(cell[40, 24][:3]) == draw.COLOURS[0] and tuple(cell[50, 92][:3]) == draw.COLOURS[1]
