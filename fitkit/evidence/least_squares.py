"""The evidence for least squares: the exact Hessian J'J + S, the cosines, and the rounding of the minimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.evidence.evidence import CLOSE, EXACT_UP_TO, NEAR_ZERO, Evidence, pressed, relative_size, unknown
from fitkit.losses import DistanceLoss
from fitkit.optimizers.exact_newton import EPSILON, NewtonStep, newton_step, rounding_of_minimum
from fitkit.optimizers.least_squares import LeastSquares, Linearization
from fitkit.optimizers.subspace import GaussNewton, gauss_newton
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
    size = np.maximum(seen, _seen_by_data(problem, point))
    with np.errstate(over="ignore", invalid="ignore"):  # residuals near underflow have no inverse to speak of
        curvature = _curvature(squares, theta, point, linear, size)
        exact = newton_step(point, curvature, ~held)
        uncertainty = _uncertainty(squares, theta, point, exact)
    norm = point.sum_of_squares**0.5
    remaining = exact.decrement / norm if norm > 0 else 0.0
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
        uncertainty_of_minimum=uncertainty,
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


def _curvature(squares: LeastSquares, theta: Vector, point: Linearization, linear: GaussNewton, seen: Vector) -> Matrix:
    """Return S, shape (free, free); zero where along flat directions of J it may come from the slope that is left.

    Along the valley of a product a b, say, the curvature is the slope over a parameter: zero at the bottom, and of any sign
    beside it. So it is taken where a linear step leads, and counts only if a move of the parameters' own size gains more
    by it than by the slope left there.
    """
    import numpy as np

    none = np.zeros((len(theta), len(theta)))
    if len(theta) > EXACT_UP_TO:
        return none
    if len(linear.flat) == 0:
        return squares.curvature(theta, point)
    bottom = theta + linear.step
    there = squares.linearize(bottom)
    if not (there.finite and there.sum_of_squares <= point.sum_of_squares * (1 + 1e-9)):
        bottom, there = theta, point
    curvature = squares.curvature(bottom, there)
    doubt = 10 * np.abs(there.gradient) @ np.maximum(np.abs(bottom), NEAR_ZERO * seen)
    scale = np.where(point.column_norms > 0, point.column_norms, 1.0)
    for direction in linear.flat / scale:
        length = relative_size(direction, bottom, seen)
        if abs(direction @ curvature @ direction) / 2 > doubt * length**2:
            return curvature
    return none


def _saddle(exact: NewtonStep, remaining: float) -> bool:
    """Return whether the slope vanishes where a curvature is negative."""
    return exact.saddle is not None and remaining < CLOSE


def _uncertainty(squares: LeastSquares, theta: Vector, point: Linearization, exact: NewtonStep) -> Vector:
    """Return sqrt(d² + noise²) + eps |theta| / 2, shape (free,), with d the Newton step that is left."""
    import numpy as np

    with np.errstate(all="ignore"):  # an inverse that overflows says that nothing is known, and infinity says so too
        noise = rounding_of_minimum(squares, theta, point, exact)
        rounding: Vector = np.hypot(exact.step, noise) + EPSILON / 2 * np.abs(theta)
    return rounding
