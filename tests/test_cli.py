"""The command line: it answers at once, and says what is wrong in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli import app

ROOT = Path(__file__).parents[1]


def anyword(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [sys.executable, "-m", "stages", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_needs_nothing_heavy():
    code = (
        "import sys; sys.argv = ['anyword', '--help']\n"
        "from stages.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'spacy', 'zarr', 'matplotlib', 'pandas', 'snakemake'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120, check=True
    )
    assert "loaded: []" in done.stdout
    for command in ("segment", "parse", "parsers", "results", "backbone", "study", "world", "stage"):
        assert command in done.stdout


@pytest.mark.parametrize(
    "stage", ["index", "samples", "parse", "adapt", "invert", "attend", "prompt", "segment", "score", "report"]
)
def test_every_stage_explains_itself(stage):
    done = CliRunner().invoke(app, ["stage", stage, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exit_code == 0
    assert "--recipe" in done.output and "--output" in done.output


def test_an_error_is_one_line_and_debug_shows_where(tmp_path):
    missing = str(tmp_path / "none" / "manifest.json")
    command = ["stage", "samples", "--index", missing, "--recipe", '{"kind": "folder"}', "--output", missing]
    done = anyword(*command)
    assert done.returncode == 2
    assert done.stderr.startswith("anyword: ") and done.stderr.count("\n") == 1
    assert missing in done.stderr
    assert "Traceback" in anyword("--debug", *command).stderr


@pytest.mark.parametrize("recipe", ["{", "3", "@nowhere.json"])
def test_a_recipe_that_is_none_is_said(recipe, tmp_path):
    path = str(tmp_path / "manifest.json")
    done = anyword("stage", "samples", "--index", path, "--recipe", recipe, "--output", path)
    assert done.returncode == 2
    assert "--recipe" in done.stderr and done.stderr.count("\n") == 1


def test_results_of_nothing_says_what_to_run(tmp_path):
    done = anyword("results", str(tmp_path))
    assert done.returncode == 2
    assert "snakemake" in done.stderr
