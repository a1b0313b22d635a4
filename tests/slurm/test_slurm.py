"""The workflow through its SLURM profile, unedited, on a cluster without accounting. Opt-in: `make test-slurm`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

if os.environ.get("ANYWORD_SLURM") != "1":
    pytest.skip("needs root and Debian's slurm-wlm: make test-slurm", allow_module_level=True)

from cluster import Cluster, jobs, said
from tiny_workflow import ROOT, snakemake, tiny_config, write_config

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two shards of two samples; inversion takes some seconds, a batch a sample."""
    made = tiny_config(tmp_path_factory.mktemp("models"), count=4, shard_size=2)
    made["inverters"]["tiny"] |= {"steps": 60, "draws": 4}
    made["execution"]["batch_size"] = {"invert": 1}
    return made


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    """What one machine makes of it."""
    folder = tmp_path_factory.mktemp("local")
    snakemake(folder, config)
    return contents(folder)


def contents(folder):
    files = [path for path in (folder / "results").rglob("*") if path.is_file() and path.name != ".weights.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def head(folder, config, *more, log="head.log"):
    """Snakemake on the cluster, started."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--profile", str(ROOT / "workflow" / "profiles" / "slurm"), "--latency-wait", "10"]
    command += ["--configfile", str(write_config(folder, config)), *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / log).open("w") as told:
        return subprocess.Popen(command, env=environment, stdout=told, stderr=subprocess.STDOUT, start_new_session=True)


def finish(process, folder, log="head.log"):
    try:
        code = process.wait(timeout=1200)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        code = "over time"
    assert code == 0, (folder / log).read_text()[-4000:]


def wait_for(true, seconds=300):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never came; {said('squeue')}"
        time.sleep(0.2)


def log_of(folder, shard):
    path = folder / "logs" / "tiny" / "invert" / "tiny" / f"{shard}.log"
    return path.read_text() if path.is_file() else ""


def batch_done(folder, shard="00000"):
    return list((folder / "results/tiny/invert/tiny" / shard).glob(".parts/*/*.safetensors"))


def job_of(folder, shard="00000"):
    """The SLURM job that inverted a shard, or does; of several attempts the last."""
    return re.findall(r"=== attempt .*SLURM job (\d+)", log_of(folder, shard))[-1]


def inverted(attempt):
    """How many samples an attempt inverted, by its log: those done at last, less those that it found."""
    done = [json.loads(line)["done"] for line in attempt.splitlines() if line.startswith('{"stage": "invert')]
    found = re.search(r"invert: (\d+) of \d+ samples found", attempt)
    before = int(found[1]) if found else 0
    return int(max(done, default=before)) - before


def check_no_batch_is_done_twice(folder, shard="00000"):
    """Of two batches the first was found finished, and the second done, by an attempt after the one that was ended."""
    log = log_of(folder, shard)
    assert log.count("=== attempt") == 2, log
    first, last = log.split("=== attempt")[1:]
    assert inverted(first) <= 1, first
    assert last.count("invert: 1 of 2 samples found from an earlier run") == inverted(last) == 1, last


def test_the_same_bytes_as_on_one_machine_in_few_submissions(cluster, config, undisturbed, tmp_path):
    before = {one["JobId"] for one in jobs()}
    finish(head(tmp_path, config), tmp_path)
    assert contents(tmp_path) == undisturbed
    told = (tmp_path / "head.log").read_text()
    assert "jobs are followed by squeue" in told
    mine = [one for one in jobs() if one["JobId"] not in before]
    assert len(mine) == 7  # index; what reads and what needs a GPU of two shards; score; report
    assert {one["JobState"] for one in mine} == {"COMPLETED"}
    shards = [one for one in mine if "gpu" in one.get("TresPerNode", "") + one.get("TresPerJob", "")]
    assert len(shards) == 2
    for one in shards:
        assert one["MinMemoryNode"] == "16000M"
    # Of the four stages in turn: a quarter of an hour to begin, and two images with half as much again.
    assert {one["TimeLimit"] for one in shards} == {"01:06:00"}


def test_a_killed_head_leaves_jobs_and_the_next_head_s_jobs_wait_for_them(cluster, config, undisturbed, tmp_path):
    first = head(tmp_path, config)
    wait_for(lambda: batch_done(tmp_path))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    snakemake(tmp_path, config, "--unlock")
    finish(head(tmp_path, config, log="second.log"), tmp_path, "second.log")
    assert contents(tmp_path) == undisturbed
    log = log_of(tmp_path, "00000")
    assert "works on it; waiting" in log or "taking over" in log or log.count("=== attempt") == 1
    assert sum(map(inverted, log.split("=== attempt")[1:])) <= 2, log


@pytest.mark.parametrize("command", [["scancel"], ["scontrol", "requeue"]], ids=["cancelled", "requeued"])
def test_a_job_that_was_ended_goes_on_after_its_last_finished_batch(cluster, config, undisturbed, tmp_path, command):
    running = head(tmp_path, config)
    wait_for(lambda: batch_done(tmp_path))
    job = job_of(tmp_path)
    subprocess.run([*command, job], check=True)
    finish(running, tmp_path)
    again = job_of(tmp_path) == job  # SLURM itself starts a requeued job again; the head submits a new one otherwise
    assert again == (command[-1] == "requeue")
    assert contents(tmp_path) == undisturbed
    check_no_batch_is_done_twice(tmp_path)


def test_a_job_that_hangs_until_its_time_is_over_is_tried_again_with_more_time(cluster, config, undisturbed, tmp_path):
    running = head(tmp_path, config)
    wait_for(lambda: batch_done(tmp_path))
    job = job_of(tmp_path)
    claim = tmp_path / "results/tiny/invert/tiny/00000/.claim"
    os.kill(json.loads(claim.read_text())["pid"], signal.SIGSTOP)
    (asked,) = [one["TimeLimit"] for one in jobs() if one["JobId"] == job]
    subprocess.run(["scontrol", "update", f"JobId={job}", "TimeLimit=1"], check=True)
    finish(running, tmp_path)
    states = {one["JobId"]: one for one in jobs()}
    assert states[job]["JobState"] == "TIMEOUT"
    again = states[job_of(tmp_path)]
    assert again["JobState"] == "COMPLETED"
    assert (asked, again["TimeLimit"]) == ("01:06:00", "02:12:00")
    assert contents(tmp_path) == undisturbed
    check_no_batch_is_done_twice(tmp_path)


def test_sigterm_ends_the_head_and_its_jobs(cluster, config, tmp_path):
    running = head(tmp_path, config)
    wait_for(lambda: batch_done(tmp_path))
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=120) != 0
    wait_for(lambda: said("squeue", "-h") == "", 60)


def test_a_node_whose_daemon_dies_computes_nothing_twice(cluster, config, undisturbed, tmp_path):
    """What it had started goes on, and publishes; the job that SLURM gives to another node keeps that."""
    running = head(tmp_path, config)
    wait_for(lambda: batch_done(tmp_path))
    job = job_of(tmp_path)
    node = said("squeue", "-h", "-j", job, "-o", "%N")
    cluster.kill_node(node)
    try:
        finish(running, tmp_path)
    finally:
        cluster.start_node(node)
    assert contents(tmp_path) == undisturbed


def test_a_failing_job_names_the_log_that_holds_the_reason(cluster, config, tmp_path):
    broken = {**config, "segmenters": {"tiny": {**config["segmenters"]["tiny"]}}}
    checkpoint = tmp_path / "sam"
    shutil.copytree(config["segmenters"]["tiny"]["checkpoint"], checkpoint)
    (checkpoint / "model.safetensors").write_bytes(b"no weights")
    broken["segmenters"]["tiny"]["checkpoint"] = str(checkpoint)
    process = head(tmp_path, broken, "--retries", "0")
    assert process.wait(timeout=600) != 0
    told = (tmp_path / "head.log").read_text()
    named = tmp_path / "logs" / "tiny" / "experiments" / "one" / "segment" / "00000.log"
    assert named.relative_to(tmp_path).as_posix() in told
    assert "model.safetensors" in named.read_text()
