"""What a covariance is made of: inverses of the curvature as products of a factor with itself, and the rows' own scatter.

An inverse is kept as its factor H, shape (free, directions), with H H' = A^-1: variances of predictions, |H' j|², then lose
no digits to parameters that are nearly collinear, and are zero or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array, jax, kernel
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.linearization import Linearization
from fitkit.problem import Problem, RowData
from fitkit.types import Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]


@kernel()
def _hessian(problem: Problem, theta: Theta) -> Theta:
    hessian: jax.Array = jax.hessian(problem.objective)(theta)
    return hessian


@kernel()
def _row_gradients(problem: Problem, theta: Theta, rows: RowData) -> jax.Array:
    """Return the weighted gradient of each row's cost, shape (rows, free)."""
    gradients: jax.Array = jax.jacfwd(lambda t: problem.row_costs(t, rows))(theta)
    return rows.weight[:, None] * gradients


@kernel()
def _deviations_jacobian(problem: Problem, theta: Theta) -> jax.Array:
    """Return the derivatives of the priors' z by theta, shape (priors, free)."""
    jacobian: jax.Array = jax.jacfwd(problem.deviations)(theta)
    return jacobian


def exact_hessian(problem: Problem, theta: Vector, point: Linearization | None) -> Matrix:
    """Return the Hessian of the objective, shape (free, free); of squares 2 (J'J + S), by the programs of the search."""
    import numpy as np

    if point is not None and problem.least_squares:
        with np.errstate(all="ignore"):
            return 2 * (point.factor.T @ point.factor + LeastSquares(problem).curvature(theta, point))
    return np.asarray(_hessian.light(problem, array(theta, problem.lower.dtype)), np.float64)


def outer_products(problem: Problem, theta: Vector) -> Matrix:
    """Return the sum over rows and priors of the outer products of weighted gradients, shape (free, free)."""
    import numpy as np

    point = array(theta, problem.lower.dtype)
    total = np.zeros((len(theta), len(theta)))
    for rows in LeastSquares(problem).chunks():
        gradients = np.asarray(_row_gradients.for_work(len(rows) * len(theta))(problem, point, rows), np.float64)
        total += gradients.T @ gradients
    if problem.priors:
        # Unlike a row, a prior says itself how far it scatters: its gradient, z dz or twice that, has the variance of dz.
        slopes = np.asarray(_deviations_jacobian.light(problem, point), np.float64)
        twice = 4 if problem.loss is not None and problem.loss.deviance else 1
        total += twice * slopes.T @ slopes
    return total


def inverse_of_squares(point: Linearization, movable: Mask) -> Matrix:
    """Return H with H H' = (J'J)^-1 over the movable parameters and the directions that are determined."""
    import numpy as np

    from fitkit.optimizers.subspace import RANK_TOLERANCE

    scale, _, singular, right = point.spectrum_of(movable)
    kept = singular > RANK_TOLERANCE * singular[0]
    if len(right) == len(movable) and kept.all():
        return (right.T / singular) / scale[:, None]
    half = np.zeros((len(movable), np.count_nonzero(kept)))
    half[movable] = (right[kept].T / singular[kept]) / scale[:, None]
    return half


def inverse_of_hessian(hessian: Matrix, movable: Mask) -> Matrix | None:
    """Return H with H H' the inverse over the movable parameters and the directions with curvature.

    None where the curvature is negative in a direction: then it is no minimum's.
    """
    import numpy as np

    from fitkit.evidence import FLAT_BELOW

    part = hessian[np.ix_(movable, movable)]
    diagonal = np.abs(np.diag(part))
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(part / np.outer(scale, scale))
    kept = np.abs(values) > FLAT_BELOW * max(1.0, float(np.max(np.abs(values), initial=0.0)))
    if (values[kept] < 0).any() or not np.isfinite(values).all():
        return None
    half = np.zeros((len(hessian), int(kept.sum())))
    half[movable] = (vectors[:, kept] / scale[:, None]) / np.sqrt(values[kept])
    return half


def factor_of(matrix: Matrix) -> Matrix:
    """Return H with H H' = matrix, positive semidefinite up to rounding, shape (free, free)."""
    import numpy as np

    diagonal = np.diag(matrix)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    half: Matrix = scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))
    return half
