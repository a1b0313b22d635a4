"""What all trainings of the embedded world share: run folders, checkpoints, time budgets, rendered data.

A training can be stopped at any moment and started again with the same command: the newest checkpoint holds
weights, optimiser, step and the curve so far. Every batch is drawn from (seed, step), so a resumed run sees the
batches that an unbroken one would have seen.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.atomic import aside
from stages.world.layout import LEVELS
from stages.world.scene import Scene, scene

if TYPE_CHECKING:
    import torch
    from jaxtyping import UInt8

log = logging.getLogger("anyword")

RUNS = Path("runs/world")
GROUND_OWNER = 100
"""In a map of owners, ground g shows as GROUND_OWNER + g and object i as i."""


class Run:
    """One model's training: its folder, its step, its clock and its curve.

    `state` maps names to objects with `state_dict` and `load_state_dict` (modules, optimisers).
    """

    def __init__(self, folder: Path, state: dict[str, Any], minutes: float | None = None) -> None:
        self.folder, self.state = folder, state
        self.step = 0
        self.seconds = 0.0
        self.curve: list[dict[str, float]] = []
        self.extra: dict[str, Any] = {}
        self._budget = minutes * 60 if minutes is not None else float("inf")
        self._started = self._last = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def _file(self) -> Path:
        return self.folder / "checkpoint.pt"

    def resume(self) -> bool:
        """Go on from the newest checkpoint; False where there is none."""
        import torch

        if not self._file.is_file():
            return False
        # The run's own file; weights_only keeps even that from running code.
        saved = torch.load(self._file, map_location="cpu", weights_only=True)
        for name, thing in self.state.items():
            thing.load_state_dict(saved["state"][name])
        self.step, self.seconds, self.curve = saved["step"], saved["seconds"], saved["curve"]
        self.extra = saved["extra"]
        log.info("resumed %s at step %d, %.0f min in", self.folder.name, self.step, self.seconds / 60)
        return True

    def save(self) -> None:
        import torch

        self.tick()
        with aside(self._file) as partial:
            torch.save(
                {
                    "state": {name: thing.state_dict() for name, thing in self.state.items()},
                    "step": self.step,
                    "seconds": self.seconds,
                    "curve": self.curve,
                    "extra": self.extra,
                },
                partial,
            )

    def tick(self) -> None:
        """Count the time since the last tick as training time."""
        now = time.monotonic()
        self.seconds += now - self._last
        self._last = now

    def out_of_time(self) -> bool:
        return time.monotonic() - self._started > self._budget

    def note(self, **values: float) -> None:
        """One point of the curve, logged and kept in `curve.jsonl`."""
        self.tick()
        point = {"step": self.step, "minutes": round(self.seconds / 60, 2), **values}
        self.curve.append(point)
        with (self.folder / "curve.jsonl").open("a") as file:
            file.write(json.dumps(point) + "\n")
        log.info("%s %s", self.folder.name, "  ".join(f"{k} {v:.4g}" for k, v in point.items()))


def owners(drawn: Scene) -> UInt8[np.ndarray, "128 128"]:
    """Whose each pixel is: an object's index, or GROUND_OWNER plus a ground's."""
    owner = np.zeros(drawn.image.shape[:2], dtype=np.uint8)
    for number, ground in enumerate(drawn.grounds):
        owner[ground.mask] = GROUND_OWNER + number
    for number, instance in enumerate(drawn.instances):
        owner[instance.mask] = number
    return owner


def rendered(
    split: str,
    start: int,
    count: int,
    level: str = "full",
    folder: Path = RUNS / "data",
    each: Callable[[int, Scene], None] | None = None,
) -> tuple[UInt8[np.ndarray, "n 128 128 3"], UInt8[np.ndarray, "n 128 128"]]:
    """Images and owner maps of scenes start..start+count, memory-mapped; drawn on the first call.

    `each` sees every scene as it is drawn (also where the files exist already: then scenes are drawn again).
    """
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is not one of {', '.join(LEVELS)}")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{split}-{level}-{start}-{count}.{kind}.npy" for kind in ("images", "owners")]
    if not all(file.is_file() for file in files) or each is not None:
        shapes = [(count, 128, 128, 3), (count, 128, 128)]
        with aside(files[0]) as first, aside(files[1]) as second:
            maps = [
                np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
                for path, shape in zip((first, second), shapes, strict=True)
            ]
            for number in range(count):
                drawn = scene(split, start + number, level)
                maps[0][number], maps[1][number] = drawn.image, owners(drawn)
                if each is not None:
                    each(number, drawn)
            for array in maps:
                array.flush()
    images, owner = (np.load(file, mmap_mode="r") for file in files)
    return images, owner


def to_unit(images: UInt8[np.ndarray, "n h w 3"]) -> torch.Tensor:
    """Images as an autoencoder takes them: float32, channels first, in [-1, 1]."""
    import torch

    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def one_thread() -> None:
    """One torch thread a process: two trainings side by side are faster than either on all cores."""
    import torch

    torch.set_num_threads(1)


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: str | torch.device) -> torch.autocast:
    """bfloat16 where the device has arithmetic for it, else float32: a CPU without it would be tens of times slower."""
    import torch

    from stages.models import cpu_bfloat16

    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or cpu_bfloat16.has_bfloat16())
