"""Noun phrases of template captions: words drawn by class, adjectives, determiners, owners, lists."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lab.training import parser_lexicon as lexicon
from lab.training.parser_trees import Node, case, cc, comma, det, hyphen, rows

PLURAL, SINGULAR = "NNS", "NN"

KINDS: dict[str, list[str]] = {
    name.lower(): getattr(lexicon, name)
    for name in (
        "PEOPLE", "ANIMALS", "CLOTHES", "HELD", "FOOD", "FURNITURE", "VEHICLES", "NATURE", "PLACES", "PARTS",
        "PIECES", "SHAPES", "GROUNDS",
    )
}  # fmt: skip
THINGS = ("held", "food", "furniture", "vehicles", "places", "nature", "shapes")
ANYTHING = ("people", "people", "animals", *THINGS)


class NounGrammar:
    """Words and noun phrases, drawn reproducibly from a seed."""

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
                hyphen(),
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
                left=[Node(stem, "ADJ", "JJ", "amod"), hyphen()],
            )  # fmt: skip
        if r < 0.72:  # snow covered, horse-drawn
            done = self.pick("covered", "drawn", "filled", "lined", "topped", "shaped", "powered", "framed")
            joint = [hyphen()] if self.chance(0.4) else []
            matter = Node(self.rng.choice(lexicon.MODIFIERS), "NOUN", "NN", "compound")
            return Node(done, "VERB", "VBN", dep, left=[matter, *joint], glued=bool(joint))
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
            second.left.insert(0, comma())
            return [self.adjective(), second]
        first, second = self.adjective(), self.adjective("conj")
        second.left.insert(0, cc("and"))
        if self.chance(0.15):
            between = self.adjective("conj")
            between.left.insert(0, comma())
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
            return [det("the")]
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
                return [Node("few", "ADJ", "JJ", "amod", left=[det("a")])]
            return [Node(word, pos, tag, dep)]
        return [Node(self.pick("a", "a", "a", "an", "the", "another", "each"), "DET", "DT", "det")]

    def possessor(self) -> Node:
        owner = self.noun(self.pick("people", "people", "animals"), dep="nmod:poss")
        owner.left = self.determiner_simple() + ([self.adjective()] if self.chance(0.25) else []) + owner.left
        if self.chance(0.35) and owner.tag == SINGULAR and not owner.word.endswith("s"):
            owner.word += "s"  # "mans hat", as people type it
        else:
            plural = owner.tag == PLURAL and owner.word.endswith("s")
            ending = "'" if plural else self.pick("'s", "'s", "’s")
            owner.right.append(Node(ending, "PART", "POS", "case", glued=True))
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
        inner.left = [case("of"), *self.adjectives_before(), *inner.left]
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
        node = Node(word, "ADJ", tag, dep, left=[det("the")])
        of = self.noun(self.pick("people", "animals", "shapes", "vehicles", "food"), PLURAL, "nmod")
        of.left = [case("of"), det("the"),
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
                other.left.insert(0, comma())
            if last:
                at = 1 if other.left and other.left[0].pos == "PUNCT" and other.left[0].word == "," else 0
                other.left.insert(at, Node(self.pick("and", "and", "and", "and", "or", "&"), "CCONJ", "CC", "cc"))
            first.right.append(other)
        return first

    def after(self, kind: str, depth: int) -> list[Node]:
        """What stands behind a noun of a kind."""
        raise NotImplementedError
