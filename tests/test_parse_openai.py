"""The language-model parser against a server on loopback that answers rightly, wrongly, slowly, or not at all.

The client is the real one, over real sockets; only the answers are scripted.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.artifacts import AnywordError, SampleError
from stages.parse.answers import read_json, read_paper, resolve
from stages.parse.openai_chat import Chat
from stages.parse.parser import Parsed, ParseRequest
from stages.parse.recipe import OpenaiParser

KEY = "sk-very-secret"
TEXT = "a red circle and a blue circle touching it"
RIGHT = {
    "objects": [{"noun": "circle", "attributes": ["red"]}, {"noun": "circle", "attributes": ["blue"]}],
    "actions": [{"verb": "touching", "subject": 1, "object": None}],
    "referred": 0,
}


class Server(ThreadingHTTPServer):
    """Answers each chat with what `script(number, body)` gives: (status, body, headers)."""

    daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.bodies = []
        self.keys = []
        self.times = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            number = len(server.bodies)
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.times.append(time.monotonic())
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        status, answer, headers = server.script(number, body)
        with server.lock:
            server.under_way -= 1
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # the client has given up waiting

    def log_message(self, *arguments):
        pass


def says(content, finish="stop", refusal=None):
    if not isinstance(content, str):
        content = json.dumps(content)
    return (
        200,
        {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "toy",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"role": "assistant", "content": content, "refusal": refusal},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        },
        {},
    )


def fails(status, message="no", **more):
    return status, {"error": {"message": message, "type": "t", "code": more.pop("code", None)}}, more


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """ask(script, texts, **recipe) → (answers, server), the same cache within a test."""
    monkeypatch.setenv("TOY_KEY", KEY)
    servers = []

    def run(script, texts, **options):
        server = options.pop("server", None)
        if server is None:
            server = Server(script)
            servers.append(server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        recipe = OpenaiParser(
            **{
                "model": "toy", "base_url": server.url, "api_key_env": "TOY_KEY", "price_in": 5, "price_out": 10,
                "retries": 2, "timeout": 20, **options,
            }
        )  # fmt: skip
        chat = Chat(recipe, tmp_path / "cache")
        return chat.parse([ParseRequest(str(i), text) for i, text in enumerate(texts)]), server

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def words_of(parse, text):
    return [(p.root.start, [a.of(text) for a in p.adjectives]) for p in parse.phrases]


def test_a_right_answer_is_placed_by_order_of_occurrence(ask):
    (answer,), server = ask(lambda n, b: says(RIGHT), [TEXT])
    assert words_of(answer.parse, TEXT) == [(6, ["red"]), (24, ["blue"])]
    assert [(p.span.of(TEXT), p.subject, p.object) for p in answer.parse.predicates] == [("touching", 1, None)]
    assert answer.parse.referred == 0
    body = server.bodies[0]
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"]["strict"] is True
    assert server.keys == [f"Bearer {KEY}"]


def test_tokens_and_cost_are_summed_and_a_rerun_asks_nothing(ask, tmp_path):
    texts = [TEXT, TEXT, "a star"]
    first, server = ask(lambda n, b: says(RIGHT), texts)
    again, _ = ask(None, texts, server=server)
    assert len(server.bodies) == 2  # equal texts are asked once
    assert [a.parse for a in again] == [a.parse for a in first]
    assert [dict(a.usage) for a in again] == [dict(a.usage) for a in first]
    assert first[0].usage["prompt_tokens"] == 100 and not first[1].usage
    assert first[0].usage["cost"] == pytest.approx((100 * 5 + 20 * 10) / 1e6)
    kept = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert len(kept) == 2 and not any(KEY in one for one in kept)


def test_another_model_or_template_is_asked_anew(ask):
    _, server = ask(lambda n, b: says(RIGHT), [TEXT])
    ask(None, [TEXT], server=server, model="other")
    ask(None, [TEXT], server=server, seed=7)
    assert len(server.bodies) == 3


def test_a_damaged_cached_answer_is_asked_for_again(ask, tmp_path):
    _, server = ask(lambda n, b: says(RIGHT), [TEXT])
    (path,) = tmp_path.rglob("*.json")
    path.write_text('{"content": "gone"')
    (answer,), _ = ask(None, [TEXT], server=server)
    assert len(server.bodies) == 2 and len(answer.parse.phrases) == 2


def test_words_that_are_not_there_are_dropped_and_counted(ask):
    wrong = {
        "objects": [
            {"noun": "elephant", "attributes": ["pink"]},
            {"noun": "circle", "attributes": ["red", "shiny"]},
        ],
        "actions": [{"verb": "touching", "subject": 0, "object": 9}, {"verb": "eating", "subject": 1, "object": None}],
        "referred": 5,
    }
    (answer,), _ = ask(lambda n, b: says(wrong), [TEXT])
    assert words_of(answer.parse, TEXT) == [(6, ["red"])]
    assert [(p.subject, p.object) for p in answer.parse.predicates] == [(None, None)]
    assert answer.parse.referred is None
    # elephant, shiny, the two roles of touching, eating, and referred
    assert answer.usage["dropped_words"] == 6
    assert "6 of the model's words" in answer.parse.notes[0]


@pytest.mark.parametrize(
    "content",
    [
        "```json\n" + json.dumps(RIGHT) + "\n```",
        "Sure! Here you are: " + json.dumps(RIGHT) + " I hope {this} helps.",
        json.dumps({**RIGHT, "thoughts": "…"}),
    ],
    ids=["fenced", "wordy", "more keys"],
)
def test_json_in_other_clothes_is_read(ask, content):
    (answer,), server = ask(lambda n, b: says(content), [TEXT])
    assert len(answer.parse.phrases) == 2 and len(server.bodies) == 1


def test_broken_json_is_asked_for_again_then_fails_that_text_alone(ask):
    (answer,), _ = ask(lambda n, b: says('{"objects": [') if n == 0 else says(RIGHT), [TEXT])
    assert isinstance(answer, Parsed) and answer.usage["requests"] == 2
    assert answer.usage["prompt_tokens"] == 200  # the broken one was paid, too

    def broken_for_one(number, body):
        return says("no json at all") if "star" in body["messages"][1]["content"] else says(RIGHT)

    (good, bad), _ = ask(broken_for_one, ["two red circle", "a star"])
    assert isinstance(good, Parsed)
    assert isinstance(bad, SampleError) and "does not read" in str(bad)


def test_a_server_without_schemas_gets_words_instead(ask):
    def script(number, body):
        return fails(400, "response_format is not supported") if "response_format" in body else says(RIGHT)

    answers, server = ask(script, ["a circle", "the circle"], concurrency=1)
    assert all(isinstance(answer, Parsed) for answer in answers)
    # Refused once; the second text is asked in words at once.
    assert ["response_format" in body for body in server.bodies] == [True, False, False]
    assert "JSON object alone" in server.bodies[1]["messages"][0]["content"]


def test_a_schema_that_must_be_there_is_no_matter_of_falling_back(ask):
    (answer,), server = ask(lambda n, b: fails(400, "unknown field"), [TEXT], structured="schema")
    assert isinstance(answer, SampleError) and "unknown field" in str(answer)
    assert len(server.bodies) == 1


def test_429_is_waited_for_as_long_as_the_server_says(ask):
    (answer,), server = ask(
        lambda n, b: fails(429, "slow down", **{"Retry-After": "1"}) if n == 0 else says(RIGHT), [TEXT]
    )
    assert isinstance(answer, Parsed)
    assert server.times[1] - server.times[0] >= 0.9


def test_a_server_error_is_tried_again(ask):
    (answer,), server = ask(lambda n, b: fails(503) if n < 2 else says(RIGHT), [TEXT])
    assert isinstance(answer, Parsed) and len(server.bodies) == 3


def test_a_text_that_never_gets_an_answer_fails_alone_while_others_do(ask):
    def script(number, body):
        return fails(500, "boom") if "star" in body["messages"][1]["content"] else says(RIGHT)

    (good, bad), _ = ask(script, ["a circle", "a star"], retries=1)
    assert isinstance(good, Parsed)
    assert isinstance(bad, SampleError) and "500" in str(bad)


def test_a_server_that_fails_every_text_ends_the_job(ask):
    with pytest.raises(AnywordError, match=r"500.*once the server answers"):
        ask(lambda n, b: fails(500, "boom"), ["a circle", "a star"], retries=0)


def test_a_slow_answer_is_given_up(ask):
    def slow(number, body):
        if "star" in body["messages"][1]["content"]:
            time.sleep(2)
        return says(RIGHT)

    started = time.monotonic()
    (good, bad), _ = ask(slow, ["a circle", "a star"], timeout=0.7, retries=0)
    assert isinstance(good, Parsed)
    assert isinstance(bad, SampleError) and "no answer within 0.7 s" in str(bad)
    assert time.monotonic() - started < 20


def test_nothing_listening_is_said_in_one_line(ask):
    server = Server(None)
    server.server_close()
    with pytest.raises(AnywordError, match="cannot be reached") as caught:
        ask(None, [TEXT], server=server, retries=0)
    assert "\n" not in str(caught.value)


def test_a_wrong_key_ends_the_job_and_is_not_repeated(ask):
    with pytest.raises(AnywordError, match="TOY_KEY") as caught:
        ask(lambda n, b: fails(401, f"Incorrect API key provided: {KEY}"), [TEXT])
    assert KEY not in str(caught.value)


def test_an_unknown_model_ends_the_job(ask):
    with pytest.raises(AnywordError, match="Check `model`"):
        ask(lambda n, b: fails(404, "no such model"), [TEXT])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says("", finish="length"), "cut off"),
        (says("", refusal="I will not"), "refused"),
        (says("", finish="content_filter"), "filter"),
    ],
    ids=["length", "refusal", "filter"],
)
def test_an_answer_that_is_none_fails_its_text(ask, answer, said):
    (one,), _ = ask(lambda n, b: answer, [TEXT])
    assert isinstance(one, SampleError) and said in str(one)


def test_many_are_asked_at_once_but_no_more_than_told(ask):
    def script(number, body):
        time.sleep(0.1)
        return says(RIGHT)

    _, server = ask(script, [f"circle {i}" for i in range(9)], concurrency=3)
    assert server.most_under_way == 3


def test_the_rate_is_kept(ask):
    _, server = ask(lambda n, b: says(RIGHT), [f"circle {i}" for i in range(4)], requests_per_minute=300)
    times = sorted(server.times)
    assert times[-1] - times[0] >= 3 * 0.2 - 0.05


def test_empty_texts_are_not_asked(ask):
    (answer,), server = ask(lambda n, b: says(RIGHT), ["  "])
    assert answer.parse.notes and not server.bodies


def test_the_papers_prompt_and_its_answer(ask):
    text = "the man's white shirt on the chair"
    (answer,), server = ask(lambda n, b: says("[(white, man), shirt]"), [text], template="paper")
    assert [(p.root.of(text), [a.of(text) for a in p.adjectives]) for p in answer.parse.phrases] == [
        ("shirt", ["man", "white"])
    ]
    assert answer.parse.referred == 0
    assert "As a NLP expert" in server.bodies[0]["messages"][0]["content"]
    assert "response_format" not in server.bodies[0]


def test_without_a_key_openais_own_server_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(AnywordError, match="no key in NO_KEY"):
        Chat(OpenaiParser(api_key_env="NO_KEY"), tmp_path).parse([ParseRequest("1", TEXT)])


def test_a_url_with_a_password_is_refused():
    with pytest.raises(ValueError, match="credentials"):
        OpenaiParser(base_url="http://me:secret@localhost/v1")


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40), content=st.text(max_size=80))
def test_no_answer_whatever_leaves_the_text(text, content):
    """Words of an untrusted answer become spans of the text, or nothing."""
    for read in (read_json, read_paper):
        try:
            said = read(content)
        except ValueError:
            continue
        resolve(said, text)[0].checked(text)


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(st.sampled_from(["red", "blue", "cat", "dog", "cat's", "runs"]), min_size=1, max_size=8),
    nouns=st.lists(st.sampled_from(["cat", "dog", "bird", "red cat", ""]), max_size=5),
    attributes=st.lists(st.sampled_from(["red", "blue", "old"]), max_size=3),
    index=st.integers(-3, 6),
)
def test_every_word_is_given_away_once(words, nouns, attributes, index):
    text = " ".join(words)
    said = read_json(
        json.dumps(
            {
                "objects": [{"noun": noun, "attributes": attributes} for noun in nouns],
                "actions": [{"verb": "runs", "subject": index, "object": None}],
                "referred": index,
            }
        )
    )
    parse, _ = resolve(said, text)
    parse.checked(text)
    given_away = [s for p in parse.phrases for s in (p.root, *p.adjectives)] + [p.span for p in parse.predicates]
    assert len({span.start for span in given_away}) == len(given_away)
    roots = [phrase.root.start for phrase in parse.phrases]
    assert roots == sorted(roots)
