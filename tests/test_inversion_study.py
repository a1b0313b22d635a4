"""The inversion study: every variant is one option away from the base, and its figures compare what they say."""

import csv
import io
import json
import subprocess

import pytest
import yaml
from preloaded import python
from tiny_workflow import ROOT, tiny_config, write_config

from lab.studies import batches, inversion, inversion_tables, variants
from lab.studies.ladder import Choice
from lab.studies.scores import Scores
from stages.artifacts import AnywordError
from stages.config import Workflow, merged, read_config

LAYERS = tuple(
    (f"{block}.attentions.{n}.transformer_blocks.0.attn2", side)
    for block, side, count in (("down_blocks.0", 32, 1), ("mid_block", 8, 1), ("up_blocks.1", 16, 2))
    for n in range(count)
)
FACTS = variants.Facts(layers=LAYERS, read=(LAYERS[2][0],), side=16)
CHOICE = Choice(prompter="unbound")
SCENES = {"kind": "world", "split": "val", "first": 0, "count": 4}


@pytest.fixture(scope="module")
def base():
    return read_config(ROOT / "config.yaml")


@pytest.fixture(scope="module")
def recipes(base):
    return Workflow(base).recipes


def all_parts(inverter, attender):
    return variants.parts(variants.PARTS, inverter, attender, FACTS, counts=[0, 8, 16, 32], few=1)


@pytest.fixture(scope="module")
def by_part(recipes):
    return all_parts(recipes["inverters"]["embedded"], recipes["attenders"]["direct"])


def added(base, chosen, **options):
    unique = list({one.name: one for one in chosen}.values())
    return inversion.configuration(base, CHOICE, unique, dataset=SCENES, name="study", **options)


def test_every_variant_is_a_valid_recipe_and_one_option_away_from_the_base(base, recipes, by_part):
    chosen = [one for ones in by_part.values() for one in ones]
    whole = merged(base, added(base, chosen))
    made = Workflow(whole).recipes
    for part, ones in by_part.items():
        assert ones[0].is_base and not any(one.is_base for one in ones[1:])
        assert len({one.name for one in ones}) == len(ones) > 2
        for one in ones[1:]:
            own = whole["experiments"][f"study-{one.name}"]
            changed = []
            for section, key, name in (("inverters", "inverter", "embedded"), ("attenders", "attender", "direct")):
                recipe, original = made[section][own[key]], recipes[section][name]
                if recipe.get("kind") != original["kind"]:
                    changed.append("kind")  # another kind has other keys
                else:
                    changed += [k for k in recipe if k != "backbone" and recipe[k] != original[k]]
            rate = {"lr", "steps"} if part == "steps" else {"adapter", "steps"} if part == "lora" else set()
            if part == "readings":  # some go together
                allowed = {"heads", "rescale", "refine", "sharpen", "layers", "reference", "scales", "stretch"}
                assert changed and set(changed) <= allowed
                continue
            assert len(changed) == 1 or set(changed) == rate, (part, one.name, changed)


def test_switches_turn_round_where_the_base_has_them_on(recipes):
    inverter = {**recipes["inverters"]["embedded"], "mask": {"hard": True, "threshold": 0.3}, "lr": 0.005}
    attender = {**recipes["attenders"]["direct"], "refine": 1}
    found = {part: {one.name: one for one in ones} for part, ones in all_parts(inverter, attender).items()}
    assert found["losses"]["mask-off"].inverter == {"mask": None}
    assert "refine-1" not in found["finer"] and found["finer"]["refine-0"].attender == {"refine": 0}
    assert not any("papers" in name for name in found["steps"])  # the base has the papers' rate already


def test_what_the_base_has_beyond_the_diffusion_loss_is_measured_by_leaving_it_out(by_part):
    found = {one.name: one.inverter for one in by_part["losses"]}
    assert found["entropy-off"] == {"entropy": None}
    assert found["pieces-each"] == {"pieces": "each"}


def test_layers_and_resolutions_come_from_the_backbone(by_part):
    names = {one.name for one in by_part["attention"]}
    assert {"layer-up1.1", "layers-all", "scale-8", "scales-all"} <= names
    assert "layer-up1.0" not in names  # that is what the base reads
    assert {"scale-32", "scales-16-32"} <= {one.name for one in by_part["finer"]}


