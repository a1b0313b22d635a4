"""Expressions said in other words by a language model (Segment Anyword, appendix C.1).

The same client as the `openai` parser: same cache, retries, pace, and key from the environment. The answer is
untrusted: what is no short phrase of words, or no new one, is dropped and counted.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.studies.scores import samples_of
from lab.studies.workflow import run_targets
from stages.artifacts import AnywordError, SampleError, ShardReader
from stages.artifacts.atomic import write_bytes
from stages.artifacts.language import Parse, Phrase, Span, words
from stages.artifacts.recipes import Recipe, validated
from stages.artifacts.results import RESULTS, Results, shard_name
from stages.artifacts.seeds import generator
from stages.artifacts.tables import parse_of
from stages.parse.catalogue import recipe_named
from stages.parse.openai_client import Client
from stages.parse.parser import lacking
from stages.parse.recipe import OpenaiParser
from stages.samples.paraphrased import TAG
from stages.samples.readers.given import head

PROMPT = (
    "As a NLP expert, please generate a list of {n} synonyms of the noun phrases in the following [{sentence}] and "
    "output the list separated by '&'"
)
"""C.1, word for word."""
FEWEST, MOST = 2, 5
"""C.1: n is in randint(2, 5)."""
_LONGEST = 2000  # characters of an answer; beyond that it is no list of phrases
_WORDS = 12  # of one phrase, beyond those of the text around it
_MARK = re.compile(r"^\s*(?:[-*•·]|\(?\d{1,2}[.):])\s*")


def wanted(text: str, seed: int = 0) -> int:
    """How many paraphrases a text is asked for: 2 to 5, the same for the same text."""
    return int(generator(seed, "rewriter", text).integers(FEWEST, MOST + 1))


class Paraphraser(Client[list[str]]):
    who = "paraphraser"

    def __init__(self, recipe: OpenaiParser, cache: Path | None = None, seed: int = 0) -> None:
        super().__init__(recipe, cache)
        self.seed = seed

    def messages(self, text: str, *, schema: bool) -> list[dict[str, str]]:
        return [{"role": "user", "content": PROMPT.format(n=wanted(text, self.seed), sentence=_one_line(text))}]

    def read(self, content: str) -> list[str]:
        return items(content)


@dataclass(frozen=True)
class Paraphrase:
    """An expression in other words."""

    text: str
    phrase: Span
    """Where the words are that were changed."""


def items(content: str) -> list[str]:
    """The answer's list, marks and quotes taken off its items; ValueError where there is none.

    >>> items("Sure: [1. apple slices & 2. 'cut up apples']")
    ['apple slices', 'cut up apples']
    """
    inner = content.strip()
    bracketed = re.search(r"\[([^\[\]]*&[^\[\]]*)\]", inner)
    inner = bracketed[1] if bracketed else next((line for line in inner.splitlines() if "&" in line), inner)
    if len(inner) > _LONGEST or not inner.strip():
        raise ValueError("no list separated by '&'")
    found = [_MARK.sub("", one).strip().strip("\"'“”‘’`.").strip() for one in inner.split("&")]
    found = [one for one in found if one]
    if len(found) < FEWEST:
        raise ValueError(f"a list of {len(found)}, separated by '&'")
    return found


def placed(said: Sequence[str], text: str, phrase: Span, most: int) -> tuple[list[Paraphrase], int]:
    """The paraphrases that an answer comes to, at most `most`, and how many of its items were dropped.

    An item that repeats the text around `phrase` is a whole expression; any other stands in the phrase's place, its
    article kept. Dropped: what holds no letter, a control character, brackets or several lines; more than a dozen
    words; what mostly repeats the words around the phrase (it renames something else); what says the text itself, or
    another item, again.
    """
    before, after = text[: phrase.start], text[phrase.end :]
    seen = {_folded(text)}
    kept: list[Paraphrase] = []
    dropped = 0
    for item in said:
        inner = new = _inner(item, before, after)
        article = re.match(r"(?:a|an|the)\s+", phrase.of(text), re.IGNORECASE)
        if article and not re.match(r"(?:a|an|the|two|some|his|her|their|its)\s", new, re.IGNORECASE):
            new = _fitting(article[0], new) + new
        whole = before + new + after
        echo = _echoes(inner, before + " " + after)
        if echo or not _plain(inner) or _folded(whole) in seen or len(kept) == most:
            dropped += 1
            continue
        seen.add(_folded(whole))
        kept.append(Paraphrase(whole, Span(start=len(before), end=len(before) + len(new))))
    return kept, dropped


def root_of(made: Paraphrase) -> Span:
    """The noun of the paraphrased phrase: its last word before a preposition or a clause."""
    return head(made.text, made.phrase)


def paraphrases(
    model: Paraphraser, texts: Mapping[str, tuple[str, Span]]
) -> tuple[dict[str, list[Paraphrase]], dict[str, str], dict[str, float]]:
    """Paraphrases by id, for texts given by id with the phrase to change; why others have none; what it took.

    A text with fewer than two usable paraphrases has none.
    """
    answers = model.ask([text for text, _ in texts.values()])
    found: dict[str, list[Paraphrase]] = {}
    failed: dict[str, str] = {}
    usage = {"requests": 0.0, "prompt_tokens": 0.0, "completion_tokens": 0.0, "cost": 0.0, "dropped_items": 0.0}
    for said in answers.values():
        if not isinstance(said, SampleError):
            for name, value in said.usage.items():
                usage[name] += value
            usage["cost"] += said.cost(model.recipe)
    for name, (text, phrase) in texts.items():
        said = answers[text]
        if isinstance(said, SampleError):
            failed[name] = str(said)
            continue
        kept, dropped = placed(said.answer, text, phrase, wanted(text, model.seed))
        usage["dropped_items"] += dropped
        if len(kept) < FEWEST:
            failed[name] = f"{len(kept)} usable paraphrases of {len(said.answer)}, {FEWEST} are needed."
        else:
            found[name] = kept
    return found, failed, usage


def _inner(item: str, before: str, after: str) -> str:
    """The words of an item that stand for the phrase, where it repeats what stands around the phrase."""
    own = " ".join(item.split())
    head, tail = (" ".join(part.split()) for part in (before, after))
    pattern = re.escape(head) + (r"(?!\w)" if head[-1:].isalnum() else "") + r"\s*(.+?)\s*"
    pattern += (r"(?<!\w)" if tail[:1].isalnum() else "") + re.escape(tail)
    found = re.fullmatch(pattern, own, re.IGNORECASE) if head or tail else None
    if found and found[1].strip():
        return found[1].strip()
    return own


def _fitting(article: str, word: str) -> str:
    """The article with its space, "a" or "an" as the word asks."""
    if article.split()[0].lower() == "the":
        return article
    return article[0] + ("n " if word[:1].lower() in "aeiou" else " ")


def _plain(phrase: str) -> bool:
    letters = any(character.isalpha() for character in phrase)
    odd = any(unicodedata.category(one) in ("Cc", "Cs", "Co", "Zl", "Zp") or one in "[]{}<>&|\\" for one in phrase)
    return letters and not odd and sum(1 for _ in words(phrase)) <= _WORDS


def _echoes(phrase: str, around: str) -> bool:
    """Whether over half of a phrase's words stand around it already."""
    others = {word.of(around).casefold() for word in words(around)}
    own = [word.of(phrase).casefold() for word in words(phrase)]
    return 2 * sum(word in others for word in own) > len(own)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _one_line(text: str) -> str:
    """The text without line breaks and brackets, which would end the prompt's own."""
    return re.sub(r"[\[\]]", " ", " ".join(text.split()))


