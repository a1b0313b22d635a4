"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_LINE_EVERY = 30.0  # seconds between two lines in a log


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """`items`, with progress on stderr: rich's bar where that is a terminal, else a log line now and then."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description=description, total=total, console=Console(stderr=True))
        return
    log = logging.getLogger("anyword")
    started = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _LINE_EVERY:
            last = now
            log.info("%s: %d of %s, %.0f s", description, done, total if total is not None else "?", now - started)
    log.info("%s: %d done in %.1f s", description, done, time.monotonic() - started)
