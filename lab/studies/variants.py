"""Variants of inversion and attention, each one option away from the base recipe, part by part.

What a variant changes is derived from the base recipe itself: a switch that is on is turned off and one that is off
turned on, so the study stays one about single options when the base changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PARTS = ("steps", "losses", "draws", "latent", "attention", "finer", "readings", "lora")
PAPERS_RATE = 0.005
ADAPTER = "adapted"
"""Beginning of the names of variants that use the text encoder's adapter."""


@dataclass(frozen=True)
class Variant:
    """One change of the base. Its name is the experiment's, and that of the recipe it changes."""

    name: str
    inverter: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the inverter's recipe that differ from the base's."""
    attender: Mapping[str, Any] = field(default_factory=dict)
    series: str = ""
    """Which curve of a plot it belongs to."""

    @property
    def is_base(self) -> bool:
        return not self.inverter and not self.attender


BASE = Variant("base")


@dataclass(frozen=True)
class Facts:
    """What of a loaded backbone decides which variants there are."""

    layers: tuple[tuple[str, int], ...]
    """Name and resolution of every cross-attention layer, in the order in which the UNet runs them."""
    read: tuple[str, ...]
    """Those that are read by default."""
    side: int


def steps(base: Mapping[str, Any], counts: Sequence[int]) -> list[Variant]:
    """The base's rate and the papers', each at several numbers of steps; no steps at all are common to both.

    base: the complete inverter's recipe.
    """
    found = [Variant(f"steps-{n}", {"steps": n}, series="base") for n in counts if n != base["steps"]]
    if (base["lr"], base["lr_unit"]) != (PAPERS_RATE, "absolute"):
        rate = {"lr": PAPERS_RATE, "lr_unit": "absolute"}
        found += [
            Variant(f"papers-rate-steps-{n}", {"steps": n, **rate}, series="papers' rate") for n in counts if n > 0
        ]
    return found


def losses(base: Mapping[str, Any]) -> list[Variant]:
    """Every switch of the loss and of what learns."""
    return [
        *_switch(base, "mask", {"mask-hard": {}, "mask-soft": {"hard": False}}),
        *_switch(base, "contrast", {"contrast": {}}),
        *_switch(base, "entropy", {"entropy": {}}),
        *_switch(base, "clustering", {"clustering": {}}),
        # Looks as often as lets a run of few steps settle at all.
        *_switch(base, "settle", {"settle": {"every": max(1, base["steps"] // 8)}}),
        *_others(base, "schedule", ["constant", "linear"]),
        *_others(base, "weight_decay", [0.0, 0.01]),
        *_others(base, "known_rate", [0.0, 0.25, 1.0]),
        *_others(base, "initial", ["pretrained", "random-unknown", "random"]),
        *_others(base, "words", ["content", "all"]),
        *_others(base, "pieces", ["each", "joined"]),
        *_others(base, "scale_lr", [False, True]),
        *(Variant(f"lr-x{factor:g}", {"lr": base["lr"] * factor}) for factor in (0.25, 4.0)),
    ]


def draws(base: Mapping[str, Any]) -> list[Variant]:
    """How the noise is drawn: how much of it, in which pairs, and from which levels."""
    counts = [n for n in (2, 4, 8, 16) if n != base["draws"]]
    ranges = [(0, 1000), (0, 500), (500, 1000), (200, 900)]
    return [
        *(Variant(f"draws-{n}", {"draws": n}) for n in counts),
        *_others(base, "antithetic", [False, True]),
        *_others(base, "stratified", [False, True]),
        *(
            Variant(f"learn-t{low}-{high}", {"timesteps": [low, high]})
            for low, high in ranges
            if [low, high] != list(base["timesteps"])
        ),
    ]


def latent(base: Mapping[str, Any]) -> list[Variant]:
    """Every way to the latents at which maps are read. base: the complete attender's recipe."""
    found = [Variant(kind, attender={"kind": kind}) for kind in ("direct", "ddim", "null-text") if kind != base["kind"]]
    if base["kind"] != "noised":
        found.append(Variant("noised", attender={"kind": "noised"}))
    found += [Variant(f"noised-at-{t}", attender={"kind": "single-step", "at": [t]}) for t in (50, 100, 300, 500, 700)]
    return found


def attention(base: Mapping[str, Any], facts: Facts) -> list[Variant]:
    """Which layers, resolutions and steps count."""
    found = []
    here = [name for name, side in facts.layers if side == facts.side]
    for chosen in ([name] for name in here):
        if list(facts.read) != chosen:
            found.append(Variant(f"layer-{short(chosen[0])}", attender={"layers": chosen}))
    if len(here) > 1 and list(facts.read) != here:
        found.append(Variant("layers-all", attender={"layers": here}))
    sides = sorted({side for _, side in facts.layers})
    found += [Variant(f"scale-{side}", attender={"scales": {side: 1.0}}) for side in sides if side < facts.side]
    if len(sides) > 1:
        found.append(Variant("scales-all", attender={"scales": dict.fromkeys(sides, 1.0)}))
    if "timesteps" in base:
        low, high = base["timesteps"]
        middle = (low + high) // 2
        found += [Variant(f"read-t{a}-{b}", attender={"timesteps": [a, b]}) for a, b in ((low, middle), (middle, high))]
        found += [Variant(f"chain-{n}", attender={"steps": n}) for n in (5, 10, 25, 50) if n != base["steps"]]
    return found


