"""What a segmenter can be told."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from stages.artifacts.manifest import Stage
from stages.artifacts.recipes import Execution, Recipe, Weights
from stages.models.recipe import EMBEDDED_SAM

STAGE = Stage(name="segment", version="2")
SAM = Weights(EMBEDDED_SAM, by="model", recorded=False)


class SegmenterRecipe(Recipe):
    """What all segmenters say."""

    READS: ClassVar[tuple[str, ...]] = ("points",)
    """What they read beside samples: points, maps, phrases."""
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    """Which of these they can do without."""


class SamRecipe(SegmenterRecipe):
    """Segment Anything: each image encoded once, all its targets prompted by their points."""

    MODULE: ClassVar = "stages.segment.points"
    READS: ClassVar = ("points", "maps", "phrases")
    OPTIONAL: ClassVar = ("maps", "phrases")

    kind: Literal["segment-anything"] = "segment-anything"
    model: Literal["vit_h", "vit_l", "vit_b", "embedded"] = Field(
        "vit_h",
        description="Which SAM: vit_h is the paper's. Without a checkpoint it is the embedded one, which knows only "
        "the embedded world.",
    )
    checkpoint: Annotated[str | None, SAM] = Field(
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


class TransformersRecipe(SegmenterRecipe):
    """Any model of transformers that takes points: SAM, SAM-HQ, SAM 2 and 2.1, SAM 3's tracker, EdgeTAM. Each image is
    encoded once, and all its targets are prompted by their points."""

    MODULE: ClassVar = "stages.segment.points"
    READS: ClassVar = ("points", "maps", "phrases")
    OPTIONAL: ClassVar = ("maps", "phrases")

    kind: Literal["transformers"] = "transformers"
    path: Annotated[str, Weights(recorded=False)] = Field(description="The model: a local folder, or a hub id.")
    revision: Annotated[str | None, Execution()] = Field(None, description="Commit, tag or branch of a hub id.")
    offline: Annotated[bool, Execution()] = Field(
        True, description="Never touch the network: local folders and the hub cache only."
    )
    answer: Literal["best", "single", "multi"] = Field(
        "best",
        description="Which mask is taken, as with `segment-anything`; where there is a box or a mask beside the "
        "points, best is the single mask.",
    )
    box: Annotated[float | None, Field(gt=0.0, le=1.0)] = Field(
        None,
        description="Also prompt with a box: around the largest region of the phrase's map (its words' mean, "
        "min-max-scaled) at or above this.",
    )
    mask: bool = Field(
        False, description="Also prompt with the phrase's map as a mask: its values as the mask's log odds."
    )


class AttentionRecipe(SegmenterRecipe):
    """No SAM: a phrase's attention map, thresholded (the paper's "plain" variant, appendix)."""

    MODULE: ClassVar = "stages.segment.attention"
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


class ArgmaxRecipe(SegmenterRecipe):
    """No SAM: every pixel goes to the phrase whose map, min-max-scaled and enlarged, responds most there (InvSeg).

    Each phrase's map reaches 1 somewhere, so one that is not in the image takes pixels all the same: a text should
    list what is there (`candidates` of the datasets).
    """

    MODULE: ClassVar = "stages.segment.argmax"
    READS: ClassVar = ("maps", "phrases")

    kind: Literal["argmax"] = "argmax"
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.0,
        description="Pixels where no response reaches this belong to no phrase: background, where a dataset has it as "
        "what is left. 0: every pixel has a phrase; a background that the text names is one like any other.",
    )


class _TextPrompted(SegmenterRecipe):
    MODULE: ClassVar = "stages.segment.text"
    READS: ClassVar = ("phrases",)

    revision: Annotated[str | None, Execution()] = Field(None, description="Commit, tag or branch of a hub id.")
    offline: Annotated[bool, Execution()] = Field(
        True, description="Never touch the network: local folders and the hub cache only."
    )
    answer: Literal["all", "best"] = Field(
        "all", description="A phrase's mask: all that the model finds for it, joined, or the one of highest score."
    )
    predicates: bool = Field(True, description="Predicates get masks too: those of their subject and object, joined.")


class GroundingDinoRecipe(_TextPrompted):
    """Text alone: GroundingDINO finds each phrase's boxes, Segment Anything cuts their masks (LangSAM; Table 9)."""

    kind: Literal["grounding-dino"] = "grounding-dino"
    path: Annotated[str, Weights(recorded=False)] = Field(
        "IDEA-Research/grounding-dino-base", description="GroundingDINO: a local folder, or a hub id (owner/name)."
    )
    box_threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.3, description="Lowest score of a box (LangSAM: 0.3)."
    )
    model: Literal["vit_h", "vit_l", "vit_b", "embedded"] = Field("vit_h", description="Which SAM cuts the masks.")
    checkpoint: Annotated[str | None, SAM] = Field(
        None, description="Path of SAM's weights; the embedded kind finds its own."
    )


class Sam3Recipe(_TextPrompted):
    """Text alone: SAM 3 finds each phrase's masks by itself."""

    kind: Literal["sam3"] = "sam3"
    path: Annotated[str, Weights(recorded=False)] = Field(
        "facebook/sam3", description="SAM 3: a local folder, or a hub id (owner/name)."
    )
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5, description="Lowest score of a mask (that of SAM 3's own examples)."
    )
    mask_threshold: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.5, description="Pixels of a mask at or above this probability belong to it."
    )
