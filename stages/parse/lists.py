"""The closed lists of words that extraction goes by. They change results: a change of a list is a new VERSION of
the stage.

Each holds words of grammar or of captioning, never words of a data set's objects.
"""

from __future__ import annotations

FRAMES = frozenset(
    """image photo picture photograph scene shot view snapshot frame photography painting close-up
    closeup portrait""".split()
)
"""Nouns that name the image itself where they stand as its frame: "the image shows …", "in this photo"."""

SHOWING = frozenset(
    """show shows showing showed showcase showcases showcasing depict depicts depicting depicted display displays
    displaying feature features featuring capture captures capturing present presents presenting portray portrays
    contain contains containing illustrate illustrates include includes including have has having see seen""".split()
)
"""Verbs whose subject, where it is a frame, says nothing of the scene."""

POSITIONS = frozenset(
    """left right top bottom front back middle center centre central upper lower rear side far near leftmost
    rightmost background foreground topmost bottommost outer inner""".split()
)
"""Where in the image: an adjective beside a noun or bare behind it ("left hand", "guy far right")."""

FAR = frozenset("far farthest furthest closest nearest".split())
"""How far: a quality of the noun before it, like a position ("chair farthest left")."""

ADVERBIALS = frozenset(
    """left right top bottom front back middle center centre rear side sides background foreground distance corner
    edge end ends air midair mid-air motion action use way time day night midst vicinity line row order
    direction height far beginning oclock o'clock
    """.split()
)
"""Nouns that name no thing after a preposition: "in front of", "on the left", "at the edge of", "in mid air"."""

ADVERBIAL_CASES = frozenset("in on at to from of near by along toward towards off with during mid".split())

ONLY_IN = frozenset("line row motion action use order midst".split())
"""Of those, the ones that name no thing after "in" alone: "in line", but "hung on a line"."""

VIEWERS = frozenset("camera viewer photographer lens".split())
"""Who looks at the image: not in it where something looks at, faces or is close to them."""

VIEWED = frozenset("to at toward towards from for".split())

FACING = frozenset("facing face faces look looks looking watching".split())

QUANTITIES = frozenset(
    "couple lot lots number numbers variety plenty majority kind kinds type types sort sorts dozens series".split()
)
"""Nouns that only count what "of" follows: "a couple of dogs" is about dogs."""

NO_ADJECTIVES = frozenset(
    """several many few some any much more most less least such another each every both all no enough multiple
    numerous various certain own only just very too so quite rather also about around lots a an the this that these
    those less""".split()
)
"""Quantifiers and degree words that a tagger calls adjectives."""

COLOURS = frozenset(
    """red blue green yellow orange purple pink brown black white gray grey teal cyan magenta violet crimson azure
    scarlet maroon navy beige tan gold golden silver turquoise lime olive lavender indigo amber emerald ruby coral
    ivory khaki cream bronze mauve peach burgundy aqua fuchsia charcoal mustard rust plum lilac rose""".split()
)
PATTERNS = frozenset(
    """stripes stripe striped plaid dots dotted spots checks checkered checkers camo camouflage polka-dots floral
    tartan paisley gingham denim leather lace""".split()
)
"""With the colours, what a person can be "in" without a garment's name ("woman in red", "guy in stripes")."""

SHADES = frozenset("dark light bright pale deep pastel neon vivid dull solid medium hot baby sky royal".split())
"""Adjectives of a colour, which come along with it ("dark blue couch": dark, blue)."""

SIZES = frozenset(
    "large small big little tiny huge long short tall wide thin thick round plain old young new clean dirty".split()
)
"""Adjectives that are no degree of another one behind them ("a large striped box")."""

PARTS = frozenset(
    """head heads hand hands arm arms leg legs face faces hair tail tails ear ears eye eyes nose mouth beard
    mustache foot feet neck knee knees finger fingers shoulder shoulders paw paws beak wing wings trunk horn horns mane
    elbow fur chest ponytail braid braids handle handles wheel wheels lid seat edge edges button buttons headlight
    headlights windshield sleeve sleeves collar pocket pockets stem frame label strap tire tires screen rim hood spots
    stripes dots side back front top bottom tip stomach belly chin cheek cheeks teeth tusks antlers hooves feathers
    scales branches leaves petals roof door doors window windows""".split()
)
"""Nouns that, said to be with a thing, are a part of it ("horse with brown spots")."""

ROWS = frozenset("row column line side shelf level corner".split())
"""Where a thing is, if another noun stands bare behind it: "second row third kid"."""

BESIDE = frozenset("behind beside near by of to between against past beyond after before than".split())
"""Prepositions whose noun wears the colour behind it: "car behind the person in red", but "guy on a bike in red"."""

HANDS = frozenset("hand hands arm arms finger fingers leg legs foot feet".split())
"""Parts that do things by themselves ("with one hand holding a cup")."""

PLACING = frozenset("parked seated placed sat perched located situated positioned standing sitting laying".split())
"""Participles after which "by" is a place: "parked by the road"."""

