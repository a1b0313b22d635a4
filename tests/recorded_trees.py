"""What en_core_web_sm 3.8.0 made of texts, recorded, so that its typical errors can be tested without it."""

from functools import cache
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from stages.parse.second_reading import leads, may_lack_article
from stages.parse.spacy_pipeline import better, read
from stages.parse.tree import Clean

FILE = Path(__file__).parent / "data" / "en_core_web_sm.tsv"
VOCAB = Vocab()


@cache
def recorded():
    """Tokens (word, UPOS, tag, head, label, space behind it) by text; a fragment that is read a second time stands
    with its article, too."""
    lines = (line.partition("\t") for line in FILE.read_text(encoding="utf-8").splitlines())
    return {text: [token.split("|") for token in tokens.split(" ")] for text, _, tokens in lines}


def doc_of(text):
    words, pos, tags, heads, deps, spaces = zip(*recorded()[text], strict=True)
    behind, places = [bool(one) for one in spaces], [int(one) for one in heads]
    return Doc(VOCAB, words=words, spaces=behind, pos=pos, tags=tags, heads=places, deps=deps)


def parse_recorded(text):
    """The parse that extraction makes of the recorded tree of a text."""
    clean, doc = Clean.of(text), doc_of(text)
    assert doc.text == clean.text
    found = read(clean, doc)
    if may_lack_article(doc) and not leads(found.parse, clean):
        found = better(found, clean, doc_of(f"the {clean.text}"))
    return found.parse.checked(text)


def line_of(text, doc):
    """A line of the file."""
    tokens = (f"{t.text}|{t.pos_}|{t.tag_}|{t.head.i}|{t.dep_}|{'_' if t.whitespace_ else ''}" for t in doc)
    return f"{text}\t{' '.join(tokens)}"
