"""How many rows fit into the device's memory, and what to do when they do not.

What a call takes is counted, not guessed: the call itself runs once with fake tensors, which have shapes and no values,
while every storage that comes to life and goes is added up. Nothing is computed, no memory is taken, and no GPU is
needed, so the product, `anyword plan` and `benchmarks/memory.py` count alike. Not counted: what the device's libraries
use inside, and what is lost between blocks; the margins are for them.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from stages.artifacts.errors import AnywordError
from stages.models.limit import memory_limit

T = TypeVar("T")
log = logging.getLogger("anyword")

GIB = 2**30
SHARE = 7 / 8
"""Of what a GPU has free, how much is used unless the user says: the rest is for libraries and gaps."""
_CERTAIN = 2, 64 * 2**20
"""A row takes less, by far, than so many times the weights and so many bytes: where that fits, nothing is counted."""


class _Counter(TorchDispatchMode):
    """Bytes of the storages that operations make: alive now, and the most at any time. Real tensors that take part
    (weights) stand in as fakes on the CPU and count nothing."""

    def __init__(self, fake: FakeTensorMode) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._fake = fake
        self._standing_in: dict[int, tuple[torch.Tensor, FakeTensor]] = {}
        self._known: set[int] = set()

    def _stand_in(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or isinstance(value, FakeTensor):
            return value
        if id(value) not in self._standing_in:
            with _disable_current_modes():
                empty = torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
            found = FakeTensor(self._fake, empty, torch.device("cpu"))
            self._known.add(id(found.untyped_storage()))
            self._standing_in[id(value)] = (value, found)
        return self._standing_in[id(value)][1]

    def _gone(self, key: int, size: int) -> None:
        self.live -= size
        self._known.discard(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map(self._stand_in, (args, kwargs or {}))
        if str(kwargs.get("device")) == "meta":  # where a weight is that stands in
            kwargs["device"] = torch.device("cpu")
        made = func(*args, **kwargs)
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor) and id(storage := one.untyped_storage()) not in self._known:
                size = storage.nbytes()
                self._known.add(id(storage))
                self.live += size
                weakref.finalize(storage, self._gone, id(storage), size)
        self.peak = max(self.peak, self.live)
        return made


def counted(function: Callable[[], object]) -> tuple[int, int]:
    """Bytes that `function()` would have in tensors of its own: what its result keeps alive, and the most at any time.

    It may use real tensors and modules, which count nothing. Tensors that it makes have no values to look at.
    """
    learning = torch.set_grad_enabled(torch.is_grad_enabled())  # which leaving inference mode would change
    with (
        torch.inference_mode(False),
        learning,
        FakeTensorMode(allow_non_fake_inputs=True) as fake,
        _Counter(fake) as counter,
    ):
        kept = function()
        live = counter.live
        del kept
    return live, counter.peak


def bytes_of(modules: Iterable[object]) -> int:
    """What the weights of those that are modules take."""
    every = (one for several in modules for one in (several if isinstance(several, list) else [several]))
    own = {one for one in every if isinstance(one, torch.nn.Module)}
    return sum(tensor.nbytes for one in own for tensor in (*one.parameters(), *one.buffers()))


class Memory:
    """What one model may take of its device."""

    def __init__(self, device: torch.device, weights: int) -> None:
        """weights: bytes that are there for good."""
        self.device = device
        self.weights = weights
        self.limit = memory_limit()
        self._fit: dict[Hashable, int] = {}
        self.taken: dict[Hashable, tuple[int, int]] = {}
        """By call that was counted, bytes of a row and of what is beside it."""
        self._cap: int | None = None
        self._last = 0
        self._said = self._trying = False

    def rows(
        self,
        wanted: int,
        key: Hashable,
        row: Callable[[], object],
        *,
        beside: Callable[[], object] | None = None,
        spare: Callable[[], bool] = lambda: False,
    ) -> int:
        """How many of the `wanted` rows one call may hold.

        key: names the call. row: makes it for one row; it is only counted. beside: makes what is alive at the same
        time. spare: has single rows take less, at the price of time; False where they cannot.
        """
        if key not in self._fit and not self._surely_fits(wanted):
            self._fit[key] = self._counted_rows(wanted, key, row, beside, spare)
        most = min(wanted, self._fit.get(key, wanted), self._cap or wanted)
        self._last = max(self._last, most)
        return most

    def _surely_fits(self, wanted: int) -> bool:
        on_a_cpu = self.device.type == "cpu" and self.limit is None
        return on_a_cpu and wanted * (_CERTAIN[0] * self.weights + _CERTAIN[1]) <= free_ram()

    def _counted_rows(
        self,
        wanted: int,
        key: Hashable,
        row: Callable[[], object],
        beside: Callable[[], object] | None,
        spare: Callable[[], bool],
    ) -> int:
        try:
            also = counted(beside)[0] if beside else 0
            room = self._room(also)
            size = max(1, counted(row)[1])
            if size > room and spare():
                size = max(1, counted(row)[1])
        except RuntimeError as error:  # an operation that fakes do not know, or one that looks at values
            log.debug("memory of a call cannot be counted (%s)", error)
            return wanted  # then it shows where memory runs out
        self.taken[key] = size, also
        return max(1, room // size)

    def _room(self, beside: int) -> int:
        """Bytes that rows may take. beside: bytes of what is alive at the same time."""
        if self.limit is not None:
            return int(self.limit * GIB) - self.weights - beside
        if self.device.type != "cuda":
            return free_ram()
        free = torch.cuda.mem_get_info(self.device)[0]
        unused = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(SHARE * (free + unused))  # what is beside the rows is there already

    def in_parts(
        self, items: Sequence[torch.Tensor], key: Hashable, function: Callable[[Sequence[torch.Tensor]], torch.Tensor]
    ) -> torch.Tensor:
        """`function` of all items, as many at a time as fit; a tensor that has a row an item."""

        def attempt() -> torch.Tensor:
            most = self.rows(len(items), key, lambda: function(items[:1]))
            return torch.cat([function(items[begin : begin + most]) for begin in range(0, len(items), most)])

        return self.until_it_fits(attempt)

    def until_it_fits(self, attempt: Callable[[], T], *, spare: Callable[[], bool] = lambda: False) -> T:
        """`attempt()`; where the device's memory runs out, again with half the rows, then sparingly.

        Raises:
            AnywordError: one row does not fit.
        """
        if self._trying:  # whoever began can begin again
            return attempt()
        self._trying = True
        try:
            return self._until_it_fits(attempt, spare)
        finally:
            self._trying = False

    def _until_it_fits(self, attempt: Callable[[], T], spare: Callable[[], bool]) -> T:
        before = None
        while True:
            self._last = 0
            try:
                found = attempt()
            except torch.OutOfMemoryError:
                before = before or self._last
                if self._last > 1:
                    self._cap = self._last // 2
                elif not spare():
                    raise AnywordError(
                        f"the memory of {self.device} does not hold a single row of this model.",
                        remedy="Give the backbone dtype: bfloat16 or a smaller resolution, or use a larger device.",
                    ) from None
            else:
                if before and not self._said:
                    self._said = True
                    log.warning("memory ran out at %d rows a call: going on with %d", before, self._cap or 1)
                return found
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def free_ram() -> int:
    """Bytes that this process can still have, by the machine and by its control group."""
    import psutil

    free: int = psutil.virtual_memory().available
    try:
        most = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return free
    return free if most == "max" else min(free, int(most) - psutil.Process().memory_info().rss)