def test_the_adapter_learns_words_that_the_models_never_saw(base, by_part):
    plain = added(base, by_part["lora"])
    assert plain["adapters"] == {"adapted": base["adapters"]["lora"]}
    pairs = base["datasets"][base["adapters"]["lora"]["dataset"]]
    assert pairs["split"] == "train" and pairs["synonyms"] == 1.0 and pairs["count"] == 500
    fewer = added(base, by_part["lora"], pairs=20)
    assert fewer["datasets"]["study-pairs-20"] == {**pairs, "count": 20, "shard_size": 20}
    assert fewer["adapters"]["adapted"]["pairs"] == 20
    assert "adapters" not in added(base, by_part["latent"])


def scores(**ious):
    """Four phrases of two scenes: a plain one, one in unseen synonyms; a small one and a ground."""
    tags = {
        ("a", "phrase", 0): [],
        ("a", "phrase", 1): ["synonym"],
        ("b", "phrase", 0): ["small"],
        ("b", "phrase", 1): ["ground"],
    }
    return {name: Scores(dict(zip(tags, values, strict=True)), tags) for name, values in ious.items()}


COST = {"invert": 1.25, "attend": None, "steps": 16.0}


def test_figures_are_over_all_phrases_and_over_the_parts_they_name():
    made = scores(base=[0.8, 0.2, 0.4, 0.6], better=[0.8, 0.6, 0.5, 0.6])
    found = inversion.figures(made, dict.fromkeys(made, COST))
    assert found["base"]["all"]["miou"]["value"] == pytest.approx(0.5)
    assert found["base"]["all"]["difference"] is None
    assert found["better"]["all"]["difference"]["value"] == pytest.approx(0.125)
    assert found["better"]["synonyms"]["difference"]["value"] == pytest.approx(0.4)
    assert found["better"]["small"]["miou"]["value"] == pytest.approx(0.5)
    assert found["better"]["small"]["phrases"] == 1
    text = inversion_tables.table(found)
    assert inversion_tables.table(dict(reversed(found.items()))) == text  # the base first
    assert "| better | 0.625 (" in text and "| +0.125 (" in text and "| 16.0 | 1.25 |  |" in text
    rows = list(csv.DictReader(io.StringIO(inversion_tables.as_csv("losses", found))))
    assert [row["variant"] for row in rows] == ["base", "better"]
    assert float(rows[1]["synonyms_difference_value"]) == pytest.approx(0.4)
    assert rows[0]["all_difference_value"] == "" == rows[0]["attend_seconds_an_image"]


def test_the_share_of_the_gap_is_that_of_sums_and_says_nothing_without_a_gap():
    made = scores(base=[0.9, 0.9, 0.9, 0.9], few=[0.8, 0.7, 0.9, 0.8], **{"steps-0": [0.5, 0.4, 0.5, 0.5]})
    keys = list(made["base"].ious)
    one = inversion.gap_closed(made["steps-0"].ious, made["base"].ious, made["few"].ious, keys)
    assert one["told"]
    assert one["share"]["value"] == pytest.approx((0.3 + 0.3 + 0.4 + 0.3) / (0.4 + 0.5 + 0.4 + 0.4))
    same = inversion.gap_closed(made["base"].ious, made["base"].ious, made["few"].ious, keys)
    assert not same["told"] and same["share"]["value"] is None
    ones = [variants.BASE, variants.Variant("steps-0", {"steps": 0}), variants.Variant("few", {"steps": 1})]
    gaps = inversion.gaps(made, ones)
    assert set(gaps) == {"few"}
    assert gaps["few"]["phrases"]["share"]["value"] == pytest.approx(0.3 / 0.5)
    assert gaps["few"]["scenes"]["share"]["value"] == pytest.approx(0.6 / 0.9)  # all phrases of scene a
    assert "closed by few, phrases of unseen synonyms: 0.600" in inversion_tables.gap_lines(gaps)[0]


