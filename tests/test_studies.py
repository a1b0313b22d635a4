"""Studies: their settings, their tables and plots, and what they say of what cannot run here."""

import csv
import io
import json
import shutil
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_results import CIRCLE, SQUARE, Toy, phrase, span, write_results

from lab.studies import ablation, captions, speed
from lab.studies.captioner import MISTAKES, said
from lab.studies.options import chosen_dataset, scenes
from lab.studies.table import Row, Table, save
from lab.studies.workflow import absent
from stages import REPOSITORY
from stages.artifacts import AnywordError
from stages.artifacts.language import Parse, Phrase
from stages.config import Workflow, complete_config, merged, read_config
from stages.world.caption import SYNONYMS
from stages.world.sample import sample
from stages.world.scene import scene
from stages.world.shapes import NOUNS

GRANDF = REPOSITORY / "workflow" / "studies" / "grandf.yaml"


# Tables.

TABLE = Table(
    ("setting", "steps"),
    ("mIoU", "seconds"),
    [
        Row(["plain", "0"], {"mIoU": {"value": 0.5, "low": 0.4, "high": 0.625}, "seconds": 2}),
        Row(["full, all", "16"], {"mIoU": {"value": 0.75, "low": None, "high": None}}, "one job lost"),
        Row(["real", ""], {}, "weights absent"),
    ],
)


def test_a_table_says_the_same_as_csv_markdown_and_json():
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert [row["setting"] for row in rows] == ["plain", "full, all", "real"]
    assert (rows[0]["mIoU"], rows[0]["mIoU_low"], rows[0]["mIoU_high"]) == ("0.500000", "0.400000", "0.625000")
    assert (rows[0]["seconds"], rows[1]["seconds"], rows[2]["mIoU"]) == ("2", "", "")
    assert rows[2]["note"] == "weights absent"
    text = TABLE.markdown()
    assert "| plain | 0 | 0.500 (0.400 to 0.625) | 2 |  |" in text
    assert "| full, all | 16 | 0.750 |  | one job lost |" in text
    assert text.splitlines()[-1] == "not run: real: weights absent"
    found = json.loads(json.dumps(TABLE.json()))
    assert found[0]["mIoU"]["high"] == 0.625 and found[2] == {
        "setting": "real",
        "steps": "",
        "not_run": "weights absent",
    }