FORMS_OF_BE = frozenset("be s is are was were been being am 's 're isn't aren't".split())

STATES = frozenset(
    """parked seated placed perched located situated positioned stacked covered filled tied hung attached dressed
    surrounded decorated wrapped mounted docked moored planted buried topped loaded lined framed""".split()
)
"""Participles that, behind a noun and without an object, are participles whatever the tagger says."""

STRONG_PARTICIPLES = frozenset("bent cut built stuck made clad".split())
"""The same of forms without -ed, which may have an agent further off ("cut into slices by the cook")."""

DRESSED = frozenset("wearing wears wear wore dressed clad clothed outfitted attired".split())
"""Verbs that a bare colour completes ("dressed in black", "wearing white")."""

TAKING = frozenset("taken shot captured".split())
"""What is done to a photograph: "the photo was taken in a park"."""

OWNERS = frozenset(
    """mans womans girls boys guys ladys kids childs babys persons players mens womens childrens batters catchers
    moms dads dogs cats horses cows elephants birds giraffes zebras sheeps bears persons peoples""".split()
)
"""Owners as they are typed without an apostrophe ("mans hat")."""

SHARES = frozenset("most many few several some all both each".split())
"""What may stand for part of what "of" names: "most of the cars"."""

WORN = frozenset(
    """shirt shirts tshirt t-shirt tee top tank sweater sweatshirt hoodie jacket coat vest suit dress skirt gown robe
    blouse pants trousers jeans shorts leggings tights uniform jersey outfit clothes clothing apron scarf tie bowtie hat
    hats cap helmet visor hood headband bandana glasses sunglasses goggles gloves mittens shoes boots sneakers sandals
    socks belt bag backpack purse necklace bikini swimsuit trunks wetsuit""".split()
)
"""What somebody wears: set behind them by a comma, it is no second thing of a list ("lady, white shirt")."""

COMPOUNDS = frozenset(
    tuple(pair.split())
    for pair in """ice cream, traffic light, street light, night light, christmas light, flash light, tail light,
    sour cream, whipped cream, shaving cream, hot dog, polar bear, orange juice, peanut butter, french fries,
    swimming pool, parking lot, dining table, coffee table, palm tree, pine tree""".split(",")
)
"""Pairs that are one thing, where either word alone may be read as something else ("cream" as a colour)."""

REQUESTS = frozenset(
    """find segment show locate select highlight mark detect identify click point mask pick spot give ground
    look""".split()
)
"""What a user asks of the tool, not of the scene: "find the red car"."""
WISHES = frozenset("want need see have".split())
"""Likewise, of "I" and "you"."""

COUNTS_AFTER_A = frozenset("few dozen hundred thousand couple pair lot bunch half".split())
"""Words that let a plural follow "a": "a few dogs"."""

AUXILIARIES = frozenset(
    """be am is are was were been being 's 're 'm have has had having 've 'd do does did can could may might must shall
    should will would 'll get gets got getting keep keeps kept used ought need wo ca""".split()
)

FORMS_OF_HAVE = frozenset("have has had having 've".split())

RAISING = frozenset("appear appears appeared seem seems seemed look looks looked".split())
"""Verbs whose "to be" says something of their subject: "appears to be tired"."""

INTRANSITIVE = frozenset(
    """look looks looking looked stare stares staring gaze gazes gazing peer peers peering sit sits sitting sat stand
    stands standing lie lies lying sleep sleeps sleeping kneel kneels kneeling crouch crouches crouching lean leans
    leaning smile smiles smiling""".split()
)
"""Verbs without a direct object: "dog looking out window", "the chair the cat is sitting on"."""

SAME_PARTICIPLE = frozenset("run come overcome become".split())
"""Present and past participle alike, and rarely a passive: "three surfers run toward the sea"."""


POSTURES = frozenset("hang lie sit".split())
"""Plain forms of verbs that are hardly ever nouns."""

MOTIONS = frozenset(
    """jumps lands runs walks slides leaps sits stands lies hangs waits rests sleeps naps leans kneels crouches swims
    dives flies glides skates skis surfs dances sings smiles laughs looks stares gazes peers reaches climbs crawls rolls
    spins bends stretches poses talks chats grazes barks drives rides floats drifts hovers perches goes comes moves
    arrives turns passes""".split()
)
"""What somebody does, in forms that captions hardly ever use as plural nouns."""

DESCRIPTIVE = frozenset("checkered striped spotted pointed closed crooked wooded bearded colored coloured".split())
"""Participles that say how a thing is, not what was done to it."""

HANGING = frozenset("hang hangs hung sit sits sat stand stands stood lie lies lay lean leans".split())
"""Verbs of posture whose subject may stand behind them ("on the wall hangs a clock")."""

