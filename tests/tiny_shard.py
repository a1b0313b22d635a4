"""All stages on one shard of a folder's photographs, with tiny models: in this process, or as one of its own.

python -m tiny_shard FOLDER ROOT [BYTES]     FOLDER: of `prepare`; BYTES: that a file may have
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tiny_workflow import tiny_config

from stages.artifacts.results import Results
from stages.config import Workflow, complete_config, merged
from stages.plan import steps

ROWS = [("a", "a red circle on grass"), ("b", "a blue star"), ("c", "a circle"), ("d", "a green square")]


def prepare(folder):
    """Images, models and configuration in an empty folder."""
    images = folder / "images"
    images.mkdir()
    for number, (name, _) in enumerate(ROWS):
        pixels = np.random.default_rng(number).integers(0, 255, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{name}.png")
    config = tiny_config(folder)
    config["datasets"]["tiny"] = {"kind": "folder", "root": str(images), "texts": str(folder / "texts.jsonl")}
    config["experiments"]["one"]["parser"] = "words"
    del config["experiments"]["two"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def run(folder, root, rows, images=None):
    """Every stage of a shard of these rows; the manifests of its stages."""
    workflow = Workflow(merged(complete_config(), json.loads((folder / "config.json").read_text())))
    texts = folder / str(root.resolve()).replace("/", "_") / "texts.jsonl"  # an index records the table's name
    for place in (root.parent, texts.parent):
        place.mkdir(parents=True, exist_ok=True)
    texts.write_text("".join(json.dumps({"id": i, "image": f"{i}.png", "text": text}) + "\n" for i, text in rows))
    made = {}
    for step in steps(workflow, "one", Results(root), "00000", images=images or folder / "images", texts=texts):
        step.run()
        made[step.stage] = step.output
    return made


def files(folder):
    """Bytes of all files below a folder, by relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    place = Path(sys.argv[2])
    place.with_suffix(".pid").write_text(str(os.getpid()))
    if len(sys.argv) > 3:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    run(Path(sys.argv[1]), place, ROWS[:3])
