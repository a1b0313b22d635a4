"""The language-model parser against a server on loopback that answers rightly, wrongly, slowly, or not at all.

The client is the real one, over real sockets; only the answers are scripted.
"""

import importlib.util
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.artifacts import AnywordError, SampleError
from stages.parse.answers import read_json, read_paper
from stages.parse.openai_chat import Chat
from stages.parse.openai_key import Key
from stages.parse.parser import Parsed, ParseRequest
from stages.parse.placing import resolve
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


# ---- keys, servers and answers as people have them


@pytest.mark.parametrize("key", ["sk-SECRET-0123456789\n", " sk-SECRET-0123456789 ", "\tsk-SECRET-0123456789\r\n"])
def test_white_space_around_a_key_is_not_of_it(ask, monkeypatch, key):
    monkeypatch.setenv("SPACED_KEY", key)
    (answer,), server = ask(lambda n, b: says(RIGHT), [TEXT], api_key_env="SPACED_KEY")
    assert isinstance(answer, Parsed) and server.keys == ["Bearer sk-SECRET-0123456789"]


@pytest.mark.parametrize("key", ["sk-sécret", "sk-se\ncret", "sk-se cret", "“sk-secret”", "sk-\x00secret"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(ask, monkeypatch, key):
    monkeypatch.setattr("os.environ", {**os.environ, "ODD_KEY": key})
    with pytest.raises(AnywordError, match=r"holds a letter that no key has.*Copy the key again") as caught:
        ask(lambda n, b: says(RIGHT), [TEXT], api_key_env="ODD_KEY")
    assert "cret" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    key=st.text("abcdefgh-0123456789", min_size=8, max_size=24),
    around=st.text(max_size=12),
    cut=st.tuples(st.integers(0, 15), st.integers(8, 24)),
)
def test_no_part_of_eight_letters_of_a_key_is_ever_shown(key, around, cut):
    part = key[cut[0] : cut[0] + cut[1]]
    shown = Key(key).scrubbed(f"{around}{key} {part}{around}{part}")
    assert not any(key[i : i + 8] in shown for i in range(len(key) - 7))
    assert Key(key).scrubbed("a red circle ") == "a red circle "


def test_a_key_that_the_server_echoes_reaches_no_message_log_or_cache(ask, tmp_path, caplog, monkeypatch):
    key = "sk-proj-0123456789abcdef"
    monkeypatch.setenv("LONG_KEY", key)

    def script(number, body):
        text = body["messages"][1]["content"]
        if "star" in text:
            return says(f"Your key is {key}, its end {key[-9:]}.")
        if "ring" in text:
            return says("", refusal=f"not for {key}")
        if "dot" in text:
            return fails(400, f"bad request from {key[:12]}…{key[-10:]}")
        return says(RIGHT) if "seed" not in body else fails(400, f"seed is not known to {key}")

    texts = ["a circle", "a star", "a ring", "a dot"]
    caplog.set_level("DEBUG", "anyword")
    answers, _ = ask(script, texts, api_key_env="LONG_KEY", concurrency=1)
    kept = " ".join(path.read_text() for path in tmp_path.rglob("*.json"))
    said = " ".join(map(str, answers)) + caplog.text + kept
    assert "its end" in kept and "seed" in caplog.text
    assert not any(key[i : i + 8] in said for i in range(len(key) - 7))


def reasoning(number, body):
    """What a reasoning model's server says to the parameters of old."""
    for name, hint in (("max_tokens", " Use 'max_completion_tokens' instead."), ("temperature", ""), ("seed", "")):
        if name in body:
            return fails(400, f"Unsupported parameter: '{name}' is not supported with this model.{hint}")
    return says(RIGHT)


def test_what_a_server_refuses_by_name_is_left_out_once_for_the_whole_run(ask, caplog):
    answers, server = ask(reasoning, ["a circle", "the circle", "one circle"], concurrency=1)
    assert all(isinstance(answer, Parsed) for answer in answers)
    assert len(server.bodies) == 3 + 3
    assert server.bodies[-1]["max_completion_tokens"] == 4 * 2048
    assert not {"max_tokens", "temperature", "seed"} & set(server.bodies[-1])
    assert [record.message.count("from now on") for record in caplog.records if "refused" in record.message] == [1] * 3


@pytest.mark.parametrize("status", [400, 404, 415, 422, 500, 501])
def test_a_refusal_that_names_the_schema_is_about_the_schema_whatever_its_status(ask, status):
    def script(number, body):
        return fails(status, "response_format is not supported") if "response_format" in body else says(RIGHT)

    (answer,), server = ask(script, [TEXT], retries=3)
    assert isinstance(answer, Parsed) and len(server.bodies) == 2


def test_limits_that_a_server_does_not_know_leave_the_schema(ask):
    def script(number, body):
        limited = "maxLength" in json.dumps(body.get("response_format"))
        return (
            fails(400, "Invalid schema for response_format: 'maxLength' is not permitted") if limited else says(RIGHT)
        )

    (answer,), server = ask(script, [TEXT])
    assert isinstance(answer, Parsed) and "response_format" in server.bodies[1]
    assert server.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["objects"]["maxItems"] == 100


def test_a_server_that_refuses_every_text_ends_the_job(ask):
    with pytest.raises(AnywordError, match=r"no such field.*All 2 texts are refused"):
        ask(lambda n, b: fails(400, "no such field"), ["a star", "a circle"])


def test_a_400_about_one_text_leaves_the_schema_to_the_others(ask):
    def script(number, body):
        return fails(400, "too long") if "star" in body["messages"][1]["content"] else says(RIGHT)

    (bad, good), server = ask(script, ["a star", "a circle"], concurrency=1)
    assert isinstance(bad, SampleError) and isinstance(good, Parsed)
    assert ["response_format" in body for body in server.bodies] == [True, False, True]


def test_a_parameter_that_the_caption_names_is_not_what_a_refusal_is_about(ask):
    (answer,), server = ask(lambda n, b: fails(400, "blocked: a seed in a hand"), ["a seed in a hand"])
    assert isinstance(answer, SampleError) and all("seed" in body for body in server.bodies)


def test_azures_deployments_are_asked_with_their_version_and_their_header(ask):
    paths = []

    class Handler(_Handler):
        def do_POST(self):
            paths.append((self.path, self.headers["api-key"]))
            super().do_POST()

    class Azure(Server):
        @property
        def url(self):
            return f"http://127.0.0.1:{self.server_port}/openai/deployments/toy?api-version=2024-10-21"

    server = Azure(lambda n, b: says(RIGHT))
    server.RequestHandlerClass = type(
        "H",
        (_Handler,),
        {"do_POST": lambda self: (paths.append((self.path, self.headers["api-key"])), _Handler.do_POST(self))},
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (answer,), _ = ask(None, [TEXT], server=server)
    server.shutdown()
    server.server_close()
    assert isinstance(answer, Parsed)
    assert paths == [("/openai/deployments/toy/chat/completions?api-version=2024-10-21", KEY)]
    with pytest.raises(ValueError, match="only api-version"):
        OpenaiParser(base_url="http://localhost/v1?key=secret")


@pytest.mark.parametrize(
    ("proxy", "said"),
    [("socks5://127.0.0.1:9", r"SOCKS proxy.*segment-anyword\[socks\]"), ("nonsense://x", "no connection can be made")],
)
def test_a_proxy_that_cannot_be_used_is_one_line(ask, monkeypatch, proxy, said):
    if proxy.startswith("socks") and importlib.util.find_spec("socksio"):
        pytest.skip("socksio is installed here")
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(AnywordError, match=said):
        ask(lambda n, b: says(RIGHT), [TEXT])


def with_usage(usage):
    status, body, headers = says(RIGHT)
    return status, {**body, "usage": usage}, headers


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"total_tokens": 15}, (15, 0)),
        (None, (0, 0)),
        ([], (0, 0)),
        ("15", (0, 0)),
        ({"prompt_tokens": None, "completion_tokens": "7"}, (0, 0)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}, (9, 4)),
        ({"prompt_tokens": -1, "completion_tokens": 4, "total_tokens": 13}, (9, 4)),
    ],
)
def test_odd_usage_is_no_ones_failure(ask, usage, counted):
    (answer,), _ = ask(lambda n, b: with_usage(usage), [TEXT])
    assert (answer.usage["prompt_tokens"], answer.usage["completion_tokens"]) == counted


