"""The workflow from any folder: a configuration written, run, and told apart from what lies there."""

import base64
import csv
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from PIL import Image
from preloaded import python
from tiny_workflow import ROOT, tiny_config, write_config
from toy_results import toys, write_results
from typer.testing import CliRunner

from stages.artifacts.failures import FailedSample, grouped, kind, told
from stages.artifacts.results import Results
from stages.cli import app
from stages.config import Workflow, complete_config
from stages.explain import explain
from stages.missing import embedded_elsewhere
from stages.report.command import run as report

invoke = CliRunner().invoke


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder in which `anyword run mine.yaml` was called from elsewhere."""
    folder = tmp_path_factory.mktemp("photos")
    config = write_config(folder, tiny_config(folder))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [python(), "-m", "stages", "run", str(config), "--", "-c2", "--quiet", "rules"]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return config, done


def test_results_lie_beside_the_configuration_and_the_end_says_how_it_went(ran):
    config, done = ran
    assert Results(config.parent / "results" / "tiny").page("one").is_file()
    assert "experiment one: 2 samples done, 0 failed" in done.stderr


def test_snakemakes_own_report_holds_plots_and_in_a_zip_the_page(ran):
    config, _ = ran
    logs = config.parent / "logs" / "tiny" / "experiments" / "one" / "report"
    speed = (logs / "speed.svg").read_text()
    assert all(f">{stage}<" in speed for stage in ("samples", "parse", "invert", "attend", "segment", "score"))
    assert "No sample failed." in (logs / "failures.svg").read_text()
    assert "phrases with their truth" in (logs / "scores.svg").read_text()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("report.html", "report.zip"):
        command = [python(), "-m", "stages", "run", str(config), "--", "--report", name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
    whole = (config.parent / "report.html").read_text(encoding="utf-8")
    for plot in ("scores", "speed", "failures"):
        held = base64.b64encode((logs / f"{plot}.svg").read_bytes()).decode()
        assert held in whole, plot
    with zipfile.ZipFile(config.parent / "report.zip") as held:
        (page,) = [name for name in held.namelist() if name.endswith("/index.html")]
        for part in ("app/main.js", "data/index.js", "data/images-00000.jpg"):
            assert page.replace("index.html", part) in held.namelist()
    assert not list((config.parent / "results").rglob(".snakemake_timestamp"))


def reasons(config, change):
    """What explain says of each sample after a change of the configuration."""
    value = yaml.safe_load(config.read_text())
    change(value)
    other = config.with_name("other.yaml")
    other.write_text(yaml.safe_dump(value))
    workflow = Workflow(complete_config(other))
    found = explain(workflow, "one", Results(config.parent / "results" / "tiny"))
    return {one.sample: (one.stage, one.reason) for one in found}


def test_nothing_changed_is_nothing_again_and_a_changed_option_is_named(ran):
    config, _ = ran
    assert reasons(config, lambda value: None) == {}
    after = reasons(config, lambda value: value.update(prompters={"binding": {"threshold": 0.6}}))
    assert set(after.values()) == {("prompt", "threshold: 0.7 → 0.6")} and len(after) == 2
    after = reasons(config, lambda value: value["inverters"]["tiny"].update(steps=3))
    assert set(after.values()) == {("invert", "steps: 2 → 3")}
    after = reasons(config, lambda value: value["experiments"]["one"].update(parser="words"))
    assert set(after.values()) == {("parse", "not done yet")}


def test_a_changed_image_is_told_of_its_sample_alone(ran):
    config, _ = ran
    image = next((config.parent / "results" / "tiny" / "samples" / "00000" / "images").glob("*.png"))
    kept = image.read_bytes()
    try:
        Image.new("RGB", (128, 128)).save(image)
        printed = invoke(app, ["explain", str(config), "--experiment", "one", "--json"]).output
    finally:
        image.write_bytes(kept)
    (line,) = map(json.loads, printed.splitlines())
    assert line["stage"] == "samples" and "changed on disk" in line["reason"]
    assert invoke(app, ["explain", str(config)]).output == "experiment one: nothing to do again\n"


def test_init_writes_a_configuration_that_holds_for_a_folder_of_images(tmp_path, monkeypatch):
    (tmp_path / "kitchen").mkdir()
    for name in ("bus.jpg", "kitchen/cat.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "bus.txt").write_text("a white bus\n")
    done = invoke(app, ["init", str(tmp_path)])
    assert done.exit_code == 0 and "2 images, 1 of them without a text yet" in done.output
    with (tmp_path / "texts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"id": "bus", "image": "bus.jpg", "text": "a white bus"},
        {"id": "kitchen-cat", "image": "kitchen/cat.png", "text": ""},
    ]
    workflow = Workflow(complete_config(tmp_path / "mine.yaml"))
    monkeypatch.chdir(tmp_path)
    assert all(Path(one).exists() for one in workflow.data_location("photos").values())
    with pytest.raises(Exception, match="is there already"):
        invoke(app, ["init", str(tmp_path)], catch_exceptions=False)


def test_what_is_missing_is_said_before_work_starts(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    invoke(app, ["init", str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [python(), "-m", "stages", "run", str(tmp_path / "mine.yaml"), "--", "-n", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0
    assert "experiment photos: not on this machine: segmenters.vit_h: checkpoint 'sam_vit_h_4b8939.pth'" in done.stderr
    assert "embedded" not in done.stderr


def test_an_embedded_model_on_photographs_is_named(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    invoke(app, ["init", str(tmp_path)])
    config = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    config["experiments"]["photos"].update(inverter="embedded", segmenter="embedded")

    def said(**choices):
        own = {**config, "experiments": {"photos": {**config["experiments"]["photos"], **choices}}}
        (tmp_path / "other.yaml").write_text(yaml.safe_dump(own))
        return embedded_elsewhere(Workflow(complete_config(tmp_path / "other.yaml")), "photos")

    assert said().startswith("the embedded backbone and SAM know only drawn shapes")
    assert said(segmenter="vit_h").startswith("the embedded backbone know")
    assert said(inverter="sd15", segmenter="vit_h") is None
    assert said(dataset="demo") is None


def test_reasons_are_grouped_by_kind_with_the_command():
    reasons = [f"image '{i}.jpg' has {i}x9 pixels at 0x7f{i}a" for i in range(30)]
    failed = [FailedSample(str(i), "samples", one, Path(f"r/{i % 2}/manifest.json")) for i, one in enumerate(reasons)]
    (group,) = grouped(failed)
    assert group.kind == "image … has … pixels at …" == kind(group.kind)
    assert group.command == "snakemake -c2 --forcerun r/0/manifest.json r/1/manifest.json"
    assert told([group], 0)[0] == "EVERY sample failed, all 30:"
    assert told([], 3) == []


def test_results_of_which_nothing_went_through_are_no_success(tmp_path):
    samples = toys()
    for one in samples:
        one.failed = f"image '{one.id}' cannot be read."
    root = tmp_path / "results" / "data"
    shards = write_results(root, samples)
    report(root=root, experiment="toy", shards=shards, recipe={"kind": "page"}, output=Results(root).report("toy"))
    done = invoke(app, ["results", str(tmp_path / "results")])
    assert done.exit_code == 1
    assert "EVERY sample failed, all 4" in done.output and "4 in prompt: image … cannot be read." in done.output
    assert "no truth to score against" in done.output


def test_two_experiments_on_one_page_and_a_sample_as_a_picture(tmp_path):
    results = tmp_path / "results"
    for name in ("toy", "other"):
        write_results(results / "data", experiment=name)
    done = invoke(app, ["compare", "toy", "other", "--results", str(results), "--out", str(tmp_path / "both")])
    assert done.exit_code == 0 and (tmp_path / "both" / "index.html").is_file()
    with pytest.raises(Exception, match="no dataset has both 'toy' and 'third'"):
        invoke(app, ["compare", "toy", "third", "--results", str(results)], catch_exceptions=False)
    for form in ("png", "svg"):
        strip = tmp_path / f"strip.{form}"
        done = invoke(app, ["picture", "first", str(strip), "--experiment", "toy", "--results", str(results)])
        assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "strip.png") as drawn:
        assert drawn.width > 3 * drawn.height
    assert "<svg" in (tmp_path / "strip.svg").read_text()


@pytest.mark.parametrize(
    ("image", "complaint"),
    [("https://example.org/a.jpg", "an address, not a file"), (".", "a folder"), ("none.jpg", "no such file")],
)
def test_what_is_no_image_gets_its_own_message(tmp_path, monkeypatch, image, complaint):
    from stages.artifacts.errors import AnywordError
    from stages.single import segment

    monkeypatch.chdir(tmp_path)
    with pytest.raises(AnywordError, match=complaint):
        segment(Path(image), "a cat", tmp_path / "out", config={}, experiment="spacy")
