"""InvSeg's candidate classes: those of a dataset that a caption by BLIP names, or that CLIP is sure to see.

InvSeg (Implementation Details) takes them "following DiffSegmenter, that use BLIP and CLIP to generate the category
names out of all the candidate categories". Neither paper's code has the rule itself (DiffSegmenter published the
resulting lists, whose names speak of an image probability of 0.97), so it is written out here, in `select`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.language import Span
from stages.artifacts.manifest import ModelRecord
from stages.samples.recipe import CandidateFilter

if TYPE_CHECKING:
    import torch
    from jaxtyping import Bool, Float, UInt8


@dataclass(frozen=True)
class Choice:
    """What was said of one image, and which classes that leaves."""

    caption: str
    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    mentioned: tuple[bool, ...]
    kept: tuple[bool, ...]

    def row(self) -> dict[str, Any]:
        """The columns of the samples table."""
        columns = (self.names, self.probabilities, self.mentioned, self.kept)
        keys = ("name", "probability", "mentioned", "kept")
        return {
            "caption": self.caption,
            "candidates": [dict(zip(keys, one, strict=True)) for one in zip(*columns, strict=True)],
        }


class Chooser:
    """BLIP and CLIP, loaded once a shard."""

    def __init__(self, recipe: CandidateFilter, device: torch.device) -> None:
        """AnywordError where a model is missing or of another kind."""
        from stages.models.vision_language import load_captioner, load_matcher

        self.recipe = recipe
        self._blip = load_captioner(recipe.blip, offline=recipe.offline, device=device)
        self._clip = load_matcher(recipe.clip, offline=recipe.offline, device=device)

    @property
    def models(self) -> dict[str, ModelRecord]:
        return {"blip": self._blip.record, "clip": self._clip.record}

    def choose(self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]], names: Sequence[str]) -> list[Choice]:
        """The choice among `names` (without the background) for each image."""
        recipe = self.recipe
        captions = self._blip.captions(images, beams=recipe.beams, max_tokens=recipe.max_tokens)
        prompts = [recipe.template.format(name) for name in names]
        probabilities = self._clip.probabilities(images, prompts).round(5)
        choices = []
        for caption, row in zip(captions, probabilities, strict=True):
            said = mentions(caption, names, recipe.aliases)
            mentioned = np.array([bool(said[name]) for name in names])
            kept = select(row, mentioned, doubtful=recipe.doubtful, certain=recipe.certain, most=recipe.most)
            choices.append(
                Choice(caption, tuple(names), tuple(row.tolist()), tuple(mentioned.tolist()), tuple(kept.tolist()))
            )
        return choices


def select(
    probabilities: Float[np.ndarray, " classes"],
    mentioned: Bool[np.ndarray, " classes"],
    *,
    doubtful: float,
    certain: float,
    most: int,
) -> Bool[np.ndarray, " classes"]:
    """Which classes are candidates.

    A class that the caption mentions is kept unless CLIP gives it less than `doubtful`; one that it does not is kept
    if CLIP gives it `certain` or more. Of more than `most`, the mentioned ones come first, then the most probable.
    Where that leaves none, the most probable class alone: a text has to name something.

    >>> select(np.array([0.02, 0.97, 0.01]), np.array([True, False, False]), doubtful=0.0, certain=0.97, most=9)
    array([ True,  True, False])
    """
    kept = np.where(mentioned, probabilities >= doubtful, probabilities >= certain)
    if not kept.any():
        kept[int(np.argmax(probabilities))] = True
    order = np.lexsort((np.arange(len(kept)), -probabilities, ~mentioned))
    chosen = [i for i in order if kept[i]][:most]
    result = np.zeros(len(kept), dtype=bool)
    result[chosen] = True
    return result


def mentions(
    caption: str, names: Sequence[str], aliases: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[Span]]:
    """Where a caption names each class, by character offsets.

    A name or one of its aliases has to stand there as whole words, in any case, in the singular or a regular plural
    (its last word with -s or -es; other plurals are aliases). Of names that overlap the longest counts: a "hot dog" is
    no dog. `aliases` are added to ALIASES.

    >>> {name: len(spans) for name, spans in mentions("Two men eat hot dogs", ["dog", "hot dog", "person"]).items()}
    {'dog': 0, 'hot dog': 1, 'person': 1}
    """
    meaning: dict[str, str] = {}
    for name in names:
        for word in (*(aliases or {}).get(name, ()), *ALIASES.get(name, ())):
            meaning.setdefault(_plain(word), name)
    meaning |= {_plain(name): name for name in names}  # a class's own name is never another's alias
    found: dict[str, list[Span]] = {name: [] for name in names}
    if not meaning:
        return found
    longest_first = sorted(meaning, key=lambda word: (-len(word), word))
    words = "|".join(r"\s+".join(map(re.escape, word.split())) for word in longest_first)
    for match in re.finditer(rf"(?<!\w)({words})(?:es|s)?(?!\w)", caption, re.IGNORECASE):
        found[meaning[_plain(match.group(1))]].append(Span(start=match.start(), end=match.end()))
    return found


def _plain(word: str) -> str:
    return " ".join(word.lower().split())


ALIASES: dict[str, tuple[str, ...]] = {
    "person": (
        *("people", "man", "men", "woman", "women", "boy", "girl", "child", "children", "kid", "toddler", "baby"),
        *("babies", "lady", "ladies", "guy", "player", "rider", "skier", "surfer", "skateboarder", "family", "crowd"),
    ),
    "aeroplane": ("airplane", "plane", "jet", "aircraft", "airliner"),
    "airplane": ("aeroplane", "plane", "jet", "aircraft", "airliner"),
    "bicycle": ("bike",),
    "bird": ("duck", "goose", "geese", "seagull", "pigeon", "parrot", "owl", "eagle", "hawk", "swan"),
    "boat": ("ship", "sailboat", "canoe", "kayak", "ferry", "yacht"),
    "bus": ("double decker",),
    "car": ("van", "suv", "taxi", "sedan"),
    "cat": ("kitten", "kitty"),
    "cell phone": ("phone", "cellphone", "smartphone"),
    "couch": ("sofa",),
    "cow": ("cattle", "calf", "calves", "bull", "ox", "oxen"),
    "cup": ("mug",),
    "dining table": ("table",),
    "dog": ("puppy", "puppies"),
    "donut": ("doughnut",),
    "hair drier": ("hair dryer", "hairdryer"),
    "horse": ("pony", "ponies"),
    "knife": ("knives",),
    "motorbike": ("motorcycle", "moped", "scooter"),
    "motorcycle": ("motorbike", "moped", "scooter"),
    "mouse": ("mice",),
    "potted plant": ("plant", "houseplant", "flower pot"),
    "refrigerator": ("fridge",),
    "remote": ("remote control",),
    "sheep": ("lamb", "ewe"),
    "shelves": ("shelf", "bookshelf", "bookcase"),
    "sofa": ("couch",),
    "sports ball": ("ball", "soccer ball", "football", "basketball", "baseball", "tennis ball"),
    "teddy bear": ("stuffed animal", "stuffed bear"),
    "train": ("locomotive",),
    "tv": ("television", "tv monitor"),
    "tv monitor": ("tv", "television", "monitor", "screen", "computer monitor"),
}
"""Other words for the classes of VOC, Context and COCO-Object, irregular plurals among them. A word that is itself a
class of the dataset stays that class."""