ACTORS = frozenset(
    """man men woman women boy boys girl girls guy guys lady ladies kid kids child children baby babies person persons
    people player players batter batters catcher catchers mom dad dude dudes gentleman toddler toddlers couple teen
    teens infant infants umpire umpires pitcher pitchers surfer surfers skier skiers skater skaters skateboarder
    snowboarder cyclist cyclists biker bikers rider riders runner runners chef chefs cook waiter waitress cop officer
    policeman soldier soldiers worker workers bride groom golfer golfers pedestrian pedestrians passenger vendor farmer
    fisherman coach referee goalie goalkeeper student teacher dancer singer musician drummer guitarist grandma grandpa
    dog dogs puppy puppies cat cats kitten kittens horse horses pony foal cow cows calf bull elephant elephants bird
    birds giraffe giraffes zebra zebras sheep lamb lambs goat goats bear bears duck ducks goose geese seagull seagulls
    pigeon pigeons chicken chickens rooster pig pigs monkey monkeys deer lion lions tiger tigers camel camels rabbit
    squirrel penguin penguins ostrich""".split()
)
"""Whom captions of people and animals are about: who does something."""

PEOPLE = frozenset(
    "man men woman women boy boys girl girls guy guys kid kids child children toddler mom dad mother father".split()
)
ANIMALS = frozenset(
    """dog dogs cat cats horse horses cow cows elephant elephants bird birds giraffe giraffes zebra zebras sheep bear
    bears""".split()
)
"""Beings of a kind: two in a row are two ("man woman child"), as none of them qualifies another."""

ACTING = frozenset("wearing holding riding carrying eating smiling waving walking running reading".split())
"""What somebody does, also where nothing is said to whom."""


GOING = frozenset(
    """moving walking running jumping falling flying swimming dancing squatting laughing crying grazing bending floating
    resting napping hanging posing playing""".split()
)
"""What somebody does, without an object, as a bare fragment says it ("moving train", "zebra grazing")."""

THINGS_IN_ING = frozenset(
    """building painting railing ceiling clothing frosting icing topping stuffing dressing wedding lighting crossing
    landing awning siding bedding earring ring string king wing swing spring thing drawing sling flooring roofing
    fencing paneling piping tubing netting matting carving molding trimming lining padding covering engraving
    marking lettering writing seating housing scaffolding wiring upholstery pudding sibling duckling lightning
    evening morning stocking packing wrapping filling coating opening clearing meeting gathering offering cutting
    tiling decking parking plating rigging shelving viking""".split()
)
"""What ends in -ing and names a thing, not what somebody does."""

ADVERBS = frozenset(
    """half just only not very almost mostly fully partly barely upside next too most least more less up down out in on
    off over away here there well newly closest nearest farthest furthest together outside inside sideways forward
    forwards backward backwards upward upwards downward downwards alone upright indoors outdoors ahead apart aside
    nearby far here there now then today tonight overhead underneath behind below above along across around through
    again first second third last facedown facing downstairs upstairs offshore midair head-on straight high low
    close also else tight wide""".split()
)
"""Adverbs without -ly that stand bare behind a noun."""

ENDOWED = frozenset(
    """haired skinned sleeved necked legged headed eyed bearded tailed horned eared faced footed handed bodied colored
    coloured toned tiered layered shaped sized covered filled topped lined nosed breasted winged beaked wheeled sided
    pointed rimmed framed""".split()
)
"""Participles that say with what a thing is endowed, one thing with the word before: "long haired", "snow covered"."""


def _verb_forms(bases: str) -> frozenset[str]:
    """Every form of verbs; irregular pasts follow a slash ("take/took/taken"). Final t, p, g, m double ("put")."""
    forms: set[str] = set()
    for entry in bases.split():
        base, *irregular = entry.split("/")
        stem = base.removesuffix("e")
        if base[-1] in "tpgm" and base[-2] in "aeiou" and base[-3] not in "aeiou":
            stem += base[-1]
        past = base[:-1] + "ied" if base.endswith("ry") else stem + "ed"
        third = base[:-1] + "ies" if base.endswith("ry") else base + ("es" if base[-2:] in ("ch", "sh") else "s")
        forms |= {base, third, stem + "ing", *(irregular or [past])}
    return frozenset(forms)


PHRASAL = {
    "up": _verb_forms(
        """pick hold/held lift raise put/put throw/threw/thrown fold clean wipe zip set/set light/lit chop
        cut/cut tear/tore/torn wrap fill load dig/dug kick prop stack line roll hang/hung"""
    ),
    "down": _verb_forms("put/put set/set lay/laid take/took/taken knock tear/tore/torn chop write/wrote/written"),
    "on": _verb_forms("put/put switch") | frozenset(("trying", "tries", "tried")),
    "off": _verb_forms("take/took/taken turn switch show cut/cut wipe brush shake/shook/shaken"),
    "out": _verb_forms(
        "take/took/taken carry hand pull blow/blew/blown put/put throw/threw/thrown stretch hold/held pour lay/laid"
    ),
    "away": _verb_forms("throw/threw/thrown put/put take/took/taken carry push clear"),
    "over": _verb_forms("knock hand tip turn push"),
    "in": _verb_forms("reel plug"),
}
"""Verbs that make one word with a particle, whose object may stand behind it: "picks up a phone"."""
