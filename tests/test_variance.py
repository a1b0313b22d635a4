"""Terminology variance: expressions in other words, and what is told of their masks."""

import csv
import itertools
import json

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parse_openai import KEY, Server, says
from typer.testing import CliRunner
from without_models import run_directly, shard_of

from lab.studies import paraphraser, variance
from lab.studies.scores import Scores
from lab.studies.variance import Bounds, Spread, Text
from stages.artifacts import AnywordError, ShardReader
from stages.artifacts.language import Span
from stages.artifacts.masks import decode, encode
from stages.artifacts.tables import parse_of
from stages.parse.recipe import OpenaiParser
from stages.samples.command import index
from stages.samples.command import run as run_samples
from stages.samples.reader import DataLocation, reader_of
from stages.world.paraphrase import MOST, THESAURUS, paraphrases, subject, synonyms
from stages.world.sample import sample

REWRITTEN = {"kind": "rewritten-world", "split": "test", "first": 0, "count": 3, "rewrite": "subject", "seed": 0}


# ---- the thesaurus


def test_a_word_has_one_meaning_and_training_captions_hold_no_synonym():
    words = [word for base, others in THESAURUS.items() for word in (base, *others)]
    assert len(words) == len(set(words))
    said = {word for number in range(150) for word in sample("train", number).text.lower().replace(".", "").split()}
    assert not said & {other for others in THESAURUS.values() for other in others}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 400), st.integers(0, 9))
def test_paraphrases_change_the_subject_alone_and_keep_every_phrase_in_its_place(number, seed):
    one = sample("test", number)
    about = subject(one.parse, one.text, seed)
    made = paraphrases(one.text, one.parse, MOST, [about], seed)
    assert len({one.text, *(new.text for new in made)}) == MOST + 1
    for new in made:
        assert len(new.parse.phrases) == len(one.parse.phrases)
        for i, (old, moved) in enumerate(zip(one.parse.phrases, new.parse.phrases, strict=True)):
            if i != about:
                assert moved.span.of(new.text) == old.span.of(one.text)
            assert moved.root.of(new.text).lower() in (
                [word.lower() for word in synonyms(old.root.of(one.text))]
                if i == about
                else [old.root.of(one.text).lower()]
            )
        words = new.text.lower().replace(".", "").split()
        articles = [(a, b) for a, b in itertools.pairwise(words) if a in ("a", "an")]
        assert all((a == "an") == (b[0] in "aeiou") for a, b in articles)


def test_plurals_numbers_and_capitals_stay():
    assert "Wreaths" in synonyms("Rings") and "crosses" in synonyms("cruxes") and "disc2" in synonyms("circle2")
    assert synonyms("touching") == []


# ---- the samples


def test_each_scene_is_followed_by_two_to_five_paraphrases_of_the_same_image_and_truth(tmp_path):
    index(recipe={**REWRITTEN, "shard_size": 64}, output=tmp_path / "index" / "manifest.json")
    shard = tmp_path / "00000" / "manifest.json"
    run_samples(index=tmp_path / "index" / "00000" / "manifest.json", recipe={"kind": "rewritten-world"}, output=shard)
    folder = ShardReader(shard, "samples")
    groups = {row["sample_id"]: row["group"] for row in folder.table("groups")}
    rows = {row["sample_id"]: row for row in folder.table("samples")}
    truth = folder.table("truth")
    for original in ("test-000000", "test-000001", "test-000002"):
        own = [name for name, group in groups.items() if group == original]
        assert own == [original, *(f"{original}~{n}" for n in range(1, len(own)))]
        assert 3 <= len(own) <= 6
        masks = {name: [(r["index"], r["counts"]) for r in truth if r["sample_id"] == name] for name in own}
        marked = {name: [r for r in truth if r["sample_id"] == name and "rewritten" in r["tags"]] for name in own}
        for name in own:
            assert rows[name]["image_sha256"] == rows[original]["image_sha256"]
            assert masks[name] == masks[original]
            assert [r["index"] for r in marked[name]] == [marked[original][0]["index"]]
            parse_of(rows[name]).checked(rows[name]["text"])
    plain = reader_of("world").sample(next(reader_of("world").entries(REWRITTEN, DataLocation())), DataLocation())
    assert rows["test-000000"]["text"] == plain.text