def paraphrased_dataset(
    base: Mapping[str, Any],
    dataset: str,
    name: str,
    folder: Path,
    *,
    most: int | None,
    seed: int,
    shard_size: int,
    config: Path | None,
    cores: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset paraphrased by the model of the parser recipe `name`, as a folder dataset below `folder`: its recipe,
    and what `write_paraphrased` returns."""
    recipe = validated("parse", recipe_named(name, config), Recipe)
    if not isinstance(recipe, OpenaiParser):
        raise AnywordError(f"--paraphraser '{name}' is no language model.", remedy="Name a parser of kind openai.")
    missing = lacking(recipe.model_dump())
    if missing is not None:
        raise AnywordError(f"paraphraser: {missing}")
    if dataset not in base["datasets"]:
        raise AnywordError(f"--dataset '{dataset}' is none of {', '.join(sorted(base['datasets']))}.")
    made = Results(RESULTS / dataset)
    run_targets(base, {}, [str(made.index)], folder=folder, cores=cores)
    shards = ShardReader(made.index, "index").manifest.summary["shards"]
    paths = [str(made.samples(shard_name(number))) for number in range(shards)]
    run_targets(base, {}, paths, folder=folder, cores=cores)
    root = base["datasets"][dataset].get("root")
    table = folder / "texts.jsonl"
    model = Paraphraser(recipe, seed=seed)
    found = write_paraphrased(RESULTS, dataset, model, table, drawn=root is None, most=most)
    place = {"root": root or str(made.drawn), "texts": str(table)}
    return {"kind": "folder", **place, "shard_size": shard_size}, found


def write_paraphrased(
    results: Path, dataset: str, model: Paraphraser, output: Path, *, drawn: bool, most: int | None
) -> dict[str, Any]:
    """A table of a dataset's expressions and a model's paraphrases of them, for a folder dataset: `output`, JSON lines.

    The referred phrase is paraphrased, else the first that has truth; phrases beside it are kept, those inside it are
    not. drawn: the images lie in the samples' own folders, by shard, not below the dataset's root. most: at most so
    many expressions. Returns what it took, and why which expressions have no paraphrases.
    """
    chosen: dict[str, tuple[dict[str, Any], Parse, int, dict[int, dict[str, Any]]]] = {}
    failed: dict[str, str] = {}
    for shard, folder in samples_of(results, dataset):
        masks: dict[str, dict[int, dict[str, Any]]] = {}
        for row in folder.table("truth"):
            if row["kind"] == "phrase":
                masks.setdefault(row["sample_id"], {})[row["index"]] = row
        for row in folder.table("samples"):
            if most is not None and len(chosen) == most:
                break
            parse, own = parse_of(row), masks.get(row["sample_id"], {})
            about = parse.referred if parse.referred in own else next(iter(sorted(own)), None)
            if about is None:
                failed[row["sample_id"]] = "no phrase of it has a mask to score against."
                continue
            image = f"{shard}/{row['image']}" if drawn else row["image"]
            chosen[row["sample_id"]] = ({**row, "image": image}, parse, about, own)
    asked = {name: (row["text"], parse.phrases[about].span) for name, (row, parse, about, _) in chosen.items()}
    if not asked:
        raise AnywordError(f"dataset '{dataset}': no sample has a phrase with a mask.", remedy="Choose another one.")
    said, refused, usage = paraphrases(model, asked)
    lines = []
    for name, others in said.items():
        row, parse, about, own = chosen[name]
        lines.append(_line(name, name, row, row["text"], _given(parse.phrases, about, own)))
        for number, one in enumerate(others, start=1):
            phrases = _moved(parse.phrases, about, one)
            lines.append(_line(f"{name}~{number}", name, row, one.text, _given(phrases, about, own)))
    if not lines:
        raise AnywordError(
            f"paraphraser: no expression got {FEWEST} usable paraphrases; the first: {next(iter(refused.values()))}",
            remedy="Choose another model.",
        )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_bytes(output, text.encode())
    return {"expressions": len(said), "usage": usage, "not_paraphrased": failed | refused}


def _moved(phrases: tuple[Phrase, ...], about: int, made: Paraphrase) -> tuple[Phrase | None, ...]:
    """The phrases of the old text in the new one; None for those that touched the new words."""
    old = phrases[about].span
    shift = (made.phrase.end - made.phrase.start) - (old.end - old.start)

    def place(span: Span) -> Span:
        by = shift if span.start >= old.end else 0
        return Span(start=span.start + by, end=span.end + by)

    moved: list[Phrase | None] = []
    for index, one in enumerate(phrases):
        parts = (one.span, one.root, *one.adjectives)
        if index == about:
            moved.append(Phrase(span=made.phrase, root=root_of(made)))
        elif any(part.overlaps(old) for part in parts):
            moved.append(None)
        else:
            moved.append(
                Phrase(span=place(one.span), root=place(one.root), adjectives=tuple(map(place, one.adjectives)))
            )
    return tuple(moved)


def _given(
    phrases: tuple[Phrase | None, ...] | tuple[Phrase, ...], about: int, masks: Mapping[int, Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
    """Phrases and masks as a folder dataset's table has them."""
    given: list[dict[str, Any]] = []
    found: list[dict[str, Any] | None] = []
    for index, one in enumerate(phrases):
        if one is None:
            continue
        given.append(
            {
                "start": one.span.start,
                "end": one.span.end,
                "root_start": one.root.start,
                "root_end": one.root.end,
                "adjectives": [[span.start, span.end] for span in one.adjectives],
                "tags": [TAG] if index == about else [],
            }
        )
        mask = masks.get(index)
        found.append(None if mask is None else {"size": [mask["height"], mask["width"]], "counts": mask["counts"]})
    return given, found


def _line(
    name: str, group: str, row: Mapping[str, Any], text: str, given: tuple[list[Any], list[Any]]
) -> dict[str, Any]:
    phrases, masks = given
    return {
        "id": name,
        "image": row["image"],
        "text": text,
        "split": row["split"],
        "group": group,
        "phrases": phrases,
        "masks": masks,
    }
