"""Segment Anyword for people with a notebook: open what the workflow made, or segment one image.

What is named here is what stays: everything in `stages` may change. docs/python.md shows how it is used.
"""

from anyword.dataset import Dataset, Experiment, open
from anyword.sample import Point, Sample, Score, Target, Word
from anyword.single import segment

__all__ = ["Dataset", "Experiment", "Point", "Sample", "Score", "Target", "Word", "open", "segment"]
