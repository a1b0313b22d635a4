"""Segment every word of a sentence in an image, with frozen models only, over whole datasets.

One subpackage a stage, in the order data flows: samples, parse, invert, attend, prompt, segment, score, report.
They meet only in files (`stages.artifacts`) and share frozen models (`stages.models`) and losses (`stages.learning`).
"""

from pathlib import Path

__version__ = "0.1.0"

REPOSITORY = Path(__file__).resolve().parents[1]
"""The checkout (or install) that holds `models/`: where recipes' relative model paths are looked up last."""
