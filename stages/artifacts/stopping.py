"""SIGTERM, which a cluster sends before it kills: work ends where nothing of it is lost, in time.

A command asks for it with `listen`. Then SIGTERM raises Stopped at once, as Ctrl-C raises KeyboardInterrupt; but within
`finishing` it waits until the work asks whether to stop, and no longer than PATIENCE.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STATUS = 128 + signal.SIGTERM
"""Exit status of a command that SIGTERM stopped."""
PATIENCE = 20.0
"""Seconds; SLURM kills 30 s after SIGTERM (KillWait)."""


class Stopped(BaseException):
    """SIGTERM came. Like KeyboardInterrupt it is nobody's error."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        """What is done, as "3 of 8 images": said by those whom it passes, the outermost first."""

    def __str__(self) -> str:
        return f"stopped by SIGTERM{' after ' if self.done else ''}{' and '.join(self.done)}; kept"


class _State:
    came = False
    finishing = 0


def listen() -> None:
    """From now on, in this process."""
    _State.came = False
    signal.signal(signal.SIGTERM, _on_term)


def _on_term(*_: Any) -> None:
    if _State.came:
        return  # a cluster and the shell around this process may both send it
    _State.came = True
    if not _State.finishing:
        raise Stopped
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)


def _on_alarm(*_: Any) -> None:
    raise Stopped


@contextmanager
def finishing() -> Iterator[None]:
    """A stretch of steps between which `stop_if_asked` is called."""
    _State.finishing += 1
    try:
        yield
    finally:
        _State.finishing -= 1


def asked() -> bool:
    """Whether SIGTERM came."""
    return _State.came


def stop_if_asked() -> None:
    """Raise Stopped if SIGTERM came."""
    if _State.came:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Stopped
