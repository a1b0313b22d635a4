"""A python whose imports are done: what tests start as a process of its own begins in milliseconds.

A job of the workflow spends seconds on importing torch and diffusers, milliseconds on a tiny model. `python()` is an
executable that takes `-m MODULE ARGUMENTS` as python does; the module runs in a fork of a server that has imported
everything before, with the caller's folder, environment, input and output. What it starts in turn, as `sys.executable`
or as a rule's `python`, comes from there too. What must be shown of real processes starts `sys.executable` itself.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]

CLIENT = """#!{python} -SE
import json, os, socket, sys
if sys.argv[1:2] != ["-m"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    message = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(message)
    sys.exit((server.recv(1) or bytes([137]))[0])  # nothing comes from a process that was killed
"""

HEAVY = """
snakemake.cli torch spacy peft pandas zarr scipy.stats pyarrow.parquet matplotlib.figure matplotlib.backends.backend_agg
diffusers.models.unets.unet_2d_condition diffusers.models.autoencoders.autoencoder_kl pycocotools.mask jinja2
transformers.models.clip.modeling_clip transformers.models.bert.modeling_bert segment_anything
""".split()


@functools.cache
def python() -> str:
    """The executable; its server ends with this process."""
    folder = tempfile.TemporaryDirectory(prefix="preloaded-")
    address, client = f"{folder.name}/socket", Path(folder.name, "python")
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, __file__, address, str(client)], env=environment, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def stop() -> None:
        server.kill()
        server.wait()
        server.stdout.close()
        folder.cleanup()

    atexit.register(stop)
    return str(client)


def serve(address: str) -> None:
    import shape_checks

    shape_checks.install()  # jobs are checked too
    for name in HEAVY:
        importlib.import_module(name)
    for package in ("stages", "lab", "anyword"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        os.write(1, b"ready\n")
        while True:
            connection, _ = listening.accept()
            if not os.fork():
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                connection.sendall(bytes([run(connection)]))
                os._exit(0)
            connection.close()


def run(connection: socket.socket) -> int:
    """Run the module that a client asks for; gives its exit status."""
    head, files, _, _ = socket.recv_fds(connection, 4, 3)
    size = int.from_bytes(head, "big")
    message = b""
    while len(message) < size:
        message += connection.recv(size - len(message))
    arguments, folder, environment = json.loads(message)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments[1:]
    sys.path.insert(0, folder)
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status & 255


if __name__ == "__main__":
    sys.executable = sys.argv[2]
    serve(sys.argv[1])