def finer(base: Mapping[str, Any], facts: Facts) -> list[Variant]:
    """What is offered for thin and tiny objects."""
    found = [Variant(f"refine-{n}", attender={"refine": n}) for n in (0, 1, 2, 4) if n != base["refine"]]
    for side in sorted({side for _, side in facts.layers if side > facts.side}):
        found.append(Variant(f"scale-{side}", attender={"scales": {side: 1.0}}))
        found.append(Variant(f"scales-{facts.side}-{side}", attender={"scales": {facts.side: 0.5, side: 0.5}}))
    return found


def readings(base: Mapping[str, Any], facts: Facts) -> list[Variant]:
    """How what was read becomes maps: other papers' ways, alone and together. base: the attender's recipe."""
    found = [*_switched(base, "heads", ("mean", "output")), *_switched(base, "rescale", (False, True))]
    found.append(Variant("heads-and-rescale", attender={"heads": "output", "rescale": True}))
    here = [name for name, side in facts.layers if side == facts.side]
    scales = dict.fromkeys(sorted({side for _, side in facts.layers}), 1.0)
    weighed = {"layers": here, "reference": facts.read[-1]}
    found.append(Variant("layers-weighed", attender=weighed))
    found.append(Variant("heads-layers-rescale", attender={"heads": "output", "rescale": True, **weighed}))
    found.append(Variant("scales-stretched", attender={"scales": scales, "stretch": True}))
    # Strengths of iSeg's: VOC's and COCO's. Refined as often as the base, or once where it is not.
    power = max(1, base["refine"])
    found += [Variant(f"sharpen-{e:g}", attender={"refine": power, "sharpen": e}) for e in (0.015, 0.2)]
    found.append(Variant("sharpen-rescale", attender={"refine": power, "sharpen": 0.015, "rescale": True}))
    return found


def _switched(base: Mapping[str, Any], key: str, values: Sequence[Any]) -> list[Variant]:
    return [Variant(f"{key}-{str(one).lower()}", attender={key: one}) for one in values if one != base[key]]


def lora(base: Mapping[str, Any], few: int) -> list[Variant]:
    """No inversion, few steps, and all steps, each without and with the text encoder's adapter. The base is all
    steps without."""
    counts = sorted({0, few, int(base["steps"])})
    found = [Variant(f"steps-{n}", {"steps": n}) for n in counts if n != base["steps"]]
    for n in counts:
        change = {} if n == base["steps"] else {"steps": n}
        found.append(Variant(f"{ADAPTER}-steps-{n}", {"adapter": ADAPTER, **change}))
    return found


def parts(
    names: Iterable[str],
    inverter: Mapping[str, Any],
    attender: Mapping[str, Any],
    facts: Facts,
    *,
    counts: Sequence[int],
    few: int,
) -> dict[str, list[Variant]]:
    """The variants of each part, the base first. inverter, attender: the base's complete recipes."""
    made = {
        "steps": lambda: steps(inverter, counts),
        "losses": lambda: losses(inverter),
        "draws": lambda: draws(inverter),
        "latent": lambda: latent(attender),
        "attention": lambda: attention(attender, facts),
        "finer": lambda: finer(attender, facts),
        "readings": lambda: readings(attender, facts),
        "lora": lambda: lora(inverter, few),
    }
    return {name: [BASE, *made[name]()] for name in names}


def short(layer: str) -> str:
    """A layer's name without what all share: "up_blocks.1.attentions.0.transformer_blocks.0.attn2" is "up1.0"."""
    words = layer.replace("_blocks", "").replace("_block", "").split(".")
    middle = next(place for place, word in enumerate(words) if word.endswith("transformer"))
    numbers = [word for word in words[1:middle] if word.isdigit()]
    if words[middle + 1] != "0":  # models with several to an attention
        numbers.append(words[middle + 1])
    return words[0] + ".".join(numbers)


def _switch(base: Mapping[str, Any], key: str, on: Mapping[str, Any]) -> list[Variant]:
    if base[key]:
        return [Variant(f"{key}-off", {key: None})]
    return [Variant(name, {key: value}) for name, value in on.items()]


def _others(base: Mapping[str, Any], key: str, values: Sequence[Any]) -> list[Variant]:
    """An inverter's key at the values that the base does not have."""
    others = [value for value in values if value != base[key]]
    return [Variant(f"{key.replace('_', '-')}-{_named(value)}", {key: value}) for value in others]


def _named(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
