"""The embedded world with every caption also said in other words (Segment Anyword, Section 2.2 and C.1).

A caption is followed by its paraphrases, `<id>~1` and on, each a sample of its own; the `groups` table says whose
paraphrases they are. Nothing but words changes: image, truth, and the order of the phrases stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stages.artifacts.language import Parse
from stages.artifacts.seeds import generator
from stages.samples import world
from stages.samples.listing import Entry
from stages.samples.reader import DataLocation, Sample, TruthMask
from stages.world.paraphrase import MOST, known, paraphrases, subject, synonyms

FEWEST = 2
TAG = "rewritten"
"""Of the truth of a phrase whose words change within its group, in the original, too. Truth that lies on disks has it
under this name."""


def entries(recipe: dict[str, Any], place: DataLocation) -> Iterator[Entry]:
    """Each scene of the plain world, then 2 to 5 paraphrases (C.1: "n in randint(2, 5)"); nothing is drawn yet."""
    for entry in world.entries(recipe, place):
        count = int(generator(recipe["seed"], entry.id, "count").integers(FEWEST, MOST + 1))
        common = {**entry.source, "rewrite": recipe["rewrite"], "seed": recipe["seed"], "group": entry.id}
        for number in range(count + 1):
            name = f"{entry.id}~{number}" if number else entry.id
            yield Entry(id=name, source={**common, "number": number})


def has_truth(entries: list[Entry]) -> bool:
    return bool(entries)


def sample(entry: Entry, place: DataLocation) -> Sample:
    """The scene with its caption as it is (number 0) or in other words."""
    plain = world.sample(entry, place)
    source = entry.source
    seed = (source["seed"], source["group"])
    phrases = _phrases(plain.parse, plain.text, source["rewrite"], seed)
    number = source["number"]
    text, parse = plain.text, plain.parse
    if number:
        # All of them are made, whichever is wanted: they must differ from one another.
        made = paraphrases(text, parse, MOST, phrases, *seed)[number - 1]
        text, parse = made.text, made.parse
    return replace(
        plain,
        text=text,
        parse=parse,
        group=source["group"],
        truth=tuple(_tagged(one, phrases, text, parse) for one in plain.truth),
    )


def _phrases(parse: Parse, text: str, which: str, seed: tuple[str | int, ...]) -> list[int]:
    """The phrases whose words change: the subject alone, or all that have synonyms."""
    if which == "all":
        return [i for i, one in enumerate(parse.phrases) if synonyms(one.root.of(text))]
    found = subject(parse, text, *seed)
    return [] if found is None else [found]


def _tagged(truth: TruthMask, phrases: list[int], text: str, parse: Parse) -> TruthMask:
    """With the tag of rewritten phrases, and `synonym` where the words said are now none of the captions' own."""
    if truth.kind != "phrase" or truth.index not in phrases:
        return truth
    phrase = parse.phrases[truth.index]
    unseen = any(not known(span.of(text)) for span in (phrase.root, *phrase.adjectives))
    tags = [tag for tag in truth.tags if tag != "synonym"] + (["synonym"] if unseen else []) + [TAG]
    return replace(truth, tags=tuple(tags))
