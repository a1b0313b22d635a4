"""What `score` can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stages.artifacts.manifest import Stage

STAGE = Stage(name="score", version="1")


class ScoreRecipe(BaseModel):
    """How masks are compared with truth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["grounding", "grandf", "grefcoco", "refcoco", "semantic"] = Field(
        "grounding",
        description="grounding: every phrase by its span; the others: the dataset's official metrics beside it",
    )
    replicates: int = Field(1000, ge=0, le=100_000, description="bootstrap resamples of the images; 0: no intervals")
    seed: int = Field(0, ge=0, description="of the bootstrap")
    no_target_area: int = Field(
        0, ge=0, description="grefcoco: a predicted mask of no more pixels than this says that nothing is meant"
    )
    no_target_score: float = Field(
        0.0, ge=0.0, description="grefcoco: a predicted mask whose score is under this says that nothing is meant"
    )
    similarity: str | None = Field(
        None, description="grandf: local folder of a BERT for the similarity of phrases; none: equality of strings"
    )
    background: str | None = Field(
        "background", description="semantic: the class of pixels that no mask claims; none: such pixels are wrong"
    )
