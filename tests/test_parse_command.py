"""The parse stage on a shard, and what people type."""

import io
import json

import pytest
from typer.testing import CliRunner

from stages.artifacts import AnywordError, Outcome, ShardReader, ShardWriter
from stages.artifacts.language import Parse, Phrase, Span
from stages.artifacts.manifest import Stage
from stages.artifacts.recipes import Recipe, validated
from stages.artifacts.tables import parse_of, write_table
from stages.cli import app
from stages.parse.command import run
from stages.parse.parser import ParseRequest, load_parser

runner = CliRunner()
TEXTS = ["a red cat on a mat", "two dogs", "…"]
GIVEN = Parse(phrases=(Phrase(span=Span(start=0, end=9), root=Span(start=6, end=9)),), referred=0)


@pytest.fixture
def samples(tmp_path):
    """A shard's samples; the first brings a phrase of its own."""
    output = tmp_path / "samples" / "manifest.json"
    writer = ShardWriter(Stage(name="samples", version="1"), {}, output, inputs={}, ids=["s0", "s1", "s2"])
    rows = [
        {
            "sample_id": f"s{i}",
            "image": f"{i}.png",
            "image_sha256": "0" * 64,
            "width": 8,
            "height": 8,
            "text": text,
            "split": "",
            **(GIVEN if i == 0 else Parse()).row(),
            "tags": [],
        }
        for i, text in enumerate(TEXTS)
    ]
    writer.run(lambda batch: [Outcome([rows[i]]) for i in batch], batch_size=8)
    writer.publish({"samples.parquet": lambda path: write_table(path, "samples", rows)})
    return output


def parsed(samples, recipe, output):
    run(samples=samples, recipe=recipe, output=output / "manifest.json")
    folder = ShardReader(output / "manifest.json", "parse")
    return folder, {row["sample_id"]: parse_of(row) for row in folder.table("phrases")}


def test_a_shard_of_texts_becomes_a_table_of_phrases(samples, tmp_path):
    folder, parses = parsed(samples, {"kind": "spacy"}, tmp_path / "out")
    assert [p.root.of(TEXTS[0]) for p in parses["s0"].phrases] == ["cat", "mat"]
    assert [r.span.of(TEXTS[0]) for r in parses["s0"].relations] == ["on"]
    assert parses["s2"].notes  # no word in it: a note, no failure
    assert folder.failures == {}
    assert folder.manifest.models["pipeline"].id == "embedded"
    assert folder.manifest.summary["phrases"] == 3


def test_the_same_shard_gives_the_same_bytes(samples, tmp_path):
    for name in ("one", "two"):
        parsed(samples, {"kind": "spacy"}, tmp_path / name)
    for file in ("manifest.json", "phrases.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_truth_is_the_datasets_own_and_may_be_required(samples, tmp_path):
    _, parses = parsed(samples, {"kind": "truth"}, tmp_path / "out")
    assert parses["s0"].phrases == GIVEN.phrases and parses["s1"].notes
    folder, parses = parsed(samples, {"kind": "truth", "required": True}, tmp_path / "strict")
    assert list(parses) == ["s0"]
    assert set(folder.failures) == {"s1", "s2"}


def test_how_a_server_is_asked_is_no_part_of_the_result(samples, tmp_path, monkeypatch):
    """Another key, rate or retry makes the same manifest, so nothing downstream runs again."""
    from stages.parse import answers, openai_client
    from stages.parse.openai_chat import Chat

    usage = {"requests": 1, "prompt_tokens": 5, "completion_tokens": 2}
    said = openai_client.Said(answers.Said(objects=[]), usage)
    monkeypatch.setattr(Chat, "_one", lambda self, text: said)
    base = {"kind": "openai", "base_url": "http://127.0.0.1:1/v1"}
    parsed(samples, base, tmp_path / "one")
    parsed(samples, {**base, "concurrency": 9, "timeout": 3, "api_key_env": "OTHER"}, tmp_path / "two")
    assert (tmp_path / "one" / "manifest.json").read_bytes() == (tmp_path / "two" / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"kind": "stanza"}, "kind is 'stanza'. Use one of nltk, openai, spacy"),
        ({"kind": "spacy", "pipline": "x"}, "pipline"),
        ({"kind": "openai", "temperature": 9}, "temperature"),
        ({"kind": "vocabulary", "classes": {"cat": ["kitty"], "kitten": ["Kitty"]}}, "Kitty"),
    ],
)
def test_a_recipe_that_does_not_fit_names_what_is_wrong(recipe, said):
    with pytest.raises(AnywordError, match=said):
        validated("parse", recipe, Recipe)


def test_a_vocabulary_finds_whole_words_longest_first():
    recipe = {"kind": "vocabulary", "classes": {"light": [], "traffic light": [], "sofa": ["couch"], "bus": []}}
    text = "traffic  light, Couches and buses; lightning"
    (answer,) = load_parser(recipe).parse([ParseRequest("1", text)])
    assert [p.span.of(text) for p in answer.parse.phrases] == ["traffic  light", "Couches", "buses"]
    assert answer.parse.phrases[0].root.of(text) == "light"


