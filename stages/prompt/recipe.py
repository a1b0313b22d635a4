"""What a prompter can be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stages.artifacts import Stage
from stages.artifacts.recipes import Recipe

STAGE = Stage(name="prompt", version="3")

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class PrompterRecipe(Recipe):
    """Points from maps (Segment Anyword, sections 2.3 and 2.4). Each binding rule can be switched off by itself."""

    kind: Literal["points"] = "points"
    threshold: Fraction = Field(
        0.7, description="High response: cells of the min-max-scaled map at or above this (paper: 0.7)."
    )
    resolution: int = Field(
        64,
        ge=8,
        le=512,
        description="Maps are interpolated bilinearly to this many cells a side before they are thresholded.",
    )
    sampling: Literal["uniform", "response", "centre"] = Field(
        "uniform",
        description="A point is drawn uniformly from the largest connected region (paper), in proportion to the "
        "response there, or as the region's cells farthest from its rim.",
    )
    positive_points: Literal["paper"] | int = Field(
        "paper",
        description="Positive points a phrase: 'paper' is one from the noun and one from each adjective, but at "
        "least two; a number is drawn from noun and adjectives in turn. Without adjectives all are the noun's.",
    )
    adjectives: bool = Field(
        True, description="R1: positives also from the maps of the noun's adjectives. Off: as many from the noun."
    )
    numerals: bool = Field(
        False,
        description="Whether a numeral ('two dogs') gives points as other adjectives do. It says how many, not what: "
        "its map is no place.",
    )
    adjective_map: Literal["own", "joined"] = Field(
        "own",
        description="An adjective's points come from its own map (paper), or from its map times the noun's, which "
        "keeps 'red' from pointing at another red thing.",
    )
    noun_map: Literal["own", "joined"] = Field(
        "own",
        description="A noun's points come from its own map (paper), or, where adjectives are on, from its map times "
        "the mean of its adjectives', which tells 'a red circle' from 'a blue circle'.",
    )
    exclusion: bool = Field(
        True, description="R2: the positives of every other phrase are negatives of this one (paper, section 2.4)."
    )
    negatives_a_phrase: int = Field(2, ge=1, le=8, description="At most this many negatives from each other phrase.")
    competition: Fraction = Field(
        0.0,
        description="With exclusion: this share of the strongest other phrase's map is taken off a phrase's own map "
        "before it is thresholded. 0 is the paper.",
    )
    drop_contested: bool = Field(
        True, description="A negative inside the target's own high-response region, or on its own word, is dropped."
    )
    possessors_exclusive: bool = Field(
        False, description="Whether an owner and its part ('the boy's shirt') are each other's negatives."
    )
    background_points: tuple[int, int] = Field(
        (1, 3),
        description="Negatives outside the object where a text has a single phrase: between these two (paper: 1 to "
        "3). (0, 0) switches them off.",
    )
    background_threshold: Fraction = Field(
        0.2, description="Background: cells of the min-max-scaled map at or below this, dilated region left out."
    )
    predicates: bool = Field(True, description="Predicates become targets: positives of their subject and object.")
    seed: int = Field(0, ge=0, description="Seeds every draw, with the sample's id and the target.")
