"""`import anyword`: what the workflow made, as arrays, and one image segmented."""

import doctest
import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_segment_command import scene  # noqa: F401 (a fixture)
from toy_results import CIRCLE, rectangle, write_results

import anyword
from stages.artifacts.errors import AnywordError
from stages.score.command import run as score

DOCS = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("run") / "results" / "toy"
    shards = write_results(root)
    output = root / "experiments" / "toy" / "score" / "manifest.json"
    score(
        root=root,
        experiment="toy",
        shards=shards,
        recipe={"kind": "grounding"},
        output=output,
        parser="truth",
        inverter="toy",
        attender="toy",
    )
    return root.parent


def test_the_document_says_what_happens(results, monkeypatch):
    monkeypatch.chdir(results.parent)
    found = doctest.testfile(str(DOCS), module_relative=False)
    assert found.attempted > 10 and found.failed == 0


def test_the_notebook_runs_from_its_first_cell_to_its_last(results, monkeypatch, capsys):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(results.parent)
    cells = json.loads(DOCS.with_name("results.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102 (our own document)
    printed = capsys.readouterr().out
    assert "4 samples" in printed and "0.50  first  a red circle" in printed and "no map. Look there." in printed
    matplotlib.pyplot.close("all")


def test_a_sample_has_masks_points_maps_and_scores(results):
    run = anyword.open(results)["toy"]
    first, second, third, fourth = run
    assert np.array_equal(first.phrases[0].mask, rectangle(4, 4, 14, 14)) and len(first.predicates) == 1
    assert np.array_equal(second.phrases[0].mask, CIRCLE)
    assert {one.phrase: one.iou for one in first.scores}["a red circle"] == pytest.approx(0.5)
    assert run.score is not None and run.score["samples"] == 4
    assert third.failed and third.targets == () and dict(third.maps) == {}
    word = fourth.words[-1]
    assert np.array_equal(fourth.map(word), fourth.maps[word.start, word.end])
    both = np.mean([first.maps[2, 5], first.maps[6, 12]], axis=0)
    assert np.allclose(first.map((2, 12)), both)
    assert run[-1].id == "=fourth" and run["first"].id == "first"


def test_errors_name_what_there_is(results, tmp_path):
    with pytest.raises(AnywordError, match="It has toy"):
        anyword.open(results)["none"]
    with pytest.raises(AnywordError, match="no sample 'none'"):
        anyword.open(results)["toy"]["none"]
    with pytest.raises(AnywordError, match="has the word 'cat' 0 times"):
        anyword.open(results)["toy"]["first"].map("cat")
    with pytest.raises(AnywordError, match="no results"):
        anyword.open(tmp_path)
    write_results(tmp_path / "one")
    write_results(tmp_path / "two")
    with pytest.raises(AnywordError, match="several datasets"):
        anyword.open(tmp_path)


def test_damage_is_found_on_reading(tmp_path):
    write_results(tmp_path / "toy")
    masks = next(tmp_path.rglob("masks.parquet"))
    masks.write_bytes(masks.read_bytes()[:-1] + b"x")
    with pytest.raises(AnywordError, match="is not the file that its manifest describes"):
        anyword.open(tmp_path)["toy"][0]


def test_an_array_is_segmented_as_its_file_is(scene):  # noqa: F811
    from PIL import Image

    options = {"config": scene / "mine.yaml", "backbone": str(scene / "backbone"), "sam": "tiny", "inverter": "short"}
    image = Image.open(scene / "scene.png")
    text = "a red circle"
    given = anyword.segment(scene / "scene.png", text, **options)
    array = anyword.segment(np.asarray(image), text, **options)
    assert [one.text for one in given.phrases] == ["a red circle"]
    assert given.phrases[0].mask.shape == (90, 120)
    assert np.array_equal(given.phrases[0].mask, array.phrases[0].mask)
    assert given.map("circle", full=True).shape == (90, 120)
    folder = given.image_path.parent, array.image_path.parent
    assert folder[1].is_dir()
    del array
    gc.collect()
    assert folder[0].is_dir() and not folder[1].exists()


def test_importing_it_loads_nothing_heavy():
    heavy = ("torch", "zarr", "pandas", "diffusers", "matplotlib")
    code = f"import anyword, sys; print(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
