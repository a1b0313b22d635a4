"""Terminology variance (Segment Anyword, Section 2.2, Figures 3 and 10): how an expression's mask holds when the same
thing is said in other words.

An expression and its 2 to 5 rewrites are one group. Over the texts of a group the mean of the IoU says how accurate,
its standard deviation (of the population: divided by the number of texts) how stable a setting is; the paper plots the
one against the other, a dot an image and expression.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.studies.scores import Key, Scores
from stages.score import bootstrap

SETTINGS = {"without": "sam", "with": "inversion", "full": "full"}
"""The ladder's rungs by the name that the study gives them: without inversion, with it, and with grammar on top."""
BASELINE = "without"
"""Whose figures put an expression into its class."""
CLASSES = ("easy", "medium", "hard")
TAG = "rewritten"
"""Tag of the truth of phrases whose words change; where a group has it, these phrases alone are counted."""


@dataclass(frozen=True)
class Bounds:
    """What is easy and what is hard. Figure 3 puts expressions into three classes by the mean and the standard
    deviation of their IoU, "to achieve accurate and stable segmentation", and gives no numbers: these are ours."""

    easy_mean: float = 0.7
    easy_std: float = 0.1
    hard_mean: float = 0.5
    hard_std: float = 0.2

    def of(self, mean: float, std: float) -> str:
        """easy: accurate and stable. hard: inaccurate, or unstable. medium: the rest."""
        if mean >= self.easy_mean and std <= self.easy_std:
            return "easy"
        return "hard" if mean < self.hard_mean or std > self.hard_std else "medium"


@dataclass(frozen=True)
class Text:
    """One text of a group."""

    group: str
    """Id of the original, or whatever else its texts share."""
    sample_id: str
    image: str
    """What its image is known by: images, not expressions, are what the bootstrap draws."""
    text: str


@dataclass(frozen=True)
class Spread:
    """One expression under one setting."""

    group: str
    image: str
    texts: int
    mean: float
    std: float
    original: float | None
    """IoU of the text whose id is the group's; None where there is none."""
    rewrites: float | None
    """Mean IoU of the others."""


def ious(scores: Scores, texts: Sequence[Text]) -> dict[str, float]:
    """IoU of every text that has truth: the mean over its rewritten phrases, or over all where none is marked."""
    keys: defaultdict[str, list[Key]] = defaultdict(list)
    for key in scores.ious:
        keys[key[0]].append(key)
    found = {}
    for group in _grouped(texts).values():
        marked = any(TAG in scores.tags[key] for one in group for key in keys[one.sample_id])
        for one in group:
            own = [key for key in keys[one.sample_id] if not marked or TAG in scores.tags[key]]
            if own:
                found[one.sample_id] = math.fsum(scores.ious[key] for key in own) / len(own)
    return found


def spreads(found: Mapping[str, float], texts: Sequence[Text]) -> list[Spread]:
    """Mean and standard deviation of every group of at least two texts with an IoU, in the order of the texts."""
    result = []
    for group, members in _grouped(texts).items():
        given = [(one, found[one.sample_id]) for one in members if one.sample_id in found]
        if len(given) < 2:
            continue
        values = [value for _, value in given]
        mean = math.fsum(values) / len(values)
        std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        original = next((value for one, value in given if one.sample_id == group), None)
        others = [value for one, value in given if one.sample_id != group]
        rest = math.fsum(others) / len(others) if others and original is not None else None
        result.append(Spread(group, members[0].image, len(values), mean, std, original, rest))
    return result


def figures(by_setting: Mapping[str, Sequence[Spread]], bounds: Bounds, *, replicates: int = 1000) -> dict[str, Any]:
    """The study's figures. by_setting: the same expressions in the same order under every setting.

    `settings`: of each, the means over expressions of IoU mean and standard deviation with their 95 % intervals, the
    IoU of originals and of rewrites, and how many expressions are in which class by that setting's own figures.
    `classes`: the same expressions, classed once by the baseline. `differences`: paired, to the setting before.
    """
    baseline = by_setting[BASELINE]
    classes = [bounds.of(one.mean, one.std) for one in baseline]
    everything = range(len(baseline))
    result: dict[str, Any] = {
        "expressions": len(baseline),
        "texts": sum(one.texts for one in baseline),
        "bounds": vars(bounds),
        "settings": {},
        "classes": {name: {"expressions": classes.count(name)} for name in CLASSES},
        "differences": {},
    }
    for setting, every in by_setting.items():
        own = [bounds.of(one.mean, one.std) for one in every]
        result["settings"][setting] = {
            **_means(every, everything, replicates),
            "classes": {name: own.count(name) for name in CLASSES},
        }
        for name in CLASSES:
            members = [i for i in everything if classes[i] == name]
            result["classes"][name][setting] = _means(every, members, replicates)
    names = list(by_setting)
    for before, after in itertools.pairwise(names):
        pairs = list(zip(by_setting[before], by_setting[after], strict=True))
        columns = {
            "mean": [b.mean - a.mean for a, b in pairs],
            "std": [b.std - a.std for a, b in pairs],
        }
        found = bootstrap.means(columns, [one.image for one in baseline], replicates=replicates, seed=0)
        result["differences"][f"{after}-{before}"] = {name: one.json() for name, one in found.items()}
    return result


def _means(every: Sequence[Spread], members: Sequence[int], replicates: int) -> dict[str, Any]:
    chosen = [every[i] for i in members]
    options = {"replicates": replicates, "seed": 0}
    columns = {"mean": [one.mean for one in chosen], "std": [one.std for one in chosen]}
    found = bootstrap.means(columns, [one.image for one in chosen], **options)
    both = [one for one in chosen if one.original is not None and one.rewrites is not None]
    said = bootstrap.means(
        {"original": [one.original or 0.0 for one in both], "rewrites": [one.rewrites or 0.0 for one in both]},
        [one.image for one in both],
        **options,
    )
    return {name: one.json() for name, one in (found | said).items()}


def _grouped(texts: Sequence[Text]) -> dict[str, list[Text]]:
    groups: dict[str, list[Text]] = {}
    for one in texts:
        groups.setdefault(one.group, []).append(one)
    return groups