def test_a_study_leaves_table_and_plot_and_twice_the_same(tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        save(folder, "toy", TABLE, drawn=["mIoU", "seconds"], title="Toy")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["toy.csv", "toy.md", "toy.png", "toy.svg"]
    assert (tmp_path / "a" / "toy.png").read_bytes().startswith(b"\x89PNG")
    assert ET.parse(tmp_path / "a" / "toy.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_table_of_nothing_that_ran_has_no_plot(tmp_path):
    text = save(tmp_path, "toy", Table(("setting",), ("mIoU",), [Row(["real"], {}, "absent")]), drawn=["mIoU"])
    assert text == "not run: real: absent"
    assert not list(tmp_path.glob("*.png"))


# The ablation.


def test_steps_keep_the_papers_ratios_unless_all_three_are_given():
    assert ablation.steps_of("", 1100) == ablation.Steps(50, 550, 1100)
    assert ablation.steps_of("44", 1100) == ablation.Steps(2, 22, 44)
    assert ablation.steps_of("3", 1100) == ablation.Steps(1, 2, 3)
    assert ablation.steps_of("5,6,7", 1100) == ablation.Steps(5, 6, 7)
    for bad in ("0", "1,2", "many", "1,0,2"):
        with pytest.raises(AnywordError, match="--steps"):
            ablation.steps_of(bad, 1100)


def test_the_eight_settings_are_those_of_table_6():
    base = complete_config()
    name, recipe = scenes("test", 0, 4, 2)
    inverter = base["inverters"]["embedded"]
    assert ablation.fitted(base, inverter, name, None, None) == ("lora", {})
    adapter, lacking = ablation.fitted(base, inverter, name, 3, 2)
    assert lacking["adapters"][adapter] == base["adapters"]["lora"] | {
        "dataset": f"{name}-pairs-3",
        "pairs": 3,
        "steps": 2,
    }
    base = merged(merged(base, {"datasets": {name: recipe}}), lacking)
    choice = ablation.Choice(like="truth", attention="attention", adapter=adapter)
    own = base["inverters"]["embedded"]["steps"]
    added = ablation.configuration(base, choice, dataset=name, steps=ablation.steps_of("", own))
    workflow = Workflow(merged(base, added))
    rows = []
    for one in ablation.SETTINGS:
        chosen = workflow.experiment(ablation.experiment(name, one))
        inverter = workflow.recipes["inverters"][chosen.inverter]
        prompter = workflow.recipes["prompters"][chosen.prompter]
        segmenter = workflow.recipes["segmenters"][chosen.segmenter]["kind"]
        adapter = inverter["adapter"] is not None
        rows.append(
            (segmenter != "attention", inverter["steps"], adapter, prompter["adjectives"], prompter["exclusion"])
        )
    assert rows == [
        (False, 0, False, False, False),
        (True, 0, False, False, False),
        (True, own // 2, False, False, False),
        (True, own, False, False, False),
        (True, own, False, True, False),
        (True, own, False, False, True),
        (True, own, False, True, True),
        (True, 1, True, True, True),
    ]
    used = {workflow.experiment(one).inverter for one in added["experiments"]}
    assert used == {
        "none",
        f"embedded-{own // 2}",
        "embedded",
        f"embedded-1-{choice.adapter}",
    }  # the recipe itself is shared
    assert workflow.adapter_of(f"embedded-1-{choice.adapter}")[1] == f"{name}-pairs-3"


def test_the_papers_own_settings_ship_and_say_what_they_lack(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    base = complete_config(GRANDF)
    name, _ = chosen_dataset(base, "grandf", "", 0, 0, 0)
    steps = ablation.steps_of("", base["inverters"]["paper"].get("steps", 1100))
    assert steps == ablation.Steps(50, 550, 1100)
    choice = ablation.Choice(like="grandf", attention="attention", adapter="grandf")
    workflow = Workflow(merged(base, ablation.configuration(base, choice, dataset=name, steps=steps)))
    assert workflow.recipes["segmenters"]["attention"]["threshold"] == 0.5
    lora, bare = (ablation.experiment(name, ablation.SETTINGS[at]) for at in (-1, 0))
    missing = " ".join(absent(workflow, lora))
    for lost in ("datasets.grandf.root", "sam_vit_h_4b8939.pth", "CompVis/ldm-text2im-large-256", "OPENAI_API_KEY"):
        assert lost in missing
    assert "datasets.grandf-train" in missing
    assert "sam_vit_h" not in " ".join(absent(workflow, bare))  # without SAM, SAM is not missed
    (tmp_path / "data" / "GranDf").mkdir(parents=True)
    (tmp_path / "sam_vit_h_4b8939.pth").touch()
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    (left,) = absent(workflow, lora)
    assert "ldm-text2im" in left


def test_what_the_embedded_recipes_need_is_there():
    assert absent(Workflow(read_config(REPOSITORY / "config.yaml")), "spacy") == []


def test_an_unknown_dataset_is_named():
    with pytest.raises(AnywordError, match="--dataset 'nope' is none of"):
        chosen_dataset(complete_config(), "nope", "test", 0, 1, 1)


# Captions.


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 500), st.sampled_from(MISTAKES))
def test_a_mistaken_caption_differs_by_its_mistake_and_its_spans_hold(index, mistake):
    own, found = sample("test", index), said("test", index, mistake)
    assert said("test", index, mistake) == found
    found.parse.checked(found.text)
    if not found.mistaken:
        assert mistake == "another" or found.text == own.text
        return
    assert found.text != own.text
    there = {x.noun for x in scene("test", index).instances}
    shapes = set(NOUNS) | set(SYNONYMS)
    known = {unseen: word for word, unseen in SYNONYMS.items()}
    words = {one.root.of(found.text).lower().rstrip("0123456789") for one in found.parse.phrases}
    words |= {one.removesuffix("s") for one in words} | {one.removesuffix("es") for one in words}
    named = {known.get(word, word) for word in words} & shapes
    invented = mistake in ("wrong-noun", "absent-object")
    assert mistake == "mixed" or bool(named - there) == invented


def test_captions_can_be_mistaken_in_every_way():
    for mistake in MISTAKES[1:]:
        assert sum(said("test", index, mistake).mistaken for index in range(20)) >= 5, mistake
    with pytest.raises(ValueError, match="mistake 'typo'"):
        said("test", 0, "typo")


def rows(text, *parts):
    """Target columns of phrases given as (words, root), in the text's order."""
    found, at = [], 0
    for words, root in parts:
        outer = span(text, words, at)
        inner = span(text, root, outer.start)
        at = outer.end
        found.append({"start": outer.start, "end": outer.end, "root_start": inner.start, "root_end": inner.end})
    return found


def test_by_words_a_phrase_goes_to_its_like_and_then_to_its_noun():
    text, other = "a red circle and a blue circle on sand", "the Blue circle near a circle, a star"
    wanted = rows(text, ("a red circle", "circle"), ("a blue circle", "circle"), ("sand", "sand"))
    given = rows(other, ("the Blue circle", "circle"), ("a circle", "circle"), ("a star", "star"))
    assert captions.by_the_words(text, wanted, other, given) == [1, 0, None]


def test_captions_of_a_file_are_known_by_id(tmp_path):
    table, lines = tmp_path / "blip.csv", tmp_path / "glamm.jsonl"
    table.write_text('id,text\na,"a dog, a cat"\nx,nobody asked\n')
    lines.write_text('{"id": "a", "text": "a cat"}\n')
    source = captions.read_captions(table, ["a", "b"])
    assert source.name == "blip" and source.captions == {"a": ("a dog, a cat", None)}
    assert captions.read_captions(lines, ["a", "b"]).captions == {"a": ("a cat", None)}
    with pytest.raises(AnywordError, match="none of its 1 ids"):
        captions.read_captions(lines, ["b"])
    table.write_text("id,caption\na,b\n")
    with pytest.raises(AnywordError, match="lacks the columns id and text"):
        captions.read_captions(table, ["a"])
    lines.write_text('{"id": "a", "text": "a cat"}\n{"id": "a", "text": "again"}\n')
    with pytest.raises(AnywordError, match="two captions of 'a'"):
        captions.read_captions(lines, ["a"])


TEXT = "a red circle and a blue square"
PARSE = Parse(phrases=(phrase(TEXT, "a red circle", "circle"), phrase(TEXT, "a blue square", "square")))


def test_masks_of_a_caption_are_held_against_the_truth_of_the_text(tmp_path):
    """The caption forgets the circle, calls the square a star, and one sample has no caption at all."""
    own = [Toy(name, TEXT, PARSE, truth={("phrase", 0): CIRCLE, ("phrase", 1): SQUARE}) for name in ("one", "two")]
    write_results(tmp_path / "clean", own)
    spoken = "a blue star"
    star = Toy("one", spoken, Parse(phrases=(phrase(spoken, spoken, "star"),)), masks={("phrase", 0): SQUARE})
    write_results(tmp_path / "said", [Toy(star.id, star.text, star.parse, {("phrase", 0): SQUARE}, star.masks)])
    given = captions.shards(tmp_path, "clean")
    found = captions.figures(tmp_path, given, "said", "toy", recipe={"kind": "grandf", "replicates": 10})
    assert found["mIoU_by_iou"]["value"] == pytest.approx(1 / 4)  # the square alone, of four phrases
    assert found["mIoU_by_words"]["value"] == 0.0
    assert found["mIoU"]["value"] == pytest.approx(1 / 2)  # GranDf charges nothing for what has no partner
    assert found["recall"]["value"] == 0.0
    assert 0 < found["AP50"]["value"] < 1
    assert found["unanswered"] == 1


def test_captions_become_a_dataset_of_the_same_images(tmp_path):
    from stages.samples.reader import DataLocation, reader_of

    write_results(tmp_path / "clean", [Toy("one", TEXT, PARSE, truth={("phrase", 0): CIRCLE})])
    given = captions.shards(tmp_path, "clean")
    text = "a star"
    parse = Parse(phrases=(Phrase(span=span(text, "a star"), root=span(text, "star")),))
    path = tmp_path / "said.jsonl"
    source = captions.Source("said", {"one": (text, parse), "other": ("not here", None)})
    assert captions.write_texts(path, given, source, drawn=True) == 1
    before = path.stat().st_mtime_ns
    captions.write_texts(path, given, source, drawn=True)
    assert path.stat().st_mtime_ns == before  # nothing is made anew where nothing changed
    place = DataLocation(tmp_path / "clean" / "samples", path)
    reader = reader_of("folder")
    (entry,) = reader.entries({}, place)
    assert entry.problem is None
    read = reader.sample(entry, place)
    assert (read.text, read.parse) == (text, parse)
    assert read.sha256 == given[0].samples.table("samples")[0]["image_sha256"]


# Speed.


def benchmark(logs, name, seconds):
    path = logs / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t10\n")


@pytest.fixture
def measured(tmp_path):
    """The toy experiment (two shards of two samples) with a benchmark file a job."""
    results, logs = tmp_path / "results", tmp_path / "logs"
    write_results(results / "data")
    (results / "data" / "experiments" / "toy" / "report").mkdir()
    (results / "data" / "experiments" / "toy" / "report" / "manifest.json").touch()
    for shard in ("00000", "00001"):
        for stage, seconds in {"parse/truth": 1, "invert/toy": 100, "attend/toy/toy": 20}.items():
            benchmark(logs / "data", f"{stage}/{shard}", seconds)
        for stage, seconds in {"prompt": 2, "segment": 4}.items():
            benchmark(logs / "data" / "experiments" / "toy", f"{stage}/{shard}", seconds)
    return results, logs


def test_seconds_an_image_come_from_the_jobs_that_made_the_masks(measured):
    results, logs = measured
    assert speed.finished(results) == [("data", "toy")]
    benchmark(logs / "data", "invert/other/00000", 9000)  # another recipe's job counts for nothing
    found = speed.times(results, logs, "data", "toy")
    row = speed.row(found)
    expected = {"parse": 0.5, "invert": 50.0, "attend": 10.0, "prompt": 1.0, "segment": 2.0, "all": 63.5, "images": 4}
    assert row.figures == expected
    papers = speed.table([found]).rows[1:]
    assert [one.figures["all"] for one in papers] == [150.0, 180.0, 470.0, 28.0]
    assert all("A100" in one.labels[1] for one in papers) and "as run" in row.labels[1]


def test_a_job_without_a_benchmark_file_is_told_and_gives_no_total(measured):
    results, logs = measured
    (logs / "data" / "invert" / "toy" / "00001.tsv").unlink()
    row = speed.row(speed.times(results, logs, "data", "toy"))
    assert row.figures["invert"] == 50.0  # of the shard that was measured
    assert "all" not in row.figures
    assert row.note == "1 job without a benchmark file"


def test_an_experiment_that_is_not_there_is_named(measured):
    with pytest.raises(AnywordError, match=r"no experiment 'none' is finished here\. There are toy"):
        speed.chosen(measured[0], ["none"])
    shutil.rmtree(measured[0] / "data" / "attend")
    with pytest.raises(AnywordError, match=r"attend.*: what a later result was made from is not there any more"):
        speed.times(*measured, "data", "toy")


# Parsers.


def test_noise_is_a_row_a_kind_and_a_column_a_parser():
    from lab.studies import parsers

    score = {"phrases": {"count": 2, "miou": {"value": 0.5, "low": 0.4, "high": 0.6}}, "predicates": {"count": 0}}
    one = parsers.miou(score)
    assert one["value"] == 0.5 and parsers.miou(score, "predicates") is None
    text = parsers.noise_table({"clean": {"truth": one}, "broken_grammar": {"truth": 0.25, "spacy": 0.125}}).markdown()
    assert text.splitlines()[0] == "| text | truth | spacy |"
    assert text.splitlines()[-1] == "| broken grammar | 0.250 | 0.125 |"
