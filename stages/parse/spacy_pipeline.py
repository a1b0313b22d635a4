"""A spaCy pipeline as parser: the embedded one, or any installed English pipeline with a dependency parser."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stages import REPOSITORY
from stages.artifacts import AnywordError, ModelRecord, SampleError
from stages.artifacts.atomic import canonical, sha256_of
from stages.artifacts.language import Parse
from stages.models.file_hashes import hash_of_file
from stages.models.hub import on_disk
from stages.parse.extract import extract
from stages.parse.parser import Parsed, ParseRequest, ParseResult
from stages.parse.recipe import EMBEDDED_PIPELINE, SpacyParser
from stages.parse.repair import repaired
from stages.parse.second_reading import leads, may_lack_article, with_article, without_article
from stages.parse.spelling import reading
from stages.parse.tree import Clean, tree_of

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

log = logging.getLogger("anyword")

EMBEDDED = REPOSITORY / EMBEDDED_PIPELINE
_BATCH = 128
_UNUSED = ("ner", "lemmatizer", "textcat", "entity_linker", "entity_ruler")


class SpacyPipeline:
    def __init__(self, recipe: SpacyParser) -> None:
        path = pipeline_path(recipe.pipeline)
        self.nlp = load_pipeline(recipe.pipeline, path)
        self.models = records(recipe)

    def parse(self, requests: Sequence[ParseRequest]) -> list[ParseResult]:
        """All texts in batches; where a batch fails, each of its texts alone, so that a bad one fails alone."""
        cleans = [Clean.of(request.text) for request in requests]
        results: list[ParseResult] = []
        for begin in range(0, len(cleans), _BATCH):
            batch = cleans[begin : begin + _BATCH]
            try:
                results += self._together(batch)
            except Exception:  # spaCy's components raise of every kind; found out text by text below
                results += [self._alone(clean) for clean in batch]
        return results

    def _together(self, cleans: Sequence[Clean]) -> list[Parsed]:
        """What a batch reads as; fragments that do not read are read once more, with an article."""
        docs = list(self.nlp.pipe(self._doc(clean) for clean in cleans))
        found = [read(clean, doc) for clean, doc in zip(cleans, docs, strict=True)]
        poor = [n for n, doc in enumerate(docs) if may_lack_article(doc) and not leads(found[n].parse, cleans[n])]
        again = self.nlp.pipe(with_article(docs[n]) for n in poor)
        for n, longer in zip(poor, again, strict=True):
            found[n] = better(found[n], cleans[n], longer)
        return found

    def _doc(self, clean: Clean) -> Doc:
        """The tokens of a text, misspelt words of grammar under the norm of what they stand for."""
        doc = self.nlp.make_doc(clean.text)
        for token in doc:
            meant = reading(token.text)
            if meant is not None:
                token.norm_ = meant
        return doc

    def _alone(self, clean: Clean) -> ParseResult:
        try:
            return self._together([clean])[0]
        except Exception as error:
            log.debug("spaCy on %r", clean.text, exc_info=True)
            return SampleError(f"spaCy cannot parse this text ({type(error).__name__}: {error}).")


def read(clean: Clean, doc: Doc) -> Parsed:
    if not clean.text:
        return Parsed(Parse(notes=("There is no word to read.",)))
    return Parsed(extract(repaired(tree_of(clean, doc))))


def better(found: Parsed, clean: Clean, longer: Doc) -> Parsed:
    """The reading of a fragment with an article in front, where that has it be about its first phrase."""
    doc = without_article(longer)
    second = read(clean, doc) if doc is not None else found
    return second if leads(second.parse, clean) else found


def pipeline_path(name: str) -> Path:
    """Where a pipeline lies on disk; AnywordError says how to get it where it is not."""
    missing = _lacking(name)
    if missing is not None:
        raise AnywordError(f"parser: {missing}")
    return _path(name) or Path(name)


def _path(name: str) -> Path | None:
    """The embedded pipeline, a folder given by path, or an installed package's data, without importing spaCy."""
    if name == "embedded":
        return EMBEDDED if (EMBEDDED / "config.cfg").is_file() else None
    folder = on_disk(name)
    if folder is not None and (folder / "config.cfg").is_file():
        return folder
    for package in _packages(name):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations if spec else None) or ():
            found = sorted(Path(place).glob("*/config.cfg"))
            if found:
                return found[0].parent
    return None


def _packages(name: str) -> list[str]:
    """Installed packages that may hold a pipeline: of that name, and of names that go on from it (what others put on
    package indexes is called en_core_web_sm_…)."""
    if not name.isidentifier():
        return []
    known = sorted(one.module for one in importlib.metadata.entry_points(group="spacy_models"))
    return [name, *(one for one in known if one.startswith(f"{name}_"))]


def load_pipeline(name: str, path: Path) -> Language:
    """The pipeline at `path`, without components that no phrase needs; AnywordError where it cannot parse."""
    import spacy

    try:
        nlp = spacy.load(path, exclude=list(_UNUSED))
    except Exception as error:  # configuration, version and file errors of many kinds
        raise AnywordError(
            f"parser: spaCy cannot load '{name}' ({type(error).__name__}: {error}).",
            remedy="Install a pipeline made for this version of spaCy.",
        ) from None
    if "parser" not in nlp.pipe_names:
        raise AnywordError(f"parser: the pipeline '{name}' has no dependency parser, only {nlp.pipe_names}.")
    return nlp


def folder_sha256(path: Path) -> str:
    """One hash over the names and contents of all files below a folder, model cards left out."""
    files = {
        file.relative_to(path).as_posix(): hash_of_file(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "README.md"
    }
    return sha256_of(canonical(files))


def records(recipe: SpacyParser) -> Mapping[str, ModelRecord]:
    """Those of the loaded pipeline, from its files alone."""
    path = pipeline_path(recipe.pipeline)
    version = json.loads((path / "meta.json").read_bytes()).get("version", "")
    return {"pipeline": ModelRecord(id=recipe.pipeline, revision=str(version), sha256=folder_sha256(path))}


def load(recipe: SpacyParser) -> SpacyPipeline:
    return SpacyPipeline(recipe)


def lacking(recipe: SpacyParser) -> str | None:
    return _lacking(recipe.pipeline)


def _lacking(name: str) -> str | None:
    if importlib.util.find_spec("spacy") is None:
        return "spaCy is not installed. pip install spacy."
    if _path(name) is not None:
        return None
    if name == "embedded":
        return f"{EMBEDDED} holds no pipeline. Train it by `anyword world train parser --treebank FOLDER`."
    index = " or, from a package index, pip install 'segment-anyword[spacy-sm]'" if name == "en_core_web_sm" else ""
    return (
        f"no spaCy pipeline '{name}' is installed, nor is it a folder with one. python -m spacy download {name}{index}."
    )
