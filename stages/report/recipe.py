"""What `reporters:` in the configuration may hold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stages.artifacts.manifest import Stage
from stages.artifacts.recipes import Recipe

STAGE = Stage(name="report", version="2")


class Page(Recipe):
    """A static site: a gallery of the samples and a view of each, its data beside it."""

    kind: Literal["page"] = "page"
    max_samples: int = Field(
        20_000,
        ge=1,
        description="Samples that the page holds. Of more, half are the most suspicious ones and half are drawn at "
        "random. Scores and failures always cover all.",
    )
    picture_size: int = Field(512, ge=64, le=4096, description="Longest side of a picture on the page, in pixels.")