def test_a_table_of_ones_own_says_its_groups_and_brings_masks_as_rle(tmp_path):
    from PIL import Image

    mask = np.zeros((20, 30), dtype=bool)
    mask[5:9, 3:12] = True
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    columns = encode(mask)
    rle = {"size": [20, 30], "counts": columns["counts"]}
    rows = [["id", "image", "text", "group", "phrases", "masks"]]
    rows += [[name, "a.png", text, group, json.dumps([text]), json.dumps([one])] for name, text, group, one in (
        ("1", "a mug", "1", rle), ("2", "a cup", "1", rle), ("3", "a dog", "", rle),
        ("4", "a cat", "4", {**rle, "size": [20, 31]}), ("5", "a cow", "5", {"size": [20, 30], "counts": "00"}),
    )]  # fmt: skip
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    place = {"root": tmp_path, "texts": tmp_path / "t.csv"}
    index(recipe={"kind": "folder", "shard_size": 64}, output=tmp_path / "index" / "manifest.json", **place)
    shard = tmp_path / "00000" / "manifest.json"
    listed = tmp_path / "index" / "00000" / "manifest.json"
    run_samples(index=listed, recipe={"kind": "folder"}, output=shard, root=tmp_path)
    folder = ShardReader(shard, "samples")
    assert [(row["sample_id"], row["group"]) for row in folder.table("groups")] == [("1", "1"), ("2", "1")]
    assert np.array_equal(decode(folder.table("truth")[0]), mask)
    assert "size" in folder.failures["4"] and "does not cover" in folder.failures["5"]


# ---- the figures


def texts(**groups):
    return [Text(group, name, f"image of {group}", "…") for group, names in groups.items() for name in names]


def scored(**values):
    keys = {(name, "phrase", i): pair for name, pairs in values.items() for i, pair in enumerate(pairs)}
    return Scores({key: iou for key, (iou, _) in keys.items()}, {key: tags for key, (_, tags) in keys.items()})


def test_a_groups_mean_and_deviation_are_over_its_paraphrased_phrases():
    marked = ["rewritten"]
    scores = scored(
        a=[(0.9, marked), (0.1, [])], a1=[(0.5, marked), (0.1, [])], b=[(0.4, []), (0.6, [])], b1=[(0.7, [])]
    )
    given = texts(a=["a", "a1"], b=["b", "b1"], c=["c"])
    found = variance.ious(scores, given)
    assert found == {"a": 0.9, "a1": 0.5, "b": 0.5, "b1": 0.7}
    first, second = variance.spreads(found, given)
    assert (first.mean, first.std, first.original, first.paraphrases) == pytest.approx((0.7, 0.2, 0.9, 0.5))
    assert (second.mean, second.std) == pytest.approx((0.6, 0.1))


@pytest.mark.parametrize(
    ("mean", "std", "name"),
    [(0.9, 0.05, "easy"), (0.9, 0.15, "medium"), (0.6, 0.0, "medium"), (0.9, 0.3, "hard"), (0.0, 0.0, "hard")],
)
def test_easy_is_accurate_and_stable_and_hard_fails_one(mean, std, name):
    assert Bounds().of(mean, std) == name


def spread(group, mean, std):
    return Spread(group, group, 3, mean, std, mean, mean)


