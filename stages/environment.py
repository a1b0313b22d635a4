"""What a job of the workflow inherits: where it finds `anyword` and the code behind it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
