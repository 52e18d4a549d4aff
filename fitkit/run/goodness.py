"""Goodness of fit: predictions, sums of squares, chi-square and R squared, where they mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array, kernel
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.residual import FormulaResidual
from fitkit.optimizers.affordable import affords_triangle
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.problem import Problem
from fitkit.result import FitSummary
from fitkit.run.numbers import number
from fitkit.types import Rows, Theta
from fitkit.uncertainty.covariance import degrees_of_freedom

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


@kernel()
def _predictions(problem: Problem, theta: Theta) -> Rows:
    """Return predictions on the scale of the target, shape (rows,)."""
    if problem.rows is None or problem.loss is None:
        raise AssertionError("predictions need rows")
    return problem.loss.mean(problem.fitted(theta, problem.rows).prediction)


@kernel()
def _deviations(problem: Problem, theta: Theta) -> Rows:
    """Return how far each prior is from its mean, in its sigma, shape (priors,)."""
    return problem.deviations(theta)


@kernel()
def _written_squares(problem: Problem, theta: Theta) -> Rows:
    """Return the squares of residuals that are written as a formula, shape (rows,)."""
    if problem.rows is None:
        raise AssertionError("residuals need rows")
    return problem.row_costs(theta, problem.rows)


def predictions_at(problem: Problem, theta: Vector) -> Vector | None:
    """Return predictions on the scale of the target at theta, shape (rows,); None for a pure objective."""
    import numpy as np

    if problem.rows is None:
        return None
    if problem.least_squares and len(theta) > 0 and not problem.trained and affords_triangle(problem):
        return LeastSquares(problem).predictions(theta)  # by the program that the search used
    point = array(theta, problem.lower.dtype)
    work = len(problem.rows) * max(1, len(theta))
    return np.asarray(_predictions.for_one_call(work)(problem, point), np.float64)


def chi_square_of_priors(problem: Problem, theta: Vector) -> float:
    """Return the sum of ((value - mean) / sigma)² over the priors at theta."""
    import numpy as np

    if not problem.priors:
        return 0.0
    deviations = np.asarray(_deviations.light(problem, array(theta, problem.lower.dtype)), np.float64)
    return float(deviations @ deviations)


def _squares(problem: Problem, theta: Vector, predictions: Vector) -> Vector:
    """Return the squared residuals: target less prediction, or what the loss says a residual is, shape (rows,)."""
    import numpy as np

    if problem.rows is None:
        raise AssertionError("residuals need rows")
    if not isinstance(problem.loss, FormulaResidual):
        squares: Vector = (np.asarray(problem.rows.target, np.float64) - predictions) ** 2
        return squares
    found = _written_squares.for_one_call(len(problem.rows))(problem, array(theta, problem.lower.dtype))
    return np.asarray(found, np.float64)


def goodness(
    problem: Problem, theta: Vector, predictions: Vector | None, priors: float, equalities: int = 0
) -> FitSummary:
    """Return how well predictions fit the target.

    Args:
        problem: with rows, or without.
        theta: the minimum, shape (free,).
        predictions: at theta, shape (rows,).
        priors: what they add to chi-square.
        equalities: how many independent equality constraints there are.
    """
    import numpy as np

    free = problem.layout.size
    rows = problem.rows
    if rows is None or predictions is None or problem.loss is None or problem.model is None:
        return FitSummary(rows=None if rows is None else len(rows), free_parameters=free)
    dof = None if problem.trained else degrees_of_freedom(problem, equalities)
    if dof is not None and dof < 0:  # a penalty determines the rest
        dof = None
    weight, target = np.asarray(rows.weight, np.float64), np.asarray(rows.target, np.float64)
    if problem.loss.likelihood:
        return FitSummary(rows=len(rows), free_parameters=free, dof=dof)
    with np.errstate(all="ignore"):
        rss = float(weight @ _squares(problem, theta, predictions))
        chi_square = None
        if rows.sigma is not None and isinstance(problem.loss, MeanSquaredError):
            chi_square = float(np.sum(((target - predictions) / np.asarray(rows.sigma, np.float64)) ** 2))
            chi_square += priors
        mean = float(weight @ target) / float(weight.sum()) if problem.model.has_constant else 0.0
        total = float(weight @ (target - mean) ** 2)
    means_something = isinstance(problem.loss, MeanSquaredError) and total > 0
    return FitSummary(
        rows=len(rows),
        free_parameters=free,
        dof=dof,
        rss=number(rss),
        chi_square=number(chi_square),
        reduced_chi_square=number(chi_square / dof) if chi_square is not None and dof else None,
        r_squared=number(1 - rss / total) if means_something else None,
    )