def test_classes_are_the_baselines_and_differences_are_paired():
    before = [spread("a", 0.9, 0.05), spread("b", 0.3, 0.1)]
    after = [spread("a", 0.9, 0.05), spread("b", 0.9, 0.05)]
    found = variance.figures({"without": before, "with": after}, Bounds(), replicates=200)
    assert [found["classes"][name]["expressions"] for name in variance.CLASSES] == [1, 0, 1]
    assert found["classes"]["hard"]["without"]["mean"]["value"] == pytest.approx(0.3)
    assert found["classes"]["hard"]["with"]["mean"]["value"] == pytest.approx(0.9)
    assert found["classes"]["medium"]["with"]["mean"]["value"] is None
    assert found["settings"]["with"]["classes"] == {"easy": 2, "medium": 0, "hard": 0}
    step = found["differences"]["with-without"]
    assert step["mean"]["value"] == pytest.approx(0.3) and step["mean"]["low"] == pytest.approx(0.0)
    assert step["std"]["value"] == pytest.approx(-0.025)


# ---- a language model's paraphrases


def test_an_answer_is_placed_in_the_sentence_and_what_is_no_new_phrase_is_dropped():
    text, phrase = "the red mug on a table", Span(start=0, end=11)
    said = ["crimson cup", "The ruby beaker on a table", "the red mug on a table", "crimson  cup", "on a table of oak",
            "<b>x</b>", "1234", "word " * 13, "scarlet goblet", "one too many"]  # fmt: skip
    kept, dropped = paraphraser.placed(said, text, phrase, 3)
    assert [one.text for one in kept] == [
        "the crimson cup on a table",
        "The ruby beaker on a table",
        "the scarlet goblet on a table",
    ]
    assert [one.phrase.of(one.text) for one in kept] == ["the crimson cup", "The ruby beaker", "the scarlet goblet"]
    assert dropped == len(said) - 3
    (one,), _ = paraphraser.placed(["owl"], "a bird", Span(start=0, end=6), 3)
    assert one.text == "an owl"


@given(st.text(max_size=80), st.sampled_from(["a mug, an old cup", "mug", "Look: the red mug!"]))
def test_whatever_the_answer_the_rest_of_the_text_stays(content, text):
    at = text.index("mug")
    try:
        said = paraphraser.items(content)
    except ValueError:
        return
    kept, dropped = paraphraser.placed(said, text, Span(start=at, end=at + 3), 5)
    assert len(kept) + dropped == len(said)
    for one in kept:
        assert one.text.startswith(text[:at]) and one.text.endswith(text[at + 3 :])
        assert one.text == text[:at] + one.phrase.of(one.text) + text[at + 3 :]


@pytest.fixture
def server():
    import threading

    running = Server(answer)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def answer(number, body):
    asked = body["messages"][-1]["content"]
    if "a dog" in asked:
        return says("I cannot do that.")
    return says("[first thing & second thing & third thing & fourth thing & fifth thing]")


def test_c1s_prompt_is_asked_once_kept_without_the_key_and_one_failure_is_its_own(tmp_path, server, monkeypatch):
    monkeypatch.setenv("TOY_KEY", KEY)
    recipe = OpenaiParser(model="toy", base_url=server.url, api_key_env="TOY_KEY", price_in=5, price_out=10)
    asked = {
        "1": ("a mug on a [blue] table", Span(start=0, end=5)),
        "2": ("a dog", Span(start=0, end=5)),
    }
    model = paraphraser.Paraphraser(recipe, tmp_path)
    found, failed, usage = paraphraser.paraphrases(model, asked)
    count = paraphraser.wanted("a mug on a [blue] table")
    assert [one.text for one in found["1"]][:2] == [
        "a first thing on a [blue] table",
        "a second thing on a [blue] table",
    ]
    assert 2 <= len(found["1"]) == count <= 5
    assert "does not read" in failed["2"]
    assert usage["cost"] == pytest.approx((100 * 5 + 20 * 10) / 1e6) and usage["dropped_items"] == 5 - count
    prompts = {body["messages"][-1]["content"] for body in server.bodies}
    assert (
        f"As a NLP expert, please generate a list of {count} synonyms of the noun phrases in the following "
        "[a mug on a  blue  table] and output the list separated by '&'"
    ) in prompts
    asked_before = len(server.bodies)
    again, _, _ = paraphraser.paraphrases(paraphraser.Paraphraser(recipe, tmp_path), {"1": asked["1"]})
    assert again["1"] == found["1"] and len(server.bodies) == asked_before
    assert not any(KEY in path.read_text() for path in tmp_path.rglob("*.json"))