ODD = ["<html><body>Welcome</body></html>", "[]", "null", '"text"', "7", "{}x", ""]


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_a_200_that_is_no_completion_ends_the_job_in_one_line(ask, body, kind):
    with pytest.raises(AnywordError, match=r"no completion.*base_url") as caught:
        ask(lambda n, b: (200, body, {"Content-Type": kind}), [TEXT], retries=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("choices", [[], None, [{}], [{"message": None}], [{"message": {"content": 7}}], [[]]])
def test_a_completion_without_an_answer_fails_its_text(ask, choices):
    (one,), _ = ask(lambda n, b: (200, {"choices": choices}, {}), [TEXT])
    assert isinstance(one, SampleError)


def test_an_outage_ends_the_job_and_the_next_run_asks_what_is_unanswered(ask):
    state = {"left": 2}

    def script(number, body):
        state["left"] -= 1
        return says(RIGHT) if state["left"] >= 0 else fails(503, "gone")

    texts = [f"circle {i}" for i in range(5)]
    with Server(script) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(AnywordError, match=r"3 of 5 texts are unanswered.*what was answered is kept"):
            ask(None, texts, server=server, concurrency=1, retries=0)
        state["left"], before = 99, len(server.bodies)
        answers, _ = ask(None, texts, server=server, concurrency=1, retries=0)
        server.shutdown()
    assert all(isinstance(answer, Parsed) for answer in answers) and len(server.bodies) == before + 3


def test_a_server_that_was_away_for_a_moment_is_asked_again_at_once(ask):
    answers, _ = ask(
        lambda n, b: fails(503) if n in (1, 2) else says(RIGHT), ["a", "b", "c", "d"], concurrency=1, retries=0
    )
    assert all(isinstance(answer, Parsed) for answer in answers)


def test_an_answer_that_does_not_read_is_paid_kept_and_not_asked_again(ask, tmp_path):
    (answer,), server = ask(lambda n, b: says("no json at all"), [TEXT])
    assert answer.usage["requests"] == 2 and answer.usage["cost"] == pytest.approx(2 * (100 * 5 + 20 * 10) / 1e6)
    (path,) = tmp_path.rglob("*.json")
    assert json.loads(path.read_text())["content"] == "no json at all"
    (again,), _ = ask(None, [TEXT], server=server)
    assert len(server.bodies) == 2 and str(again) == str(answer) and again.usage == answer.usage
    (first, second), _ = ask(None, [TEXT, TEXT], server=server)
    assert first.usage and not getattr(second, "usage", None)  # paid once


def test_a_second_try_differs_from_the_first(ask):
    _, server = ask(lambda n, b: says("no json") if n == 0 else says(RIGHT), [TEXT])
    first, second = server.bodies
    assert second["seed"] != first["seed"] and second["temperature"] > first["temperature"]
    asked, again = (body["messages"][-1]["content"] for body in server.bodies)
    assert again.startswith(asked) and 'You answered "no json".' in again
    assert again.endswith("That does not read (no JSON object of the asked form). Answer in the form asked.")


THOUGHT = (
    '<think>The form is like {"objects":[{"noun": "form", "attributes": []}], "actions": [], "referred": 0}</think>'
)
MENDED = {
    "thoughts before": THOUGHT + json.dumps(RIGHT),
    "thoughts that are not closed": THOUGHT.removesuffix("</think>") + "\n" + json.dumps(RIGHT),
    "the last of two": '{"objects": []} no, rather ' + json.dumps(RIGHT),
    "an answer in its thoughts alone": f"<think>{json.dumps(RIGHT)}</think>Done.",
    "a channel": "<|channel|>analysis…{}<|channel|>final<|message|>" + json.dumps(RIGHT),
    "trailing commas": json.dumps(RIGHT).replace("}", ",}").replace("]", ",]"),
    "python": str(RIGHT),
    "in an object": json.dumps({"answer": RIGHT}),
    "a word for an index": json.dumps(
        {**RIGHT, "actions": [{"verb": "touching", "subject": "1"}], "referred": "circle"}
    ),
    "a string for a list": json.dumps(
        {**RIGHT, "objects": [{"noun": "circle", "attributes": "red"}, {"noun": "circle", "attributes": "blue"}]}
    ),
}


@pytest.mark.parametrize("case", MENDED)
def test_an_answer_is_found_and_mended(case):
    parse, dropped = resolve(read_json(MENDED[case]), TEXT)
    assert words_of(parse, TEXT) == [(6, ["red"]), (24, ["blue"])]
    assert [(p.span.of(TEXT), p.subject) for p in parse.predicates] == [("touching", 1)]
    assert (parse.referred, dropped) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "nouns", "dropped"),
    [
        ({"objects": [{"noun": "circle", "attributes": None}], "actions": None}, {"circle": []}, 0),
        ({"objects": None}, {}, 0),
        ({"objects": "circle"}, {"circle": []}, 0),
        ([{"noun": "circle", "attributes": ["red"]}], {"circle": ["red"]}, 0),
        (["circle"], {"circle": []}, 0),
        ([], {}, 0),
        ({"objects": [{"noun": None}, 7, {"noun": "circle", "attributes": [1, True, "red"]}]}, {"circle": ["red"]}, 4),
        ({"objects": ["circle"], "actions": [{"verb": 1}, {"verb": "touching", "subject": "dog"}]}, {"circle": []}, 2),
        ({"objects": [{"name": "x"}, {"noun": "circle"}], "referred": 1}, {"circle": []}, 1),
        ({"objects": ["circle"] * 600}, {"circle": []}, 598),
    ],
)
def test_what_cannot_be_mended_is_dropped_and_counted_item_by_item(answer, nouns, dropped):
    parse, lost = resolve(read_json(json.dumps(answer)), TEXT)
    found = {p.root.of(TEXT): [a.of(TEXT) for a in p.adjectives] for p in parse.phrases}
    assert found == nouns
    assert lost == dropped


