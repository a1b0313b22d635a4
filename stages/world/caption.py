"""Captions of scenes in several registers, with gold phrases.

Spans are noted while the text is composed, never searched for afterwards: two equal words stay two words.
A caption may say one phrase in synonyms that no training caption holds (`unseen`): words whose meaning a frozen
model can only take from the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stages.artifacts.language import Parse, Phrase, Predicate, Span
from stages.world.scene import Instance, Relation, Scene

if TYPE_CHECKING:
    from jaxtyping import Bool

REGISTERS = ("referring", "plain", "sentences", "numbered")
_SHARES = {"referring": 0.25, "plain": 0.35, "sentences": 0.25, "numbered": 0.15}

SYNONYMS = {
    "circle": "disk",
    "square": "box",
    "ring": "hoop",
    "diamond": "rhombus",
    "triangle": "wedge",
    "crescent": "moon",
    "red": "crimson",
    "blue": "azure",
    "green": "emerald",
    "purple": "violet",
    "yellow": "golden",
}
"""Words that training never sees, by the word that they stand for."""

_INVERSE = {"above": "below", "left of": "right of"}
_VERBS = {"touching": "touches", "covering": "covers"}


@dataclass(frozen=True)
class Named:
    """What a phrase names: indices of the scene's instances and grounds."""

    instances: tuple[int, ...] = ()
    grounds: tuple[int, ...] = ()

    def mask(self, scene: Scene) -> Bool[np.ndarray, "128 128"]:
        """The union of all that is named, as it shows."""
        masks = [scene.instances[i].mask for i in self.instances]
        masks += [scene.grounds[g].mask for g in self.grounds]
        return np.logical_or.reduce(masks)


@dataclass(frozen=True)
class Caption:
    """A text, its gold parse, and what each of the parse's phrases names."""

    text: str
    parse: Parse
    names: tuple[Named, ...]
    register: str
    unseen: int | None = None
    """Index of the phrase that is said in unseen synonyms, if one is."""


@dataclass
class _Writer:
    """A text in the making, and the phrases and predicates said so far."""

    scene: Scene
    rng: np.random.Generator
    unseen: int | None = None  # the instance to be said in unseen synonyms
    text: str = ""
    capital: bool = False
    phrases: list[Phrase] = field(default_factory=list)
    names: list[Named] = field(default_factory=list)
    predicates: list[Predicate] = field(default_factory=list)
    unseen_phrase: int | None = None

    def say(self, words: str) -> Span:
        """Append words after a space (none before punctuation); their span."""
        if self.capital:
            words = words[0].upper() + words[1:]
            self.capital = False
        if self.text and words[0] not in ",.":
            self.text += " "
        start = len(self.text)
        self.text += words
        return Span(start=start, end=len(self.text))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, *options: str) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _note(self, first: Span | None, adjectives: list[Span], root: Span, named: Named) -> int:
        start = min([root.start, *(span.start for span in (first, *adjectives) if span)])
        span = Span(start=start, end=root.end)
        self.phrases.append(Phrase(span=span, root=root, adjectives=tuple(adjectives)))
        self.names.append(named)
        return len(self.phrases) - 1

    def thing(self, number: int, article: str, plainly: float = 0.15, numbered: bool = False) -> int:
        """Say one object: "a small striped red circle". Says enough adjectives to tell it from the others.

        `plainly` is the chance of leaving its colour out where it is not needed. Returns the phrase's index.
        """
        instance = self.scene.instances[number]
        words = _adjectives(self.scene, number, self.rng, plainly, needed=not numbered)
        noun = instance.noun
        if number == self.unseen:
            words, noun = [SYNONYMS.get(word, word) for word in words], SYNONYMS[noun]
            self.unseen_phrase = len(self.phrases)
        if numbered:
            noun += str(_rank(self.scene, number))
        if article == "a" and (words or [noun])[0][0] in "aeiou":
            article = "an"
        first = self.say(article) if article else None
        adjectives = [self.say(word) for word in words]
        return self._note(first, adjectives, self.say(noun), Named(instances=(number,)))

    def plural(self, numbers: tuple[int, int]) -> int:
        """Say two objects of one noun: "two striped circles", with the adjectives that both have."""
        a, b = (self.scene.instances[n] for n in numbers)
        words = []
        if a.pattern == b.pattern != "plain" and a.pattern_shows and b.pattern_shows:
            words.append(a.pattern)
        if a.colour == b.colour:
            words.append(a.colour)
        adjectives = [self.say(word) for word in ("two", *words)]  # a numeral counts as an adjective of its noun
        noun = {"cross": "crosses"}.get(a.noun, a.noun + "s")
        return self._note(None, adjectives, self.say(noun), Named(instances=numbers))

    def ground(self, number: int) -> int:
        article = self.say("the") if self.chance(0.5) else None
        return self._note(article, [], self.say(self.scene.grounds[number].name), Named(grounds=(number,)))

    def predicate(self, span: Span, subject: int, object_: int) -> None:
        self.predicates.append(Predicate(span=span, subject=subject, object=object_))

    def relate(self, relation: Relation, article: str, numbered: bool = False, verb: bool = False) -> None:
        """Say "SUBJECT touching OBJECT" and the like; with `verb` as a whole sentence's verb."""
        subject, object_, kind = relation.subject, relation.object, relation.kind
        if kind in _INVERSE and self.chance(0.4):
            subject, object_, kind = object_, subject, _INVERSE[kind]
        first = self.thing(subject, article, numbered=numbered)
        self.link(first, kind, object_, article, numbered, verb)

    def link(
        self, first: int, kind: str, object_: int, article: str, numbered: bool = False, verb: bool = False
    ) -> None:
        """Say "touching OBJECT" after the phrase `first`."""
        span = None
        if kind in _VERBS:
            span = self.say(_VERBS[kind] if verb else kind)
        else:
            if verb:
                self.say("is")
            self.say(kind)
        second = self.thing(object_, article, numbered=numbered)
        if span is not None:
            self.predicate(span, first, second)


