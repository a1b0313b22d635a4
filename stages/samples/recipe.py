"""What `datasets:` in the configuration may hold, one model a `kind`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from stages.artifacts.manifest import Stage
from stages.artifacts.recipes import Execution, Location, Options, Recipe, Weights

INDEX = Stage(name="index", version="1")
STAGE = Stage(name="samples", version="2")


class DatasetRecipe(Recipe):
    """What all datasets share. `root` and `texts`, where a kind has them, are options of the commands."""

    shard_size: int = Field(
        64, ge=1, le=100_000, description="Samples a shard: one job of the workflow, so that a model loads once."
    )


class WorldDataset(DatasetRecipe):
    """Scenes of the embedded world, drawn from their number alone; truth is exact."""

    MODULE: ClassVar = "stages.samples.world"

    kind: Literal["world"] = "world"
    split: Literal["train", "val", "test"] = Field("test", description="Range of seeds; splits never overlap.")
    first: int = Field(0, ge=0, description="Number of the first scene.")
    count: int = Field(8, ge=1, description="How many scenes.")
    synonyms: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Chance that a caption says one phrase in words that the embedded models never saw, where its "
        "scene has a shape with such a name. Default: 0.46 in val and test (one caption in three does), none in "
        "train. An adapter can learn those words only from pairs that hold them.",
    )


class NoisyWorldDataset(DatasetRecipe):
    """The embedded world with its captions perturbed, for studies of noise (Segment Anyword, G.2)."""

    MODULE: ClassVar = "stages.samples.perturbed"

    kind: Literal["noisy-world"] = "noisy-world"
    noise: Literal["typos", "broken_grammar", "capitals"] = Field(
        "typos",
        description="typos: inner letters of every fourth longer word change places. broken_grammar: articles and "
        "forms of 'be' are left out. capitals: all in capitals.",
    )
    split: Literal["train", "val", "test"] = Field("test", description="Range of seeds; splits never overlap.")
    first: int = Field(0, ge=0, description="Number of the first scene.")
    count: int = Field(8, ge=1, description="How many scenes.")


class RewrittenWorldDataset(DatasetRecipe):
    """The embedded world, each caption followed by 2 to 5 paraphrases of it in synonyms (Segment Anyword, 2.2, C.1)."""

    MODULE: ClassVar = "stages.samples.paraphrased"

    kind: Literal["rewritten-world"] = "rewritten-world"
    split: Literal["train", "val", "test"] = Field("test", description="Range of seeds; splits never overlap.")
    first: int = Field(0, ge=0, description="Number of the first scene.")
    count: int = Field(8, ge=1, description="How many scenes; samples are four and a half times as many.")
    rewrite: Literal["subject", "all"] = Field(
        "subject",
        description="Whose words change: the referred phrase (else one drawn), as the paper's section 2.2 has it, or "
        "every phrase, as its C.1.",
    )
    seed: int = Field(0, ge=0, description="Of the words and of how many paraphrases a caption gets.")


class ExpressionWorldDataset(DatasetRecipe):
    """Scenes of the embedded world with a short expression of one object each, or of none (as gRefCOCO has them)."""

    MODULE: ClassVar = "stages.samples.expressions"

    kind: Literal["expression-world"] = "expression-world"
    absent: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Share of the expressions that name an object that is not there: its noun, or its colour, is "
        "exchanged for one that the scene does not have. Their truth is empty.",
    )
    seed: int = Field(0, ge=0, description="Of the expressions and of which name nothing.")
    split: Literal["train", "val", "test"] = Field("test", description="Range of seeds; splits never overlap.")
    first: int = Field(0, ge=0, description="Number of the first scene.")
    count: int = Field(8, ge=1, description="How many scenes.")


class ClassWorldDataset(DatasetRecipe):
    """Scenes of the embedded world as label maps: a text lists the image's classes, and every pixel has one."""

    MODULE: ClassVar = "stages.samples.class_lists"

    kind: Literal["class-world"] = "class-world"
    classes: Literal["phrases", "colours", "nouns"] = Field(
        "phrases", description="What makes a class of objects: 'striped red circle', 'red' or 'circle'; grounds beside."
    )
    synonyms: bool = Field(False, description="Objects' classes in words that the embedded models never saw.")
    candidates: Literal["truth", "all"] = Field(
        "truth", description="Which classes a text lists: those in the image, or all (of colours and nouns)."
    )
    split: Literal["train", "val", "test"] = Field("test", description="Range of seeds; splits never overlap.")
    first: int = Field(0, ge=0, description="Number of the first scene.")
    count: int = Field(8, ge=1, description="How many scenes.")

    @model_validator(mode="after")
    def _listable(self) -> ClassWorldDataset:
        if self.candidates == "all" and (self.classes == "phrases" or self.synonyms):
            raise ValueError("candidates: all needs classes: colours or nouns, without synonyms")
        return self


class FolderDataset(DatasetRecipe):
    """A folder of images and one table of texts (CSV or JSONL)."""

    MODULE: ClassVar = "stages.samples.folder"

    kind: Literal["folder"] = "folder"
    root: Annotated[str, Location()] = Field(description="Folder of the images; relative to where snakemake runs.")
    texts: Annotated[str, Location()] = Field(
        description="CSV or JSONL file with the columns id, image (path below root) and text; optional: split, "
        "group (the same for all paraphrases of one expression: the original's id), "
        "tags (JSON list), phrases (JSON list of strings or of {start, end, root_start, root_end, adjectives, tags}), "
        "masks (JSON list, one a phrase: a mask image's path below root, COCO's RLE {size, counts}, or null)."
    )


