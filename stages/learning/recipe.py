"""What a user may say about losses beside the diffusion loss. Light: no torch."""

from __future__ import annotations

from pydantic import Field

from stages.artifacts.recipes import Options


class Mask(Options):
    """MCPL's Attn-Mask: the loss counts where the learning words attend, by the maps of the same forward pass."""

    hard: bool = Field(True, description="Cells above the threshold count in full and others not at all.")
    threshold: float = Field(0.3, ge=0, lt=1, description="Share of the highest cell.")


class Contrast(Options):
    """MCPL's PromptCL: words of one run ("striped red circle") together, those of other runs apart."""

    temperature: float = Field(0.3, gt=0, description="Tau; 0.3 is Segment Anyword's.")
    weight: float = Field(0.00075, ge=0, description="Gamma; 0.00075 is Segment Anyword's.")


class Entropy(Options):
    """An entropy term after InvSeg's: every place of the image is to ask one phrase, so an unknown one finds what is
    left. InvSeg takes maps that self-attention refined, averaged over augmented views; here they are cross-attention,
    averaged over noise draws."""

    weight: float = Field(0.1, gt=0, description="Beside the diffusion loss, which is near 0.05.")


class Clustering(Options):
    """InvSeg's contrastive soft clustering beside the diffusion loss: places that ask one phrase are to be such as
    attend alike, places that ask two such as do not. A phrase is a run of words ("striped red circle")."""

    weight: float = Field(0.01, gt=0, description="Beside the diffusion loss, which is near 0.05.")
    scale: float = Field(4.0, gt=0, description="As InvSeg's: anchors are sigmoid(scale (M - centre)).")
    centre: float = Field(0.5, ge=0, le=1, description="The map's value at which a cell is half an anchor.")
    refine: int = Field(1, ge=0, le=8, description="How often maps are spread along self-attention before.")
