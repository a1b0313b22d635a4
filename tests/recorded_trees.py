"""What en_core_web_sm 3.8.0 made of texts, recorded, so that its typical errors can be tested without it."""

from functools import cache
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from stages.parse.extract import extract
from stages.parse.repair import repaired
from stages.parse.tree import Clean, tree_of

FILE = Path(__file__).parent / "data" / "en_core_web_sm.tsv"
VOCAB = Vocab()


@cache
def recorded():
    """Tokens (word, UPOS, tag, head, label, space behind it) by text."""
    lines = (line.partition("\t") for line in FILE.read_text(encoding="utf-8").splitlines())
    return {text: [token.split("|") for token in tokens.split(" ")] for text, _, tokens in lines}


def parse_recorded(text):
    """The parse that extraction makes of the recorded tree of a text."""
    words, pos, tags, heads, deps, spaces = zip(*recorded()[text], strict=True)
    behind, places = [bool(one) for one in spaces], [int(one) for one in heads]
    doc = Doc(VOCAB, words=words, spaces=behind, pos=pos, tags=tags, heads=places, deps=deps)
    clean = Clean.of(text)
    assert doc.text == clean.text
    return extract(repaired(tree_of(clean, doc))).checked(text)