def train_toy_tagger(folder):
    """NLTK's own tagger on a handful of sentences, saved as its data package is."""
    from nltk.tag.perceptron import PerceptronTagger

    tagged = [
        "the/DT black/JJ and/CC white/JJ dog/NN chases/VBZ a/DT small/JJ cat/NN on/IN the/DT grass/NN",
        "the/DT cat/NN is/VBZ red/JJ",
        "two/CD dogs/NNS in/IN front/NN of/IN a/DT house/NN",
        "the/DT boy/NN 's/POS red/JJ shirt/NN",
    ]
    tagger = PerceptronTagger(load=False)
    tagger.train([[tuple(one.rsplit("/", 1)) for one in line.split()] for line in tagged] * 4, nr_iter=8)
    place = folder / "taggers" / "averaged_perceptron_tagger_eng"
    place.mkdir(parents=True)
    for value, name in zip(tagger.encode_json_obj(), tagger.param_files("eng"), strict=True):
        (place / name).write_text(json.dumps(value))


def test_nltk_tags_and_chunks_with_its_data_by_path(tmp_path):
    pytest.importorskip("nltk")
    train_toy_tagger(tmp_path)
    parser = load_parser({"kind": "nltk", "data": str(tmp_path)})
    text = "the black and white dog chases a small cat on the grass"
    owned = "the boy's red shirt"
    one, other = parser.parse([ParseRequest("1", text), ParseRequest("2", owned)])
    parse = one.parse.checked(text)
    found = [(p.root.of(text), [a.of(text) for a in p.adjectives]) for p in parse.phrases]
    assert found == [("dog", ["black", "white"]), ("cat", ["small"]), ("grass", [])]
    assert [(p.span.of(text), p.subject, p.object) for p in parse.predicates] == [("chases", 0, 1)]
    assert [p.possessor for p in other.parse.checked(owned).phrases] == [None, 0]


def test_nltk_without_its_data_says_where_to_get_it(tmp_path):
    pytest.importorskip("nltk")
    with pytest.raises(AnywordError, match=r"nltk\.downloader"):
        load_parser({"kind": "nltk", "data": str(tmp_path)})


# ---- what people type


def lines(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_parse_prints_one_object_a_text():
    (found,) = lines(runner.invoke(app, ["parse", "--text", "a boy holding a red kite", "--parser", "spacy", "--json"]))
    assert found["text"] == "a boy holding a red kite"
    assert found["phrases"][1] == {
        "start": 14, "end": 24, "text": "a red kite",
        "root": {"start": 20, "end": 24, "text": "kite"}, "adjectives": [{"start": 16, "end": 19, "text": "red"}],
    }  # fmt: skip
    assert found["predicates"] == [{"start": 6, "end": 13, "text": "holding", "subject": 0, "object": 1}]
    assert (found["referred"], found["notes"]) == (0, [])


def test_parse_reads_and_writes_lines_and_a_bad_line_fails_alone(tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text(
        '{"id": "a", "text": "a cat"}\nnot json\n{"id": "c"}\n{"id": 4, "text": "\\ud83d"}\n\n{"id": "d", "text": ""}\n'
    )
    output = tmp_path / "out" / "parsed.jsonl"
    result = runner.invoke(app, ["parse", "--input", str(texts), "--parser", "spacy", "--output", str(output)])
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [one["id"] for one in found] == ["a", "texts.jsonl:2", "texts.jsonl:3", "4", "d"]
    assert found[0]["phrases"] and all(one["notes"] for one in found[1:])
    assert all({"phrases", "predicates", "notes"} <= set(one) for one in found)


def test_what_parse_prints_serves_as_truth(tmp_path):
    first = tmp_path / "first.jsonl"
    second = tmp_path / "second.jsonl"
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"id": "a", "text": "a boy holding a red kite"}\n')
    for source, parser, target in ((texts, "spacy", first), (first, "truth", second)):
        assert (
            runner.invoke(app, ["parse", "--input", str(source), "--parser", parser, "--output", str(target)]).exit_code
            == 0
        )
    assert json.loads(first.read_text())["phrases"] == json.loads(second.read_text())["phrases"]


def test_parsers_says_what_runs_here_and_what_the_others_lack(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rows = {row["name"]: row for row in lines(runner.invoke(app, ["parsers", "--json"]))}
    assert rows["spacy"]["runs"] and rows["truth"]["runs"]
    assert "OPENAI_API_KEY" in rows["openai"]["lacks"]


def test_a_configuration_adds_recipes(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("parsers:\n  classes:\n    kind: vocabulary\n    classes: {sofa: [couch]}\n")
    arguments = ["parse", "--text", "a couch", "--parser", "classes", "--config", str(config), "--json"]
    (found,) = lines(runner.invoke(app, arguments))
    assert found["phrases"][0]["text"] == "couch"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either --text or --input"),
        (["--text", "a cat", "--parser", "nobody"], "no parser recipe is called 'nobody'"),
        (["--input", "nowhere.jsonl"], "no such file"),
        (["--text", "a cat", "--config", "nowhere.yaml"], "cannot be read"),
    ],
)
def test_mistakes_are_one_line(arguments, said):
    result = runner.invoke(app, ["parse", *arguments])
    assert isinstance(result.exception, AnywordError)
    assert said in str(result.exception)


def test_a_terminal_shows_the_text_and_what_binds_to_what():
    from rich.console import Console

    from stages.commands.parse import in_colour

    (found,) = lines(runner.invoke(app, ["parse", "--text", "a boy holding a red kite on grass", "--json"]))
    console = Console(width=80, record=True, force_terminal=True, file=io.StringIO())
    console.print(in_colour(found))
    shown = console.export_text()
    assert "a boy holding a red kite on grass" in shown
    assert "kite  ← red" in shown and "boy ─ holding → kite" in shown and "─ on ─ grass" in shown
