"""One image and one sentence through all stages, as `anyword segment` does it."""

from __future__ import annotations

import io
import shutil
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anyword.dataset import open as open_dataset
from anyword.sample import Sample
from stages.artifacts.atomic import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image


def segment(
    image: str | Path | np.ndarray | Image,
    text: str,
    *,
    out: str | Path | None = None,
    backbone: str | None = None,
    sam: str | None = None,
    parser: str | None = None,
    inverter: str | None = None,
    adapter: str | Path | None = None,
    experiment: str = "spacy",
    config: str | Path | None = None,
    device: str = "auto",
    offline: bool = True,
) -> Sample:
    """Segment every phrase of a sentence in an image.

    image: a path, a PIL image, or an array (height x width x 3, uint8, RGB). out: folder for masks, overlay, COCO JSON
    and the page; a second call there keeps what has not changed. Without it a temporary folder is used, which lasts as
    long as the sample. backbone, sam: models by path or name; without them the embedded ones, which know no
    photographs. The other options are those of the command: `anyword segment --help`.

    Raises:
        AnywordError: the image cannot be processed, or a model is not there; the message says what to do.
    """
    from stages.choice import with_models
    from stages.single import DATASET
    from stages.single import segment as run

    keep = _Folder() if out is None else None
    folder = Path(keep.name) if keep is not None else Path(str(out))
    path = Path(image) if isinstance(image, (str, Path)) else _saved(image, folder / "image.png")
    models = {"backbone": backbone, "sam": sam, "parser": parser, "inverter": inverter}
    whole = with_models(
        path, experiment=experiment, config=Path(config) if config is not None else None, offline=offline, **models
    )
    trained = Path(adapter) if adapter is not None else None
    run(path, text, folder, config=whole, experiment=experiment, adapter=trained, device=device)
    made: Any = open_dataset(folder / "stages" / DATASET, images=path.parent)
    return replace(made[experiment][0], _keep=keep)


class _Folder:
    """A temporary folder that lasts as long as what holds this; `TemporaryDirectory` warns when it is left to that."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="anyword-")
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)


def _saved(image: np.ndarray | Image, path: Path) -> Path:
    from PIL import Image

    data = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(data, format="png")
    write_bytes(path, data.getvalue())
    return path
