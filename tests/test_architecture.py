"""The house rules that no type checker sees: who may import whom, and what stays light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOT = REPOSITORY / "stages"
STAGES = {"samples", "parse", "adapt", "invert", "attend", "prompt", "segment", "score", "report", "export"}
SHARED = {"artifacts", "models", "learning"}
# The embedded world is data, not a stage: its reader in `samples` draws scenes from it.
ALLOWED = {"samples": SHARED | {"world"}}


def imports_of(path):
    """Every `stages.<room>` that a module imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "stages" and len(parts) > 1 and (ROOT / parts[1]).is_dir():
                yield parts[1]


def test_the_product_imports_nothing_of_the_laboratory():
    found = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lab")
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "lab" for alias in node.names))
    ]
    assert found == []


def rooms():
    return sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("room", rooms())
def test_stages_meet_only_in_files(room):
    found = {name for path in (ROOT / room).rglob("*.py") for name in imports_of(path)} - {room}
    if room == "artifacts":
        assert found == set()
    elif room == "models":
        assert found <= {"artifacts"}
    elif room == "learning":
        assert found <= {"artifacts", "models"}
    elif room in STAGES:
        assert found <= ALLOWED.get(room, SHARED)


HEAVY = ("torch", "diffusers", "transformers", "spacy", "zarr", "matplotlib", "peft", "openai", "pandas")


def loaded_after(statement):
    code = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


@pytest.mark.parametrize("room", [room for room in rooms() if (ROOT / room / "recipe.py").exists()])
def test_recipes_and_commands_import_nothing_heavy(room):
    assert loaded_after(f"import stages.{room}.recipe") == []
    if (ROOT / room / "command.py").exists():
        assert loaded_after(f"import stages.{room}.command") == []


BOOK = "stages/artifacts/results.py"
FOLDERS = {
    "samples",
    "index",
    "parse",
    "adapt",
    "invert",
    "attend",
    "experiments",
    "prompt",
    "segment",
    "score",
    "report",
}
SPELLED = re.compile(rf"(?:^|/)(?:results/[{{*]|(?:{'|'.join(FOLDERS)})/[{{*\[])")


def spelled_paths(tree):
    """Parts of result paths that a module writes by itself: `root / "invert" / name`, or a string with slashes."""
    for parent in ast.walk(tree):
        children = list(ast.iter_child_nodes(parent))
        if isinstance(parent, ast.Expr):  # a docstring may say what a path is like
            continue
        if isinstance(parent, ast.Call) and getattr(parent.func, "attr", "") == "joinpath":
            parts = parent.args
        else:
            parts = [parent.left, parent.right] if isinstance(parent, ast.BinOp) else []
            parts = parts if isinstance(getattr(parent, "op", None), ast.Div) else []
        for one in parts:
            if isinstance(one, ast.Constant) and one.value in FOLDERS:
                yield f"{one.lineno}: {one.value}"
        for one in children:
            text = ast.unparse(one)[2:-1] if isinstance(one, ast.JoinedStr) else getattr(one, "value", None)
            if isinstance(text, str) and SPELLED.search(text):
                yield f"{one.lineno}: {text}"


def test_result_paths_are_spelled_in_one_module():
    found = []
    for folder in ("stages", "lab", "benchmarks", "anyword"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            name = path.relative_to(REPOSITORY).as_posix()
            if name != BOOK:
                found += [f"{name}:{one}" for one in spelled_paths(ast.parse(path.read_text()))]
    for path in (REPOSITORY / "Snakefile", *(REPOSITORY / "workflow" / "rules").glob("*.smk")):
        found += [f"{path.name}: {line}" for line in path.read_text().splitlines() if SPELLED.search(line)]
    assert found == []


def test_nobody_above_the_models_sees_what_they_are_made_of():
    """Schedulers, denoisers, encoders, tokenizers and autoencoders are the models' own; `nlp.tokenizer` is spaCy's."""
    inside = re.compile(r"(?<!nlp)\.(scheduler|unet|tokenizer|autoencoder|text_encoder|alphas_cumprod)\b(?! import)")
    rooms = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "models"]
    studies = list((ROOT.parent / "lab" / "studies").rglob("*.py"))
    found = {
        f"{path.name}:{number}"
        for path in [*rooms, *studies]
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if inside.search(line) and "import" not in line
    }
    assert found == set()
