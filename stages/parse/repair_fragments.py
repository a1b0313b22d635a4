"""Fragments as people type them ("woman left", "train on the left track", "mans left arm"), which pipelines trained on
sentences take for sentences: a word that opens, ends or joins where no verb can stand is no verb."""

from __future__ import annotations

from stages.parse import lists
from stages.parse.repair_beside import repair_beside
from stages.parse.repair_sides import left_as_verb, side_at_the_head
from stages.parse.surgery import NOUNS, as_noun, attach, take_over
from stages.parse.tree import Tree, Word

_PLAIN = ("VB", "VBP")
_LEADING = frozenset("next close closest near nearest full similar opposite far closer nearer".split())
"""Adjectives that open a fragment with a preposition behind them ("next to the car")."""


def repair_fragments(tree: Tree) -> None:
    """The tree's misread fragments mended, its words changed in place, from left to right."""
    sentence = tree.is_sentence
    for word in tree.words:
        before, after = tree.near(word, -1), tree.near(word, 1)
        _compound_as_verb(tree, word, before, after)
        repair_beside(tree, word, before, after)
        left_as_verb(word, before, after, sentence=sentence)
        _noun_with_object(word, after)
        side_at_the_head(word, before, after)
        _owned(word, before, sentence=sentence)
        _plain_verb(tree, word, before, after)
        _object_as_verb(word)
        _past_in_fragment(word, sentence=sentence)
        _nearest(word, before)
        _apposition(tree, word)


def _noun_with_object(word: Word, after: Word | None) -> None:
    """ "dogs tail", "sandwich half", with the second word as what the first, a noun, does something to."""
    bare = after is not None and after.dep == "npadvmod" and word.index == 0 and after.lower not in lists.POSITIONS
    if after is None or word.pos not in NOUNS or after.head is not word:
        return
    if after.dep not in ("dobj", "obj") and not (bare and after.pos in NOUNS and not after.lefts):
        return
    if word.subjects or (word.having("det") and after.having("det")):
        return
    after.pos, after.tag = "NOUN", after.tag if after.tag.startswith("NN") else "NN"
    take_over(after, word, "nmod:poss" if word.lower in lists.OWNERS else "compound")


def _owned(word: Word, before: Word | None, *, sentence: bool) -> None:
    """ "players glove", "the mans right hand": an owner without its apostrophe, with what is owned as what they do."""
    head = word.head
    if word.dep == "appos" and head is not None and head.lower in lists.OWNERS and head.tag in ("NNS", "NNPS"):
        take_over(word, head, "nmod:poss")
        return
    if before is None or sentence or word.pos != "VERB" or word.tag != "VBP" or before not in word.subjects:
        return
    stem = word.lower.removesuffix("e")
    does = f"{stem}ing" in lists.INTRANSITIVE | lists.GOING | lists.ACTING or f"{word.lower}s" in lists.MOTIONS
    if does or before.lower not in lists.OWNERS or word.having("dobj", "obj", "aux", "xcomp"):
        return
    as_noun(word)
    before.dep = "nmod:poss"


