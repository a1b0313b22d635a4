"""The backbone's second training: from the weights of step 4250 on, it learns to read nouns.

Where captions name a colour, colour finds the object, and the first training's captions name one wherever there is one.
Here three of four captions say nouns alone (`bare`), and in a part of the scenes several objects share a colour.
"""

from __future__ import annotations

from dataclasses import replace

from lab.training.train_backbone import Phase

_FIRST = Phase(
    5450,
    sources=(("full", False, 2, 0.25),),
    bare=(("full", 3, 0.3), ("alike", 3, 0.45)),
    supervise=0.08,
    rate=(5e-4, 5e-4),
    shape=0.6,
    batch=12,
)
_PART = replace(_FIRST, until=8000, supervise=0.06, spread=0.0, contrast=0.3, wrong=4, colours=0.15)
"""Words may stay on a part of what they name, and a wrong noun has to cost something."""
_STRONG = replace(
    _FIRST,
    until=8600,
    sources=(("full", False, 2, 0.2),),
    bare=(("full", 3, 0.55), ("alike", 3, 0.25)),
    supervise=0.25,
    spread=0.5,
    shape=0.15,
)
"""Bare nouns' pointing stood at .58 at step 8000: a stronger pull, and more of the noise in which a shape shows."""
_STRONGER = replace(_STRONG, until=11800, supervise=0.4)
_PEAKS = replace(
    _STRONGER,
    until=13000,
    supervise=0.25,
    spread=-0.1,
    contrast=0.3,
    wrong=3,
    colours=0.1,
    rate=(5e-4, 1e-5),
)
"""A pull away from covering: within 700 steps maps were mere peaks (map IoU .74 to .34), hence the next."""
_WIDER = replace(_STRONGER, until=15000, spread=0.3, rate=(5e-4, 2e-5))
"""Without negatives a wrong noun's price fell from 4 % to 1 %, hence the next."""
_TOGETHER = replace(_WIDER, until=18000, spread=0.2, contrast=0.3, wrong=3, colours=0.1, rate=(5e-4, 5e-5))
_MORE = replace(
    _TOGETHER,
    until=20000,
    sources=(("full", False, 4, 0.15),),
    bare=(("full", 10, 0.6), ("alike", 5, 0.25)),
    supervise=0.5,
    spread=0.0,
    rate=(5e-4, 2e-5),
)
"""More scenes: what had been learned held less well on scenes that training had not seen."""
_INCOMPLETE = replace(_MORE, until=20500, spread=-0.03, rate=(2e-4, 2e-5))
"""Maps less whole, so that inversion has something to add."""
PHASES: tuple[Phase, ...] = (_FIRST, _PART, _STRONG, _STRONGER, _PEAKS, _WIDER, _TOGETHER, _MORE, _INCOMPLETE)
"""As the weights were made, but for the first 250 steps: batches of 16, supervision .06, 35 % full captions. Those
shipped are seven parts of step 20000's and three of the last step's."""
