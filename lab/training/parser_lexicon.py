"""Words of the captions that the embedded parser is trained on, by what can be said of them.

The classes decide attachment: in "a man in a blue shirt holding a racket" it is people who hold, so the
participle belongs to the man; in "a bird on a branch covered with moss" branches are what is covered.
A singular and its plural are written "dog/dogs"; a word alone is a mass noun ("grass").
"""

from __future__ import annotations

PEOPLE = """man/men woman/women boy/boys girl/girls guy/guys lady/ladies kid/kids child/children person/people
player/players skier/skiers surfer/surfers batter/batters catcher/catchers umpire/umpires baby/babies
chef/chefs rider/riders officer/officers skateboarder/skateboarders worker/workers bride/brides groom/grooms
toddler/toddlers pitcher/pitchers dude/dudes teenager/teenagers farmer/farmers musician/musicians
snowboarder/snowboarders pedestrian/pedestrians mother/mothers father/fathers couple/couples friend/friends
waiter/waiters dancer/dancers soldier/soldiers student/students cyclist/cyclists fan/fans gentleman/gentlemen
female/females male/males adult/adults spectator/spectators vendor/vendors""".split()

ANIMALS = """dog/dogs cat/cats horse/horses sheep/sheep cow/cows elephant/elephants bear/bears zebra/zebras
giraffe/giraffes bird/birds puppy/puppies kitten/kittens duck/ducks goat/goats lamb/lambs calf/calves bull/bulls
pigeon/pigeons parrot/parrots monkey/monkeys lion/lions tiger/tigers rabbit/rabbits fox/foxes deer/deer
penguin/penguins swan/swans pony/ponies seagull/seagulls owl/owls turtle/turtles camel/camels goose/geese
hen/hens rooster/roosters donkey/donkeys squirrel/squirrels eagle/eagles pig/pigs fish/fish toucan/toucans
panda/pandas flamingo/flamingos butterfly/butterflies bee/bees whale/whales""".split()

CLOTHES = """shirt/shirts jacket/jackets hat/hats coat/coats dress/dresses sweater/sweaters hoodie/hoodies
suit/suits skirt/skirts scarf/scarves cap/caps helmet/helmets uniform/uniforms vest/vests jersey/jerseys tie/ties
glove/gloves boot/boots shoe/shoes apron/aprons robe/robes blouse/blouses backpack/backpacks sock/socks
belt/belts costume/costumes gown/gowns wetsuit/wetsuits beanie/beanies tank/tanks jeans/jeans shorts/shorts
pants/pants glasses/glasses sunglasses/sunglasses sneakers/sneakers clothes/clothes t-shirt/t-shirts
sweatshirt/sweatshirts overalls/overalls visor/visors turban/turbans""".split()

HELD = """racket/rackets ball/balls bat/bats umbrella/umbrellas phone/phones cup/cups glass/glasses kite/kites
frisbee/frisbees skateboard/skateboards surfboard/surfboards bag/bags book/books camera/cameras sign/signs
guitar/guitars knife/knives fork/forks spoon/spoons bottle/bottles wineglass/wineglasses remote/remotes
controller/controllers toothbrush/toothbrushes balloon/balloons basket/baskets suitcase/suitcases flag/flags
purse/purses newspaper/newspapers pole/poles stick/sticks rope/ropes mug/mugs tray/trays plate/plates
leash/leashes flower/flowers bouquet/bouquets toy/toys briefcase/briefcases trophy/trophies pen/pens
tablet/tablets paddle/paddles whip/whips shovel/shovels broom/brooms""".split()

FOOD = """pizza/pizzas sandwich/sandwiches apple/apples banana/bananas orange/oranges cake/cakes donut/donuts
carrot/carrots broccoli bread rice salad/salads soup/soups burger/burgers cookie/cookies cheese meat
tomato/tomatoes potato/potatoes onion/onions lemon/lemons grape/grapes egg/eggs sausage/sausages pancake/pancakes
cupcake/cupcakes strawberry/strawberries lettuce pasta fries/fries coffee wine beer milk juice muffin/muffins
pepper/peppers mushroom/mushrooms pear/pears peach/peaches melon/melons bun/buns pie/pies waffle/waffles
bacon noodles/noodles chicken shrimp/shrimps dessert/desserts""".split()

