"""Captions with a captioner's mistakes: what is said of a scene that was seen wrongly.

The scene is changed and described anew with the draws of its own caption, so grammar stays whole and the text differs
by little more than the mistake (Segment Anyword, F.2: "GLaMM-generated text is not always accurate").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from stages.artifacts.language import Parse
from stages.world.render import COLOURS
from stages.world.sample import UNSEEN
from stages.world.scene import Instance, Relation, Scene, scene, seed_of
from stages.world.shapes import NOUNS

MISTAKES = ("another", "left-out", "wrong-adjective", "wrong-noun", "absent-object", "mixed")
"""another: no mistake, another caption of the scene. left-out: an object is not seen. wrong-adjective: one is seen in
another colour. wrong-noun: one is taken for another shape. absent-object: one is seen that is not there. mixed: one
of the four."""
_WRONG = MISTAKES[1:-1]


@dataclass(frozen=True)
class Said:
    """What a captioner says of a scene."""

    text: str
    parse: Parse
    mistaken: bool
    """Whether the mistake shows; where a scene leaves no room for it, the scene's own caption is said."""


def said(split: str, index: int, mistake: str, seed: int = 0) -> Said:
    """The caption of a scene with one of MISTAKES, the same for the same seed. ValueError for an unknown one."""
    from stages.world.caption import caption
    from stages.world.sample import sample

    if mistake not in MISTAKES:
        raise ValueError(f"mistake {mistake!r} is not one of {', '.join(MISTAKES)}")
    own = sample(split, index)
    if mistake == "another":
        other = sample(split, index, variant=1)
        return Said(other.text, other.parse, False)
    drawn = scene(split, index)
    rng = np.random.default_rng([seed_of(split, index), 1 + seed, 7])
    if mistake == "mixed":
        mistake = _WRONG[int(rng.integers(len(_WRONG)))]
    named = [i for one in own.caption.names for i in one.instances]
    keep = own.caption.names[0].instances if own.parse.referred is not None else ()
    for seen, changed in _seen(drawn, mistake, list(dict.fromkeys(named)), keep, rng):
        draws = np.random.default_rng([seed_of(split, index), 1])  # those of the scene's own caption
        found = caption(seen, draws, unseen=0.0 if split == "train" else UNSEEN)
        mentioned = {i for one in found.names for i in one.instances}
        # Nothing but the mistake: an object that is not there comes on top of those that are.
        fits = mentioned >= {*named, changed} if mistake == "absent-object" else changed in mentioned | {-1}
        if found.text != own.text and fits:
            return Said(found.text, found.parse, True)
    return Said(own.text, own.parse, False)


def _seen(
    drawn: Scene, mistake: str, named: list[int], keep: tuple[int, ...], rng: np.random.Generator
) -> Iterator[tuple[Scene, int]]:
    """Scenes as a captioner might see them, and the instance that is wrong in each (-1: it is gone).

    named: instances that the scene's own caption names. keep: what a referring expression is about is not overlooked.
    """
    order = [named[int(i)] for i in rng.permutation(len(named))]
    if mistake == "left-out":
        yield from ((_without(drawn, i), -1) for i in order if i not in keep and len(drawn.instances) > 1)
        return
    nouns = [str(one) for one in rng.permutation(NOUNS) if one not in {x.noun for x in drawn.instances}]
    colours = [str(one) for one in rng.permutation(list(COLOURS))]
    if mistake == "absent-object":
        # Where another object is: a captioner that sees what is not there sees it in what is.
        for noun, colour in zip(nouns, colours, strict=False):
            ghost = replace(drawn.instances[order[0]], noun=noun, colour=colour)
            yield replace(drawn, instances=(*drawn.instances, ghost)), len(drawn.instances)
        return
    for i in order:
        me = drawn.instances[i]
        if mistake == "wrong-noun":
            yield _with(drawn, i, replace(me, noun=nouns[0])), i
        else:
            taken = {x.colour for x in drawn.instances if x.noun == me.noun}
            yield _with(drawn, i, replace(me, colour=next(one for one in colours if one not in taken))), i


def _with(drawn: Scene, number: int, instance: Instance) -> Scene:
    return replace(drawn, instances=(*drawn.instances[:number], instance, *drawn.instances[number + 1 :]))


def _without(drawn: Scene, number: int) -> Scene:
    rest = tuple(one for i, one in enumerate(drawn.instances) if i != number)
    kept = (one for one in drawn.relations if number not in (one.subject, one.object))
    moved = tuple(Relation(r.kind, r.subject - (r.subject > number), r.object - (r.object > number)) for r in kept)
    return replace(drawn, instances=rest, relations=moved)
