"""Texts in and parses out as lines of JSON: what `anyword parse` reads and prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from stages.artifacts import SampleError
from stages.artifacts.language import Parse, Phrase, Predicate, Relation, Span
from stages.artifacts.rows import attempted, is_null, lines
from stages.parse.parser import Parser, ParseRequest, ParseResult

_BATCH = 256


def as_object(request: ParseRequest, result: ParseResult) -> dict[str, Any]:
    """A parse as the object that users see; spans as character offsets into `text`, end exclusive.

    `subject`, `object` and `referred` are positions in `phrases`, or null. A text that could not be parsed has its
    reason in `notes`.
    """
    failed = isinstance(result, SampleError)
    parse = Parse(notes=(str(result),)) if isinstance(result, SampleError) else result.parse
    if not failed:
        parse.checked(request.text)

    def shown(span: Span) -> dict[str, Any]:
        return {"start": span.start, "end": span.end, "text": span.of(request.text)}

    return {
        "id": request.id,
        "text": request.text,
        "phrases": [
            {**shown(one.span), "root": shown(one.root), "adjectives": [shown(a) for a in one.adjectives]}
            for one in parse.phrases
        ],
        "predicates": [{**shown(one.span), "subject": one.subject, "object": one.object} for one in parse.predicates],
        "relations": [{**shown(one.span), "subject": one.subject, "object": one.object} for one in parse.relations],
        "referred": parse.referred,
        "notes": list(parse.notes),
    }


def of_object(value: Mapping[str, Any]) -> Parse:
    """The parse in an object as `as_object` gives it; ValueError or KeyError where it is none."""

    def span(one: Mapping[str, Any]) -> Span:
        return Span(start=one["start"], end=one["end"])

    return Parse(
        phrases=tuple(
            Phrase(
                span=span(one), root=span(one.get("root", one)), adjectives=tuple(map(span, one.get("adjectives", ())))
            )
            for one in value.get("phrases", ())
        ),
        predicates=tuple(
            Predicate(span=span(one), subject=one.get("subject"), object=one.get("object"))
            for one in value.get("predicates", ())
        ),
        relations=tuple(
            Relation(span=span(one), subject=one["subject"], object=one["object"]) for one in value.get("relations", ())
        ),
        referred=value.get("referred"),
        notes=tuple(value.get("notes", ())),
    )


def read_texts(path: Path) -> Iterator[ParseRequest | tuple[ParseRequest, SampleError]]:
    """The lines of a JSONL file, `{"id", "text"}` each. A line that is none comes with its error."""
    for number, row in lines(path):
        place = f"{path.name}:{number}"
        if isinstance(row, SampleError):
            yield ParseRequest(place, ""), SampleError(f"{place}: {row}")
            continue
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            what = 'has no string "text". Write {"id": …, "text": …}.'
            yield ParseRequest(place, ""), SampleError(f"{place} {what}")
            continue
        name = str(number if is_null(row.get("id")) else row["id"])
        given = attempted(partial(_given, row))
        if isinstance(given, SampleError):
            yield ParseRequest(name, row["text"]), SampleError(f"{place}: its phrases do not fit its text.")
        else:
            yield ParseRequest(name, row["text"], given)


def _given(row: Mapping[str, Any]) -> Parse | None:
    return of_object(row).checked(row["text"]) if row.get("phrases") else None


def parsed(
    parser: Parser, requests: Iterable[ParseRequest | tuple[ParseRequest, SampleError]]
) -> Iterator[tuple[ParseRequest, ParseResult]]:
    """Every request with its result, in order, in batches."""
    stream = iter(requests)
    while batch := list(islice(stream, _BATCH)):
        good: Sequence[ParseRequest] = [one for one in batch if isinstance(one, ParseRequest)]
        results = iter(parser.parse(good))
        for one in batch:
            yield (one, next(results)) if isinstance(one, ParseRequest) else one


def as_line(value: Mapping[str, Any]) -> str:
    """One line of JSON; halves of characters that no encoding can write are escaped."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return line
