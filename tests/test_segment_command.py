"""`anyword segment`: one image and one sentence, with models given by path."""

import json
import re

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
    leads = re.search(r'href="([^"#]+)#id=image"', (out / "index.html").read_text())
    assert (out / leads[1]).is_file() and "refresh" in (out / "index.html").read_text()
    assert "English" not in done.stderr

    # Another sentence in the same folder: nothing of the first stays, and what is said twice is one category.
    assert run(scene, "a red circle and a red circle").exit_code == 0
    coco = json.loads((out / "coco.json").read_text())
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["01_a-red-circle.png", "02_a-red-circle.png"]
    assert [one["name"] for one in coco["categories"]] == ["a red circle"]
    assert [one["category_id"] for one in coco["annotations"]] == [1, 1] and coco["info"]
    assert run(scene, text).exit_code == 0

    embeddings = next((out / "stages" / "image" / "invert").rglob("embeddings.safetensors"))
    before = embeddings.stat().st_mtime_ns
    assert run(scene, text, "--parser", "spacy").exit_code == 0
    assert embeddings.stat().st_mtime_ns == before


def test_a_sentence_in_another_language_says_that_the_parser_is_english(scene, tmp_path):
    done = run(scene, "ein Kreis und ein Stern", "--out", str(tmp_path))
    assert done.exit_code == 0
    assert done.stderr.count("the text does not look English; the parsers here are English ones") == 1


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


def hidden(*_, **__):
    raise RuntimeError("a model was loaded")


def test_what_is_unchanged_loads_no_model_and_replaced_weights_are_seen(scene, tmp_path, monkeypatch):
    import shutil

    import stages.models.diffusion as diffusion
    import stages.models.sam as sam

    folder = tmp_path / "own"
    shutil.copytree(scene, folder, ignore=shutil.ignore_patterns("out"))
    text = "a red circle"
    assert run(folder, text).exit_code == 0
    root = folder / "out/stages/image"
    stages = ("invert", "attend", "prompt", "segment")
    made = {stage: next(path for path in root.rglob("manifest.json") if stage in path.parts) for stage in stages}
    before = {stage: path.stat().st_mtime_ns for stage, path in made.items()}
    with monkeypatch.context() as patched:
        patched.setattr(diffusion, "load", hidden)
        patched.setattr(sam, "load", hidden)
        assert run(folder, text).exit_code == 0
    assert {stage: path.stat().st_mtime_ns for stage, path in made.items()} == before
    weights = max((folder / "backbone" / "unet").rglob("*.safetensors"), key=lambda path: path.stat().st_size)
    weights.write_bytes(weights.read_bytes()[:-4] + bytes(4))
    assert run(folder, text).exit_code == 0
    assert all(path.stat().st_mtime_ns > before[stage] for stage, path in made.items())


def test_a_damaged_result_is_made_again(scene, tmp_path):
    run(scene, "a red circle", "--out", str(tmp_path))
    masks = next((tmp_path / "stages").rglob("masks.parquet"))
    whole = masks.read_bytes()
    masks.write_bytes(whole[:-1] + b"x")
    run(scene, "a red circle", "--out", str(tmp_path))
    assert masks.read_bytes() == whole


@pytest.mark.parametrize("kind", ["sam3", "grounding-dino"])
def test_a_segmenter_that_reads_words_alone_needs_nothing_of_attention(kind):
    from stages.config import Workflow, complete_config, merged
    from stages.plan import needs

    config = merged(complete_config(), {"segmenters": {"words": {"kind": kind}}})
    config["experiments"]["spacy"]["segmenter"] = "words"
    assert needs(Workflow(config), "spacy") == {"samples", "phrases"}
    config["experiments"]["spacy"]["segmenter"] = "attention"
    assert needs(Workflow(config), "spacy") == {"samples", "phrases", "embeddings", "maps"}


def test_the_plan_of_a_text_only_segmenter_has_no_stage_of_attention(tmp_path):
    from stages.artifacts.results import Results
    from stages.config import Workflow, complete_config, merged
    from stages.plan import steps

    config = merged(complete_config(), {"segmenters": {"words": {"kind": "sam3"}}})
    config["experiments"]["spacy"]["segmenter"] = "words"
    planned = steps(Workflow(config), "spacy", Results(tmp_path), "00000", images=tmp_path, texts=tmp_path / "t.csv")
    assert [step.stage for step in planned] == ["index", "samples", "parse", "segment", "report"]


@pytest.mark.parametrize(("given", "named"), [("--backbone", "SAM"), ("--sam", "backbone")])
def test_either_embedded_model_on_a_photograph_is_named(scene, caplog, given, named):
    from stages.choice import warn_if_embedded
    from stages.config import complete_config

    config = complete_config(scene / "mine.yaml")
    chosen = dict(config["experiments"]["spacy"])
    if given == "--backbone":
        chosen["inverter"] = "paper"
    else:
        chosen["segmenter"] = "tiny"
    with caplog.at_level("WARNING", logger="anyword"):
        warn_if_embedded(config, chosen, scene / "scene.png")
    (line,) = [record.getMessage() for record in caplog.records if "embedded" in record.getMessage()]
    assert f"The embedded {named} (" in line


def test_a_list_of_classes_becomes_a_label_map(scene):
    import numpy as np
    from PIL import Image

    out = scene / "labels"
    arguments = ["segment", str(scene / "scene.png"), "--classes", "red circle, grass,, grass", "--out", str(out)]
    (scene / "quick.yaml").write_text("inverters: {invseg: {kind: invseg, backbone: embedded, steps: 1}}\n")
    done = CliRunner().invoke(app, [*arguments, "--config", str(scene / "quick.yaml")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with Image.open(out / "labels.png") as labels:
        values = np.asarray(labels)
    assert values.shape == (90, 120) and set(np.unique(values)) <= {1, 2}
    for one in json.loads((out / "coco.json").read_text())["annotations"]:
        with Image.open(out / one["mask"]) as mask:
            assert ((np.asarray(mask) > 0) == (values == one["id"])).all()
    with Image.open(out / "overlay.png") as overlay:
        assert overlay.height > 90  # the legend


@pytest.mark.parametrize("arguments", [[], ["a dog", "--classes", "dog"]])
def test_a_sentence_or_classes(scene, arguments):
    with pytest.raises(AnywordError, match="give one of them"):
        CliRunner().invoke(app, ["segment", str(scene / "scene.png"), *arguments], catch_exceptions=False)
