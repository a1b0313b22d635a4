"""Progress of long work, one line a stage: samples done, rate, time left.

On a terminal it is a bar. In a log it is JSON, a line now and then: {"stage", "done", "total", "seconds", "rate",
"eta"}, seconds and samples a second. A job of the workflow writes to its log; where the workflow runs on a terminal,
`workflow/bin/logged` leaves that open (ANYWORD_TERMINAL is its file descriptor) for the same lines in words.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

Item = TypeVar("Item")

LINE_EVERY = 30.0
"""Seconds between two lines."""
Show = Callable[[float], None]
"""Called with the samples done, parts of one included."""
Watcher = Callable[[str, float, int | None], None]
_inside: list[Show] = []
_watchers: list[Watcher] = []


def track(
    items: Iterable[Item],
    description: str,
    total: int | None = None,
    *,
    size: Callable[[Item], int] = lambda _: 1,
    done: int = 0,
) -> Iterator[Item]:
    """`items`, with progress on stderr, or none of it under --quiet.

    total: of samples, by default one an item. size: how many samples an item is. done: samples that were done before.
    """
    if total is None and hasattr(items, "__len__"):
        total = done + len(items)  # type: ignore[arg-type]
    told = _bar if sys.stderr.isatty() else _lines
    if not logging.getLogger("anyword").isEnabledFor(logging.INFO):
        told = _silence
    with told(description, total, done) as shown:

        def show(done: float) -> None:
            shown(done)
            for watcher in _watchers:
                watcher(description, done, total)

        for item in items:
            first, count = done, size(item)

            def part(share: float, first: int = first, count: int = count) -> None:
                show(first + share * count)

            _inside.append(part)
            try:
                yield item
            finally:
                _inside.remove(part)  # its own: work that an error ended is cleared away whenever that is collected
            done += count
            show(done)


def within(share: float) -> None:
    """The share of the item in hand that is done: an inversion of a batch takes an hour."""
    if _inside:
        _inside[-1](share)


@contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """Call `by` with stage, samples done and in all, whenever they change; what it raises ends the work."""
    _watchers.append(by)
    try:
        yield
    finally:
        _watchers.remove(by)


@contextmanager
def _silence(description: str, total: int | None, before: int) -> Iterator[Show]:
    yield lambda done: None


@contextmanager
def _bar(description: str, total: int | None, before: int) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[says]}"), TimeRemainingColumn())
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total, completed=before, says="")

        def show(done: float) -> None:
            rate = (done - before) / max(time.monotonic() - started, 1e-9)
            progress.update(task, completed=done, says=f"{done:.4g} of {_whole(total)}, {rate:.3g}/s")

        yield show


@contextmanager
def _lines(description: str, total: int | None, before: int) -> Iterator[Show]:
    started = told = time.monotonic()
    done: float = before

    def tell() -> None:
        seconds = time.monotonic() - started
        rate = (done - before) / max(seconds, 1e-9)
        eta = (total - done) / rate if total is not None and rate else None
        value = {"stage": description, "done": round(done, 2), "total": total, "seconds": round(seconds, 1)}
        value |= {"rate": round(rate, 4), "eta": None if eta is None else round(eta)}
        sys.stderr.write(json.dumps(value) + "\n")
        _on_terminal(f"{description}: {done:.4g} of {_whole(total)}, {rate:.3g}/s, {_left(eta)}")

    def show(now: float) -> None:
        nonlocal done, told
        done = now
        if time.monotonic() - told >= LINE_EVERY:
            told = time.monotonic()
            tell()

    yield show
    tell()


def _whole(total: int | None) -> str:
    return "?" if total is None else str(total)


def _left(eta: float | None) -> str:
    """
    >>> _left(3725), _left(0), _left(None)
    ('1:02:05 left', 'done', 'time left unknown')
    """
    if eta is None:
        return "time left unknown"
    minutes, seconds = divmod(round(eta), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} left" if eta else "done"


def _on_terminal(line: str) -> None:
    with suppress(KeyError, ValueError, OSError):  # none was left open
        os.write(int(os.environ["ANYWORD_TERMINAL"]), f"{line}\n".encode())