def test_the_plot_has_a_curve_a_rate(tmp_path):
    ones = [
        variants.BASE,
        *variants.steps({"steps": 16, "lr": 0.001, "lr_unit": "absolute"}, [0, 8]),
    ]
    made = scores(**{one.name: [0.1, 0.2, 0.3, 0.4] for one in ones})
    inversion_tables.plot(ones, inversion.figures(made, {one.name: COST for one in ones}), 16, tmp_path / "steps.png")
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")


def test_masks_are_compared_one_by_one_and_empty_ones_agree():
    import numpy as np
    from pycocotools import mask as coco

    def rle(size):
        pixels = np.zeros((4, 4), np.uint8, order="F")
        pixels[:size] = 1
        return coco.encode(pixels)

    keys = [("a", "phrase", 0), ("a", "phrase", 1), ("b", "phrase", 0)]
    one = dict(zip(keys, (rle(2), rle(0), rle(4)), strict=True))
    two = {**one, keys[0]: rle(1)}
    found = batches.agreement(one, two)
    assert found == {
        "batch_iou_min": 0.5,
        "batch_iou_mean": pytest.approx(2.5 / 3),
        "batch_masks": 3,
        "batch_samples": 2,
    }
    with pytest.raises(AnywordError, match="in one run only"):
        batches.agreement(one, {keys[0]: rle(1)})


def study(folder, *arguments):
    command = [python(), "-m", "stages", "study", *arguments, "--config", str(folder / "mine.yaml")]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_study_runs_its_variants_and_writes_its_tables(tmp_path):
    write_config(tmp_path, tiny_config(tmp_path))
    options = ["--part", "steps", "--steps", "0", "--samples", "2", "--inverter", "tiny", "--attender", "tiny"]
    options += ["--synonyms", "1"]
    said = study(tmp_path, "inversion", *options, "--segmenter", "attention", "--json", str(tmp_path / "all.json"))
    folder = tmp_path / "results/studies/inversion-val-0-2-synonyms-1"
    assert (folder / "steps.md").read_text().strip() in said
    found = json.loads((tmp_path / "all.json").read_text())["parts"]["steps"]["variants"]
    assert set(found) == {"base", "steps-0"}
    ran = yaml.safe_load((folder / "config.yaml").read_text())["datasets"][folder.name]
    assert ran["synonyms"] == 1 and ran["split"] == "val"
    assert found["base"]["cost"]["steps"] == 2 and found["steps-0"]["cost"]["steps"] == 0
    assert found["base"]["cost"]["invert"] > 0 and found["base"]["cost"]["attend"] > 0
    assert (folder / "steps.png").stat().st_size > 0 and (folder / "steps.csv").stat().st_size > 0


def test_batches_of_two_sizes_are_compared_and_added_to_other_figures(tmp_path, monkeypatch):
    """The workflow's part is a written result here; that sizes reach the stages is test_config's affair."""
    from toy_results import rectangle, toys, write_results
    from typer.testing import CliRunner

    from stages.cli import app

    sizes = []

    def run(base, added, *, folder, cores):
        (name,) = added["experiments"]
        assert Workflow(merged(base, added)).config.experiments[name].dataset == name
        sizes.append(added["execution"]["batch_size"])
        samples = toys()
        if len(sizes) == 2:
            samples[0].masks["phrase", 0] = rectangle(4, 4, 14, 9)  # half of what it was
        write_results(tmp_path / "results" / name, samples, experiment=name)

    monkeypatch.setattr(batches, "run_experiments", run)
    monkeypatch.chdir(tmp_path)
    figures = tmp_path / "figures.json"
    figures.write_text('{"other": 1}')
    done = CliRunner().invoke(app, ["study", "batches", "--samples", "2", "--json", str(figures)])
    assert done.exit_code == 0, done.output
    assert sizes == [dict.fromkeys(("invert", "attend", "segment"), size) for size in (1, 8)]
    found = json.loads(figures.read_text())
    assert found["other"] == 1
    assert found["batch_iou_min"] == 0.5 and 0.5 < found["batch_iou_mean"] < 1
    assert "batch_iou_min    0.5000" in done.stdout
