"""What goes wrong stays where it went wrong: bad samples fail alone, killed work is found again."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from preloaded import python
from tiny_workflow import ROOT, manifest, snakemake, tiny_config, write_config

TEXT = "a red circle on grass"
LONG = " ".join(["a red circle and"] * 100) + " a star"


def photo(path, size=(40, 30)):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def bad_input(tmp_path_factory):
    """A folder in which almost everything is wrong, run to its end."""
    folder = tmp_path_factory.mktemp("bad")
    images = folder / "images"
    images.mkdir()
    for name in ("good.png", "other.png"):
        photo(images / name)
    photo(images / "dot.png", (1, 1))
    photo(folder / "secret.png")
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    rows = [
        ("good", "good.png", TEXT),
        ("missing", "nowhere.png", TEXT),
        ("broken", "broken.jpg", TEXT),
        ("empty", "good.png", "  "),
        ("long", "good.png", LONG),
        ("dot", "dot.png", TEXT),
        ("good", "other.png", TEXT),
        ("../../escape", "good.png", TEXT),
        ("outside", "../secret.png", TEXT),
        ("$(touch pwned); é 😀", "other.png", "a circle"),
    ]
    with (folder / "texts.jsonl").open("w") as file:
        for sample, image, text in rows:
            file.write(json.dumps({"id": sample, "image": image, "text": text}) + "\n")
    config = tiny_config(folder)
    config["datasets"]["tiny"] = {
        "kind": "folder",
        "root": str(images),
        "texts": str(folder / "texts.jsonl"),
        "shard_size": 5,
    }
    config["targets"] = ["two"]
    done = snakemake(folder, config)
    return folder, done


def states(folder, *parts):
    return {
        one["id"]: one.get("reason")
        for shard in ("00000", "00001")
        for one in manifest(folder, "tiny", *parts, shard)["samples"]
    }


def test_bad_samples_fail_alone_and_the_rest_is_segmented(bad_input):
    found = states(bad_input[0], "experiments", "two", "segment")
    assert {name for name, reason in found.items() if reason is None} == {"good", "$(touch pwned); é 😀"}


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ("missing", "nowhere.png"),
        ("broken", "broken.jpg"),
        ("empty", "text"),
        ("long", "tokens"),
        ("dot", "1x1"),
        ("good#2", "good"),
        ("outside", "../secret.png"),
    ],
)
def test_each_failure_says_in_one_line_what_is_wrong(bad_input, sample, words):
    reason = states(bad_input[0], "experiments", "two", "segment")[sample]
    assert words in reason
    assert "\n" not in reason


def test_an_id_that_is_a_path_is_refused_under_a_name_of_our_own(bad_input):
    found = states(bad_input[0], "experiments", "two", "segment")
    assert len(found) == 10
    assert "../../escape" not in found
    assert any("../../escape" in (reason or "") and "path" in reason for reason in found.values())


def test_nothing_leaves_the_folder_and_no_shell_sees_an_id(bad_input):
    folder, done = bad_input
    assert not list(folder.rglob("pwned"))
    assert not list(folder.parent.glob("escape*"))
    assert "Traceback" not in done.stdout + done.stderr
    assert all("Traceback" not in path.read_text() for path in (folder / "logs").rglob("*.log"))


def test_the_page_lists_failures(bad_input):
    page = bad_input[0] / "results" / "tiny" / "experiments" / "two" / "report"
    assert "broken.jpg" in (page / "data" / "index.js").read_text()


def test_the_end_of_the_run_says_how_many_failed_where_and_why(bad_input):
    said = bad_input[1].stderr
    assert "experiment two: 2 samples done, 8 failed" in said and "8 of 10 samples failed:" in said
    assert "1 in index: the text is empty." in said and "--forcerun results/tiny/samples/" in said
    assert said.count("nowhere.png") == 0, "reasons are told by their kind"


def test_a_run_in_which_everything_failed_is_no_success(tmp_path):
    photo(tmp_path / "a.png")
    (tmp_path / "texts.jsonl").write_text(
        "".join(f'{{"id": "{n}", "image": "a.png", "text": " "}}\n' for n in range(3))
    )
    config = tiny_config(tmp_path)
    config["datasets"]["tiny"] = {"kind": "folder", "root": str(tmp_path), "texts": str(tmp_path / "texts.jsonl")}
    path = write_config(tmp_path, config)
    for again in (False, True):  # nothing is left to do the second time, and that is no success either
        command = [python(), "-m", "stages", "run", str(path), "--", "-c2", "--quiet", "rules"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 1, f"again: {again}\n{done.stderr}"
        assert "EVERY sample failed, all 3:" in done.stderr and "No sample went through: one." in done.stderr
        assert "Traceback" not in done.stderr
    assert subprocess.run([*command, "-n"], env=environment, capture_output=True, timeout=300).returncode == 0


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    """Kill -9 of everything while invert works; the finished batches are found, not computed again."""
    config = tiny_config(tmp_path, count=6, shard_size=6)
    config["inverters"]["tiny"] |= {"steps": 60, "draws": 4}
    config["execution"]["batch_size"] = {"invert": 1}
    path = write_config(tmp_path, config)
    snakemake(tmp_path, config, "--until", "samples", "parse")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--directory", str(tmp_path), "--configfile", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    shard = tmp_path / "results" / "tiny" / "invert" / "tiny" / "00000"
    deadline = time.monotonic() + 300
    while len(list(shard.glob(".parts/*/*.safetensors"))) < 2:
        assert running.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    kept = {path.name for path in shard.glob(".parts/*/*.safetensors")}
    assert 2 <= len(kept) < 6
    assert not (shard / "manifest.json").exists()
    snakemake(tmp_path, config, "--unlock")
    snakemake(tmp_path, config, cores=1)
    log = (tmp_path / "logs" / "tiny" / "invert" / "tiny" / "00000.log").read_text()
    assert f"{len(kept)} of 6 samples found from an earlier run" in log
    assert '"done": 6, "total": 6' in log
