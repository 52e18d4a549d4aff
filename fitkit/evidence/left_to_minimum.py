"""How far a point is from the minimum of least squares, and how far rounding hides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.evidence.evidence import CLOSE
from fitkit.optimizers.exact_newton import NewtonStep, loses_digits, rounding_of_minimum
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.linearization import Linearization

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]


def left_to_minimum(
    squares: LeastSquares,
    theta: Vector,
    point: Linearization,
    curvature: Matrix,
    exact: NewtonStep,
    seen: Vector,
    movable: Mask,
) -> tuple[Vector, Vector]:
    """Return the step that is left to the minimum, and one standard deviation of what rounding moves it by, (free,) each.

    The rounding is that of doubles, or, where that costs too many digits, of the data alone: the minimum is then refined.

    Args:
        squares: the problem.
        theta: the point, shape (free,).
        point: the linearization there.
        curvature: S there, shape (free, free).
        exact: the Newton step there.
        seen: the largest |theta_j| that the search has seen, shape (free,).
        movable: parameters that are neither held at a bound nor without effect.
    """
    import numpy as np

    with np.errstate(all="ignore"):  # an inverse that overflows says that nothing is known, and infinity says so too
        noise = rounding_of_minimum(squares, theta, point, exact)
        near = exact.decrement <= CLOSE * point.sum_of_squares**0.5 and not len(exact.flat) and exact.saddle is None
        if not (near and loses_digits(np.hypot(exact.step, noise), theta, seen, movable)):
            return exact.step, noise
        from fitkit.optimizers.refinement import refine  # few fits need them
        from fitkit.optimizers.rounding_of_data import rounding_of_data

        refined = refine(squares, theta, curvature, movable)
        if refined is None:
            return exact.step, noise
        return refined.step_from(theta), np.hypot(refined.error, rounding_of_data(squares, theta, exact.inverse))
