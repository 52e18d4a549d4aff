"""The bands of the rows of a fit, for its table of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.problem import Problem
from fitkit.result import UncertaintySummary
from fitkit.uncertainty.bands import Bands, Spread, bands, scatters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def bands_told(problem: Problem, spread: Spread | None, summary: UncertaintySummary) -> str | None:
    """Return which bands there are, or why there are none; None without rows."""
    if problem.rows is None:
        return None
    if _several(problem):
        return "none: each class has a probability, and bands are of one number"
    if spread is None:
        return f"none: {summary.message}"
    if not scatters(problem):
        return "of confidence; none of prediction: the loss does not say how new targets scatter"
    if summary.residual_variance is None:
        return "of confidence; none of prediction: the sandwich believes in no variance that is common to all rows"
    return "of confidence and of prediction"


def _several(problem: Problem) -> bool:
    """Return whether a prediction is a number for each of several classes."""
    return problem.loss is not None and problem.loss.width != ()


def row_bands(problem: Problem, theta: Vector, spread: Spread | None, summary: UncertaintySummary) -> Bands | None:
    """Return the bands of every row at the minimum theta, shape (free,), or None where there are none."""
    if spread is None or problem.rows is None or summary.level is None or _several(problem):
        return None
    return bands(problem, theta, spread, level=summary.level, residual_variance=summary.residual_variance)
