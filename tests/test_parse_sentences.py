"""Sentences as people write them, held to what they say: the kinds that parsers misread, and what must hold of any."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_trees import parse_recorded, recorded
from spacy.tokens import Doc
from spacy.vocab import Vocab

from lab.studies.gold import SECOND, compare, perturbed, read_gold
from stages.parse.extract import extract
from stages.parse.languages import other_language
from stages.parse.parser import ParseRequest, lacking, load_parser
from stages.parse.repair import repaired
from stages.parse.surgery import attach
from stages.parse.tree import Clean, Word, tree_of

SM = {"kind": "spacy", "pipeline": "en_core_web_sm"}
VOCAB = Vocab()


@pytest.fixture(scope="module")
def embedded():
    return load_parser({"kind": "spacy"})


def parse(parser, text):
    (answer,) = parser.parse([ParseRequest("1", text)])
    return answer.parse.checked(text)


def said(text, found):
    """A parse by its words: nouns with adjectives, (verb, subject, object), and what the text is about."""

    def root(index):
        return None if index is None else found.phrases[index].root.of(text)

    nouns = [(p.root.of(text), *(a.of(text) for a in p.adjectives)) for p in found.phrases]
    return nouns, [(p.span.of(text), root(p.subject), root(p.object)) for p in found.predicates], root(found.referred)


# Text, nouns with their adjectives, verbs, what it is about. Both pipelines read these alike.
SENTENCES = [
    # noun and "can"
    ("a soda can on the table", "can<soda> table", "", "can"),
    ("a beer can and a trash can", "can<beer> can<trash>", "", None),
    ("the can on the left", "can", "", "can"),
    ("the dog can swim", "dog", "swim(dog,-)", "dog"),
    ("a man can be seen on a bench", "man bench", "seen(-,man)", "man"),
    # X number N
    ("player number 23", "player<number,23>", "", "player"),
    ("bus number 7", "bus<number,7>", "", "bus"),
    ("player 23", "player<23>", "", "player"),
    ("player number 10 kicks the ball", "player<number,10> ball", "kicks(player,ball)", "player"),
    ("car number 5 leads the race", "car<number,5> race", "leads(car,race)", "car"),
    # headless one, other, another
    ("one with stripes", "one stripes", "", "one"),
    ("the other", "other", "", "other"),
    ("another with a hat", "another hat", "", "another"),
    ("two with hats", "two hats", "", "two"),
    ("the smaller one", "one<smaller>", "", "one"),
    ("one of the dogs on the left", "dogs", "", "dogs"),
    ("the other is asleep", "other<asleep>", "", "other"),
    ("the rich and the poor", "rich poor", "", None),
    # a share of something
    ("some of the apples are rotten", "apples<rotten>", "", "apples"),
    ("many of the birds are black", "birds<black>", "", "birds"),
    # pairs that are one thing
    ("traffic light pole", "pole<traffic,light>", "", "pole"),
    ("ice cream truck", "truck<ice,cream>", "", "truck"),
    # what is said to the tool
    ("look at the red car", "car<red>", "", "car"),
    ("can you find the dog?", "dog", "", "dog"),
    ("I want the cup", "cup", "", "cup"),
    # no noun but that of a place
    ("she stands at the corner", "corner", "stands(-,-)", None),
    # hyphened modifiers
    ("a x-ray machine", "machine<x-ray>", "", "machine"),
    ("a red-haired woman", "woman<red-haired>", "", "woman"),
    ("an ice-cream cone", "cone<ice-cream>", "", "cone"),
    # side words before a possessor, sides as verbs
    ("the left boy's shirt", "boy<left> shirt", "", "shirt"),
    ("the second man's left hand", "man<second> hand<left>", "", "hand"),
    ("left chair", "chair<left>", "", "chair"),
    ("woman left", "woman<left>", "", "woman"),
    ("kid right", "kid<right>", "", "kid"),
    ("a man left of the tree", "man tree", "", "man"),
    ("bear looking left", "bear", "looking(bear,-)", "bear"),
    ("person who left the room", "person room", "left(person,room)", "person"),
    ("far left guy", "guy<left>", "", "guy"),
    # participles, verbs in -s, the nearest noun
    ("half eaten sandwich", "sandwich<eaten>", "", "sandwich"),
    ("folded blanket", "blanket<folded>", "", "blanket"),
    ("a girl with ribbons waving a flag", "girl ribbons flag", "waving(girl,flag)", "girl"),
    ("man holding baby", "man baby", "holding(man,baby)", "man"),
    ("a dog jumps over a rail and lands", "dog rail", "jumps(dog,-) lands(dog,-)", "dog"),
    # fragments taken for sentences
    ("train on the left track", "train track<left>", "", "train"),
    ("car next to bus", "car bus", "", "car"),
    ("man in suit and tie", "man suit tie", "", "man"),
    ("stop sign", "sign<stop>", "", "sign"),
    # lists
    ("cat, dog, bird", "cat dog bird", "", None),
    ("man woman child", "man woman child", "", None),
    ("cow horse sheep behind fence", "cow horse sheep fence", "", None),
    ("the cat dog and horse", "cat dog horse", "", None),
    ("a red cup, a blue plate", "cup<red> plate<blue>", "", None),
    # colours and ordinals wherever they stand
    ("umbrella blue", "umbrella<blue>", "", "umbrella"),
    ("guy red hat", "guy hat<red>", "", "guy"),
    ("first donut from the bottom", "donut<first>", "", "donut"),
    ("tan and grey donut", "donut<tan,grey>", "", "donut"),
    ("skateboard on right", "skateboard", "", "skateboard"),
    ("woman with head turned", "woman head", "turned(-,head)", "woman"),
    ("sleeping cat on bed", "cat<sleeping> bed", "", "cat"),
    ("A chef slices tomatoes on a cutting board.", "chef tomatoes board<cutting>", "slices(chef,tomatoes)", "chef"),
    ("players glove", "players glove", "", "glove"),
    # negation
    ("the cat that isn't black", "cat", "", "cat"),
    ("the cat that is not black or white", "cat", "", "cat"),
    ("a cat that's not black but white", "cat<white>", "", "cat"),
    ("a not very big dog", "dog", "", "dog"),
    ("the non-red car", "car", "", "car"),
    ("the man not in red", "man", "", "man"),
    ("a dog that is neither black nor white", "dog", "", "dog"),
    ("the man without a hat", "man hat", "", "man"),
    # who leads a fragment, whatever its first word is taken for
    ("kid closest to us", "kid<closest>", "", "kid"),
    ("foot bottom left", "foot<bottom,left>", "", "foot"),
    ("girl in pink jacket skiing", "girl jacket<pink>", "skiing(girl,-)", "girl"),
    ("woman leaning on counter", "woman counter", "leaning(woman,-)", "woman"),
    ("couch under painting", "couch painting", "", "couch"),
    ("giraffe nearest fence", "giraffe<nearest> fence", "", "giraffe"),
    ("surfer paddling", "surfer", "paddling(surfer,-)", "surfer"),
    ("woman texting", "woman", "texting(woman,-)", "woman"),
    ("dog barking", "dog", "barking(dog,-)", "dog"),
    ("the hand holding the remote", "hand remote", "holding(hand,remote)", "hand"),
    ("girl no hat", "girl hat", "", "girl"),
    ("kid no helmet on", "kid helmet", "", "kid"),
    ("bed she is lying on", "bed", "lying(-,-)", "bed"),
    ("surfboard he is holding", "surfboard", "holding(-,surfboard)", "surfboard"),
    ("the racket the girl is painting", "racket girl", "painting(girl,racket)", "racket"),
    ("mom holding kid's hand", "mom kid hand", "holding(mom,hand)", "mom"),
    ("man feeding giraffe", "man giraffe", "feeding(man,giraffe)", "man"),
    ("umpire in black squatting down", "umpire<black>", "squatting(umpire,-)", "umpire"),
    ("sheep looking left", "sheep", "looking(sheep,-)", "sheep"),
    ("plane higher up", "plane<higher>", "", "plane"),
    ("boat all the way in back", "boat", "", "boat"),
    ("chocolate donut in the middle", "donut<chocolate>", "", "donut"),
    ("apple cut in slices", "apple slices", "cut(-,apple)", "apple"),
    ("hydrant being touched by a kid", "hydrant kid", "touched(kid,hydrant)", "hydrant"),
    ("kitten being petted", "kitten", "petted(-,kitten)", "kitten"),
    ("monitor closest to us", "monitor<closest>", "", "monitor"),
    ("guy in stands, red hat", "guy stands hat<red>", "", "guy"),
    ("cat, red hat", "cat hat<red>", "", "cat"),
    ("bottom left lamb", "lamb<bottom,left>", "", "lamb"),
    ("blurry one", "one<blurry>", "", "one"),
    ("fire hydrant on left", "hydrant<fire>", "", "hydrant"),
    ("long necked bird", "bird<long,necked>", "", "bird"),
    ("light skinned one", "one<light,skinned>", "", "one"),
    ("snow covered bench", "snow bench<covered>", "", "bench"),
    ("a man covered in snow", "man snow", "covered(-,man)", "man"),
    ("womans purse on chair", "womans purse chair", "", "purse"),
    ("mans right shoe", "mans shoe<right>", "", "shoe"),
    ("kids head bottom right", "kids head<bottom,right>", "", "head"),
    ("blue and yellow parrot on shoulder", "parrot<blue,yellow> shoulder", "", "parrot"),
    ("skier in grey jacket waving", "skier jacket<grey>", "waving(skier,-)", "skier"),
    ("worker dressed in grey and purple", "worker<grey,purple>", "dressed(-,worker)", "worker"),
    ("bus open", "bus<open>", "", "bus"),
    ("surfer clad in orange", "surfer<orange>", "clad(-,surfer)", "surfer"),
    ("man onleft", "man", "", "man"),
    ("girl ina dress", "girl dress", "", "girl"),
    ("man wearinga hat", "man hat", "wearing(man,hat)", "man"),
    ("bottle on rigth", "bottle", "", "bottle"),
    ("red car!!", "car<red>", "", "car"),
    ("woman with her back to us", "woman back", "", "woman"),
    ("people watching in stands", "people stands", "watching(people,-)", "people"),
    ("Women in ethnic clothing sing together.", "Women clothing<ethnic>", "sing(Women,-)", "Women"),
    ("a red punching bag", "bag<red,punching>", "", "bag"),
    ("a green bowling ball", "ball<green,bowling>", "", "ball"),
    ("an elephant that is being bathed by a man", "elephant man", "bathed(man,elephant)", "elephant"),
    ("lots of oranges", "oranges", "", "oranges"),
    ("next to the window", "window", "", None),
    ("holding a bat", "bat", "holding(-,bat)", "bat"),
    (
        "A boy baseball player in a green and yellow jersey leaps for the ball.",
        "player<boy,baseball> jersey<green,yellow> ball",
        "leaps(player,-)",
        "player",
    ),
    ("a boy holding heart shaped balloons", "boy balloons<heart,shaped>", "holding(boy,balloons)", "boy"),
    ("A black and a white dog.", "dog<white>", "", "dog"),
    ("The food she is eating is hot.", "food<hot>", "eating(-,food)", "food"),
    ("the horse he is riding is brown", "horse<brown>", "riding(-,horse)", "horse"),
    ("truck, orange, keyboard", "truck orange keyboard", "", None),
    ("pot, speaker, and broccoli", "pot speaker broccoli", "", None),
    ("a remote, a brown truck and a helmet", "remote truck<brown> helmet", "", None),
    ("the goat not purple", "goat", "", "goat"),
    ("duck not tan", "duck", "", "duck"),
    ("the sheep that is not green but tan", "sheep<tan>", "", "sheep"),
    ("many of the dogs", "dogs", "", "dogs"),
    ("watering can on the shelf", "can<watering> shelf", "", "can"),
    (
        "A golfer in a purple hat paints a motorcycle.",
        "golfer hat<purple> motorcycle",
        "paints(golfer,motorcycle)",
        "golfer",
    ),
    ("tall, thin man", "man<tall,thin>", "", "man"),
    ("lady, white shirt, black pants", "lady shirt<white> pants<black>", "", "lady"),
    ("red, white and blue kite", "kite<red,white,blue>", "", "kite"),
    ("glass, bag, tie", "glass bag tie", "", None),
    # qualities of several words, and what they stand behind
    ("There is an azure disk. There is gravel.", "disk<azure> gravel", "", None),
    (
        "a blue heart, a dotted white diamond and a green cross on the snow next to sand",
        "heart<blue> diamond<dotted,white> cross<green> snow sand",
        "",
        None,
    ),
    (
        "dotted arrow touching purple triangle on the gravel",
        "arrow<dotted> triangle<purple> gravel",
        "touching(arrow,triangle)",
        "arrow",
    ),
    (
        "dotted star touching dotted white heart on the water",
        "star<dotted> heart<dotted,white> water",
        "touching(star,heart)",
        "star",
    ),
    ("woman walking next to water", "woman water", "walking(woman,-)", "woman"),
    ("There is sand.", "sand", "", "sand"),
    ("There is a man. There is snow on the ground.", "man snow ground", "", None),
    (
        "large striped diamond touching striped white moon",
        "diamond<large,striped> moon<striped,white>",
        "touching(diamond,moon)",
        "diamond",
    ),
    ("a plain yellow cross and a large striped arrow", "cross<plain,yellow> arrow<large,striped>", "", None),
    ("A dotted crescent is right of a red circle.", "crescent<dotted> circle<red>", "", "crescent"),
    ("the violet hoop right of the dotted orange ring", "hoop<violet> ring<dotted,orange>", "", "hoop"),
    (
        "large purple heart below dotted blue square with dotted heart",
        "heart<large,purple> square<dotted,blue> heart<dotted>",
        "",
        "heart",
    ),
]


@pytest.mark.parametrize("pipeline", ["embedded", "en_core_web_sm"])
@pytest.mark.parametrize(("text", "nouns", "verbs", "about"), SENTENCES)
def test_kinds_of_sentences(request, pipeline, text, nouns, verbs, about):
    found = parse(request.getfixturevalue("embedded"), text) if pipeline == "embedded" else parse_recorded(text)
    heads, triples, referred = said(text, found)
    shown = " ".join(head + (f"<{','.join(more)}>" if more else "") for head, *more in heads)
    said_of = " ".join(f"{verb}({subject or '-'},{target or '-'})" for verb, subject, target in triples)
    assert (shown, said_of, referred) == (nouns, verbs, about)


def test_joined_phrases_stay_apart(embedded):
    text = "a fire hydrant and stop sign"
    assert said(text, parse(embedded, text))[0] == [("hydrant", "fire"), ("sign", "stop")]


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("the cat that isn't black", ['"black" is denied of "cat".']),
        ("the cat that is not black or white", ['"black" is denied of "cat".', '"white" is denied of "cat".']),
        ("the non-red car", ['"non-red" is denied of "car".']),
        ("the man without a hat", ['"hat" is said not to be there.']),
        ("no dogs on the sofa", ['"dogs" is said not to be there.']),
        ("a man not wearing a hat", ['"hat" is said not to be there.']),
        ("a red circle", []),
    ],
)
def test_what_is_denied_is_noted(embedded, text, notes):
    assert list(parse(embedded, text).notes) == notes
    assert text not in recorded() or list(parse_recorded(text).notes) == notes


FOREIGN = {
    "ein roter Kreis auf dem Gras": "German",
    "Ein Mann mit einem Hut": "German",
    "zwei Hunde spielen im Schnee": "German",
    "un chat noir sur un canapé rouge": "French",
    "l'homme à gauche": "French",
    "un perro negro en el sofá": "Spanish",
    "dos perros juegan en la nieve": "Spanish",
    "una donna con il cappello": "Italian",
    "um cachorro preto no sofá": "Portuguese",
    "een zwarte kat op een rode bank": "Dutch",
    "en svart katt på en röd soffa": "Swedish",
    "czarny kot na czerwonej kanapie": "Polish",
    "černá kočka na červené pohovce": "Czech",
    "kırmızı kanepede siyah bir kedi": "Turkish",
    "egy fekete macska a piros kanapén": "Hungarian",
    "seekor kucing hitam di sofa merah": "Indonesian",
}


@pytest.mark.parametrize("text", FOREIGN)
def test_a_text_in_another_language_is_noted(embedded, text):
    assert other_language(text) == FOREIGN[text]
    assert parse(embedded, text).notes == (
        f"This seems to be {FOREIGN[text]}: this parser reads English only, so its phrases mean little.",
    )


def golds():
    return [*read_gold(), *read_gold(SECOND)]


def test_no_english_caption_is_taken_for_another_language():
    noisy = [perturbed(gold, kind).text for gold in golds() for kind in ("typos", "broken_grammar")]
    english = [*(gold.text for gold in golds()), *noisy, *recorded()]
    foreign = {text: name for text in english if text not in FOREIGN and (name := other_language(text))}
    assert foreign == {}


# ---- what must hold of any text


def hold(text, found):
    """The invariants of a parse."""
    roots = [phrase.root for phrase in found.phrases]
    assert len(set(roots)) == len(roots)
    adjectives = [(n, a) for n, phrase in enumerate(found.phrases) for a in phrase.adjectives]
    for number, adjective in adjectives:
        for other, root in enumerate(roots):
            assert other == number or not adjective.overlaps(root), (text, adjective.of(text), root.of(text))
        assert adjective != roots[number]
    for number, phrase in enumerate(found.phrases):
        assert phrase.span.covers(phrase.root)
        assert not any(phrase.span.overlaps(root) for other, root in enumerate(roots) if other != number), text
    for span in [*roots, *(a for _, a in adjectives), *(p.span for p in found.phrases)]:
        start = text[span.start]
        assert not unicodedata.combining(start), (text, span.of(text))
        assert span.end == len(text) or not unicodedata.combining(text[span.end]), (text, span.of(text))


def test_what_must_hold_holds_of_every_caption_at_hand(embedded):
    from stages.world.sample import sample

    texts = [*(gold.text for gold in golds()), *(sample("val", number).text for number in range(60)), *recorded()]
    texts += [perturbed(gold, kind).text for gold in golds() for kind in ("typos", "broken_grammar")]
    answers = embedded.parse([ParseRequest(str(number), text) for number, text in enumerate(texts)])
    for text, answer in zip(texts, answers, strict=True):
        hold(text, answer.parse.checked(text))
    for text in recorded():
        hold(text, parse_recorded(text))


WORDS = st.sampled_from(
    """a the red black fire hydrant stop sign can number 23 one other another left right x-ray machine and or , not n't
    no isn't man boy's girl with in on holding waving half eaten dog cat runs lands that is without player bus 2nd from
    next to cafe\u0301 nai\u0308ve non-red w/ #7 . don't 12kg kid kids closest being touched by seagull covered haired
    texting wearinga onleft womans purse - middle row painted feeding open she he her back frosting all way""".split()
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, min_size=1, max_size=12))
def test_what_must_hold_holds_of_any_words(embedded, chosen):
    text = " ".join(chosen)
    hold(text, parse(embedded, text))


POS = ["NOUN", "PROPN", "ADJ", "VERB", "AUX", "DET", "ADP", "NUM", "PRON", "ADV", "CCONJ", "PART", "PUNCT", "X"]
TAGS = ["NN", "NNS", "JJ", "JJS", "VB", "VBZ", "VBD", "VBN", "VBG", "VBP", "MD", "RB", "IN", "DT", "CD", "POS"]
DEPS = """nsubj nsubjpass nsubj:pass dobj obj pobj prep case amod compound nmod nmod:poss poss det nummod acl relcl
    acl:relcl advmod conj cc punct flat xcomp acomp aux auxpass neg agent pcomp npadvmod appos advcl list attr cop
    dep""".split()


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_must_hold_holds_of_any_tree(data):
    """Whatever a pipeline makes of a text: repairs end, and what must hold holds."""
    chosen = data.draw(st.lists(WORDS, min_size=1, max_size=9))
    text = " ".join(chosen)
    words = Clean.of(text).text.split(" ")
    if words == [""]:
        return
    order = data.draw(st.permutations(range(len(words))))
    heads = [0] * len(words)
    for place, word in enumerate(order):  # each hangs on one drawn before it, so there is no circle
        heads[word] = order[data.draw(st.integers(0, place - 1))] if place else word

    def draw(values):
        return [data.draw(st.sampled_from(values)) for _ in words]

    deps = ["ROOT" if head == word else dep for word, (head, dep) in enumerate(zip(heads, draw(DEPS), strict=True))]
    doc = Doc(VOCAB, words=words, pos=draw(POS), tags=draw(TAGS), heads=heads, deps=deps)
    clean = Clean.of(text)
    hold(text, extract(repaired(tree_of(clean, doc))).checked(text))


@given(st.integers(2, 8), st.data())
def test_no_word_ever_depends_on_itself(count, data):
    """Whatever is hung on whatever: every word still reaches the root."""
    words = [Word(i, "w", i, i + 1, "NOUN", "NN", "ROOT") for i in range(count)]
    for word in words[1:]:
        attach(word, words[data.draw(st.integers(0, word.index - 1))], "dep")
    for _ in range(data.draw(st.integers(1, 12))):
        one, other = (data.draw(st.sampled_from(words)) for _ in range(2))
        attach(one, data.draw(st.sampled_from([other, None])), "dep")
        for word in words:
            seen, at = set(), word
            while at is not None:
                assert id(at) not in seen
                seen.add(id(at))
                at = at.head
            assert all(child.head is word for child in word.children)


# ---- figures


def figures(parses, part="test"):
    first = [(parses[gold.text], gold) for gold in read_gold() if gold.part == part]
    second = [(parses[gold.text], gold) for gold in read_gold(SECOND) if gold.part == part]
    return [compare(*zip(*pairs, strict=True)) for pairs in (first, second)]


BARS = ("noun_f1", "adjective_f1", "predicate_f1", "referred")


def test_the_embedded_pipeline_reaches_its_bars_on_captions_kept(embedded):
    kept = [gold for gold in golds() if gold.part == "test"]
    parses = {gold.text: parse(embedded, gold.text) for gold in kept}
    for found in figures(parses):
        assert all(found[key] >= bar for key, bar in zip(BARS, (0.98, 0.96, 0.90, 0.95), strict=True)), found


NOISY = {"typos": (0.953, 0.891, 0.830, 0.919), "broken_grammar": (0.974, 0.904, 0.830, 0.919)}


@pytest.mark.parametrize("kind", NOISY)
def test_typos_and_broken_grammar_cost_no_more_than_they_did(embedded, kind):
    kept = [perturbed(gold, kind) for gold in read_gold() if gold.part == "test"]
    found = compare([parse(embedded, gold.text) for gold in kept], kept)
    assert all(round(found[key], 3) >= bar for key, bar in zip(BARS, NOISY[kind], strict=True)), found


def test_en_core_web_sm_reaches_its_bars_on_captions_kept():
    parses = {gold.text: parse_recorded(gold.text) for gold in golds()}
    first, second = figures(parses)
    assert all(first[key] >= bar for key, bar in zip(BARS, (0.96, 0.93, 0.85, 0.93), strict=True)), first
    assert all(second[key] >= bar for key, bar in zip(BARS, (0.96, 0.93, 0.85, 0.93), strict=True)), second


@pytest.mark.skipif(lacking(SM) is not None, reason="en_core_web_sm is not installed here")
def test_the_recorded_trees_are_what_en_core_web_sm_gives():
    parser = load_parser(SM)
    texts = list(recorded())[::10]
    answers = parser.parse([ParseRequest(str(number), text) for number, text in enumerate(texts)])
    assert [answer.parse for answer in answers] == [parse_recorded(text) for text in texts]
