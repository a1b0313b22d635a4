"""What `scorers:` in the configuration may hold, one model a `kind`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from stages.artifacts.manifest import Stage
from stages.artifacts.no_target import GivenNoTarget
from stages.artifacts.recipes import Recipe, Weights

STAGE = Stage(name="score", version="2")


class ScorerRecipe(Recipe):
    """What all scorers share."""

    replicates: int = Field(1000, ge=0, le=100_000, description="Bootstrap resamples of the images; 0: no intervals.")
    seed: int = Field(0, ge=0, description="Of the bootstrap.")


class Grounding(ScorerRecipe):
    """Every phrase against the mask whose span covers its root noun. All other kinds report this too."""

    MODULE: ClassVar = "stages.score.grounding"

    kind: Literal["grounding"] = "grounding"


class GranDf(ScorerRecipe):
    """GLaMM's figures for grounded captions: AP50 (official order, score 1), mIoU, recall; AP50 and mAP with scores."""

    MODULE: ClassVar = "stages.score.grandf"

    kind: Literal["grandf"] = "grandf"
    similarity: Annotated[str | None, Weights()] = Field(
        None, description="Local folder of a BERT for the similarity of phrases; none: equality of strings."
    )


class Grefcoco(ScorerRecipe):
    """ReLA's figures for expressions with several, one or no targets."""

    MODULE: ClassVar = "stages.score.referring"

    kind: Literal["grefcoco"] = "grefcoco"
    no_target_area: int = Field(
        0, ge=0, description="A predicted mask of no more pixels than this says that nothing is meant."
    )
    no_target_score: float = Field(
        0.0, ge=0.0, description="A predicted mask whose score is under this says that nothing is meant."
    )
    no_target: GivenNoTarget | None = Field(
        None,
        description="A calibrated decision: the file that `anyword study no-target` writes, or what it holds. A "
        "predicted mask that it gives less than its threshold is no answer.",
    )


class Refcoco(ScorerRecipe):
    """LISA's figures for expressions with one target."""

    MODULE: ClassVar = "stages.score.referring"

    kind: Literal["refcoco"] = "refcoco"


class Semantic(ScorerRecipe):
    """mmsegmentation's figures for label maps. The classes are the phrases of the samples' own texts."""

    MODULE: ClassVar = "stages.score.semantic"

    kind: Literal["semantic"] = "semantic"
    background: str | None = Field(
        None, description="The class of pixels that no mask claims; none: such pixels are wrong."
    )
