"""Whether a text is written in another language than English, by its words of grammar: a parser of English makes
nonsense of it, and nothing in the result says so.

Words that are English as well ("die", "an", "no", "man") count for neither side.
"""

from __future__ import annotations

import unicodedata

from stages.artifacts.language import words

_ENGLISH = frozenset(
    """the of with and on at from by to into next behind under over near is are was his her their its that which who
    this these there wearing holding sitting standing looking without front left right white black red blue green yellow
    brown orange pink grey gray woman girl boy person people child guy lady kid dog cat men women""".split()
)
_GRAMMAR = {
    "German": """ein eine einer einem einen eines der das dem den und mit auf im ist sind vor neben unter über von bei
        zur zum hinter zwischen nicht rechts oben unten vorne schwarz schwarze schwarzer weiß weiße roter rote rotes
        blaue blauer grüne links zwei drei mann frau""",
    "French": """un une la le les des du avec sur dans et est sont à aux devant derrière sous près côté qui noir noire
        rouge bleu bleue blanc blanche gauche droite petit petite deux trois homme femme""",
    "Spanish": """un una la los las con en del junto sobre y está detrás delante negro negra rojo roja azul blanco
        blanca izquierda derecha hombre mujer el dos tres""",
    "Italian": """il la gli un una uno con su sul sulla nel nella di e della dello vicino dietro davanti nero nera rosso
        rossa bianco bianca sinistra destra uomo donna due tre""",
    "Portuguese": """um uma com em ao da do dos na no sobre e está atrás preto preta vermelho vermelha branco branca
        esquerda direita homem mulher dois duas três""",
    "Dutch": """een het met op en naast voor achter onder naar zwarte zwart rode rood witte wit blauwe links
        rechts twee drie de""",
    "Swedish": """en ett och på med bredvid framför bakom svart röd röda vit vita blå två tre i""",
    "Danish or Norwegian": """en et og på med ved foran bak sort svart rød røde hvid hvit blå to tre i""",
    "Polish": """na z w i obok przed czarny czarna czerwony czerwonej biały biała dwa dwie się""",
    "Czech": """na v s a vedle před černá černý červené červený bílý bílá""",
    "Romanian": """o un și pe cu lângă sub negru neagră roșu roșie alb albă""",
    "Turkish": """bir ve ile üzerinde yanında siyah kırmızı beyaz mavi""",
    "Finnish": """ja on musta punainen valkoinen sininen vieressä""",
    "Hungarian": """egy az és fekete piros fehér kék mellett""",
    "Indonesian": """di dan yang seekor seorang sebuah dengan hitam merah putih biru""",
}
_SHARED = frozenset(
    """a i o e s w v z y on an in do no as so me die war van over under and en la et na su da di de to tre sort rode met
    due den rouge noir wit sous petit links com um alb dan sul vit dos los des""".split()
)
"""Words of these languages that English captions hold as well, or typos of English words: alone they say nothing."""
_OWN = {name: frozenset(listed.split()) - _ENGLISH for name, listed in _GRAMMAR.items()}


def other_language(text: str) -> str | None:
    """The language that a text seems to be in, where it is not English, or those that its words fit alike; None where
    it is English, or nothing tells.

    >>> [other_language(one) for one in ("ein roter Kreis auf dem Gras", "a red circle", "un chat noir", "café table")]
    ['German', None, 'French', None]
    """
    said = {unicodedata.normalize("NFC", one.of(text)).lower() for one in words(text)}
    said |= {part for one in said for part in one.replace("’", "'").split("'")}  # "l'homme"
    english = len(said & _ENGLISH)
    scores = {name: (len(said & own - _SHARED), len(said & own)) for name, own in _OWN.items()}
    best = max(scores.values())
    clear, all_of_them = best
    if not (clear or all_of_them > 2) or all_of_them <= english:
        return None
    alike = [name for name, own in scores.items() if own == best]
    return " or ".join(alike) if len(alike) < 4 else "another language"


def foreign_note(text: str) -> str | None:
    """What a parser of English notes on a text in another language or script; None on English."""
    letters = [c for c in text if c.isalpha()]
    if letters and sum("LATIN" not in unicodedata.name(c, "") for c in letters) * 2 > len(letters):
        return "Most letters are not Latin: this parser reads English only."
    language = other_language(text)
    if language is None:
        return None
    return f"This seems to be {language}: this parser reads English only, so its phrases mean little."
