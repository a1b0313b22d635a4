"""What follows a noun in template captions: prepositional phrases, places, participles, relative clauses."""

from __future__ import annotations

from lab.training import parser_lexicon as lexicon
from lab.training.parser_nouns import ANYTHING, SINGULAR, NounGrammar
from lab.training.parser_trees import Node, case, cc, comma, det


class ModifierGrammar(NounGrammar):
    """Noun phrases with what stands behind the noun."""

    def prepositional(self, dep: str, noun: Node | None = None, prep: str | None = None, depth: int = 0) -> Node:
        """ "on a mat", "next to the dog", "in front of it"; `dep` is nmod after a noun and obl after a verb."""
        noun = noun or self.joined("nmod", depth=depth)
        prep = prep or self.rng.choice(lexicon.PLACED if self.chance(0.4) else lexicon.PREPOSITIONS)
        parts = prep.split()
        if len(parts) == 1:
            noun.left.insert(0, case(prep))
            return noun.named(dep)
        if len(parts) == 2:
            head, link = parts
            pos, tag, own = ("ADJ", "JJ", "amod") if head == "adjacent" and dep == "nmod" else ("ADV", "RB", "advmod")
            noun.left.insert(0, case(link))
            return Node(head, pos, tag, own, right=[noun.named("obl")])
        *cases, head, of = parts
        first, *inner = cases
        node = Node(head, "NOUN", "NN", dep, left=[case(first)])
        if first not in ("in", "on") or inner:
            node.left += [det(w) for w in inner]
        noun.left.insert(0, case(of))
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
            node.left.append(det("the"))
        if far or self.chance(0.08):
            node.left.append(Node("far", "ADJ", "JJ", "amod"))
        if node.word in ("corner", "side", "end"):
            for word in self.pick("left", "right", "top left", "bottom right", "other", "upper", "far").split():
                node.left.append(Node(word, "ADJ", "JJ", "amod"))
        if self.chance(0.15):
            whole = self.noun(self.pick("furniture", "places", "nature"), SINGULAR, "nmod")
            whole.left = [case("of"), det("the"), *whole.left]
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
            where = self.position_after()
            if self.chance(0.1):
                where.left.insert(0, comma())
            return [where]
        if r < 0.44:  # a vase full of tulips
            matter = self.joined("obl", self.pick("food", "nature", "held"), 0)
            full = Node(self.pick("full", "full", "ready", "made"), "ADJ", "JJ", "amod")
            full.right = [self.prepositional("obl", matter, "of" if full.word != "ready" else "for")]
            return [full]
        if r < 0.72:  # a preposition first
            out.append(self.belonging(kind, depth - 1))
            if r > 0.60:  # then a participle that goes back to the noun
                out.append(self.participle(kind, depth - 1))
            elif r > 0.58:
                out.append(self.place("nmod"))
            return out
        if r < 0.92:
            first = self.participle(kind, 0 if alive else depth - 1)
            if alive and self.chance(0.3):  # wearing a hat and a coat walking a dog
                return [first, self.verb(kind, "ing", 0).named("acl")]
            return [first]
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
                    goal = Node(to, "NOUN", "NN", "obl", left=[det("the")] if self.chance(0.6) else [])
                goal.left.insert(0, Node(self.pick("to", "to", "from"), "ADP", "IN", "case"))
                node.right = [goal]
            return node
        node = Node(self.rng.choice(lexicon.ORDINALS[:6]), "ADJ", "JJ", "amod")
        side = Node(self.pick("left", "right", "front", "back", "top", "bottom", "end"), "NOUN", "NN", "obl")
        side.left = [Node(self.pick("from", "from", "to", "on"), "ADP", "IN", "case")]
        if self.chance(0.6):
            side.left.append(det("the"))
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
                        other.left = [cc("and")]
                        colour.right = [other]
                    elif self.chance(0.2):
                        colour.left = [Node(self.pick("dark", "light", "bright", "all"), "ADJ", "JJ", "amod")]
                else:
                    worn = self.pick(
                        "stripes", "plaid", "jeans", "shorts", "uniform", "camo", "glasses", "denim", "checks"
                    )
                    colour = Node(worn, "NOUN", "NNS", "nmod")
                colour.left.insert(0, case("in"))
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
        if kind in ("places", "nature", "vehicles") and r < 0.5:  # a street with people carrying umbrellas
            moving = self.chance(0.3)
            crowd = self.noun("vehicles" if moving else self.pick("people", "people", "animals"), dep="nmod")
            crowd.left = self.determiner_simple() + ([self.adjective()] if self.chance(0.3) else []) + crowd.left
            if self.chance(0.7):
                parked = moving and self.chance(0.6)
                crowd.right.append(
                    self.verb("vehicles" if moving else "people", "pass" if parked else "ing", 0).named("acl")
                )
            return self.prepositional("nmod", crowd, self.pick("with", "with", "near", "of"))
        if kind in ("shapes", "grounds"):
            return self.prepositional("nmod", self.phrase(self.pick("shapes", "shapes", "grounds"), "nmod", depth))
        return self.prepositional(
            "nmod", self.joined("nmod", self.pick("furniture", "places", "nature", *ANYTHING), max(depth, 0))
        )

    def participle(self, kind: str, depth: int) -> Node:
        """ "holding a cup", "parked on the street", "covered by snow": behind the noun that it belongs to."""
        verb = self.verb(
            kind, "ing" if (kind in ("people", "animals") and self.chance(0.85)) or self.chance(0.45) else "pass", depth
        )
        if self.chance(0.05):
            verb.left.insert(0, comma())
        return verb.named("acl")

    def relative(self, kind: str, depth: int) -> Node:
        """ "who is holding a cup", "that is red", "which is on the table"."""
        if kind in ("people", "animals") and self.chance(0.15):  # whose shirt is red
            owned_kind = self.pick("parts", "clothes", "held")
            owned = self.noun(owned_kind, SINGULAR, "nsubj")
            owned.left = [Node("whose", "PRON", "WP$", "nmod:poss"), *owned.left]
            return self.predication(owned, owned_kind, SINGULAR, depth).named("acl:relcl")
        who = self.pick("who", "that") if kind == "people" else self.pick("that", "which", "that")
        pronoun = Node(who, "PRON", "WP" if who == "who" else "WDT", "nsubj")
        clause = self.predication(pronoun, kind, SINGULAR, depth)
        return clause.named("acl:relcl")

    def verb(self, kind: str, form: str, depth: int, plural: bool = False) -> Node:
        """A verb with what follows it."""
        raise NotImplementedError

    def predication(self, subject: Node, kind: str, number: str, depth: int) -> Node:
        """A clause about a subject that is already there."""
        raise NotImplementedError
