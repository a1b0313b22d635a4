"""What `reporters:` in the configuration may hold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stages.artifacts.manifest import Stage
from stages.artifacts.recipes import Recipe

STAGE = Stage(name="report", version="1")


class Page(Recipe):
    """A static site: index.html, more pages where there are many samples, pictures beside them."""

    kind: Literal["page"] = "page"
    page_size: int = Field(50, ge=1, le=500, description="Samples a page.")
    max_samples: int = Field(
        1000, ge=0, description="Samples that get a card; the first ones. Scores and failures always cover all."
    )
    picture_size: int = Field(512, ge=64, le=4096, description="Longest side of a picture on the page, in pixels.")
    worst: int = Field(10, ge=0, description="How many of the lowest scores the first page links to.")
