"""A row of somebody's file: read, and held to what every stage can write on.

Whatever the format, one bad value ends its own row and no more: `fault` says which exceptions belong to a row's data,
and in which words. What belongs to the machine (a mount that is gone, a full disk, no memory) is raised again, and
ends the job.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from stages.artifacts.errors import AnywordError, SampleError

T = TypeVar("T")

_DATA = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What code raises on data of another form than it expects; an OSError is never among them."""


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def fault(error: Exception) -> str:
    """Why a row fails, in one line that is the same in every run: no address, no prose of a library.

    An error that does not belong to a row's data is raised again.
    """
    if isinstance(error, SampleError):
        return str(error)
    if isinstance(error, AnywordError) or not isinstance(error, _DATA):
        raise error
    if isinstance(error, RecursionError):
        return "its record is nested too deep."
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return f"its record has no '{error.args[0]}'."
    return f"its record is not of the format's form ({type(error).__name__})."


def attempted(make: Callable[[], T]) -> T | SampleError:
    """What `make` gives, or why its row fails."""
    try:
        return make()
    except Exception as error:
        return SampleError(fault(error))


def lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, JSON value) of every line that is not blank; a line that does not read is a SampleError."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, attempted(lambda number=number, line=line: _line(number, line))  # type: ignore[misc]
    except OSError as error:
        raise AnywordError(f"{path}: cannot be read ({error.strerror}).") from None


def _line(number: int, line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise SampleError(f"line {number} is not UTF-8.", remedy="Save the file as UTF-8.") from None
    except RecursionError:
        raise SampleError(f"line {number} is nested too deep.") from None
    except SampleError as error:
        raise SampleError(f"line {number}: {error}") from None
    except ValueError as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else "a number of too many digits"
        raise SampleError(f"line {number} is no JSON ({what}).", remedy="Mend it.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys all differ: of two equal ones the first would be lost."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SampleError(f"key '{twice}' is there twice.", remedy="Leave one of them out.")
    return value


def problem(value: Any) -> str | None:
    """What keeps a row's values from being written again, if anything does: half a character (also what is left of
    bytes that were no UTF-8), or a number that is none.

    >>> problem({"text": "a cat", "at": [1, 2.5]}), problem(["\\ud83d"])
    (None, "it holds half of a character ('\\\\ud83d'). Write whole ones, in UTF-8.")
    """
    try:
        _encode(value).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        return f"it holds half of a character ({half}). Write whole ones, in UTF-8."
    except RecursionError:
        return "it is nested too deep."
    except (ValueError, TypeError):
        return "it holds a number that is not finite. Mend it."
    return None


def is_null(value: Any) -> bool:
    """Whether a cell is empty: JSON's null, and the NaN that tables write for it.

    >>> [is_null(one) for one in (None, float("nan"), "", 0)]
    [True, True, False, False]
    """
    return value is None or (isinstance(value, float) and math.isnan(value))
