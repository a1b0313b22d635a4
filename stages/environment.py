"""What a job of the workflow inherits: where it finds `anyword` and the code behind it, and how many threads it has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

THREADS = 2
"""Of a stage on a CPU, whatever the machine has: how sums are split over threads decides their last bits, and a result
must not depend on where it was made. More processors are used by more shards at once. ANYWORD_THREADS says another
number, for all of a run."""
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def fix_threads() -> None:
    """Let this process compute with that many threads, before or after torch is there."""
    said = os.environ.get("ANYWORD_THREADS", "")
    threads = int(said) if said.isdigit() and int(said) else THREADS
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def jobs_run_code_of(checkout: Path) -> None:
    """Let the shell commands of rules run this checkout's code, whatever else is installed.

    `workflow/bin` comes first on PATH; `anyword` there runs `python -m stages`; the python beside the running snakemake
    follows, and a conda environment, which a job activates later, goes before both.
    """
    paths = [str(checkout / "workflow" / "bin"), str(Path(sys.executable).parent)]
    os.environ["PATH"] = _before(paths, os.environ.get("PATH", os.defpath))
    os.environ["PYTHONPATH"] = _before([str(checkout)], os.environ.get("PYTHONPATH", ""))


def _before(first: list[str], rest: str) -> str:
    """A search path that begins with `first`, each entry once."""
    kept = [entry for entry in rest.split(os.pathsep) if entry and entry not in first]
    return os.pathsep.join([*first, *kept])
