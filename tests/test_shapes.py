"""The shapes that signatures state are checked while tests run, and only then."""

import subprocess
import sys

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from stages.artifacts.maps import WordMaps, resized
from stages.models.pixels import to_pixels


def test_a_dataclass_refuses_fields_whose_shapes_or_dtypes_do_not_agree():
    rows = np.zeros(2, dtype=np.int32)
    WordMaps(np.zeros((2, 16, 16), dtype=np.float32), rows, rows, rows)
    for wrong in (np.zeros((3, 16, 16), dtype=np.float32), np.zeros((2, 16, 16), dtype=np.float64)):
        with pytest.raises(TypeCheckError):
            WordMaps(wrong, rows, rows, rows)


def test_a_method_is_checked():
    rows = np.zeros(1, dtype=np.int32)
    maps = WordMaps(np.zeros((1, 16, 16), dtype=np.float32), rows, rows, rows)
    object.__setattr__(maps, "maps", np.zeros((1, 1, 16, 16), dtype=np.float32))
    with pytest.raises(TypeCheckError, match="return value"):
        maps.of_sample(0)


def test_a_function_refuses_an_array_of_another_rank():
    with pytest.raises(TypeCheckError, match="values"):
        resized(np.zeros((3, 16, 16), dtype=np.float32), (4, 4))


def test_names_that_a_module_imports_for_type_checkers_only_are_resolved():
    with pytest.raises(TypeCheckError, match="image"):
        to_pixels(np.zeros((8, 8), dtype=np.uint8), (8, 8))
    with pytest.raises(TypeCheckError, match="image"):
        to_pixels(np.zeros((8, 8, 3), dtype=np.float32), (8, 8))
    assert to_pixels(np.zeros((8, 8, 3), dtype=np.uint8), (4, 6)).shape == (3, 4, 6)


def test_the_product_runs_without_what_checks_shapes():
    code = "import sys; sys.modules.update(jaxtyping=None, beartype=None)\n"
    code += "import anyword, stages.invert.textual, stages.attend.averager, stages.artifacts.maps"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
