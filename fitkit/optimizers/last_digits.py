"""The last digits of a minimum of least squares, where rounding in doubles leaves too few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.optimizers.exact_newton import exact_step, loses_digits, rounding_of_minimum
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.linearization import Linearization
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Mask = NDArray[np.bool_]

NEIGHBOURHOOD = 1e3
"""How many times the rounding of the minimum it may lie away from where rounding had ended the search."""


def refined_theta(
    problem: Problem, theta: Vector, point: Linearization, movable: Mask, largest: Vector
) -> Vector | None:
    """Return the minimum to the last digit, shape (free,); None where theta has them, or where it cannot be had.

    Args:
        problem: of residuals.
        theta: where Newton steps have ended, shape (free,).
        point: the linearization there.
        movable: parameters that are not held at a bound.
        largest: the largest |theta_j| that the search has seen, shape (free,).
    """
    import numpy as np

    squares = LeastSquares(problem)
    if point.sum_of_squares == 0 or not movable.any():
        return None
    curvature = squares.curvature(theta, point)
    exact = exact_step(squares, theta, point, curvature, movable)
    if len(exact.flat) or exact.saddle is not None:
        return None
    with np.errstate(all="ignore"):
        rounding = np.hypot(exact.step, rounding_of_minimum(squares, theta, point, exact, measured=False))
    if not loses_digits(rounding, theta, largest, movable):
        return None
    from fitkit.optimizers.refinement import refine  # few fits need it

    refined = refine(squares, theta, curvature, movable)
    if refined is None:
        return None
    found = refined.theta.rounded()
    # Not by the objective: where residuals are small against their terms, its own rounding hides which point is lower.
    if not squares.linearize(found).finite or (np.abs(found - theta) > NEIGHBOURHOOD * rounding)[movable].any():
        return None
    return found
