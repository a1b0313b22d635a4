"""What this process may take of its device's memory. Light: no torch."""

from __future__ import annotations

_given: list[float | None] = [None]


def limit_memory(gibibytes: float | None) -> None:
    """For models loaded from now on, weights included; None: what is free."""
    _given[0] = gibibytes


def memory_limit() -> float | None:
    """As last given, in GiB."""
    return _given[0]
