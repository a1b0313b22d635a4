"""What every COCO file of ours begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages import __version__


def coco_head(categories: Mapping[str, int]) -> dict[str, Any]:
    """`info`, `licenses` and `categories` (number by name, each name once): readers stop where one is missing."""
    return {
        "info": {"description": "masks of phrases, by segment-anyword", "version": __version__, "contributor": ""},
        "licenses": [],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()],
    }
