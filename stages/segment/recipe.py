"""What a segmenter can be told."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stages.artifacts.manifest import Stage

STAGE = Stage(name="segment", version="2")


class SamRecipe(BaseModel):
    """Segment Anything: each image encoded once, all its targets prompted by their points."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    READS: ClassVar = ("points", "maps", "phrases")

    kind: Literal["segment-anything"] = "segment-anything"
    model: Literal["vit_h", "vit_l", "vit_b", "embedded"] = Field(
        "vit_h",
        description="Which SAM: vit_h is the paper's. Without a checkpoint it is the embedded one, which knows only "
        "the embedded world.",
    )
    checkpoint: str | None = Field(
        None, description="Path of the weights (.pth or .safetensors); the embedded kind finds its own."
    )
    answer: Literal["best", "single", "multi"] = Field(
        "best",
        description="Which of SAM's masks is taken. best: for one point, which is ambiguous, the mask of highest "
        "predicted IoU among three; for several points the single mask (as SAM's authors advise). single: always the "
        "single mask. multi: always the best of three.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_checkpoint(cls, values: Any) -> Any:
        if isinstance(values, dict) and "model" not in values and values.get("checkpoint") is None:
            return {**values, "model": "embedded"}
        return values


class AttentionRecipe(BaseModel):
    """No SAM: a phrase's attention map, thresholded (the paper's "plain" variant, appendix)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    READS: ClassVar = ("maps", "phrases")

    kind: Literal["attention"] = "attention"
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5, description="Pixels of the min-max-scaled map at or above this are the mask (paper: 0.5)."
    )
    words: Literal["noun", "mean", "product"] = Field(
        "noun",
        description="A phrase's map: its noun's, or the mean or the product of its noun's and its adjectives' maps, "
        "each min-max-scaled.",
    )
    predicates: bool = Field(True, description="Predicates get masks too: those of their subject and object, joined.")


class _TextPrompted(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    READS: ClassVar = ("phrases",)

    revision: str | None = Field(None, description="Commit, tag or branch of a hub id.")
    offline: bool = Field(True, description="Never touch the network: local folders and the hub cache only.")
    answer: Literal["all", "best"] = Field(
        "all", description="A phrase's mask: all that the model finds for it, joined, or the one of highest score."
    )
    predicates: bool = Field(True, description="Predicates get masks too: those of their subject and object, joined.")


class GroundingDinoRecipe(_TextPrompted):
    """Text alone: GroundingDINO finds each phrase's boxes, Segment Anything cuts their masks (LangSAM; Table 9)."""

    kind: Literal["grounding-dino"] = "grounding-dino"
    path: str = Field(
        "IDEA-Research/grounding-dino-base", description="GroundingDINO: a local folder, or a hub id (owner/name)."
    )
    box_threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.3, description="Lowest score of a box (LangSAM: 0.3)."
    )
    model: Literal["vit_h", "vit_l", "vit_b", "embedded"] = Field("vit_h", description="Which SAM cuts the masks.")
    checkpoint: str | None = Field(None, description="Path of SAM's weights; the embedded kind finds its own.")


class Sam3Recipe(_TextPrompted):
    """Text alone: SAM 3 finds each phrase's masks by itself."""

    kind: Literal["sam3"] = "sam3"
    path: str = Field("facebook/sam3", description="SAM 3: a local folder, or a hub id (owner/name).")
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5, description="Lowest score of a mask (that of SAM 3's own examples)."
    )
    mask_threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5, description="Pixels of a mask at or above this probability belong to it."
    )


PLACE = frozenset({"path", "revision", "offline", "checkpoint"})
"""Where weights lie decides no result, their hash does: the same files elsewhere are the same recipe."""