# ---- the command, its models replaced by masks made of the truth


def worse(experiment, sample_id, truth):
    """`full` answers every text with its truth, `inversion` originals only, `sam` with an upper half."""
    mask = truth.copy()
    if experiment.endswith("sam") or (experiment.endswith("inversion") and "~" in sample_id):
        mask[mask.shape[0] // 2 :] = False
    return mask


@pytest.fixture
def study(tmp_path, monkeypatch):
    """study(*arguments) → the figures, run in an empty folder."""
    from stages.cli import app
    from stages.config import Workflow, merged

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(variance, "run_experiments", lambda *given, **_: run_directly(*given, masks_of=worse))

    def samples_only(base, added, targets, **_):
        shard_of(Workflow(merged(base, added)), targets[0].split("/")[1])

    monkeypatch.setattr(paraphraser, "run_targets", samples_only)

    def run(*arguments):
        command = ["study", "variance", *arguments, "--json", "figures.json"]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads((tmp_path / "figures.json").read_text())

    return run


def test_the_study_tells_stable_settings_from_unstable_ones_and_writes_its_files(study, tmp_path):
    figures = study("--samples", "3")
    without, partly, full = (figures["settings"][name] for name in ("without", "with", "full"))
    assert figures["expressions"] == 3 and 9 <= figures["texts"] <= 18
    assert full["mean"]["value"] == 1.0 and full["std"]["value"] == 0.0
    assert without["std"]["value"] == 0.0 and without["mean"]["value"] < 1
    assert partly["original"]["value"] == 1.0 and partly["paraphrases"]["value"] == without["mean"]["value"]
    folder = tmp_path / "results" / "studies" / "variance-test-0-3"
    names = {path.name for path in folder.iterdir()}
    assert {"variance.csv", "variance.md", "variance.json", "expressions.csv", "texts.csv"} <= names
    assert (folder / "scatter.png").read_bytes().startswith(b"\x89PNG") and b"<svg" in (
        folder / "scatter.svg"
    ).read_bytes()
    with (folder / "texts.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3 * figures["texts"]
    assert "with inversion: IoU 1.000" in (folder / "variance.md").read_text()


def test_any_dataset_is_paraphrased_by_a_model_and_read_back_with_its_truth(study, tmp_path, server, monkeypatch):
    monkeypatch.setenv("ANYWORD_CACHE", str(tmp_path / "cache"))
    config = {
        "datasets": {"scenes": {"kind": "world", "split": "val", "count": 3}},
        "parsers": {"toy": {"kind": "openai", "model": "toy", "base_url": server.url}},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    common = ["--dataset", "scenes", "--config", "mine.yaml"]
    figures = study(*common, "--paraphraser", "toy", "--samples", "2")
    assert figures["expressions"] == 2 and figures["paraphraser"]["expressions"] == 2
    assert figures["settings"]["full"]["mean"]["value"] == 1.0
    folder = tmp_path / "results" / "studies" / "variance-scenes-toy"
    lines = [json.loads(line) for line in (folder / "texts.jsonl").read_text().splitlines()]
    for line in lines:
        said = [line["text"][one["start"] : one["end"]] for one in line["phrases"] if "rewritten" in one["tags"]]
        assert len(said) == 1 and said[0].endswith("thing") == ("~" in line["id"])
    with pytest.raises(AnywordError, match="says which expression it paraphrases"):
        study(*common)
    with pytest.raises(AnywordError, match="is no language model"):
        study(*common, "--paraphraser", "truth")


def test_wrong_options_are_refused_in_one_line(study):
    for arguments, said in (
        (["--easy", "high"], "not a mean and a deviation"),
        (["--like", "nobody"], "is none of .*spacy, truth"),
        (["--dataset", "nothing"], "is none of .*demo"),
        (["--paraphraser", "toy"], "needs --dataset"),
    ):
        with pytest.raises(AnywordError, match=said):
            study(*arguments)
