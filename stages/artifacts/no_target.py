"""Does an expression mean anything? The probability that a mask's object is there, from what its row says of it.

A logistic regression on a few columns of the masks table (Platt, 1999: a score made a probability by a sigmoid), fitted
by `anyword study no-target` and kept as a small JSON. gRefCOCO asks for the answer "nothing" (Liu et al., CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stages.artifacts.errors import AnywordError

if TYPE_CHECKING:
    from jaxtyping import Float64

Row = Mapping[str, Any]
Feature = Literal["score", "contrast", "attention", "agreement"]
"""Columns of the masks table that a decision may weigh."""


class NoTarget(BaseModel):
    """A fitted decision: probability = sigmoid(bias + sum of weight * value), under `threshold` nothing is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["no-target"] = "no-target"
    weights: dict[Feature, float] = Field(min_length=1, description="Weight of each column, in the column's own unit.")
    bias: float = Field(description="The logit where all columns are 0.")
    threshold: float = Field(0.5, ge=0.0, le=1.0, description="A mask of a lower probability is no answer.")
    fitted_on: str = Field("", description="Where the numbers come from, for people.")

    @model_validator(mode="after")
    def _finite(self) -> NoTarget:
        if not np.isfinite([self.bias, *self.weights.values()]).all():
            raise ValueError("weights and bias must be finite")
        return self

    def probabilities(self, rows: Sequence[Row]) -> Float64[np.ndarray, " rows"]:
        """The probability of each row of the masks table that its object is there.

        Raises:
            AnywordError: a column that the decision weighs is missing.
        """
        from scipy.special import expit

        return np.asarray(expit(self.bias + features(rows, list(self.weights)) @ np.array(list(self.weights.values()))))

    def means_something(self, row: Row) -> bool:
        return float(self.probabilities([row])[0]) >= self.threshold


def features(rows: Sequence[Row], names: Sequence[str]) -> Float64[np.ndarray, "rows features"]:
    """The columns `names` of masks' rows as numbers; AnywordError where one has no value."""
    for name in names:
        if any(row.get(name) is None for row in rows):
            raise AnywordError(
                f"the masks have no '{name}', which the no-target decision weighs.",
                remedy="Run segment again, with maps and phrases (the workflow gives it both).",
            )
    return np.array([[float(row[name]) for name in names] for row in rows], dtype=np.float64).reshape(-1, len(names))


def read_no_target(path: Path) -> NoTarget:
    """The decision in a JSON file; AnywordError where it is missing or none."""
    try:
        return NoTarget.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AnywordError(
            f"{path}: cannot be read ({error.strerror}).", remedy="Make it with `anyword study no-target`."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AnywordError(f"{path}: no no-target decision ({where or 'file'}: {first['msg']}).") from None


def _from_file(value: Any) -> Any:
    return read_no_target(Path(value)).model_dump() if isinstance(value, str) else value


GivenNoTarget = Annotated[NoTarget, BeforeValidator(_from_file, json_schema_input_type=NoTarget | str)]
"""In a recipe: the decision itself, or the path of its file, whose numbers then stand in the recipe. So a result is
decided by the numbers, never by where they lay."""
