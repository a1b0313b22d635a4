"""docs/results.md shows what docs/figures holds, all of one state."""

import json
import re
import shutil

import pytest

from lab.studies import results
from lab.studies.workflow import made_by
from stages.artifacts.errors import AnywordError
from stages.config import complete_config


@pytest.fixture
def docs(tmp_path):
    shutil.copytree(results.DOCS / "figures", tmp_path / "figures")
    shutil.copy(results.DOCS / "results.md", tmp_path)
    return tmp_path


def test_the_committed_page_shows_the_committed_figures():
    page = (results.DOCS / "results.md").read_text(encoding="utf-8")
    assert results.rendered(page, results.read_figures(results.DOCS / "figures")) == page


def test_the_committed_figures_are_of_the_configurations_recipes():
    made = results.read_figures(results.DOCS / "figures")["ladder"]["made"]
    assert made["recipes"] == made_by(complete_config(None))["recipes"]


def test_a_changed_figure_changes_its_table_alone(docs):
    path = docs / "figures" / "ladder.json"
    figures = json.loads(path.read_text())
    path.write_text(json.dumps(figures | {"sam": 0.123456}))
    before = (docs / "results.md").read_text()
    results.tables(docs)
    after = (docs / "results.md").read_text()
    changed = [new for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert len(changed) == 1 and "| with SAM | 0.123 |" in changed[0]


def test_figures_of_another_state_and_tables_without_figures_are_refused(docs):
    path = docs / "figures" / "batches.json"
    figures = json.loads(path.read_text())
    figures["made"]["versions"]["invert"] = "0"
    path.write_text(json.dumps(figures))
    with pytest.raises(AnywordError, match="other stage versions or recipes than ladder"):
        results.read_figures(docs / "figures")
    path.unlink()
    with pytest.raises(AnywordError, match=r"no figures there\. .*study batches"):
        results.read_figures(docs / "figures")
    with pytest.raises(AnywordError, match="table 'ladder'"):
        results.rendered("", {"ladder": {}})


def test_what_documents_point_to_is_there():
    """Pictures, other documents and their sections; addresses on the web are not looked at."""
    repository = results.DOCS.parent
    pages = [*repository.glob("*.md"), *results.DOCS.glob("*.md"), *repository.glob("models/*/README.md")]
    missing = []
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            name, _, section = target.partition("#")
            other = page.parent / name if name else page
            if "://" in target:
                continue
            if not other.exists() or (section and section not in sections(other)):
                missing.append(f"{page.relative_to(repository)}: {target}")
    assert missing == []


def sections(page):
    """Names by which a page's headings are linked."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
