"""The evidence for least squares: the exact Hessian J'J + S, the cosines, and the rounding of the minimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.evidence.evidence import CLOSE, EXACT_UP_TO, Evidence, pressed, relative_size, unknown
from fitkit.losses import DistanceLoss
from fitkit.optimizers.exact_newton import EPSILON, NewtonStep, newton_step, rounding_of_minimum
from fitkit.optimizers.least_squares import LeastSquares, Linearization
from fitkit.optimizers.subspace import gauss_newton
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]


def assess_least_squares(problem: Problem, theta: Vector, seen: Vector) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: of residuals.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
    """
    import numpy as np

    squares = LeastSquares(problem)
    point = squares.linearize(theta)
    if not point.finite or len(theta) == 0:
        return unknown(len(theta))
    held = pressed(problem, theta, point.gradient)
    linear = gauss_newton(point, ~held)
    none = np.zeros((len(theta), len(theta)))
    curvature = squares.curvature(theta, point) if len(theta) <= EXACT_UP_TO else none
    exact = newton_step(point, curvature, ~held)
    norm = point.sum_of_squares**0.5
    remaining = exact.decrement / norm if norm > 0 else 0.0
    size = np.maximum(seen, _seen_by_data(problem, point))
    return Evidence(
        optimality=point.cosines(~held),
        remaining=remaining,
        newton_step=relative_size(exact.step, theta, size),
        smallest_eigenvalue=_smallest(point, curvature, ~held),
        condition=linear.condition,
        minimum="saddle" if _saddle(exact, remaining) else "flat" if len(exact.flat) else "strict",
        held=held,
        flat=exact.flat,
        linearization=point,
        uncertainty_of_minimum=_uncertainty(squares, theta, point, exact),
    )


def _seen_by_data(problem: Problem, point: Linearization) -> Vector:
    """Return |target| / |J_j|, the size at which parameter j alone would make the target, shape (free,); 0 if unknown."""
    import numpy as np

    rows = problem.rows
    if rows is None or not isinstance(problem.loss, DistanceLoss):
        return np.zeros(len(point.column_norms))
    target = np.asarray(rows.target, np.float64) / (1.0 if rows.sigma is None else np.asarray(rows.sigma, np.float64))
    size = np.sqrt(np.asarray(rows.weight, np.float64) @ target**2 / float(problem.total_weight))
    known = point.column_norms > 0
    return np.where(known, size / np.where(known, point.column_norms, 1.0), 0.0)


def _smallest(point: Linearization, curvature: Matrix, movable: Mask) -> float:
    """Return the smallest eigenvalue of the exact Hessian scaled to unit diagonal, over the movable parameters."""
    import numpy as np

    if not movable.any():
        return float("nan")
    extra = np.where(np.isfinite(curvature), curvature, 0.0)
    hessian = (point.factor.T @ point.factor + extra)[np.ix_(movable, movable)]
    diagonal = np.abs(np.diag(hessian))
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return float(np.linalg.eigvalsh(hessian / np.outer(scale, scale))[0])


def _saddle(exact: NewtonStep, remaining: float) -> bool:
    """Return whether the slope vanishes where a curvature is negative."""
    return exact.saddle is not None and remaining < CLOSE


def _uncertainty(squares: LeastSquares, theta: Vector, point: Linearization, exact: NewtonStep) -> Vector:
    """Return sqrt(d² + noise²) + eps |theta| / 2, shape (free,), with d the Newton step that is left."""
    import numpy as np

    noise = rounding_of_minimum(squares, theta, point, exact)
    rounding: Vector = np.hypot(exact.step, noise) + EPSILON / 2 * np.abs(theta)
    return rounding