def _plain_verb(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "train on the left track", "car next to bus", "man in suit and tie", "stop sign": a plain verb without subject,
    "to" or auxiliary is a noun."""
    if (
        word.pos in ("ADJ", "ADV")
        and word.index == 0
        and word.head is None
        and after is not None
        and after.dep == "prep"
    ):
        plain = word.tag in ("JJ", "RB") and word.lower not in lists.COLOURS | lists.POSITIONS | _LEADING
        if plain and not any(c.pos in NOUNS and c.dep != "pobj" for c in word.children) and not word.subjects:
            word.pos, word.tag = "NOUN", "NN"  # "remote in his hand"
        return
    if word.pos != "VERB" or word.tag not in _PLAIN:
        return
    if word.subjects:
        near = tree.words[before.index - 1] if before is not None and before.index and before.lower == "to" else None
        led = before is not None and before.head is word and not word.having("dobj", "obj")
        if near is not None and before is not None and near.lower == "next" and led:  # "a cat on snow next to sand"
            first = word.subjects[0]
            attach(first, word.head, word.dep)
            attach(near, first, "advmod")
            _behind_next_to(word, before, near)
        return
    if before is not None and before.lower == "to" and before.head is word:
        near = tree.words[before.index - 1] if before.index else None
        tied = near is not None and near.lower in lists.STATES and word.dep == "xcomp" and word.head is near
        if tied and near is not None and not word.having("dobj", "obj"):  # "boat tied to dock"
            as_noun(word)
            before.pos, before.tag = "ADP", "IN"
            attach(before, near, "prep")
            attach(word, before, "pobj")
            return
        if (
            near is not None
            and near.lower in ("next", "close", "closest", "nearest")
            and not word.having("dobj", "obj")
        ):
            _behind_next_to(word, before, near)
        return
    if word.having("aux") and all(c.lower in lists.AUXILIARIES for c in word.having("aux")):
        return
    if word.index == 0:
        thing = after.head if after is not None else None
        if after is not None and after.lower.endswith("ing") and thing is not None and thing.head is word:
            if thing.dep in ("dobj", "obj") and after.dep in ("compound", "amod"):  # "surfer riding wave"
                as_noun(word)
                attach(after, word, "acl")
                attach(thing, after, "obj")
                after.pos, after.tag = "VERB", "VBG"
            return
        leads = after is not None and after.lower in ("next", "closest", "nearest", "farthest", "furthest")
        opens = leads or after is None or after.pos == "ADP" or after.tag == "VBG" or after.dep in ("prep", "relcl")
        if not opens or word.lower in lists.REQUESTS or word.having("dobj", "obj", "prt", "compound:prt"):
            return
        as_noun(word)
        if word.dep == "compound" and after is word.head and after is not None and after.tag == "VBG":
            attach(word, after.head, after.dep)  # "bear looking left"
            attach(after, word, "acl")
    elif word.dep == "conj" and word.head is not None and word.head.pos in NOUNS and word.tag == "VB":
        as_noun(word)
        inner = [c for c in word.head.children if c.index < word.index and c.dep == "prep"]
        nouns = [noun for one in inner for noun in one.having("pobj")]
        if nouns and not word.having("det"):  # "man in suit and tie"
            joints = [c for c in word.head.having("cc") if c.index < word.index]
            attach(word, nouns[-1], "conj")
            for joint in joints[-1:]:
                attach(joint, nouns[-1], "cc")
    elif word.head is None and after is None and before is not None and before.dep == "aux" and before.index == 0:
        as_noun(word)  # "stop sign"
        before.pos, before.tag, before.dep = "NOUN", "NN", "compound"


def _behind_next_to(word: Word, to: Word, near: Word) -> None:
    as_noun(word)
    to.pos, to.tag = "ADP", "IN"
    first = near.head if near.head is not None and near.head.pos in NOUNS and near.head is not word else None
    if first is not None and first.head is word:
        attach(first, word.head, word.dep)
    if first is not None:
        attach(to, near, "prep")
        attach(word, to, "pobj")


def _object_as_verb(word: Word) -> None:
    """ "child blowing bubbles", "guy carrying surfboard", with the object as a verb or an adverb."""
    if word.subjects or word.having("dobj", "obj", "aux", "mark") or word.tag == "VBG":
        return
    verb = word.pos == "VERB" and word.dep in ("dobj", "pobj", "obj")
    if verb or (word.pos == "ADV" and word.dep in ("dobj", "obj")):
        word.pos, word.tag = "NOUN", "NNS" if word.tag == "VBZ" else "NN"


def _past_in_fragment(word: Word, *, sentence: bool) -> None:
    """ "chair pushed in", "tent pitched near the lake": captions tell no past; a form in -ed is what was done."""
    if sentence or word.pos != "VERB" or word.tag != "VBD" or not word.lower.endswith("ed"):
        return
    subject = word.subjects[0] if word.subjects else None
    if subject is None or subject.index > word.index or word.having("dobj", "obj", "aux", "xcomp", "ccomp"):
        return
    if word.lower in lists.INTRANSITIVE or subject.pos not in NOUNS:
        return
    word.tag = "VBN"


def _nearest(word: Word, before: Word | None) -> None:
    """ "chair nearest the window", with "nearest" as a preposition."""
    if word.lower == "nearest" and word.dep == "prep" and word.head is not None and word.head.pos in NOUNS:
        word.pos, word.tag, word.dep = "ADJ", "JJS", "amod"
        for child in word.having("pobj"):
            child.dep = "npadvmod"
        return
    thing = word.head
    if (
        word.lower not in ("nearest", "closest")
        or word.dep not in ("amod", "compound")
        or thing is None
        or thing.index < word.index
    ):
        return
    if before is None or before.pos not in NOUNS or thing.having("det") or thing.dep == "pobj":
        return
    if before.head is thing:  # "bowl nearest camera"
        attach(before, thing.head, thing.dep)
    elif thing.head is not before:
        return
    attach(word, before, "amod")
    attach(thing, word, "npadvmod")


def _apposition(tree: Tree, word: Word) -> None:
    """ "a red cup, a blue plate": what a comma sets beside another thing with an article is one more thing."""
    head = word.head
    if word.dep != "appos" or head is None or head.pos not in NOUNS or word.pos not in NOUNS:
        return
    comma = any(one.text == "," for one in tree.words[head.index : word.index])
    if comma and bool(word.having("det", "nummod")) == bool(head.having("det", "nummod")):
        word.dep = "conj"


def _compound_as_verb(tree: Tree, word: Word, before: Word | None, after: Word | None) -> None:
    """ "night stand", "bath tub", "dump truck", "donut with pink icing": parts of a name as verbs or adverbs."""
    if (
        word.dep == "pcomp"
        and word.pos == "VERB"
        and word.having("amod", "det", "compound")
        and not word.having("nsubj", "dobj")
    ):
        word.pos, word.tag, word.dep = "NOUN", "NN", "pobj"
    if word.head is not None or word.subjects:
        return
    plain = (word.pos == "ADV" and word.tag == "RB") or (word.pos == "VERB" and word.tag in _PLAIN)
    if plain and before is not None and before.head is word and before.dep == "npadvmod" and before.pos in NOUNS:
        if before.index == 0 and (after is None or after.pos == "ADP"):
            word.pos, word.tag, before.dep = "NOUN", "NN", "compound"
        return
    if word.index or word.pos != "VERB" or word.tag != "VB" or after is None or word.lower in lists.REQUESTS:
        return
    named = after.head is word and after.dep in ("dobj", "obj") and after.pos in NOUNS and not after.lefts
    if named and word.lower not in lists.SHOWING and not word.having("aux", "neg", "advmod"):
        word.pos, word.tag = "NOUN", "NN"
        take_over(after, word)