@pytest.mark.parametrize(
    ("text", "said", "found"),
    [
        ("the boy’s hat", "boy's", "boy"),
        ("the boy's hat", "boy’s", "boy"),
        ("the boy's hat", "boy", "boy"),
        ("a t‑shirt and a t-shirt", "t-shirt", "t‑shirt"),
        ("a red t-shirt", "t shirt", "t-shirt"),
        ("a cafe\u0301 door", "café", "cafe\u0301"),
        ("a café door", "cafe\u0301", "café"),
        ("the STRASSE", "straße", "STRASSE"),
        ("a ﬁsh", "fish", "ﬁsh"),
        ("a Teddy bear", "teddy-bear", "bear"),
        ("a mother–in–law", "mother-in-law", "law"),
    ],
)
def test_words_are_found_across_apostrophes_hyphens_unicode_forms_and_case(text, said, found):
    parse, dropped = resolve(read_json(json.dumps({"objects": [said]})), text)
    assert [p.root.of(text) for p in parse.phrases] == [found] and not dropped


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-2, 9)
        | st.floats()
        | st.sampled_from(["circle", "red", "0", "dog", ""]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["objects", "noun", "attributes", "actions", "verb", "subject", "object", "referred"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_a_model_answers_is_a_parse_or_reads_not_at_all(value):
    try:
        said = read_json(json.dumps(value))
    except ValueError:
        return
    resolve(said, TEXT)[0].checked(TEXT)
