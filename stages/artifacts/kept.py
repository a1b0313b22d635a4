"""How far a long computation has come, kept every few minutes, so that a kill costs minutes and not hours.

with kept.steps(found := kept.found(ids), of=1100) as first:
    for step in range(first, 1100):
        ...
        kept.after(step, lambda: {"vectors": …})
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.artifacts.atomic import sha256_of, write_bytes
from stages.artifacts.stopping import Stopped, asked, finishing, stop_if_asked

log = logging.getLogger("anyword")

MINUTES = 5.0
"""Between two states, unless the user says."""
State = Mapping[str, np.ndarray]


class Kept:
    """The last state of one computation, one safetensors file named by its own hash, so a torn one is not used."""

    def __init__(
        self,
        folder: Path | None,
        name: str = "",
        *,
        minutes: float = MINUTES,
        tell: Callable[[float], None] = lambda share: None,
    ) -> None:
        """folder: of states of what decides the result (recipe, inputs, models); None keeps nothing. name: which of
        them. minutes: between two states. tell: is called with the share of the steps that is done, after each."""
        self._folder = folder
        self._name = name
        self._seconds = 60 * minutes
        self._tell = tell
        self._who: list[str] = []
        self._last = time.monotonic()
        self.done = self.steps_in_all = 0
        """Steps done at the last state, of how many."""

    def found(self, who: Sequence[str]) -> State | None:
        """The last state that an earlier run kept, if it was of the same samples."""
        from safetensors import safe_open

        self._who = list(who)
        for path in self._files():
            if sha256_of(path.read_bytes())[:32] != path.stem.rpartition("-")[2]:
                log.warning("%s: damaged, its steps are computed again", path)
                continue
            with safe_open(path, framework="numpy") as file:
                said = json.loads(file.metadata()["state"])
                if said["who"] != self._who:
                    continue
                self.done = said["done"]
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
        return None

    @contextmanager
    def steps(self, of: int) -> Iterator[range]:
        """The steps that are left, of so many. SIGTERM ends them after one, kept."""
        self.steps_in_all = of
        if self.done:
            log.info("%d of %d steps found from an earlier run", self.done, of)
        self._last = time.monotonic()
        try:
            if self._folder is None:
                yield range(self.done, of)
                return
            with finishing():
                yield range(self.done, of)
        except Stopped as stopped:
            stopped.done.insert(0, f"{self.done} of {of} steps")
            raise

    def after(self, step: int, state: Callable[[], State]) -> None:
        """Step `step` (from 0) is done: keep its state, if it is time or SIGTERM came."""
        self._tell((step + 1) / max(1, self.steps_in_all))
        if self._folder is None or not (asked() or time.monotonic() - self._last >= self._seconds):
            return
        self._write(step + 1, state())
        self._last = time.monotonic()
        stop_if_asked()

    def forget(self) -> None:
        """Delete the state: the result is there."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._name}-*.safetensors")) if self._folder is not None else []

    def _write(self, done: int, state: State) -> None:
        from safetensors.numpy import save

        if self._folder is None:
            return
        arrays = {name: np.ascontiguousarray(value) for name, value in state.items()}
        data = save(arrays, metadata={"state": json.dumps({"who": self._who, "done": done})})
        path = self._folder / f"{self._name}-{sha256_of(data)[:32]}.safetensors"
        before = [one for one in self._files() if one != path]
        write_bytes(path, data)
        for one in before:
            one.unlink(missing_ok=True)
        self.done = done
