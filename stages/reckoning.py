"""What a stage takes of a card, before anything runs: the stage's own calls, counted on models without weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.models.limit import limit_memory, memory_limit

if TYPE_CHECKING:
    from stages.models.outline import Outline

BATCH = 8
"""Images a batch of the stages, unless the user says."""
CARD = 7 / 8
"""Of a card's memory, how much is free for a job, and used (`memory.SHARE`): 14 of 16 GiB."""


@dataclass(frozen=True)
class Need:
    """What one stage takes with one model."""

    stage: str
    model: str
    """Whose size was counted."""
    dtype: str
    rows: int
    """Rows of the largest call (of a denoiser, or images of an encoder)."""
    peak_gib: float
    """Weights, and what is alive with them at the highest."""


def of_stage(stage: str, settings: Any, *, card: float, batch: int = BATCH, shape: str | None = None) -> Need:
    """Of a stage whose recipe has a backbone (adapt, invert, attend). card: its GiB. shape: see `outline.backbone`."""
    from stages.models import outline

    with _limited(card):
        return _Reckoned(outline.backbone(settings.backbone, shape)).need(stage, settings, batch)


def of_segment_anything(kind: str, *, card: float, batch: int = BATCH) -> Need:
    """Of segment, with a SAM of the registry."""
    import torch

    from stages.models import outline
    from stages.models.memory import GIB

    with _limited(card):
        sam = outline.segment_anything(kind)
        side = sam.model.image_encoder.img_size
        memory, encoder = sam.memory, sam.model.image_encoder
        with torch.no_grad():
            rows = memory.rows(batch, "images", lambda: encoder(torch.zeros(1, 3, side, side)))
        row, _ = memory.taken["images"]
        return Need("segment", kind, "float32", rows, round((memory.weights + rows * row) / GIB, 2))


@contextmanager
def _limited(card: float) -> Iterator[None]:
    before = memory_limit()
    limit_memory(CARD * card)
    try:
        yield
    finally:
        limit_memory(before)


class _Reckoned:
    """One backbone's calls."""

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.model = outline.model

    def need(self, stage: str, settings: Any, batch: int) -> Need:
        import torch

        from stages.models.memory import GIB, counted

        model, memory = self.model, self.model.memory
        height, width = model.image_size
        with torch.no_grad():
            images = memory.rows(batch, "images", lambda: model.latents(torch.zeros(1, 3, height, width)))
        highest = images * memory.taken["images"][0]
        largest = 0
        for wanted, learns, used in self._passes(stage, settings, batch):
            rows, size, beside = self._call(wanted, learns, settings, batch)
            rows = used(rows)
            largest = max(largest, rows)
            highest = max(highest, beside + rows * size)
        if stage in ("adapt", "invert"):
            highest = max(highest, counted(self._texts(batch))[1])
        return Need(stage, self.outline.name, self.outline.dtype, largest, round((memory.weights + highest) / GIB, 2))

    def _passes(self, stage: str, settings: Any, batch: int) -> Iterator[tuple[int, bool, Callable[[int], int]]]:
        """Rows wanted of each kind of pass, whether it learns, and how many it has where so many fit."""
        from stages.learning.microbatches import groups

        if stage == "invert":
            draws = settings.views if settings.kind == "invseg" else settings.draws
            whole = getattr(settings, "entropy", None) is not None

            def used(most: int) -> int:
                parts = groups(batch, draws, most, whole=whole)
                return min(most, max(len(range(batch)[one.images]) * len(range(draws)[one.draws]) for one in parts))

            yield batch * draws, True, used
        elif stage == "adapt":
            yield settings.pairs_a_step, True, lambda most: most
        else:
            yield batch, False, lambda most: most
            if settings.kind in ("direct", "noised"):
                yield 8 * batch, False, lambda most: most
            if settings.kind == "null-text":
                yield batch, True, lambda most: most

    def _call(self, wanted: int, learns: bool, settings: Any, batch: int) -> tuple[int, int, int]:
        """Rows that fit, bytes of one, and bytes beside them."""
        import torch

        from stages.models.reading import AttentionReader

        model = self.model
        reading: dict[str, Any] = {name: getattr(settings, name, None) for name in ("scales", "layers", "reference")}
        own = any(getattr(settings, name, None) for name in ("refine", "clustering"))
        reads = AttentionReader(model, **reading, own=own).reads
        if learns and not any(getattr(settings, name, None) for name in ("entropy", "mask", "clustering")):
            reads = []
        latents, given = self.outline.rows(wanted, learn=learns)
        beside = self._texts(batch) if learns else None
        with torch.set_grad_enabled(learns):
            known = set(model.memory.taken)
            rows = model.rows_that_fit(latents, given, reads, beside=beside)
            (key,) = set(model.memory.taken) - known or {next(reversed(model.memory.taken))}
        return rows, *model.memory.taken[key]

    def _texts(self, count: int) -> Callable[[], object]:
        """The texts of a batch through the encoder, with what their gradients need."""
        model = self.model
        tokens = model.empty.select([0] * count)
        return lambda: model.condition(tokens, [one.requires_grad_() for one in model.embed(tokens)])
