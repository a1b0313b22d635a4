"""The real workflow on tiny models of random weights, in a folder of its own: for tests of what runs when."""

import json
import os
import subprocess
from pathlib import Path

import yaml
from preloaded import python
from tiny_models import save_tiny

ROOT = Path(__file__).parents[1]


def save_tiny_sam(folder):
    """A SAM of random weights as the embedded one is laid out."""
    import torch
    from safetensors.torch import save_file

    from stages.models.embedded_sam import EmbeddedSamConfig, build

    torch.manual_seed(0)
    config = EmbeddedSamConfig()
    folder.mkdir()
    (folder / "config.json").write_text(config.model_dump_json())
    save_file(build(config).state_dict(), folder / "model.safetensors")
    return folder


def tiny_config(folder, **dataset):
    """A configuration whose experiments `one` and `two` differ in the parser only; its models lie in `folder`."""
    backbone, sam = save_tiny(folder / "backbone"), save_tiny_sam(folder / "sam")
    experiment = {
        "dataset": "tiny",
        "inverter": "tiny",
        "attender": "tiny",
        "prompter": "binding",
        "segmenter": "tiny",
    }
    return {
        "datasets": {"tiny": {"kind": "world", "split": "val", "count": 2, "shard_size": 64, **dataset}},
        "backbones": {"tiny": {"kind": "stable-diffusion", "path": str(backbone)}},
        "parsers": {"given": {"kind": "truth"}, "words": {"kind": "vocabulary", "classes": {"circle": [], "red": []}}},
        "inverters": {"tiny": {"kind": "textual", "backbone": "tiny", "steps": 2, "draws": 2}},
        "attenders": {"tiny": {"kind": "noised", "at": [300, 600]}},
        "segmenters": {"tiny": {"kind": "segment-anything", "model": "embedded", "checkpoint": str(sam)}},
        "experiments": {
            "one": {**experiment, "parser": "given"},
            "two": {**experiment, "parser": "words"},
        },
        "targets": ["one"],
        "execution": {"device": "cpu"},
    }


def write_config(folder, config, name="mine.yaml"):
    path = folder / name
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def snakemake(folder, config, *arguments, cores=2, check=True):
    """Snakemake of this checkout in `folder`, with `config` laid over config.yaml; the finished process."""
    command = [python(), "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
    command += ["--directory", str(folder), "--configfile", str(write_config(folder, config)), "--rerun-incomplete"]
    # Few samples, many processes: more threads than cores would only wait for one another.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=550)
    if check and done.returncode:
        logs = "\n".join(path.read_text() for path in sorted((folder / "logs").rglob("*.log")))
        raise AssertionError(f"{done.stdout}\n{done.stderr}\n{logs}")
    return done


def planned(folder, config, *arguments):
    """How often each rule would run, by name."""
    done = snakemake(folder, config, "--dry-run", *arguments)
    lines = (done.stdout + done.stderr).splitlines()
    if "job" not in "".join(line[:3] for line in lines):
        return {}
    start = max(number for number, line in enumerate(lines) if line.startswith("job "))
    counts = {}
    for line in lines[start + 2 :]:
        name, _, count = line.strip().partition(" ")
        if not name or name == "total":
            break
        counts[name] = int(count)
    return {name: count for name, count in counts.items() if name != "all"}


def manifest(folder, *parts):
    return json.loads((folder / "results" / Path(*parts) / "manifest.json").read_text())