FURNITURE = """chair/chairs table/tables sofa/sofas couch/couches bed/beds desk/desks bench/benches shelf/shelves
cabinet/cabinets lamp/lamps mirror/mirrors rug/rugs pillow/pillows curtain/curtains clock/clocks vase/vases
sink/sinks toilet/toilets oven/ovens stove/stoves refrigerator/refrigerators counter/counters window/windows
door/doors television/televisions laptop/laptops monitor/monitors keyboard/keyboards blanket/blankets
armchair/armchairs stool/stools drawer/drawers bookshelf/bookshelves carpet/carpets bowl/bowls pot/pots
bathtub/bathtubs faucet/faucets microwave/microwaves fireplace/fireplaces painting/paintings candle/candles
towel/towels box/boxes bucket/buckets jar/jars crate/crates cushion/cushions nightstand/nightstands
chest/chests pan/pans kettle/kettles tablecloth/tablecloths notebook/notebooks speaker/speakers""".split()

VEHICLES = """car/cars truck/trucks bus/buses train/trains motorcycle/motorcycles bike/bikes bicycle/bicycles
boat/boats plane/planes airplane/airplanes van/vans taxi/taxis tractor/tractors ship/ships scooter/scooters
wagon/wagons cart/carts jet/jets helicopter/helicopters tram/trams ambulance/ambulances canoe/canoes
sailboat/sailboats minivan/minivans jeep/jeeps sedan/sedans trailer/trailers carriage/carriages""".split()

NATURE = """tree/trees grass sky/skies water sand snow hill/hills mountain/mountains river/rivers lake/lakes
rock/rocks bush/bushes cloud/clouds leaf/leaves branch/branches ocean sea beach/beaches field/fields
forest/forests sun moon stone/stones log/logs wave/waves shore/shores dirt mud ground plant/plants palm/palms
cactus/cacti rose/roses tulip/tulips vine/vines pond/ponds gravel brick/bricks soil moss meadow/meadows
cliff/cliffs island/islands shadow/shadows puddle/puddles""".split()

PLACES = """street/streets road/roads building/buildings house/houses wall/walls fence/fences bridge/bridges
sidewalk/sidewalks floor/floors roof/roofs kitchen/kitchens room/rooms park/parks court/courts tower/towers
yard/yards garden/gardens pool/pools stadium/stadiums barn/barns church/churches shop/shops store/stores
station/stations platform/platforms track/tracks lawn/lawns pier/piers dock/docks stage/stages crosswalk/crosswalks
city/cities restaurant/restaurants bathroom/bathrooms ramp/ramps path/paths crowd/crowds gate/gates
staircase/staircases balcony/balconies tent/tents dugout/dugouts parking/parking skyline/skylines""".split()

PARTS = """head/heads hand/hands arm/arms leg/legs face/faces hair tail/tails ear/ears eye/eyes nose/noses
mouth/mouths beard/beards foot/feet neck/necks knee/knees finger/fingers shoulder/shoulders back/backs paw/paws
beak/beaks wing/wings trunk/trunks horn/horns mane/manes elbow/elbows thumb/thumbs ponytail/ponytails
wrist/wrists lap/laps fur""".split()

PIECES = """handle/handles wheel/wheels lid/lids roof/roofs seat/seats edge/edges top/tops button/buttons
headlight/headlights windshield/windshields leg/legs cover/covers sleeve/sleeves collar/collars pocket/pockets
stem/stems trim/trims frame/frames label/labels strap/straps tire/tires screen/screens rim/rims hood/hoods""".split()

SHAPES = """circle/circles square/squares star/stars triangle/triangles cross/crosses ring/rings heart/hearts
diamond/diamonds crescent/crescents hexagon/hexagons pentagon/pentagons arrow/arrows disk/disks disc/discs
box/boxes hoop/hoops oval/ovals ellipse/ellipses rectangle/rectangles bar/bars block/blocks drop/drops
moon/moons leaf/leaves plus/pluses sphere/spheres cube/cubes dot/dots blob/blobs kite/kites bolt/bolts
cylinder/cylinders cone/cones ball/balls wheel/wheels flower/flowers strip/strips tile/tiles plate/plates
coin/coins loop/loops band/bands round/rounds gem/gems rhombus/rhombuses octagon/octagons tree/trees
house/houses cloud/clouds fish/fish cup/cups key/keys mushroom/mushrooms shape/shapes""".split()