class _Annotated(DatasetRecipe):
    root: Annotated[str, Location()] = Field(description="Folder of the images, or one above it in a known layout.")
    texts: Annotated[str, Location()] = Field(
        description="Folder of the annotation files, or one above it in a known layout."
    )


class RefcocoDataset(_Annotated):
    """RefCOCO, RefCOCO+ or RefCOCOg: {texts}/{name}/refs({by}).p and instances.json; one sample a sentence."""

    MODULE: ClassVar = "stages.samples.readers.referring"

    kind: Literal["refcoco"] = "refcoco"
    name: Literal["refcoco", "refcoco+", "refcocog"] = "refcoco"
    by: Literal["unc", "umd", "google"] = Field("unc", description="Who split it: unc; umd or google for refcocog.")
    split: Literal["train", "val", "test", "testA", "testB"] = Field("val", description="test: testA and testB.")
    sentence: Literal["raw", "sent"] = Field("raw", description="As written, or cleaned (lower case).")


class GrefcocoDataset(_Annotated):
    """gRefCOCO: {texts}/grefcoco/grefs(unc).json (or .p) and instances.json; several, one or no targets."""

    MODULE: ClassVar = "stages.samples.readers.referring"

    kind: Literal["grefcoco"] = "grefcoco"
    name: str = Field("grefcoco", description="Folder below `texts`.")
    by: Literal["unc"] = "unc"
    split: Literal["train", "val", "test", "testA", "testB"] = Field("val", description="test: testA and testB.")
    sentence: Literal["raw", "sent"] = Field("raw", description="As written, or cleaned (lower case).")


class GranDfDataset(_Annotated):
    """GranDf: grounded captions. The official figures are of part gcg, splits val and test."""

    MODULE: ClassVar = "stages.samples.readers.grandf"

    kind: Literal["grandf"] = "grandf"
    part: Literal["gcg", "ha", "psg", "refcocog", "flickr"] = Field("gcg", description="gcg, or a training part.")
    split: Literal["train", "val", "test"] = "val"

    @model_validator(mode="after")
    def _has_split(self) -> GranDfDataset:
        there = {"gcg": ("val", "test"), "ha": ("train",)}.get(self.part, ("train", "val"))
        if self.split not in there:
            raise ValueError(f"part {self.part} has the splits {', '.join(there)}, not {self.split}")
        return self


class CandidateFilter(Options):
    """How `candidates: blip-clip` finds an image's classes; the rule is `stages.samples.candidates.select`."""

    blip: Annotated[str, Weights(recorded=False)] = Field(
        "Salesforce/blip-image-captioning-large",
        description="Local folder, or hub id, of a BlipForConditionalGeneration with its processor.",
    )
    clip: Annotated[str, Weights(recorded=False)] = Field(
        "openai/clip-vit-large-patch14",
        description="Local folder, or hub id, of a CLIPModel with its processor.",
    )
    offline: Annotated[bool, Execution()] = Field(
        True, description="Never touch the network: local folders and the hub cache only."
    )
    template: str = Field("a photo of a {}.", description="What CLIP reads for a class; {} is its name.")
    beams: int = Field(3, ge=1, le=16, description="Beams of BLIP's search; 1 is greedy.")
    max_tokens: int = Field(30, ge=1, le=200, description="Longest caption, in tokens.")
    certain: float = Field(
        0.97,
        ge=0.0,
        le=1.0,
        description="A class that the caption does not name is a candidate if CLIP gives it this probability or more "
        "among all classes.",
    )
    doubtful: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="A class that the caption names is none if CLIP gives it less than this. 0: captions are believed.",
    )
    most: int = Field(15, ge=1, description="Candidates of an image, without the background, at most.")
    aliases: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="More words for a class, by its name, beside those built in."
    )

    @field_validator("template")
    @classmethod
    def _has_a_place(cls, value: str) -> str:
        if value.count("{}") != 1 or value.replace("{}", "").count("{") or value.replace("{}", "").count("}"):
            raise ValueError("must hold {} once, where the class's name goes")
        return value


class _Semantic(DatasetRecipe):
    MODULE: ClassVar = "stages.samples.readers.semantic"

    root: Annotated[str, Location()] = Field(
        description="Folder that holds images and label maps, or one above it in a known layout."
    )
    split: str = Field("val", pattern=r"^[A-Za-z0-9_]+$", description="Name of the list of ids.")
    candidates: Literal["truth", "all", "blip-clip"] = Field(
        "truth",
        description="Which classes a text names: those in the image (InvSeg's GT), all, or those that BLIP and CLIP "
        "find in it (InvSeg's own).",
    )
    filter: CandidateFilter = Field(
        default_factory=lambda: CandidateFilter.model_validate({}),
        description="With candidates: blip-clip, how they are found.",
    )
    window: int = Field(25, ge=1, description="Classes a text where all are candidates: an encoder has 77 tokens.")
    classes: tuple[str, ...] = Field((), description="Names of the values from 1 on; none: the dataset's own.")


class VocDataset(_Semantic):
    """Pascal VOC 2012: 20 classes and the background."""

    kind: Literal["voc"] = "voc"
    background: bool = Field(True, description="Whether value 0 is a class.")
    labels: Literal["SegmentationClass", "SegmentationClassAug"] = "SegmentationClass"


class ContextDataset(_Semantic):
    """Pascal Context: 59 classes (value 0 ignored), or 60 with the background."""

    kind: Literal["context"] = "context"
    background: bool = Field(False, description="false: PC-59, true: PC-60.")


class CocoObjectDataset(_Semantic):
    """COCO-Object: 80 classes and the background, from GroupViT's label maps."""

    kind: Literal["coco-object"] = "coco-object"
    background: bool = Field(True, description="Whether value 0 is a class.")
