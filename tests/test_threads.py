"""The same bytes, however many threads the environment offers."""

import json
import os
import subprocess
import sys

from tiny_models import save_samples
from tiny_workflow import ROOT


def test_inversion_gives_the_same_bytes_whatever_the_environment_says_of_threads(tmp_path):
    samples = save_samples(tmp_path / "samples", ["a red circle on grass"], side=128)
    recipe = {"kind": "textual", "backbone": {"kind": "embedded"}, "steps": 2, "draws": 2}
    found = set()
    for threads in ("1", "4"):
        output = tmp_path / threads / "manifest.json"
        command = [sys.executable, "-m", "stages", "stage", "invert", "--samples", str(samples), "--device", "cpu"]
        command += ["--recipe", json.dumps(recipe), "--output", str(output)]
        environment = {name: value for name, value in os.environ.items() if name != "ANYWORD_THREADS"}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
        found.add(output.with_name("embeddings.safetensors").read_bytes())
    assert len(found) == 1