def _rank(scene: Scene, number: int) -> int:
    """The object's number among those of its noun, counted from left to right, from 1."""
    same = [i for i, other in enumerate(scene.instances) if other.noun == scene.instances[number].noun]
    return sorted(same, key=lambda i: (scene.instances[i].centre[1], i)).index(number) + 1


def _adjectives(scene: Scene, number: int, rng: np.random.Generator, plainly: float, needed: bool) -> list[str]:
    """Adjectives in their order (size, pattern, colour); with `needed`, enough to tell the object apart."""
    me = scene.instances[number]
    twins = [x for i, x in enumerate(scene.instances) if i != number and x.noun == me.noun] if needed else []
    draws = rng.random(3)
    colour = draws[0] >= plainly or any(twin.colour != me.colour for twin in twins)
    pattern = me.pattern_shows and draws[1] < 0.85
    plain = False
    for twin in twins:
        if twin.colour == me.colour:
            pattern = me.pattern != "plain"
            plain = me.pattern == "plain"
    words = []
    if draws[2] < 0.25 and (me.small or me.size == "large") and not any(_sized(x) == _sized(me) for x in twins):
        words.append(_sized(me))
    if pattern or plain:
        words.append(me.pattern)
    if colour:
        words.append(me.colour)
    return words


def _sized(instance: Instance) -> str:
    return "small" if instance.small else instance.size


def _ground_below(scene: Scene, number: int) -> int:
    """The ground that surrounds an object most."""
    mask = scene.instances[number].mask
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = (slice(max(rows[0] - 3, 0), rows[-1] + 4), slice(max(columns[0] - 3, 0), columns[-1] + 4))
    return int(np.argmax([ground.mask[window].sum() for ground in scene.grounds]))


def _say_grounds(writer: _Writer, first: int | None = None) -> None:
    """Say "on sand beside the water": the ground under object `first`, mostly the other one too."""
    count = len(writer.scene.grounds)
    number = _ground_below(writer.scene, first) if first is not None else int(writer.rng.integers(count))
    writer.say("on")
    writer.ground(number)
    if count == 2 and writer.chance(0.75):
        writer.say(writer.pick("beside", "near", "next to"))
        writer.ground(1 - number)


def _referring(writer: _Writer) -> None:
    scene = writer.scene
    article = writer.pick("the", "the", "")
    plans = [r for r in scene.relations if r.kind in _VERBS or r.kind == "inside"]
    plans = plans or list(scene.relations)
    if plans and writer.chance(0.65):
        relation = plans[int(writer.rng.integers(len(plans)))]
        writer.relate(relation, article)
        subject = writer.names[0].instances[0]
    else:
        subject = int(writer.rng.integers(len(scene.instances)))
        writer.thing(subject, article)
    if writer.chance(0.55):
        writer.say("on")
        writer.ground(_ground_below(scene, subject))


def _order(writer: _Writer) -> tuple[list[Relation], list[int]]:
    """One relation to say (or none), and the other objects in random order."""
    scene = writer.scene
    strong = [r for r in scene.relations if r.kind in (*_VERBS, "inside")] or list(scene.relations)
    chosen = []
    if strong and writer.chance(0.7):
        chosen = [strong[int(writer.rng.integers(len(strong)))]]
    said = {i for r in chosen for i in (r.subject, r.object)}
    rest = [int(i) for i in writer.rng.permutation(len(scene.instances)) if int(i) not in said]
    return chosen, rest


