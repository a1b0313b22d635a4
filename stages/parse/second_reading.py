"""A fragment that does not read, read once more as if an article stood before it.

A pipeline trained on sentences takes the first word of "kitten being petted" or "monitor closest to us" for an adverb
or a verb; behind "the" it can only be a noun. The article is put in front of the tokens, and left out of the tree
again, so that no offset moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.artifacts.language import Parse
from stages.parse import lists
from stages.parse.tree import Clean

if TYPE_CHECKING:
    from spacy.tokens import Doc

_OPENED = frozenset(
    """a an the this that these those some any no every each both all my your his her its our their he she it they we
    you i who what which there here is are was were and or but not next""".split()
)
"""Words before which no article can stand."""
_OPENED_POS = frozenset("DET PRON ADP PUNCT CCONJ SCONJ AUX SYM PART NUM".split())


def leads(parse: Parse, clean: Clean) -> bool:
    """Whether a text is about its first phrase, as a fragment is."""
    return parse.referred is not None and parse.phrases[parse.referred].span.start <= clean.places[0]


def may_lack_article(doc: Doc) -> bool:
    """Whether a text is a fragment that an article could open: no whole sentence, no list, no order, and nothing that
    somebody does ("holding a bat")."""
    if not len(doc) or any(token.text in ".!?;," or token.dep_ == "cc" for token in doc):
        return False
    first = doc[0]
    if not first.text[0].isalnum() or first.text.lower() in _OPENED | lists.REQUESTS or first.pos_ in _OPENED_POS:
        return False
    behind = doc[1].pos_ if len(doc) > 1 else ""
    if len(doc) > 1 and doc[1].text.lower() == "of":
        return False  # "lots of oranges" is about oranges
    return not (first.tag_ == "VBG" and behind in ("ADP", "ADV", "DET", "PRON", "PART"))


def with_article(doc: Doc) -> Doc:
    """A text's tokens, to be parsed, with "the" in front."""
    from spacy.tokens import Doc

    words, spaces = ["the", *(token.text for token in doc)], [True, *(bool(token.whitespace_) for token in doc)]
    longer = Doc(doc.vocab, words=words, spaces=spaces)
    for token in doc:
        longer[token.i + 1].norm_ = token.norm_
    return longer


def without_article(doc: Doc) -> Doc | None:
    """A parsed document without its first token; None where something hangs on that."""
    return None if doc[0].n_lefts or doc[0].n_rights else doc[1:].as_doc()
