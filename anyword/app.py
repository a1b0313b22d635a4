"""The page of `anyword app`: an image and a sentence, its words' maps and its phrases' masks, by `anyword.segment`.

Only this machine reaches it: it listens on 127.0.0.1, answers to no other name, and its content security policy lets
the page load nothing from elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anyword.sample import Sample
from anyword.single import segment
from stages.artifacts.errors import AnywordError
from stages.artifacts.progress import watched

HOST = "127.0.0.1"
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'"
)
"""As tight as Gradio allows: its page writes scripts and styles into itself."""


class CancelledError(Exception):
    """Someone pressed Cancel."""


class Session:
    """One browser tab: its folder, what was last made there, and whether it is to stop."""

    def __init__(self, root: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=root))
        self.cancelled = threading.Event()
        self.sample: Sample | None = None


class App:
    """What the page's controls do. options: of `anyword.segment`."""

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        self.root = root
        self.options = dict(options)
        self._sessions: dict[str, Session] = {}

    def session(self, name: str) -> Session:
        if name not in self._sessions:
            self._sessions[name] = Session(self.root)
        return self._sessions[name]

    def close(self, name: str) -> None:
        if (gone := self._sessions.pop(name, None)) is not None:
            gone.cancelled.set()
            shutil.rmtree(gone.folder, ignore_errors=True)

    def segment(self, session: Session, image: str, text: str, parser: str, tell: Any) -> Sample:
        """What of this image and sentence is not there yet; raises CancelledError when the session is to stop."""
        session.cancelled.clear()

        def watch(stage: str, done: float, total: int | None) -> None:
            if session.cancelled.is_set():
                raise CancelledError
            tell(done / max(1, total or 1), desc=stage.partition(" ")[0])

        # The image under one name: another's upload of the same pixels keeps the inversion.
        own = session.folder / f"image{Path(image).suffix.lower()}"
        shutil.copyfile(image, own)
        with watched(watch):
            session.sample = segment(own, text, out=session.folder / "out", parser=parser, **self.options)
        return session.sample

    @staticmethod
    def archive(session: Session) -> str:
        """masks/, overlay.png and coco.json as one file."""
        made, folder = session.folder / "out", Path(tempfile.mkdtemp(dir=session.folder))
        shutil.copytree(made / "masks", folder / "masks")
        for name in ("overlay.png", "coco.json"):
            shutil.copyfile(made / name, folder / name)
        return shutil.make_archive(str(session.folder / "masks"), "zip", folder)


def parsers(config: Path | None) -> list[str]:
    """Recipes that can run here on a sentence alone."""
    from stages.config import complete_config
    from stages.parse.parser import lacking

    found = complete_config(config)["parsers"]
    return [name for name, recipe in found.items() if recipe["kind"] != "truth" and lacking(recipe) is None]


def heat(sample: Sample, word: int) -> np.ndarray:
    """The word's map over the grey image, height x width x 3."""
    from matplotlib import colormaps

    values = sample.map(sample.words[word], full=True)
    level = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    grey = sample.image().mean(axis=2, keepdims=True).repeat(3, axis=2)
    colours = np.asarray(colormaps["inferno"](level))[..., :3] * 255
    return (0.4 * grey + 0.6 * colours).astype(np.uint8)