GROUNDS = """grass sand water snow gravel brick stone lawn sea ocean mud soil carpet wood moss dirt desert
concrete asphalt ice pebbles turf marble clay meadow beach pavement checkerboard tiles waves""".split()

COLOURS = """red blue green yellow orange purple pink brown black white gray grey teal cyan magenta violet
crimson azure scarlet maroon navy beige tan golden silver turquoise lime olive lavender indigo amber emerald
ruby coral ivory khaki peach mauve cream bronze gold blond blonde brunette reddish bluish""".split()

PATTERNS = """striped dotted plain spotted checkered plaid floral solid patterned speckled banded lined hatched
stripy dotty polka-dot zigzag""".split()

QUALITIES = """big small large little tiny huge tall short long old young new wooden metal plastic shiny cloudy
round square rectangular bright dark clear empty full open closed clean dirty wet dry smooth rough colorful
fluffy furry hairy thin thick fat skinny broken modern vintage rusty dusty snowy grassy sandy rocky leafy mossy
muddy stormy sunny foggy calm busy quiet happy sad sleepy hungry tired asleep bald bearded curly straight
wavy blurry fuzzy transparent lush delicious fresh frozen sliced cooked baked grilled painted framed textured
decorative ornate elegant casual formal matching worn torn faded folded rolled stacked knit knitted woolen
woven carved polished glazed steep narrow wide deep shallow flat tilted upright crooked curved pointed sharp
soft hard heavy light giant miniature medium oval visible distant nearby colored multicolored lone single
adult female male baby stuffed wild domestic green-eyed nostalgic alluring inspirational sepia antique rustic
cozy beautiful pretty cute tasty ripe raw yellowish pale vivid neon metallic glossy matte sturdy fancy
unusual odd strange famous abandoned crowded residential electric athletic professional different various
similar identical main whole half bare barefoot shirtless blindfolded quilted wicker marble ceramic concrete""".split()

SUPERLATIVES = """tallest biggest smallest largest closest nearest shortest oldest youngest brightest darkest
leftmost rightmost farthest furthest topmost uppermost lowest highest longest fattest cutest""".split()

COMPARATIVES = """taller bigger smaller larger closer nearer shorter older younger brighter darker farther
lighter longer fatter thinner higher lower""".split()

POSITIONS = """left right top bottom front back middle center central upper lower rear far near outer inner
foreground background side""".split()

MATERIALS = """leather wood metal glass plastic stone brick cotton denim silk steel paper straw cardboard velvet
wool concrete marble iron bamboo porcelain brass linen rubber tin clay""".split()

MODIFIERS = """tennis baseball soccer dining coffee kitchen bathroom street traffic stop fire teddy wine water
office computer cell cowboy rain snow beach picnic flower tea pizza birthday cake hot laundry toilet bus train
parking bedroom garden book bed door window desk polo sports racing school police delivery cargo dump pickup
fighter passenger baby hand shopping trash garbage bike hockey football basketball golf ski bow kite ice cream
cheese chocolate vegetable fruit apple palm pine oak rose fountain perfume picture""".split()

ORDINALS = "first second third fourth fifth last other next 2nd 1st 3rd 4th".split()
NUMBERS = "two three four five six seven eight nine ten twelve 2 3 4 5 10".split()

