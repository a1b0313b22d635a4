"""Template captions with gold parses: what the treebank of web text lacks, an image's captions have.

Each caption is grown as a tree (`Node`), so that its words, tags, heads and labels cannot disagree; the scheme is
that of Universal Dependencies' English Web Treebank (labels and attachment copied from its own sentences). Words
are drawn by class from `parser_lexicon`, some from the treebank itself, and a few are made up or misspelt, so
that the model learns to go by the context of a word it has never seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from stages.world import parser_lexicon as lexicon

PLURAL, SINGULAR, MASS = "NNS", "NN", "mass"


@dataclass
class Node:
    """A word with its dependents; those in `left` stand before it, those in `right` after it."""

    word: str
    pos: str
    tag: str
    dep: str = "dep"
    left: list[Node] = field(default_factory=list)
    right: list[Node] = field(default_factory=list)
    glued: bool = False
    """No space before this word (punctuation, "'s", the parts of a hyphenated word)."""

    def named(self, dep: str) -> Node:
        self.dep = dep
        return self


@dataclass(frozen=True)
class Row:
    """One word of a grown caption; `head` is the index of its head among the rows, itself at the root."""

    word: str
    pos: str
    tag: str
    head: int
    dep: str
    glued: bool


def rows(roots: Sequence[Node]) -> list[Row]:
    """The words of several trees in the order in which they are read."""
    order: list[Node] = []

    def visit(node: Node) -> None:
        for child in node.left:
            visit(child)
        order.append(node)
        for child in node.right:
            visit(child)

    for root in roots:
        visit(root)
    place = {id(node): index for index, node in enumerate(order)}
    head = {id(child): place[id(node)] for node in order for child in (*node.left, *node.right)}
    return [
        Row(n.word, n.pos, n.tag, head.get(id(n), place[id(n)]), "ROOT" if id(n) not in head else n.dep, n.glued)
        for n in order
    ]


def _lists(*names: str) -> list[str]:
    return [word for name in names for word in getattr(lexicon, name)]


KINDS: dict[str, list[str]] = {
    name.lower(): getattr(lexicon, name)
    for name in (
        "PEOPLE", "ANIMALS", "CLOTHES", "HELD", "FOOD", "FURNITURE", "VEHICLES", "NATURE", "PLACES", "PARTS",
        "PIECES", "SHAPES", "GROUNDS",
    )
}  # fmt: skip
THINGS = ("held", "food", "furniture", "vehicles", "places", "nature", "shapes")
ANYTHING = ("people", "people", "animals", *THINGS)


class Grammar:
    """A source of captions, reproducible from its seed."""

    def __init__(self, seed: int, nouns: Sequence[str] = (), adjectives: Sequence[str] = ()) -> None:
        """`nouns` and `adjectives`: more words (singular), mixed in beside the lexicon's own."""
        self.rng = random.Random(seed)  # noqa: S311 - not for secrets
        self.nouns, self.adjectives = list(nouns), list(adjectives)

    # ---- words

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def pick(self, *options: str) -> str:
        return self.rng.choice(options)

    def made_up(self) -> str:
        """A word that nobody has seen."""
        onsets, vowels, ends = (
            "b c d f g h k l m n p r s t v w z br cl dr fl gr pl st tr sh th",
            "a e i o u oo ea ai",
            ("n r l t d m k p s ng rt nd ck ff"),
        )
        syllables = self.rng.choice((1, 2, 2, 3))
        word = "".join(self.rng.choice(onsets.split()) + self.rng.choice(vowels.split()) for _ in range(syllables))
        return word + self.rng.choice(ends.split())

    def misspelt(self, word: str) -> str:
        at = self.rng.randrange(1, len(word) - 1)
        return self.rng.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            )
        )

    def noun(self, kind: str, number: str | None = None, dep: str = "root") -> Node:
        """A bare noun of a kind; `number` NN or NNS where it matters."""
        if self.chance(0.10) and self.nouns and kind not in ("shapes", "grounds"):
            one = self.rng.choice(self.nouns)
            forms = [one, one + ("es" if one.endswith(("s", "x", "ch", "sh")) else "s")]
        elif self.chance(0.05):
            one = self.made_up()
            forms = [one, one + "s"]
        else:
            forms = self.rng.choice(KINDS[kind]).split("/")
        plural = number == PLURAL or (number is None and self.chance(0.2))
        if len(forms) == 2 and forms[0] == forms[1] and forms[0].endswith("s"):
            plural = True  # "jeans" has no singular
        word, tag = (forms[1], PLURAL) if plural and len(forms) > 1 else (forms[0], SINGULAR)
        if len(word) > 4 and "-" not in word and self.chance(0.03):
            word = self.misspelt(word)
        return self.hyphened(word, "NOUN", tag, dep, mass=len(forms) == 1)

    def hyphened(self, word: str, pos: str, tag: str, dep: str, mass: bool = False) -> Node:
        """A word, or several where the tokenizer will split it at its hyphens."""
        *before, last = word.split("-")
        node = Node(last, pos, tag, dep, glued=bool(before))
        for i, part in enumerate(before):
            node.left += [
                Node(part, "NOUN", "NN", "compound", glued=i > 0),
                Node("-", "PUNCT", "HYPH", "punct", glued=True),
            ]
        if mass:
            node.right, node.tag = [], SINGULAR
        return node

    def adjective(self, dep: str = "amod") -> Node:
        r = self.rng.random()
        if r < 0.40:
            colour = Node(self.rng.choice(lexicon.COLOURS), "ADJ", "JJ", dep)
            if self.chance(0.12):
                colour.left.append(Node(self.pick("dark", "light", "bright", "pale", "deep"), "ADJ", "JJ", "amod"))
            return colour
        if r < 0.50:
            return self.hyphened(self.rng.choice(lexicon.PATTERNS), "ADJ", "JJ", dep)
        if r < 0.58:
            word = self.pick("smiling", "sleeping", "flying", "running", "standing", "sitting", "walking", "hanging",
                             "laughing", "burning", "moving", "floating", "blooming", "leaning", "waving", "shining",
                             "jumping", "kneeling", "grazing")  # fmt: skip
            return Node(word, "VERB", "VBG", dep)
        if r < 0.66:
            word = self.pick("parked", "stacked", "framed", "painted", "broken", "folded", "sliced", "striped",
                             "patterned", "textured", "knitted", "cooked", "colored", "decorated", "lit", "cropped",
                             "covered", "polished", "carved", "wrapped", "filled", "blurred", "faded", "rolled",
                             "seated", "dressed", "stuffed", "braided", "printed", "tied")  # fmt: skip
            return Node(word, "VERB", "VBN", dep)
        if r < 0.70:
            stem = self.pick(
                "dark", "long", "short", "blue", "curly", "white", "black", "red", "yellow", "two", "bright"
            )
            end = self.pick("haired", "sleeved", "colored", "eyed", "legged", "handed", "striped", "headed", "faced")
            return Node(
                end, "ADJ", "JJ", dep, glued=True,
                left=[Node(stem, "ADJ", "JJ", "amod"), Node("-", "PUNCT", "HYPH", "punct", glued=True)],
            )  # fmt: skip
        if r < 0.74:
            return Node(self.made_up() + self.pick("y", "ed", "ish", "al", "ous", "ful", ""), "ADJ", "JJ", dep)
        if r < 0.84 and self.adjectives:
            return self.hyphened(self.rng.choice(self.adjectives), "ADJ", "JJ", dep)
        node = self.hyphened(self.rng.choice(lexicon.QUALITIES), "ADJ", "JJ", dep)
        if dep == "amod" and not node.left and self.chance(0.08):
            node.left.append(
                Node(self.pick("very", "really", "more", "slightly", "partially", "mostly"), "ADV", "RB", "advmod")
            )
        return node

    def adjectives_before(self) -> list[Node]:
        """None to three, listed or joined: "big red", "black and white", "red, white and blue"."""
        r = self.rng.random()
        if r < 0.42:
            return []
        if r < 0.80:
            return [self.adjective()]
        if r < 0.88:
            return [self.adjective(), self.adjective()]
        if r < 0.90:
            return [self.adjective(), self.adjective(), self.adjective()]
        if r < 0.93:
            second = self.adjective()
            second.left.insert(0, Node(",", "PUNCT", ",", "punct", glued=True))
            return [self.adjective(), second]
        first, second = self.adjective(), self.adjective("conj")
        second.left.insert(0, Node("and", "CCONJ", "CC", "cc"))
        if self.chance(0.15):
            between = self.adjective("conj")
            between.left.insert(0, Node(",", "PUNCT", ",", "punct", glued=True))
            first.right.append(between)
        first.right.append(second)
        return [first]

    # ---- noun phrases

    def determiner(self, node: Node) -> list[Node]:
        plural = node.tag == PLURAL
        r = self.rng.random()
        if r < 0.36:
            return []
        if r < 0.62:
            return [Node("the", "DET", "DT", "det")]
        if r < 0.68:
            return [Node(self.pick("his", "her", "their", "its", "her", "his"), "PRON", "PRP$", "nmod:poss")]
        if r < 0.70:
            return [Node(self.pick("this", "that") if not plural else self.pick("these", "those"), "DET", "DT", "det")]
        if plural:
            word, pos, tag, dep = self.rng.choice(
                (("some", "DET", "DT", "det"), ("several", "ADJ", "JJ", "amod"), ("many", "ADJ", "JJ", "amod"),
                 ("both", "DET", "DT", "det"), ("a few", "", "", ""))
            )  # fmt: skip
            if word == "a few":
                return [Node("few", "ADJ", "JJ", "amod", left=[Node("a", "DET", "DT", "det")])]
            return [Node(word, pos, tag, dep)]
        return [Node(self.pick("a", "a", "a", "an", "the", "another", "each"), "DET", "DT", "det")]

    def possessor(self) -> Node:
        owner = self.noun(self.pick("people", "people", "animals"), dep="nmod:poss")
        owner.left = self.determiner_simple() + ([self.adjective()] if self.chance(0.25) else []) + owner.left
        if self.chance(0.2) and owner.tag == SINGULAR and not owner.word.endswith("s"):
            owner.word += "s"  # "mans hat", as people type it
        else:
            owner.right.append(Node("'" if owner.tag == PLURAL and owner.word.endswith("s") else self.pick("'s", "'s", "’s"),
                                    "PART", "POS", "case", glued=True))  # fmt: skip
        return owner

    def determiner_simple(self) -> list[Node]:
        r = self.rng.random()
        return [] if r < 0.3 else [Node("the" if r < 0.65 else "a", "DET", "DT", "det")]

    def phrase(self, kind: str | None = None, dep: str = "root", depth: int = 1, number: str | None = None) -> Node:
        """A noun phrase; `depth` is how many modifiers may still be nested behind the noun."""
        kind = kind or self.pick(*ANYTHING)
        r = self.rng.random()
        if r < 0.05:
            return self.numbered(kind, dep)
        if r < 0.09:
            return self.chunk(dep, depth)
        if r < 0.11 and depth:
            return self.headless(dep)
        if r < 0.13:
            one = Node("one", "NOUN", "NN", dep)
            one.left = [Node(self.pick("the", "the", "that"), "DET", "DT", "det")] + (
                [self.adjective()] if self.chance(0.5) else []
            )
            one.right = self.after("people" if self.chance(0.5) else "shapes", depth) if depth else []
            return one
        node = self.noun(kind, number, dep)
        before: list[Node] = []
        if kind in ("parts", "clothes", "held", "pieces") and self.chance(0.25):
            before.append(self.possessor())
        else:
            before += self.determiner(node)
        if self.chance(0.06):
            before.append(Node(self.rng.choice(lexicon.ORDINALS), "ADJ", "JJ", "amod"))
        elif node.tag == PLURAL and self.chance(0.3):
            before.append(Node(self.rng.choice(lexicon.NUMBERS), "NUM", "CD", "nummod"))
        if self.chance(0.08):
            if self.chance(0.15):
                before.append(Node(self.pick("top", "bottom", "far", "upper", "lower"), "ADJ", "JJ", "amod"))
            before.append(Node(self.rng.choice(lexicon.POSITIONS), "ADJ", "JJ", "amod"))
        elif self.chance(0.05):
            superlative = Node(self.rng.choice(lexicon.SUPERLATIVES), "ADJ", "JJS", "amod")
            before.append(superlative)
        before += self.adjectives_before()
        if self.chance(0.10) and kind not in ("people", "animals", "shapes"):
            before.append(Node(self.rng.choice(lexicon.MATERIALS), "NOUN", "NN", "compound"))
        elif self.chance(0.09) and kind != "shapes":
            before.append(Node(self.rng.choice(lexicon.MODIFIERS), "NOUN", "NN", "compound"))
        elif self.chance(0.05) and kind == "people":  # "red shirt guy"
            worn = self.noun(self.pick("clothes", "clothes", "held"), SINGULAR, "compound")
            worn.left = ([self.adjective()] if self.chance(0.7) else []) + worn.left
            before.append(worn)
        for one in before:  # "a" before a vowel
            if one.word in ("a", "an"):
                following = next((n for n in [*before[before.index(one) + 1 :], node]), node)
                first = (
                    rows([following])[0].word
                    if following is not node
                    else (node.left[0].word if node.left else node.word)
                )
                one.word = "an" if first[0] in "aeiou" and not self.chance(0.03) else "a"
        node.left = before + node.left
        if depth > 0:
            node.right += self.after(kind, depth)
        return node

    def numbered(self, kind: str, dep: str) -> Node:
        node = self.noun(kind, SINGULAR, dep)
        if node.left:  # hyphenated
            return node
        node.word += str(self.rng.randrange(1, 10))
        node.left = (self.determiner_simple() if self.chance(0.3) else []) + (
            [self.adjective()] if self.chance(0.3) else []
        )
        return node

    def chunk(self, dep: str, depth: int) -> Node:
        """ "a group of people", "two slices of pizza"."""
        forms = self.rng.choice(lexicon.CHUNKS).split("/")
        plural = len(forms) > 1 and self.chance(0.2)
        node = Node(forms[-1] if plural else forms[0], "NOUN", PLURAL if plural else SINGULAR, dep)
        node.left = [Node(self.rng.choice(lexicon.NUMBERS), "NUM", "CD", "nummod")] if plural else [
            Node(self.pick("a", "a", "the"), "DET", "DT", "det")
        ]  # fmt: skip
        if self.chance(0.2):
            node.left.append(self.adjective())
        kind = self.pick("people", "animals", "food", "held", "clothes", "nature")
        inner = self.noun(kind, PLURAL if self.chance(0.8) else SINGULAR, "nmod")
        inner.left = [Node("of", "ADP", "IN", "case"), *self.adjectives_before(), *inner.left]
        node.right = [inner]
        if depth and self.chance(0.5):
            node.right += self.after(kind, depth)
        return node

    def headless(self, dep: str) -> Node:
        """ "the taller of the two giraffes", "the smallest"."""
        if self.chance(0.6):
            word, tag = self.rng.choice(lexicon.COMPARATIVES), "JJR"
        else:
            word, tag = self.rng.choice(lexicon.SUPERLATIVES), "JJS"
        node = Node(word, "ADJ", tag, dep, left=[Node("the", "DET", "DT", "det")])
        of = self.noun(self.pick("people", "animals", "shapes", "vehicles", "food"), PLURAL, "nmod")
        of.left = [Node("of", "ADP", "IN", "case"), Node("the", "DET", "DT", "det"),
                   Node(self.rng.choice(lexicon.NUMBERS), "NUM", "CD", "nummod"), *of.left]  # fmt: skip
        node.right = [of]
        return node

    def joined(self, dep: str, kind: str | None = None, depth: int = 1, count: int | None = None) -> Node:
        """One phrase, or several joined: "a cat, two dogs and a bird"."""
        first = self.phrase(kind, dep, depth)
        count = count or self.rng.choices((1, 2, 3, 4), (80, 13, 5, 2))[0]
        for i in range(1, count):
            other = self.phrase(kind, "conj", depth if i == count - 1 else 0)
            last = i == count - 1
            if not last or (count > 2 and self.chance(0.4)):
                other.left.insert(0, Node(",", "PUNCT", ",", "punct", glued=True))
            if last:
                at = 1 if other.left and other.left[0].pos == "PUNCT" and other.left[0].word == "," else 0
                other.left.insert(at, Node(self.pick("and", "and", "and", "and", "or", "&"), "CCONJ", "CC", "cc"))
            first.right.append(other)
        return first

    # ---- what follows a noun

    def prepositional(self, dep: str, noun: Node | None = None, prep: str | None = None, depth: int = 0) -> Node:
        """ "on a mat", "next to the dog", "in front of it"; `dep` is nmod after a noun and obl after a verb."""
        noun = noun or self.joined("nmod", depth=depth)
        prep = prep or self.rng.choice(lexicon.PLACED if self.chance(0.4) else lexicon.PREPOSITIONS)
        parts = prep.split()
        if len(parts) == 1:
            noun.left.insert(0, Node(prep, "ADP", "IN", "case"))
            return noun.named(dep)
        if len(parts) == 2:
            head, case = parts
            pos, tag, own = ("ADJ", "JJ", "amod") if head == "adjacent" and dep == "nmod" else ("ADV", "RB", "advmod")
            noun.left.insert(0, Node(case, "ADP", "IN", "case"))
            return Node(head, pos, tag, own, right=[noun.named("obl")])
        *cases, head, of = parts
        first, *inner = cases
        node = Node(head, "NOUN", "NN", dep, left=[Node(first, "ADP", "IN", "case")])
        if first != "in" and first != "on" or inner:
            node.left += [Node(w, "DET", "DT", "det") for w in inner]
        noun.left.insert(0, Node(of, "ADP", "IN", "case"))
        node.right = [noun.named("nmod")]
        return node

    def place(self, dep: str) -> Node:
        """ "on the left", "in the far background"."""
        node = Node(
            self.pick("left", "right", "middle", "back", "front", "background", "foreground", "center", "corner",
                      "top", "bottom", "distance", "side", "end", "left", "right", "far right", "far left"),
            "NOUN", "NN", dep,
        )  # fmt: skip
        far = node.word.startswith("far ")
        node.word = node.word.removeprefix("far ")
        prep = {"left": ("on", "to", "at"), "right": ("on", "to", "at"), "background": ("in",), "foreground": ("in",),
                "distance": ("in",), "corner": ("in",), "side": ("on",), "end": ("on", "at"), "top": ("at", "on"),
                "bottom": ("at", "on")}.get(node.word, ("in", "at"))  # fmt: skip
        node.left = [Node(self.pick(*prep), "ADP", "IN", "case")]
        if self.chance(0.7) or node.word in ("corner", "side", "end", "distance"):
            node.left.append(Node("the", "DET", "DT", "det"))
        if far or self.chance(0.08):
            node.left.append(Node("far", "ADJ", "JJ", "amod"))
        if node.word in ("corner", "side", "end"):
            for word in self.pick("left", "right", "top left", "bottom right", "other", "upper", "far").split():
                node.left.append(Node(word, "ADJ", "JJ", "amod"))
        if self.chance(0.15):
            whole = self.noun(self.pick("furniture", "places", "nature"), SINGULAR, "nmod")
            whole.left = [Node("of", "ADP", "IN", "case"), Node("the", "DET", "DT", "det"), *whole.left]
            if self.chance(0.4):
                whole = Node(self.rng.choice(lexicon.FRAMES), "NOUN", "NN", "nmod", left=whole.left[:2])
            node.right.append(whole)
        return node

    def after(self, kind: str, depth: int) -> list[Node]:
        """What stands behind a noun of a kind: usually nothing or one thing, sometimes two."""
        out: list[Node] = []
        r = self.rng.random()
        alive = kind in ("people", "animals")
        if r < 0.34:
            return out
        if r < 0.42:
            return [*out, self.position_after()]
        if r < 0.72:  # a preposition first
            out.append(self.belonging(kind, depth - 1))
            if r > 0.60:  # then a participle that goes back to the noun
                out.append(self.participle(kind, depth - 1))
            elif r > 0.58:
                out.append(self.place("nmod"))
            return out
        if r < 0.92:
            return [self.participle(kind, depth - 1)]
        if r < 0.98:
            return [self.relative(kind, depth - 1)]
        return [self.place("nmod"), self.belonging(kind, depth - 1)] if alive else [self.place("nmod")]

    def position_after(self) -> Node:
        """ "guy far right", "zebra closest to us", "man second from left", "girl on left"."""
        r = self.rng.random()
        if r < 0.5:
            return self.place("nmod")
        if r < 0.7:
            node = Node(
                self.pick("left", "right", "middle", "center", "front", "back", "top", "bottom"), "ADJ", "JJ", "amod"
            )
            if self.chance(0.35):
                node.left = [Node(self.pick("far", "top", "bottom", "upper", "lower"), "ADJ", "JJ", "amod")]
            return node
        if r < 0.85:
            node = Node(
                self.pick("closest", "nearest", "farthest", "furthest", "closer", "nearer", "close"),
                "ADJ",
                "JJS",
                "amod",
            )
            if self.chance(0.7):
                to = self.pick(
                    "camera", "us", "viewer", "left", "wall", "tree", "window", "front", "right", "door", "fence"
                )
                if to == "us":
                    goal = Node("us", "PRON", "PRP", "obl")
                else:
                    goal = Node(
                        to, "NOUN", "NN", "obl", left=[Node("the", "DET", "DT", "det")] if self.chance(0.6) else []
                    )
                goal.left.insert(0, Node(self.pick("to", "to", "from"), "ADP", "IN", "case"))
                node.right = [goal]
            return node
        node = Node(self.rng.choice(lexicon.ORDINALS[:6]), "ADJ", "JJ", "amod")
        side = Node(self.pick("left", "right", "front", "back", "top", "bottom", "end"), "NOUN", "NN", "obl")
        side.left = [Node(self.pick("from", "from", "to", "on"), "ADP", "IN", "case")]
        if self.chance(0.6):
            side.left.append(Node("the", "DET", "DT", "det"))
        node.right = [side]
        return node

    def belonging(self, kind: str, depth: int) -> Node:
        """A prepositional phrase that suits the noun: people wear and have, things lie and contain."""
        r = self.rng.random()
        if kind == "people" and r < 0.40:
            if self.chance(0.28):
                if self.chance(0.7):
                    colour = Node(self.rng.choice(lexicon.COLOURS), "ADJ", "JJ", "nmod")
                    if self.chance(0.25):
                        other = Node(self.rng.choice(lexicon.COLOURS), "ADJ", "JJ", "conj")
                        other.left = [Node("and", "CCONJ", "CC", "cc")]
                        colour.right = [other]
                    elif self.chance(0.2):
                        colour.left = [Node(self.pick("dark", "light", "bright", "all"), "ADJ", "JJ", "amod")]
                else:
                    colour = Node(self.pick("stripes", "plaid", "jeans", "shorts", "uniform", "camo", "glasses", "denim",
                                            "polka dots", "checks").split()[-1], "NOUN", "NNS", "nmod")  # fmt: skip
                colour.left.insert(0, Node("in", "ADP", "IN", "case"))
                return colour
            return self.prepositional("nmod", self.joined("nmod", "clothes", 0), "in")
        if kind in ("people", "animals") and r < 0.65:
            had = self.joined("nmod", self.pick("parts", "held", "clothes") if kind == "people" else "parts", 0)
            if self.chance(0.1):
                had.right.append(
                    Node(self.pick("raised", "up", "out", "crossed", "down", "showing"), "ADV", "RB", "advmod")
                )
            return self.prepositional("nmod", had, "with")
        if kind in ("furniture", "held", "food", "vehicles") and r < 0.35:
            inner = self.joined("nmod", self.pick("food", "pieces", "held", "nature", "pieces"), 0)
            return self.prepositional(
                "nmod", inner, self.pick("with", "of", "with", "full of", "for", "without").replace("full of", "of")
            )
        if kind in ("parts", "pieces") and r < 0.5:
            return self.prepositional("nmod", self.phrase(self.pick(*ANYTHING), "nmod", depth), "of")
        if kind in ("shapes", "grounds"):
            return self.prepositional("nmod", self.phrase(self.pick("shapes", "shapes", "grounds"), "nmod", depth))
        return self.prepositional(
            "nmod", self.joined("nmod", self.pick("furniture", "places", "nature", *ANYTHING), max(depth, 0))
        )

    def participle(self, kind: str, depth: int) -> Node:
        """ "holding a cup", "parked on the street", "covered by snow": behind the noun that it belongs to."""
        verb = self.verb(
            kind, "ing" if kind in ("people", "animals") and self.chance(0.85) or self.chance(0.45) else "pass", depth
        )
        if self.chance(0.05):
            verb.left.insert(0, Node(",", "PUNCT", ",", "punct", glued=True))
        return verb.named("acl")

    def relative(self, kind: str, depth: int) -> Node:
        """ "who is holding a cup", "that is red", "which is on the table"."""
        who = self.pick("who", "that") if kind == "people" else self.pick("that", "which", "that")
        pronoun = Node(who, "PRON", "WP" if who == "who" else "WDT", "nsubj")
        clause = self.predication(pronoun, kind, SINGULAR, depth)
        return clause.named("acl:relcl")

    # ---- verbs and clauses

    def verb(self, kind: str, form: str, depth: int, plural: bool = False) -> Node:
        """A verb with what follows it; `form`: ing (participle), fin (present), pass (past participle)."""
        alive = kind in ("people", "animals")
        depth = max(depth, 0)
        if form == "pass":
            r = self.rng.random()
            if r < 0.35:
                node = Node(self.rng.choice(lexicon.PASSIVE_BY), "VERB", "VBN")
                if self.chance(0.85):
                    agent = self.joined(
                        "obl:agent", None if kind != "shapes" else self.pick("shapes", "grounds"), depth
                    )
                    agent.left.insert(0, Node("by", "ADP", "IN", "case"))
                    node.right.append(agent)
            elif r < 0.55:
                node = Node(self.rng.choice(lexicon.PASSIVE_WITH), "VERB", "VBN")
                node.right.append(
                    self.prepositional(
                        "obl",
                        self.joined("obl", self.pick("food", "nature", "held"), 0),
                        self.pick("with", "in", "with"),
                    )
                )
            else:
                node = Node(self.rng.choice(lexicon.PASSIVE_AT), "VERB", "VBN")
                node.right.append(self.prepositional("obl", depth=depth))
            return node
        transitive = self.chance(0.55)
        if alive:
            bank = (lexicon.FINITE if form == "fin" else lexicon.TRANSITIVE) if transitive else (
                lexicon.FINITE_AT if form == "fin" else lexicon.INTRANSITIVE)  # fmt: skip
        elif form == "fin":
            bank = "cover touch overlap contain surround support face meet cross hide block enclose join".split() if transitive else (
                "sit stand lie rest hang float lean".split())  # fmt: skip
        else:
            bank = lexicon.THING_TRANSITIVE if transitive else lexicon.THING_INTRANSITIVE
        word = self.rng.choice(bank)
        tag = {"ing": "VBG", "fin": "VBP" if plural else "VBZ"}[form]
        if form == "fin" and not plural:
            word = third_person(word)
        if "_" in word:  # partly_covering
            adverb, word = word.split("_")
            node = Node(word, "VERB", tag, left=[Node(adverb, "ADV", "RB", "advmod")])
        else:
            node = Node(word, "VERB", tag)
        if transitive:
            wanted = {
                "wearing": "clothes",
                "wear": "clothes",
                "wears": "clothes",
                "eating": "food",
                "eat": "food",
                "eats": "food",
            }
            target = wanted.get(word) or (self.pick("held", "held", *ANYTHING) if alive else None)
            if kind in ("shapes", "grounds"):
                target = self.pick("shapes", "shapes", "shapes", "grounds")
            node.right.append(self.joined("obj", target, depth))
            if self.chance(0.2):
                node.right.append(self.prepositional("obl", depth=0))
        else:
            if self.chance(0.08):
                node.right.append(
                    Node(
                        self.pick("up", "down", "away", "together", "alone", "around", "outside"), "ADV", "RB", "advmod"
                    )
                )
            if self.chance(0.75):
                node.right.append(self.prepositional("obl", depth=depth))
            elif self.chance(0.3):
                node.right.append(self.place("obl"))
            if alive and self.chance(0.12):
                clause = self.verb(kind, "ing", 0)
                if self.chance(0.35):
                    clause.left.insert(0, Node("while", "SCONJ", "IN", "mark"))
                node.right.append(clause.named("advcl"))
        if self.chance(0.07):
            other = self.verb(kind, form, 0, plural)
            other.left.insert(0, Node("and", "CCONJ", "CC", "cc"))
            node.right.append(other.named("conj"))
        return node

    def predication(self, subject: Node, kind: str, number: str, depth: int) -> Node:
        """A clause about a subject that is already there; its root is what is said of it."""
        plural = number == PLURAL
        be = self.pick("is", "is", "was") if not plural else self.pick("are", "are", "were")
        be_tag = ("VBP" if be == "are" else "VBZ") if be not in ("was", "were") else "VBD"
        r = self.rng.random()
        subject = subject.named("nsubj")
        if r < 0.22:  # the sky is cloudy
            node = self.adjective("root")
            if self.chance(0.15):
                other = self.adjective("conj")
                other.left.insert(0, Node("and", "CCONJ", "CC", "cc"))
                node.right.append(other)
            node.left = [subject, Node(be, "AUX", be_tag, "cop"), *node.left]
            return node
        if r < 0.42:  # the cup is on the table
            node = self.place("root") if self.chance(0.2) else self.prepositional("root", depth=depth)
            node.left = [subject, Node(be, "AUX", be_tag, "cop"), *node.left]
            return node
        if r < 0.62:
            node = self.verb(kind, "fin", depth, plural)
            node.left = [subject, *node.left]
            return node
        if r < 0.85:
            node = self.verb(kind, "ing", depth)
            node.left = [subject, Node(be, "AUX", be_tag, "aux"), *node.left]
            return node
        node = self.verb(kind, "pass", depth)
        node.left = [subject.named("nsubj:pass"), Node(be, "AUX", be_tag, "aux:pass"), *node.left]
        return node

    def clause(self, depth: int = 1) -> Node:
        kind = self.pick(*ANYTHING, "grounds")
        if self.chance(0.06):
            subject, kind = Node(self.pick("he", "she", "it"), "PRON", "PRP"), "people"
        else:
            subject = self.joined("nsubj", kind, depth if self.chance(0.4) else 0)
        many = subject.tag == PLURAL or any(c.dep == "conj" for c in subject.right)
        return self.predication(subject, kind, PLURAL if many else SINGULAR, depth)

    def sentence(self) -> Node:
        """A whole sentence as captions have them."""
        r = self.rng.random()
        if r < 0.45:
            node = self.clause()
            if self.chance(0.12):
                node = self.prefixed(node)
            if self.chance(0.08):
                other = self.clause(0)
                other.left.insert(0, Node(self.pick("and", "while", "and"), "CCONJ", "CC", "cc"))
                if other.left[0].word == "while":
                    other.left[0] = Node("while", "SCONJ", "IN", "mark")
                if self.chance(0.6):
                    other.left.insert(0, Node(",", "PUNCT", ",", "punct", glued=True))
                node.right.append(other.named("conj" if other.left[-1].word == "and" else "advcl"))
        elif r < 0.70:
            node = Node(self.rng.choice(lexicon.SHOWS), "VERB", "VBZ", right=[self.joined("obj", depth=2)])
            frame = Node(
                self.rng.choice(lexicon.FRAMES),
                "NOUN",
                "NN",
                "nsubj",
                left=[Node(self.pick("the", "the", "this"), "DET", "DT", "det")],
            )
            node.left = [frame]
        elif r < 0.9:
            there = self.joined("nsubj", depth=2)
            many = there.tag == PLURAL or (any(c.dep == "conj" for c in there.right) and self.chance(0.4))
            be = Node("are" if many else "is", "VERB", "VBP" if many else "VBZ", right=[there])
            be.left = [Node("there", "PRON", "EX", "expl")]
            node = self.prefixed(be) if self.chance(0.3) else be
        elif r < 0.95:  # on the left is a man
            node = self.place("root") if self.chance(0.6) else self.prepositional("root", depth=0)
            node.right += [Node("is", "AUX", "VBZ", "cop"), self.phrase(None, "nsubj", 1)]
        else:
            node = Node("see", "VERB", "VB", right=[self.joined("obj", depth=2)])
            node.left = [Node(self.pick("we", "you", "I"), "PRON", "PRP", "nsubj"), Node("can", "AUX", "MD", "aux")]
            if self.chance(0.6):
                node = self.prefixed(node)
        return node

    def prefixed(self, node: Node) -> Node:
        """ "in the background, …", "next to the dog …"."""
        if self.chance(0.3):
            frame = Node(self.rng.choice(lexicon.FRAMES), "NOUN", "NN", "obl")
            frame.left = [Node("in", "ADP", "IN", "case"), Node(self.pick("the", "this"), "DET", "DT", "det")]
            lead = frame
        else:
            lead = self.place("obl") if self.chance(0.55) else self.prepositional("obl", self.phrase(None, "obl", 0))
        if self.chance(0.55):
            lead.right.append(Node(",", "PUNCT", ",", "punct", glued=True))
        node.left.insert(0, lead)
        return node

    def listed(self) -> Node:
        """Phrases side by side with nothing between, as tags are typed: "silver laptop pink roses gold lamp"."""
        first = self.noun(self.pick("furniture", "clothes", "held"), dep="root")
        first.left = self.adjectives_before()[:2] + first.left
        for _ in range(self.rng.randrange(1, 5)):
            other = self.noun(self.pick("furniture", "clothes", "held", "food", "nature"), dep="list")
            other.left = (self.determiner_simple() if self.chance(0.3) else []) + [self.adjective()] + other.left
            if self.chance(0.1):
                other.left.append(Node(self.rng.choice(lexicon.MATERIALS), "NOUN", "NN", "compound"))
            first.right.append(other)
        return first

    def shapes_caption(self) -> Node:
        """A caption of plain shapes on grounds, in several registers."""
        r = self.rng.random()
        if r < 0.45:
            node = self.phrase("shapes", "root", 2)
            if self.chance(0.5):
                node.right.append(self.prepositional("nmod", self.joined("nmod", "grounds", 0), "on"))
            return node
        if r < 0.60:
            return self.joined("root", "shapes", 1)
        if r < 0.70:
            meet = Node(
                self.pick("meets", "touches", "borders", "meet"),
                "VERB",
                "VBZ",
                right=[self.phrase("grounds", "obj", 0)],
            )
            meet.left = [self.phrase("grounds", "nsubj", 0)]
            return meet
        subject = self.joined("nsubj", "shapes", 1 if self.chance(0.3) else 0)
        many = subject.tag == PLURAL or any(c.dep == "conj" for c in subject.right)
        return self.predication(subject, "shapes", PLURAL if many else SINGULAR, 1)

    def caption(self) -> list[Row]:
        """One caption of one to four sentences."""
        r = self.rng.random()
        ended = self.chance(0.6)
        if r < 0.34:  # a referring expression
            roots = [self.phrase(None, "root", 2)]
            ended = self.chance(0.12)
        elif r < 0.42:
            roots = [self.joined("root", depth=1, count=self.rng.choice((2, 2, 3, 4)))]
        elif r < 0.46:
            roots, ended = [self.listed()], self.chance(0.1)
        elif r < 0.60:
            roots = [self.shapes_caption() for _ in range(self.rng.choice((1, 1, 1, 2)))]
        elif r < 0.85:
            roots = [self.sentence()]
        else:
            roots, ended = [self.sentence() for _ in range(self.rng.choice((2, 2, 3, 4)))], True
        for root in roots:
            if ended or len(roots) > 1:
                root.right.append(Node(".", "PUNCT", ".", "punct", glued=True))
        out = rows(roots)
        style = self.rng.random()
        if style < 0.35:  # sentence case
            firsts = {0} | {i + 1 for i, row in enumerate(out) if row.word == "." and i + 1 < len(out)}
            return [cased(row, row.word[0].upper() + row.word[1:]) if i in firsts else row for i, row in enumerate(out)]
        if style < 0.38:
            return [cased(row, row.word.upper()) for row in out]
        return out


def cased(row: Row, word: str) -> Row:
    return Row(word, row.pos, row.tag, row.head, row.dep, row.glued)


def third_person(verb: str) -> str:
    """ "touch" → "touches", "carry" → "carries"."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")


def written(words: Sequence[Row]) -> tuple[str, list[bool]]:
    """The text of a caption, and for each word whether a space follows it."""
    spaces = [i + 1 < len(words) and not words[i + 1].glued for i in range(len(words))]
    # The right half of a hyphenated word is glued to the hyphen, not to what stands before the word.
    text = "".join(row.word + (" " if space else "") for row, space in zip(words, spaces, strict=True))
    return text, spaces