def page(app: App) -> Any:
    """Gradio's blocks."""
    import gradio as gr

    names = parsers(app.options.get("config"))
    with gr.Blocks(title="anyword", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Markdown("# anyword\nAn image and what it shows; every word's map, every phrase's mask.")
        with gr.Row():
            with gr.Column():
                image = gr.Image(label="Image", type="filepath", sources=["upload", "clipboard"], elem_id="image")
                text = gr.Textbox(label="Sentence, in English", placeholder="a black cat on a red sofa", elem_id="text")
                parser = gr.Dropdown(names, value=names[0] if names else None, label="Parser", elem_id="parser")
                with gr.Row():
                    go = gr.Button("Segment", variant="primary", elem_id="go")
                    stop = gr.Button("Cancel", elem_id="stop")
            with gr.Column():
                said = gr.Textbox(label="State", interactive=False, elem_id="said")
                masks = gr.AnnotatedImage(label="Masks", format="png", elem_id="masks")
                words = gr.Radio(label="Words: choose one for its map", elem_id="words", visible=False)
                heatmap = gr.Image(
                    label="Map", interactive=False, format="png", elem_id="map", visible=False, buttons=["download"]
                )
                saved = gr.DownloadButton("Download masks", elem_id="save", visible=False)

        def run(image: str | None, text: str, parser: str, request: gr.Request, tell: Any = gr.Progress()) -> Any:  # noqa: B008 (Gradio's way)
            if image is None:
                raise gr.Error("Drop an image first.", print_exception=False)
            session = app.session(str(request.session_hash))
            try:
                sample = app.segment(session, image, text, parser, tell)
            except CancelledError:
                return {said: "Cancelled; what was finished is kept."}
            except AnywordError as error:
                raise gr.Error(str(error), duration=None, print_exception=False) from None
            shown = [(one.mask, one.text) for one in sample.phrases]
            mapped = [n for n, one in enumerate(sample.words) if (one.start, one.end) in sample.maps]
            return {
                said: f"{len(shown)} phrases: {', '.join(name for _, name in shown)}",
                masks: (sample.image(), shown),
                words: gr.Radio([(sample.words[n].text, n) for n in mapped], value=None, visible=bool(mapped)),
                heatmap: gr.Image(None, visible=False),
                saved: gr.DownloadButton(value=app.archive(session), visible=True),
            }

        def show(word: int, request: gr.Request) -> Any:
            sample = app.session(str(request.session_hash)).sample
            return gr.Image(heat(sample, word), visible=True) if sample is not None else None

        def cancel(request: gr.Request) -> None:
            app.session(str(request.session_hash)).cancelled.set()

        def close(request: gr.Request) -> None:
            app.close(str(request.session_hash))

        for one in (run, show, cancel, close):  # Gradio looks for the class, which here is a name in a string
            one.__annotations__["request"] = gr.Request
        alone = {"concurrency_limit": 1, "concurrency_id": "work"}  # one inversion at a time
        gr.on(
            [go.click, text.submit],
            run,
            [image, text, parser],
            [said, masks, words, heatmap, saved],
            show_progress_on=said,
            **alone,
        )
        words.input(show, words, heatmap)
        stop.click(cancel, queue=False)
        blocks.unload(close)
    return blocks


def served(options: Mapping[str, Any], root: Path, port: int) -> Any:
    """The whole as an ASGI application; uploads and results lie below `root`."""
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(root / "uploads")}
    try:
        import gradio as gr
        from fastapi import FastAPI
        from starlette.middleware.trustedhost import TrustedHostMiddleware
    except ModuleNotFoundError as error:
        raise AnywordError(
            f"anyword app needs Gradio ({error}).", remedy="pip install 'segment-anyword[app]'"
        ) from None
    fonts = ["system-ui", "sans-serif"]
    blocks = page(App(root, options)).queue()
    web = FastAPI(openapi_url=None)
    web = gr.mount_gradio_app(
        web,
        blocks,
        path="/",
        server_name=HOST,
        server_port=port,
        footer_links=[],
        allowed_paths=[],
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size="100mb",
        theme=gr.themes.Default(font=fonts, font_mono=["monospace"]),
    )
    return TrustedHostMiddleware(_guarded(web), allowed_hosts=[HOST, "localhost"])


def _guarded(web: Any) -> Any:
    """The same with headers that keep the page to itself."""
    headers = [
        (b"content-security-policy", POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        await web(scope, receive, with_headers)

    return application


def serve(options: Mapping[str, Any], port: int) -> None:
    """Serve until Ctrl-C."""
    root = Path(tempfile.mkdtemp(prefix="anyword-app-"))
    try:
        application = served(options, root, port)
        import uvicorn

        print(f"anyword: http://{HOST}:{port}  (Ctrl-C ends it)", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):  # open pages hold their connection: they are not waited for
            uvicorn.run(application, host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=2)
    finally:
        shutil.rmtree(root, ignore_errors=True)
