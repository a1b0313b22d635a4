"""The tables between stages: their columns, and how they are written and read.

One Parquet file a table. Rows are plain dicts in and out; pyarrow checks them against the schema, so a stage
cannot write a column that no reader knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.artifacts.atomic import aside
from stages.artifacts.errors import ArtifactError
from stages.artifacts.language import Parse, Phrase, Predicate, Relation, Span

_SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32())])
_PHRASE = pa.struct([("span", _SPAN), ("root", _SPAN), ("adjectives", pa.list_(_SPAN)), ("possessor", pa.int32())])
_PREDICATE = pa.struct([("span", _SPAN), ("subject", pa.int32()), ("object", pa.int32())])
_PARSE = [
    ("phrases", pa.list_(_PHRASE)),
    ("predicates", pa.list_(_PREDICATE)),
    ("relations", pa.list_(_PREDICATE)),
    ("referred", pa.int32()),
    ("notes", pa.list_(pa.string())),
]
# A target is a phrase or a predicate of a parse: `index` counts within its kind. The spans are repeated here so
# that a table can be read without the one it came from.
_TARGET = [
    ("sample_id", pa.string()),
    ("kind", pa.string()),
    ("index", pa.int32()),
    ("start", pa.int32()),
    ("end", pa.int32()),
    ("root_start", pa.int32()),
    ("root_end", pa.int32()),
]
_MASK = [("height", pa.int32()), ("width", pa.int32()), ("counts", pa.string())]
_POINT = pa.struct(
    [
        ("x", pa.float32()),
        ("y", pa.float32()),
        ("label", pa.int8()),
        ("start", pa.int32()),
        ("end", pa.int32()),
    ]
)

_CANDIDATE = pa.struct(
    [("name", pa.string()), ("probability", pa.float32()), ("mentioned", pa.bool_()), ("kept", pa.bool_())]
)

SCHEMAS: dict[str, pa.Schema] = {
    "samples": pa.schema(
        [
            ("sample_id", pa.string()),
            ("image", pa.string()),  # POSIX path below the image root
            ("image_sha256", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("text", pa.string()),
            ("split", pa.string()),
            *_PARSE,  # the dataset's own phrases, where it has them
            ("tags", pa.list_(pa.string())),
            ("caption", pa.string()),  # a model's, where candidate classes were chosen by it
            ("candidates", pa.list_(_CANDIDATE)),
        ]
    ),
    "groups": pa.schema([("sample_id", pa.string()), ("group", pa.string())]),  # only where a dataset has groups
    "truth": pa.schema([*_TARGET, *_MASK, ("tags", pa.list_(pa.string()))]),
    "phrases": pa.schema([("sample_id", pa.string()), *_PARSE]),
    "drift": pa.schema(
        [("sample_id", pa.string()), ("start", pa.int32()), ("end", pa.int32()), ("drift", pa.float32())]
    ),
    "points": pa.schema([*_TARGET, ("points", pa.list_(_POINT))]),
    "masks": pa.schema(
        [
            *_TARGET,
            *_MASK,
            ("score", pa.float32()),
            ("contrast", pa.float32()),
            ("attention", pa.float32()),
            ("agreement", pa.float32()),
        ]
    ),
}
"""Columns by table. `drift`: a token that learned, by its characters, and how far its vector went from where it began,
in lengths of the first one (the mean over encoders). `points`: x, y in pixels of the original image (pixel centres at
.5), label 1 inside and 0 outside, start:end the word whose map gave the point (-1:-1 for the background). `counts`:
COCO RLE as text. `truth`: a class that is in the image and not in the text is of kind "unnamed", without a span, its
name the first tag."""

OPTIONAL = {"samples": ("caption", "candidates"), "masks": ("contrast", "attention", "agreement")}
"""Columns that are written only where a row has them, so that a table without them stays the same bytes; read as
None where a file has none."""


UNNAMED = "unnamed"
"""Kind of a truth that no phrase names."""


def write_table(path: Path, table: str, rows: list[dict[str, Any]]) -> None:
    """Rows as the Parquet file of `table`; equal rows give equal bytes."""
    unused = [name for name in OPTIONAL.get(table, ()) if all(row.get(name) is None for row in rows)]
    try:
        data = pa.Table.from_pylist(rows, schema=SCHEMAS[table]).drop_columns(unused)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise ArtifactError(f"{path}: rows do not fit the table '{table}': {error}") from error
    unknown = {key for row in rows for key in row} - set(SCHEMAS[table].names)
    if unknown:
        raise ArtifactError(f"{path}: the table '{table}' has no column {sorted(unknown)}.")
    with aside(path) as partial:
        pq.write_table(data, partial, compression="zstd")


def read_table(path: Path, table: str) -> list[dict[str, Any]]:
    """The rows of `table` as dicts; ArtifactError where columns or types are not the table's."""
    try:
        data = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(f"{path}: not a readable Parquet file ({error}).") from error
    schema = SCHEMAS[table]
    for name in OPTIONAL.get(table, ()):
        if name not in data.column_names:
            kind = schema.field(name).type
            data = data.add_column(schema.get_field_index(name), name, pa.nulls(len(data), kind))
    if not data.schema.equals(schema):
        raise ArtifactError(
            f"{path}: its columns are not those of the table '{table}'.",
            remedy="Run the stage that writes it again.",
        )
    return data.to_pylist()


def parse_of(row: dict[str, Any]) -> Parse:
    """The parse in a row of `samples` or `phrases`."""
    return Parse(
        phrases=tuple(
            Phrase(
                span=Span(**phrase["span"]),
                root=Span(**phrase["root"]),
                adjectives=tuple(Span(**span) for span in phrase["adjectives"]),
                possessor=phrase["possessor"],
            )
            for phrase in row["phrases"]
        ),
        predicates=tuple(
            Predicate(span=Span(**one["span"]), subject=one["subject"], object=one["object"])
            for one in row["predicates"]
        ),
        relations=tuple(
            Relation(span=Span(**one["span"]), subject=one["subject"], object=one["object"])
            for one in row["relations"] or ()
        ),
        referred=row["referred"],
        notes=tuple(row["notes"]),
    )


def unnamed(sample_id: str, index: int) -> dict[str, Any]:
    """The target columns of a class that is in the image and not in the text: it has no span."""
    spans = dict.fromkeys(("start", "end", "root_start", "root_end"), -1)
    return {"sample_id": sample_id, "kind": UNNAMED, "index": index, **spans}


def targets_of(sample_id: str, parse: Parse) -> list[dict[str, Any]]:
    """The target columns of every phrase, then every predicate, of a parse."""
    members = [("phrase", index, one.span, one.root) for index, one in enumerate(parse.phrases)]
    members += [("predicate", index, one.span, one.span) for index, one in enumerate(parse.predicates)]
    return [
        {
            "sample_id": sample_id,
            "kind": kind,
            "index": index,
            "start": span.start,
            "end": span.end,
            "root_start": root.start,
            "root_end": root.end,
        }
        for kind, index, span, root in members
    ]
