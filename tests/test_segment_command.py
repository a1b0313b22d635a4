"""`anyword segment`: one image and one sentence, with models given by path."""

import json

import pytest
from tiny_models import save_tiny
from tiny_workflow import save_tiny_sam
from typer.testing import CliRunner

from stages.artifacts.errors import AnywordError
from stages.cli import app


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    from PIL import Image

    from stages.world.sample import sample

    folder = tmp_path_factory.mktemp("segment")
    Image.fromarray(sample("val", 3).image).resize((120, 90)).save(folder / "scene.png")
    sam = save_tiny_sam(folder / "sam")
    (folder / "mine.yaml").write_text(
        f"segmenters: {{tiny: {{kind: segment-anything, model: embedded, checkpoint: {sam}}}}}\n"
        "inverters: {short: {kind: textual, backbone: embedded, steps: 2, draws: 2}}\n"
        "attenders: {direct: {kind: direct, steps: 4}}\n"
    )
    save_tiny(folder / "backbone")
    return folder


def run(folder, text, *more):
    arguments = ["segment", str(folder / "scene.png"), text, "--out", str(folder / "out")]
    arguments += ["--config", str(folder / "mine.yaml"), "--backbone", str(folder / "backbone"), "--sam", "tiny"]
    return CliRunner().invoke(app, [*arguments, "--inverter", "short", *more], catch_exceptions=False)


def test_masks_overlay_coco_and_page_and_what_is_unchanged_is_kept(scene, caplog):
    from PIL import Image

    text = "a red circle touching a blue star"
    done = run(scene, text)
    assert done.exit_code == 0
    out = scene / "out"
    coco = json.loads((out / "coco.json").read_text())
    names = [text[one["start"] : one["end"]] for one in coco["annotations"] if one["kind"] == "phrase"]
    assert names == ["a red circle", "a blue star"]
    for one in coco["annotations"]:
        with Image.open(out / one["mask"]) as mask:
            assert mask.size == (120, 90)
            assert sum(mask.histogram()[1:]) == one["area"]
    with Image.open(out / "overlay.png") as overlay:
        assert overlay.size == (120, 90)
    assert (out / "stages" / "image" / "experiments" / "spacy" / "report" / "index.html").stat().st_size > 0

    embeddings = next((out / "stages" / "image" / "invert").rglob("embeddings.safetensors"))
    before = embeddings.stat().st_mtime_ns
    assert run(scene, text, "--parser", "spacy").exit_code == 0
    assert embeddings.stat().st_mtime_ns == before


def test_errors_are_one_line_with_the_remedy(scene):
    with pytest.raises(AnywordError, match="text is empty"):
        run(scene, " ")
    with pytest.raises(AnywordError, match="Use one of"):
        run(scene, "a circle", "--parser", "nobody")


def test_a_trained_adapter_is_used_and_one_of_another_backbone_refused(scene, tmp_path):
    from tiny_models import save_samples

    from stages.adapt.command import run as adapt
    from stages.artifacts import ArtifactError, ShardReader

    def train(name, **model):
        backbone = {"kind": "stable-diffusion", "path": str(scene / "backbone"), **model}
        recipe = {"kind": "lora", "backbone": backbone, "dataset": "pairs", "steps": 2, "pairs_a_step": 2, "rank": 2}
        adapt(samples=[samples], recipe=recipe, output=tmp_path / name / "manifest.json", device="cpu")
        return tmp_path / name

    samples = save_samples(tmp_path / "pairs", ["a red circle", "a blue star"])
    fitted = train("fitted")
    out = ["--out", str(tmp_path / "out"), "--adapter"]
    text = "a red circle"
    assert run(scene, text, *out, str(fitted)).exit_code == 0
    root = tmp_path / "out/stages/image"
    embeddings = ShardReader(next((root / "invert").rglob("manifest.json")), "invert").manifest
    assert embeddings.inputs["adapter"] == ShardReader(fitted, "adapt").sha256
    maps = next((root / "attend").rglob("manifest.json"))
    before = maps.stat().st_mtime_ns
    assert run(scene, text, *out, str(fitted / "manifest.json")).exit_code == 0
    assert maps.stat().st_mtime_ns == before  # nothing has changed, so nothing runs again
    other = train("other", path=str(save_tiny(tmp_path / "another", seed=1)))
    with pytest.raises(ArtifactError, match="trained on backbone"):
        run(scene, text, *out, str(other))
    with pytest.raises(AnywordError, match="no adapt here"):
        run(scene, text, *out, str(tmp_path))


def test_an_inverter_that_names_an_adapter_asks_for_it(scene, tmp_path):
    config = (scene / "mine.yaml").read_text() + (
        "datasets: {pairs: {kind: world, split: train, count: 2}}\n"
        "adapters: {lora: {kind: lora, backbone: embedded, dataset: pairs}}\n"
    )
    (tmp_path / "mine.yaml").write_text(config.replace("draws: 2}", "draws: 2, adapter: lora}"))
    arguments = ["segment", str(scene / "scene.png"), "a circle", "--inverter", "short", "--out", str(tmp_path / "out")]
    with pytest.raises(AnywordError, match="uses adapter 'lora'"):
        CliRunner().invoke(app, [*arguments, "--config", str(tmp_path / "mine.yaml")], catch_exceptions=False)
