"""Template captions with gold parses: what the treebank of web text lacks, an image's captions have.

Each caption is grown as a tree, so that its words, tags, heads and labels cannot disagree; the scheme is that of
Universal Dependencies' English Web Treebank (labels and attachment copied from its own sentences). Words are drawn by
class from `parser_lexicon`, some from the treebank itself, and a few are made up or misspelt, so that the model
learns to go by the context of a word it has never seen.
"""

from __future__ import annotations

from lab.training import parser_lexicon as lexicon
from lab.training.parser_modifiers import ModifierGrammar
from lab.training.parser_nouns import ANYTHING, PLURAL, SINGULAR
from lab.training.parser_trees import Node, Row, case, cased, cc, comma, det, gerund, rows, stop, third_person


class Grammar(ModifierGrammar):
    """A source of captions, reproducible from its seed."""

    def verb(self, kind: str, form: str, depth: int, plural: bool = False) -> Node:
        """A verb with what follows it; `form`: ing (participle), fin (finite), pass (past participle)."""
        depth = max(depth, 0)
        node = self.participle_of_state(kind, depth) if form == "pass" else self.action(kind, form, depth, plural)
        if self.chance(0.05):
            node.left.insert(0, Node(self.rng.choice(lexicon.ADVERBS), "ADV", "RB", "advmod"))
        if self.chance(0.07):
            other = self.action(kind, form, 0, plural) if form != "pass" else self.participle_of_state(kind, 0)
            other.left.insert(0, cc("and"))
            node.right.append(other.named("conj"))
        return node

    def participle_of_state(self, kind: str, depth: int) -> Node:
        """ "covered by snow", "filled with nuts", "parked on the street", "painted red"."""
        r = self.rng.random()
        if r < 0.35:
            node = Node(self.rng.choice(lexicon.PASSIVE_BY), "VERB", "VBN")
            if self.chance(0.85):
                target = None if kind != "shapes" else self.pick("shapes", "grounds")
                agent = self.joined("obl:agent", target, depth)
                agent.left.insert(0, case("by"))
                node.right.append(agent)
        elif r < 0.53:
            node = Node(self.rng.choice(lexicon.PASSIVE_WITH), "VERB", "VBN")
            matter = self.joined("obl", self.pick("food", "nature", "held"), 0)
            node.right.append(self.prepositional("obl", matter, self.pick("with", "in", "with")))
        elif r < 0.57:
            node = Node(self.pick("painted", "colored", "dyed"), "VERB", "VBN")
            colour = Node(self.rng.choice(lexicon.COLOURS), "ADJ", "JJ", "xcomp")
            if self.chance(0.3):
                colour.right.append(Node(self.rng.choice(lexicon.COLOURS), "ADJ", "JJ", "conj", left=[cc("and")]))
            node.right.append(colour)
        else:
            node = Node(self.rng.choice(lexicon.PASSIVE_AT), "VERB", "VBN")
            node.right.append(self.prepositional("obl", depth=depth))
        return node

    def action(self, kind: str, form: str, depth: int, plural: bool) -> Node:
        """ "holding a cup", "sits on a bench", "touches the star"."""
        alive = kind in ("people", "animals")
        transitive = self.chance(0.55)
        node = self.bare_verb(alive, form, transitive, plural)
        if transitive:
            node.right += self.objects(node.word, kind, alive, depth)
            return node
        if self.chance(0.08):
            away = self.pick("up", "down", "away", "together", "alone", "around", "outside")
            node.right.append(Node(away, "ADV", "RB", "advmod"))
        if self.chance(0.75):
            node.right.append(self.prepositional("obl", depth=depth))
        elif self.chance(0.3):
            node.right.append(self.place("obl"))
        if alive and self.chance(0.12):
            clause = self.action(kind, "ing", 0, False)
            if self.chance(0.35):
                clause.left.insert(0, Node("while", "SCONJ", "IN", "mark"))
            node.right.append(clause.named("advcl"))
        return node

    def bare_verb(self, alive: bool, form: str, transitive: bool, plural: bool) -> Node:
        if form == "fin":
            banks = (lexicon.FINITE, lexicon.FINITE_AT) if alive else (lexicon.THING_FINITE, lexicon.THING_FINITE_AT)
        elif alive:
            banks = (lexicon.TRANSITIVE, lexicon.INTRANSITIVE)
        else:
            banks = (lexicon.THING_TRANSITIVE, lexicon.THING_INTRANSITIVE)
        word = self.rng.choice(banks[0] if transitive else banks[1])
        if alive and transitive and self.chance(0.35):
            word = self.rng.choice(lexicon.MORE_VERBS)
            word = gerund(word) if form == "ing" else word
        if form == "ing":
            if len(word) > 5 and self.chance(0.03):
                word = self.misspelt(word)
            return Node(word, "VERB", "VBG")
        if word in lexicon.REGULAR and self.chance(0.2):
            return Node(word + ("d" if word.endswith("e") else "ed"), "VERB", "VBD")
        return Node(word, "VERB", "VBP") if plural else Node(third_person(word), "VERB", "VBZ")

    def objects(self, verb: str, kind: str, alive: bool, depth: int) -> list[Node]:
        """The direct object, now and then with a particle before it or a place behind it."""
        stem = next((stem for stem in ("wear", "eat") if verb.startswith(stem)), None)
        if stem == "wear" and self.chance(0.15):
            return [Node(self.rng.choice(lexicon.COLOURS), "ADJ", "JJ", "obj")]
        target = {"wear": "clothes", "eat": "food"}.get(stem or "")
        if target is None and alive:
            target = self.pick("held", "held", *ANYTHING)
        if kind in ("shapes", "grounds"):
            target = self.pick("shapes", "shapes", "shapes", "grounds")
        if alive and stem is None and self.chance(0.04):  # gives the dog a bone
            taker = self.noun(self.pick("people", "animals"), dep="iobj")
            taker.left = [det(self.pick("the", "a")), *taker.left]
            return [taker, self.phrase("held", "obj", 0)]
        out = [self.joined("obj", target, depth)]
        if alive and stem is None and self.chance(0.06):
            out.insert(0, Node(self.pick("up", "down", "out", "off"), "ADP", "RP", "compound:prt"))
        if self.chance(0.2):
            out.append(self.prepositional("obl", depth=0))
        return out

    def intention(self, subject: Node, be: Node) -> Node:
        """ "is about to kick a ball", "is trying to catch a frisbee"."""
        goal = self.action("people", "ing", 0, False).named("xcomp")
        goal.word, goal.tag = self.rng.choice(lexicon.FINITE), "VB"
        goal.right = [self.joined("obj", self.pick("held", "held", *ANYTHING), 0)]
        goal.left = [Node("to", "PART", "TO", "mark")]
        word = self.pick("about", "trying", "getting", "ready", "attempting", "preparing")
        if word == "getting":
            return Node(word, "VERB", "VBG", left=[subject, be.named("aux")], right=[
                Node("ready", "ADJ", "JJ", "xcomp", right=[goal])
            ])  # fmt: skip
        if word in ("about", "ready"):
            return Node(word, "ADJ", "JJ", left=[subject, be.named("cop")], right=[goal])
        return Node(word, "VERB", "VBG", left=[subject, be.named("aux")], right=[goal])

    def predication(self, subject: Node, kind: str, number: str, depth: int) -> Node:
        """A clause about a subject that is already there; its root is what is said of it."""
        plural = number == PLURAL
        be = self.pick("is", "is", "was") if not plural else self.pick("are", "are", "were")
        be_tag = {"are": "VBP", "is": "VBZ"}.get(be, "VBD")
        r = self.rng.random()
        subject = subject.named("nsubj")
        if r < 0.21:  # the sky is cloudy
            node = self.adjective("root")
            if self.chance(0.15):
                other = self.adjective("conj")
                other.left.insert(0, cc("and"))
                node.right.append(other)
            if self.chance(0.08):  # looks tired
                look = Node(third_person("look") if not plural else "look", "VERB", "VBP" if plural else "VBZ")
                look.left, look.right = [subject], [node.named("xcomp")]
                return look
            node.left = [subject, Node(be, "AUX", be_tag, "cop"), *node.left]
            return node
        if r < 0.40:  # the cup is on the table
            node = self.place("root") if self.chance(0.2) else self.prepositional("root", depth=depth)
            also = [Node(self.pick("also", "partially", "directly", "just"), "ADV", "RB", "advmod")]
            node.left = [subject, Node(be, "AUX", be_tag, "cop"), *(also if self.chance(0.1) else []), *node.left]
            return node
        if r < 0.60:
            node = self.verb(kind, "fin", depth, plural)
            node.left = [subject, *node.left]
            return node
        if r < 0.81:
            node = self.verb(kind, "ing", depth)
            node.left = [subject, Node(be, "AUX", be_tag, "aux"), *node.left]
            return node
        if r < 0.84 and kind in ("people", "animals"):
            return self.intention(subject, Node(be, "AUX", be_tag))
        node = self.verb(kind, "pass", depth)
        if self.chance(0.15):  # is being towed, has been painted, can be seen
            more = self.rng.choice(
                (((be, be_tag), ("being", "VBG")), (("have" if plural else "has", "VBZ"), ("been", "VBN")),
                 (("can", "MD"), ("be", "VB")))
            )  # fmt: skip
            chain = [Node(more[0][0], "AUX", more[0][1], "aux"), Node(more[1][0], "AUX", more[1][1], "aux:pass")]
            if more[0][0] == "can":
                node = Node(self.pick("seen", "found"), "VERB", "VBN", right=[self.prepositional("obl", depth=0)])
        else:
            chain = [Node(be, "AUX", be_tag, "aux:pass")]
        node.left = [subject.named("nsubj:pass"), *chain, *node.left]
        return node

    def clause(self, depth: int = 1) -> Node:
        kind = self.pick(*ANYTHING, "grounds")
        if self.chance(0.06):
            subject, kind = Node(self.pick("he", "she", "it"), "PRON", "PRP"), "people"
        else:
            subject = self.joined("nsubj", kind, depth if self.chance(0.4) else 0)
        many = subject.tag == PLURAL or any(c.dep == "conj" for c in subject.right)
        return self.predication(subject, kind, PLURAL if many else SINGULAR, depth)

    def broken(self) -> Node:
        """ "dog run on grass", "man wear red shirt", "two persons is walk in street"."""
        kind = self.pick("people", "animals")
        subject = self.noun(kind, dep="nsubj")
        subject.left = self.adjectives_before()[:1] + subject.left
        node = self.action(kind, "fin", 0, True)
        node.tag = "VB"
        node.left = [subject]
        if self.chance(0.4):
            node.left.append(Node(self.pick("is", "are", "be"), "AUX", "VBZ", "aux"))
        return node

    def sentence(self) -> Node:
        """A whole sentence as captions have them."""
        r = self.rng.random()
        if r < 0.45:
            node = self.clause()
            if self.chance(0.12):
                node = self.prefixed(node)
            if self.chance(0.08):
                other, joint = self.clause(0), self.pick("and", "while", "and")
                other.left.insert(0, cc("and") if joint == "and" else Node(joint, "SCONJ", "IN", "mark"))
                if self.chance(0.6):
                    other.left.insert(0, comma())
                node.right.append(other.named("conj" if joint == "and" else "advcl"))
        elif r < 0.67:
            node = Node(self.rng.choice(lexicon.SHOWS), "VERB", "VBZ", right=[self.joined("obj", depth=2)])
            frame = Node(self.rng.choice(lexicon.FRAMES), "NOUN", "NN", "nsubj")
            frame.left = [det(self.pick("the", "the", "this"))]
            node.left = [frame]
        elif r < 0.86:
            there = self.joined("nsubj", depth=2)
            many = there.tag == PLURAL or (any(c.dep == "conj" for c in there.right) and self.chance(0.4))
            be = Node("are" if many else "is", "VERB", "VBP" if many else "VBZ", right=[there])
            be.left = [Node("there", "PRON", "EX", "expl")]
            if self.chance(0.08):
                be.left.append(Node("also", "ADV", "RB", "advmod"))
            node = self.prefixed(be) if self.chance(0.3) else be
        elif r < 0.90:  # on the left is a man
            node = self.place("root") if self.chance(0.6) else self.prepositional("root", depth=0)
            node.right += [Node("is", "AUX", "VBZ", "cop"), self.phrase(None, "nsubj", 1)]
        elif r < 0.93:  # above the table hangs a lamp
            node = Node(third_person(self.rng.choice(lexicon.THING_FINITE_AT)), "VERB", "VBZ")
            lead = self.place("obl") if self.chance(0.3) else self.prepositional("obl", depth=0)
            node.left, node.right = [lead], [self.phrase(None, "nsubj", 1)]
        elif r < 0.95:  # find the red car
            ask = self.pick("find", "segment", "show", "locate", "select", "highlight", "mark", "detect")
            return Node(ask, "VERB", "VB", right=[self.phrase(None, "obj", 1)])
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
            frame.left = [case("in"), Node(self.pick("the", "this"), "DET", "DT", "det")]
            lead = frame
        else:
            lead = self.place("obl") if self.chance(0.55) else self.prepositional("obl", self.phrase(None, "obl", 0))
        if self.chance(0.55):
            lead.right.append(comma())
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
            roots = [self.broken() if self.chance(0.08) else self.sentence()]
        else:
            roots, ended = [self.sentence() for _ in range(self.rng.choice((2, 2, 3, 4)))], True
        for root in roots:
            if ended or len(roots) > 1:
                root.right.append(stop())
        out = rows(roots)
        style = self.rng.random()
        if style < 0.35:  # sentence case
            firsts = {0} | {i + 1 for i, row in enumerate(out) if row.word == "." and i + 1 < len(out)}
            return [cased(row, row.word[0].upper() + row.word[1:]) if i in firsts else row for i, row in enumerate(out)]
        if style < 0.38:
            return [cased(row, row.word.upper()) for row in out]
        return out
