"""A scripted stand-in for a language-model server, on loopback: it looks the answer up in the captions' truth.

It shows the whole way of the `openai` parser (requests, tokens, cost, resolution of words), not what a model knows;
studies label its row so. `wrong` of its answers lack an attribute and name a thing that is not there.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stages.artifacts import AnywordError
from stages.artifacts.language import Parse


def answer_of(text: str, parse: Parse) -> dict[str, Any]:
    """What a model that knows the truth would say."""
    return {
        "objects": [
            {"noun": one.root.of(text), "attributes": [a.of(text) for a in one.adjectives]} for one in parse.phrases
        ],
        "actions": [
            {"verb": one.span.of(text), "subject": one.subject, "object": one.object} for one in parse.predicates
        ],
        "referred": parse.referred,
    }


@contextlib.contextmanager
def server(truth: Mapping[str, Parse], port: int, wrong: float = 0.1) -> Iterator[str]:
    """The server's URL while it runs. AnywordError where the port is taken."""
    texts = sorted(truth)
    bad = {text for number, text in enumerate(texts) if wrong and number % round(1 / wrong) == 0}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            caption = json.loads(asked)["messages"][-1]["content"]
            text = json.loads(caption.removeprefix("<caption>").removesuffix("</caption>"))
            said = answer_of(text, truth.get(text, Parse()))
            if text in bad:
                said["objects"].append({"noun": "unicorn", "attributes": []})
                said["objects"][0]["attributes"] = said["objects"][0]["attributes"][1:]
            content = json.dumps(said)
            reply = {
                "id": "scripted",
                "object": "chat.completion",
                "created": 0,
                "model": "scripted",
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
                ],
                # About four characters a token, as such servers bill.
                "usage": {
                    "prompt_tokens": len(asked) // 4,
                    "completion_tokens": len(content) // 4,
                    "total_tokens": (len(asked) + len(content)) // 4,
                },
            }
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: its requests are the client's to report."""

    try:
        running = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise AnywordError(
            f"port {port} on 127.0.0.1: {error.strerror}.", remedy="Name a free one by --port."
        ) from None
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/v1"
    finally:
        running.shutdown()
        running.server_close()
