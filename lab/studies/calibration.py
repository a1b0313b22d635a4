"""Fitting a probability to yes-no answers, and how honest it is.

Logistic regression with a little ridge (Bishop, Pattern Recognition and Machine Learning, 4.3.3),
reliability by equal bins and the expected calibration error (Naeini et al., AAAI 2015; Guo et al., ICML 2017).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.artifacts.errors import AnywordError
from stages.artifacts.no_target import NoTarget
from stages.score.bootstrap import resamples

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

RIDGE = 1.0
"""Penalty on the squared weights of standardised columns: keeps them finite where few samples are told apart without an
error. scikit-learn's default (C = 1)."""


def fit_logistic(
    values: Float64[np.ndarray, "samples features"], answers: Bool[np.ndarray, " samples"], *, ridge: float = RIDGE
) -> tuple[Float64[np.ndarray, " features"], float]:
    """Weights in the columns' own units, and the bias, that maximise the penalised likelihood.

    Columns are standardised first, so that the penalty means the same for each; the bias is not penalised, so the mean
    probability is the share of yes. A constant column gets weight 0.

    Raises:
        AnywordError: all answers are the same.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    if answers.all() or not answers.any():
        raise AnywordError(
            "a decision needs expressions with and without a target to be fitted on.", remedy="Use more scenes."
        )
    mean, spread = values.mean(axis=0), values.std(axis=0)
    used = spread > 1e-12
    scaled = np.where(used, (values - mean) / np.where(used, spread, 1.0), 0.0)
    design = np.column_stack([scaled, np.ones(len(values))])
    penalty = np.append(np.full(values.shape[1], ridge), 0.0)
    weights = np.zeros(design.shape[1])
    weights[-1] = np.log(answers.mean() / (1 - answers.mean()))

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        logits = design @ w
        value = np.logaddexp(0, logits).sum() - logits[answers].sum() + 0.5 * (penalty * w * w).sum()
        return float(value), design.T @ (expit(logits) - answers) + penalty * w

    def curvature(w: np.ndarray) -> np.ndarray:
        p = expit(design @ w)
        return design.T @ (design * (p * (1 - p))[:, None]) + np.diag(penalty)

    weights = minimize(loss, weights, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-8}).x
    own = np.where(used, weights[:-1] / np.where(used, spread, 1.0), 0.0)
    return own, float(weights[-1] - own @ mean)


def best_for_giou(mean_iou: float) -> float:
    """The probability under which "nothing" is the better answer for gIoU, if it is honest.

    "Nothing" is expected to bring 1 - p, the mask p times the mean IoU of masks of what is there; they are equal at
    1 / (1 + mean IoU).
    """
    return 1.0 / (1.0 + mean_iou)


def decision(
    columns: Mapping[str, Sequence[float]],
    answers: Sequence[bool],
    *,
    mean_iou: float,
    fitted_on: str,
    ridge: float = RIDGE,
) -> NoTarget:
    """A decision fitted on expressions: `columns` of their masks, and whether each has a target."""
    values = np.column_stack([np.asarray(one, dtype=np.float64) for one in columns.values()])
    weights, bias = fit_logistic(values, np.asarray(answers, dtype=bool), ridge=ridge)
    return NoTarget(
        weights={name: round(float(w), 6) for name, w in zip(columns, weights, strict=True)},  # type: ignore[misc]
        bias=round(bias, 6),
        threshold=round(best_for_giou(mean_iou), 6),
        fitted_on=fitted_on,
    )


def reliability(
    probabilities: Float64[np.ndarray, " samples"], answers: Bool[np.ndarray, " samples"], bins: int = 10
) -> list[dict[str, Any]]:
    """A row a bin of equal width: its bounds, how many samples, the mean probability and the share of yes in it."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    rows = []
    for number in range(bins):
        here = place == number
        rows.append(
            {
                "from": number / bins,
                "to": (number + 1) / bins,
                "count": int(here.sum()),
                "predicted": float(probabilities[here].mean()) if here.any() else None,
                "observed": float(answers[here].mean()) if here.any() else None,
            }
        )
    return rows


def calibration_error(
    probabilities: Float64[np.ndarray, " samples"], answers: Bool[np.ndarray, " samples"], bins: int = 10
) -> float:
    """ECE: the bins' gaps between predicted and observed, weighted by their samples."""
    rows = [row for row in reliability(probabilities, answers, bins) if row["count"]]
    return sum(row["count"] * abs(row["predicted"] - row["observed"]) for row in rows) / len(probabilities)


def brier(probabilities: Float64[np.ndarray, " samples"], answers: Bool[np.ndarray, " samples"]) -> float:
    """Mean squared distance of probability and answer (Brier, 1950)."""
    return float(np.mean((probabilities - answers) ** 2))


def auc(values: Float64[np.ndarray, " samples"], answers: Bool[np.ndarray, " samples"]) -> float | None:
    """The chance that a yes has the higher value of a pair of a yes and a no (ties count half); None without pairs."""
    from scipy.stats import rankdata

    yes, no = int(answers.sum()), int((~answers).sum())
    if not yes or not no:
        return None
    return float((rankdata(values)[answers].sum() - yes * (yes + 1) / 2) / (yes * no))


def resampled(
    figure: Any,
    images: Sequence[Hashable],
    *,
    replicates: int,
    seed: int,
) -> tuple[float | None, float | None]:
    """2.5 % and 97.5 % quantiles of `figure(indices)` over resampled images; undefined ones are left out."""
    position: dict[Hashable, list[int]] = {}
    for index, image in enumerate(images):
        position.setdefault(image, []).append(index)
    groups = [np.array(one) for one in position.values()]
    found = []
    for counts in resamples(len(groups), replicates, seed):
        for row in counts:
            value = figure(np.concatenate([np.repeat(one, n) for one, n in zip(groups, row, strict=True) if n]))
            if value is not None and np.isfinite(value):
                found.append(value)
    if not found:
        return None, None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
