"""`anyword app` in a real browser: image, sentence, words, parsers, masks, cancel; and what nobody else may do."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import errors, unavailable
from test_segment_command import scene  # noqa: F401 (a fixture)

from anyword.app import App, CancelledError

pytestmark = pytest.mark.timeout(300)
REASON = unavailable() or ("" if find_spec("gradio") else "Gradio is not installed: pip install -e '.[app]'")
needs_a_browser = pytest.mark.skipif(bool(REASON), reason=REASON)
ROOT = Path(__file__).parents[1]
LONG = "a red circle touching a blue star"


@contextlib.contextmanager
def serving(options, root):
    """The command itself, with its files below `root`; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stages", "app", "--port", str(port)]
    command += [part for key, value in options.items() for part in (f"--{key}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(root)}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline().startswith(f"anyword: http://127.0.0.1:{port}")
        until(lambda: reached(port))
        yield port
        server.send_signal(signal.SIGINT)
        server.wait(30)
        assert not list(root.glob("anyword-app-*")), "nothing is left behind"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def reached(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def until(found, seconds=60):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def options(scene):  # noqa: F811
    with (scene / "mine.yaml").open("a") as file:
        file.write(
            "parsers: {words: {kind: vocabulary, classes: {circle: [], star: []}}}\n"
            "inverters: {short: {kind: textual, backbone: embedded, steps: 2, draws: 2},"
            " endless: {kind: textual, backbone: embedded, steps: 100000, draws: 2}}\n"
        )
    text = (
        (scene / "mine.yaml")
        .read_text()
        .replace("inverters: {short: {kind: textual, backbone: embedded, steps: 2, draws: 2}}\n", "", 1)
    )
    (scene / "app.yaml").write_text(text)
    models = {"backbone": str(scene / "backbone"), "sam": "tiny", "inverter": "short"}
    return {**models, "config": scene / "app.yaml", "device": "cpu"}


class Page:
    def __init__(self, driver, port):
        self.driver, self.url = driver, f"http://127.0.0.1:{port}/"
        driver.get(self.url)
        until(lambda: self.find("#go"))

    def find(self, selector):
        return self.driver.execute_script("return document.querySelector(arguments[0])", selector)

    def fill(self, image, text):
        until(lambda: self.find("#image input[type=file]")).send_keys(str(image))
        until(lambda: self.find("#image img"))
        field = self.find("#text textarea, #text input")
        field.clear()
        field.send_keys(text)

    @property
    def said(self):
        return self.driver.execute_script(
            "return (document.querySelector('#said textarea, #said input') || {}).value || ''"
        )


@needs_a_browser
def test_an_image_its_words_another_parser_and_the_masks(options, driver, downloads, scene, tmp_path):  # noqa: F811
    with serving(options, tmp_path) as port:
        page = Page(driver, port)
        page.fill(scene / "scene.png", LONG)
        page.find("#go").click()
        until(lambda: page.said == "2 phrases: a red circle, a blue star", 120)
        until(lambda: page.find("#masks img"))
        embeddings = next(tmp_path.rglob("embeddings.safetensors"))
        before = embeddings.stat().st_mtime_ns

        labels = until(lambda: driver.execute_script("return [...document.querySelectorAll('#words label')]"))
        assert [one.text.strip() for one in labels] == LONG.split()
        labels[2].click()
        until(lambda: page.find("#map img"))

        page.find("#save").click()
        (saved,) = until(lambda: list(downloads.glob("*.zip")))
        with zipfile.ZipFile(saved) as masks:
            assert {"masks/01_a-red-circle.png", "masks/02_a-blue-star.png", "coco.json"} <= set(masks.namelist())

        page.find("#parser input").click()
        until(lambda: driver.execute_script("return document.querySelectorAll('[role=option]').length > 1"))
        option = "document.querySelector('[role=option][aria-label=words]')"
        driver.execute_script(f"{option}.dispatchEvent(new MouseEvent('mousedown', {{bubbles: true}}))")
        until(lambda: driver.execute_script("return document.querySelector('#parser input').value") == "words")
        page.find("#go").click()
        until(lambda: page.said == "2 phrases: circle, star", 120)
        assert embeddings.stat().st_mtime_ns == before, "another parser inverts nothing"

        loaded = driver.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
        assert loaded and all(one.startswith((page.url, "data:", "blob:")) for one in loaded)
        assert [one for one in errors(driver) if "Method not implemented" not in one] == []  # Gradio's own complaint


@needs_a_browser
def test_cancel_ends_an_inversion(options, driver, scene, tmp_path):  # noqa: F811
    with serving({**options, "inverter": "endless"}, tmp_path) as port:
        page = Page(driver, port)
        page.fill(scene / "scene.png", "a red circle")
        page.find("#go").click()
        until(lambda: "invert" in driver.execute_script("return document.body.innerText"), 120)
        page.find("#stop").click()
        until(lambda: page.said.startswith("Cancelled"))


@needs_a_browser
def test_what_goes_wrong_is_said_in_its_own_words(options, driver, scene, tmp_path):  # noqa: F811
    with serving(options, tmp_path) as port:
        page = Page(driver, port)
        page.fill(scene / "scene.png", " ")
        page.find("#go").click()
        until(lambda: "the text is empty" in driver.execute_script("return document.body.innerText"))


@needs_a_browser
def test_nobody_else_is_answered_and_no_other_file_is_given(options, tmp_path):
    secret = tmp_path.parent / "secret.txt"
    secret.write_text("secret")
    with serving(options, tmp_path) as port:

        def get(path, host="127.0.0.1"):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as server:
                server.request("GET", path, headers={"Host": host})
                answer = server.getresponse()
                return answer.status, answer.getheader("Content-Security-Policy"), answer.read()

        status, policy, body = get("/")
        assert status == 200 and "default-src 'self'" in policy and b"googleapis" not in body
        assert get("/", host="evil.example")[0] == 400
        for path in (secret, "/etc/passwd", "pyproject.toml", tmp_path / "x"):
            assert get(f"/gradio_api/file={path}")[0] in (403, 404)


def test_cancelled_work_is_found_again(options, scene, tmp_path):  # noqa: F811
    app = App(tmp_path, {**options, "inverter": "short"})
    session = app.session("one")

    def tell(share, desc):
        if desc == "attend":
            session.cancelled.set()

    with pytest.raises(CancelledError):
        app.segment(session, str(scene / "scene.png"), LONG, "spacy", tell)
    made = next(session.folder.rglob("embeddings.safetensors"))
    before = made.stat().st_mtime_ns
    sample = app.segment(session, str(scene / "scene.png"), LONG, "spacy", lambda share, desc: None)
    assert [one.text for one in sample.phrases] == ["a red circle", "a blue star"]
    assert made.stat().st_mtime_ns == before
    app.close("one")
    assert not session.folder.exists()