def _twins(scene: Scene) -> tuple[int, int] | None:
    for a in range(len(scene.instances)):
        for b in range(a + 1, len(scene.instances)):
            if scene.instances[a].noun == scene.instances[b].noun:
                return a, b
    return None


def _listing(writer: _Writer, article: str, numbered: bool) -> int:
    """Say all objects of a scene as one list; the index of the first one said."""
    twins = _twins(writer.scene)
    if twins and not numbered and writer.unseen not in twins and writer.chance(0.25):
        rest = [int(i) for i in writer.rng.permutation(len(writer.scene.instances)) if int(i) not in twins]
        writer.plural(twins)
        first = twins[0]
        joints = len(rest)
    else:
        relations, rest = _order(writer)
        if relations:
            writer.relate(relations[0], article, numbered=numbered)
            first = relations[0].subject
        else:
            first = rest.pop(0)
            writer.thing(first, article, numbered=numbered)
        joints = len(rest)
    for place, number in enumerate(rest):
        if place < joints - 1:
            writer.say(",")
        else:
            writer.say(writer.pick("and", "and", "with", "near", "next to") if joints == 1 else "and")
        writer.thing(number, article, numbered=numbered)
    return first


def _plain(writer: _Writer) -> None:
    if writer.chance(0.15):
        writer.say("there is")
    first = _listing(writer, "a", numbered=False)
    if writer.chance(0.9):
        _say_grounds(writer, first if len(writer.scene.instances) == 1 else None)


def _sentences(writer: _Writer) -> None:
    relations, rest = _order(writer)
    writer.capital = True
    if relations:
        writer.relate(relations[0], "a", verb=True)
        writer.say(".")
    while rest:
        number = rest.pop(0)
        writer.capital = True
        writer.say(writer.pick("there is", "there is also") if relations else "there is")
        writer.thing(number, "a")
        if rest and writer.chance(0.5):
            writer.say("and")
            writer.thing(rest.pop(0), "a")
        elif writer.chance(0.4) and not any(name.grounds for name in writer.names):
            writer.say("on")
            writer.ground(_ground_below(writer.scene, number))
        writer.say(".")
    named = {g for name in writer.names for g in name.grounds}
    missing = [g for g in range(len(writer.scene.grounds)) if g not in named]
    if missing and writer.chance(0.92):
        writer.capital = True
        writer.say(writer.pick("behind is", "all around is", "there is"))
        writer.ground(missing[0])
        if len(missing) == 2 and writer.chance(0.85):
            writer.say(writer.pick("and", "beside", "next to"))
            writer.ground(missing[1])
        writer.say(".")


def _numbered(writer: _Writer) -> None:
    _listing(writer, "", numbered=True)
    if writer.chance(0.8):
        _say_grounds(writer)


_COMPOSE = {"referring": _referring, "plain": _plain, "sentences": _sentences, "numbered": _numbered}


def caption(
    scene: Scene,
    rng: np.random.Generator,
    register: str | None = None,
    unseen: float = 0.0,
) -> Caption:
    """A caption of the scene, in `register` or one drawn by the registers' shares.

    `unseen` is the chance that one phrase is said in unseen synonyms, where the scene has an object whose noun has
    one and the register does not number its nouns; 0 for all training. Raises ValueError for an unknown register.
    """
    if register is None:
        register = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    if register not in _COMPOSE:
        raise ValueError(f"register {register!r} is not one of {', '.join(REGISTERS)}")
    seed = int(rng.integers(1 << 62))
    writer = _Writer(scene, np.random.default_rng(seed))
    _COMPOSE[register](writer)
    if unseen > 0 and register != "numbered" and rng.random() < unseen:
        singles = [name.instances[0] for name in writer.names if len(name.instances) == 1]
        able = [i for i in singles if scene.instances[i].noun in SYNONYMS]
        if able:
            # The same caption again, word for word, but for the one phrase.
            again = _Writer(scene, np.random.default_rng(seed), unseen=able[int(rng.integers(len(able)))])
            _COMPOSE[register](again)
            if again.unseen_phrase is not None:
                writer = again
    parse = Parse(
        phrases=tuple(writer.phrases),
        predicates=tuple(writer.predicates),
        referred=0 if register == "referring" else None,
    ).checked(writer.text)
    return Caption(writer.text, parse, tuple(writer.names), register, writer.unseen_phrase)
