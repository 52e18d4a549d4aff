"""What is left to gain at a point of many parameters: a Newton step by conjugate gradients, without a dense matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.evidence.evidence import EXACT_UP_TO, Evidence, pressed, relative_move, unknown
from fitkit.optimizers.affordable import affords_triangle
from fitkit.optimizers.smooth_kernels import Walk, conjugate_gradients, slope_of
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

SOLVED = 1e-3
"""The share of the slope that conjugate gradients leave over."""
CHEAPER = 4
"""A product for so many parameters still costs less than the triangle of the Jacobian."""


def assess_by_products(problem: Problem, theta: Vector, seen: Vector) -> Evidence | None:
    """Return what a Newton step would still gain and move at theta, shape (free,), as evidence.

    It is found from products with the exact Hessian, in parameters by their own sizes, so that units do not matter. None where
    no dense matrix would be formed, or one costs less; and where the products do not lead to the step, or show negative
    curvature: there is more to say there.

    Args:
        problem: a smooth objective without constraints.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
    """
    import numpy as np

    if len(theta) <= EXACT_UP_TO or not (problem.least_squares and affords_triangle(problem)):
        return None
    dtype, work = problem.lower.dtype, len(theta) * (1 if problem.rows is None else len(problem.rows))
    value, slope = (np.asarray(part, np.float64) for part in slope_of.for_work(work)(problem, array(theta, dtype)))
    if not (np.isfinite(value) and np.isfinite(slope).all()):
        return None
    held, size = pressed(problem, theta, slope), np.maximum(np.abs(theta), seen)
    scale = 1.0 / np.where(size > 0, size, 1.0)
    numbers = (array(part, dtype) for part in (theta, slope, scale))
    most = len(theta) // CHEAPER
    solve: Callable[..., Walk] = conjugate_gradients.for_work(10 * work)
    walk = solve(problem, *numbers, array(~held, bool), array(np.inf, dtype), array(SOLVED, dtype), most)
    if not (bool(walk.solved) and bool(walk.convex)):
        return None
    step = np.asarray(walk.step, np.float64)
    with np.errstate(divide="ignore"):
        remaining = float(np.sqrt(max(0.0, -float(slope @ step)) / 2 / abs(value))) if slope.any() else 0.0
    moves = relative_move(step, theta, seen)
    return replace(
        unknown(len(theta)), optimality=min(remaining, moves), remaining=remaining, newton_step=moves, held=held
    )