# -ing forms that people and animals do to a thing, and without one; then what things do.
TRANSITIVE = """holding wearing eating riding carrying throwing catching hitting kicking pushing pulling reading
using watching feeding chasing drinking playing touching grabbing washing cutting swinging driving flying leading
petting walking brushing facing biting licking hugging kissing swinging serving cooking preparing painting lifting
climbing crossing selling waving pouring picking making taking enjoying guiding chewing following training guarding
photographing dragging inspecting opening closing showing balancing hugging examining crossing""".split()
INTRANSITIVE = """sitting standing walking running lying laying jumping sleeping leaning swimming surfing skiing
looking kneeling bending resting grazing flying playing skating crouching squatting smiling posing talking waiting
swinging skateboarding snowboarding dancing eating drinking reaching staring facing pointing riding crawling
laughing relaxing working cooking racing floating squatting perching waving bathing strolling""".split()
THING_INTRANSITIVE = """sitting standing lying leaning hanging floating resting moving driving flying shining
growing burning parked turning rising traveling sailing waiting glowing falling dangling spinning""".split()
THING_TRANSITIVE = """covering touching overlapping containing surrounding supporting facing meeting displaying
showing blocking hiding holding crossing reflecting carrying featuring casting towing lining decorating
bordering partly_covering joining dividing cutting enclosing passing approaching""".split()
PASSIVE_BY = """surrounded followed held covered worn ridden pulled pushed carried driven watched hidden eaten
chased led fed painted lit decorated touched blocked flanked supported crossed enclosed lifted thrown bordered
guarded walked guided shaded caught kicked washed""".split()
PASSIVE_WITH = """filled covered decorated topped loaded lined stacked stuffed packed garnished wrapped marked
adorned dusted sprinkled painted""".split()
PASSIVE_AT = """parked placed perched seated mounted stacked tied attached hung set dressed displayed arranged
located positioned painted docked wrapped reflected plugged piled folded gathered situated planted buried pinned
carved printed written built""".split()
FINITE = """hold wear eat ride carry throw catch hit kick push pull read use watch feed chase drink touch cover
overlap contain surround support face meet enclose cross hide block lead follow join see enjoy walk pet""".split()
FINITE_AT = "sit stand lie walk run lean rest hang float sleep grow jump lean fly swim play graze look wait".split()

PREPOSITIONS = """on in under near beside behind above below with by at over inside against around between
through across along beneath atop onto outside within toward towards past opposite down up off down""".split()
PLACED = [
    "next to",
    "close to",
    "in front of",
    "on top of",
    "to the left of",
    "to the right of",
    "at the edge of",
    "in the middle of",
    "on the side of",
    "left of",
    "right of",
    "on the left of",
    "on the right of",
    "at the top of",
    "at the bottom of",
    "adjacent to",
    "away from",
    "at the end of",
    "out of",
    "in the center of",
    "on the edge of",
    "on either side of",
    "at the back of",
    "ahead of",
]
FRAMES = "image photo picture photograph scene shot painting photography view frame".split()
SHOWS = "shows depicts displays features showcases captures presents portrays contains illustrates has".split()
CHUNKS = """group/groups pair/pairs bunch/bunches row/rows slice/slices piece/pieces herd/herds stack/stacks
pile/piles set/sets flock/flocks bowl/bowls cup/cups plate/plates couple lot/lots number variety line/lines
collection/collections bottle/bottles bouquet/bouquets team/teams crowd/crowds patch/patches""".split()

ADVERBS = "also currently partially partly directly just clearly slowly still quietly barely".split()
THING_FINITE = "cover touch overlap contain surround support face meet cross hide block enclose join".split()
THING_FINITE_AT = "sit stand lie rest hang float lean".split()
REGULAR = frozenset(
    """cover touch overlap contain surround support cross block follow join enjoy walk pull push kick watch play jump
    float rest look wait lean face enclose""".split()
)
"""Verbs whose past is made with -ed."""

MORE_VERBS = """
repair mend slice chop paint clean open close lift drag inspect examine stir hug kiss lick climb sell buy
serve wash brush cook bake photograph film sketch draw deliver load unload fix build plant pick peel toss
swing block guard pat stroke sniff fold iron assemble polish trim shear milk groom saddle juggle raise lower
hoist tow steer park pour fill empty stack sort collect gather weigh measure point aim fire sweep mop dust
vacuum scrub rinse dry hang knit sew type press hammer drill saw weld grill roast fry boil mix decorate frost
""".split()
"""Further things that people do; their -ing forms are made."""
HANDING = "give hand show offer feed bring pass".split()
