"""Evidence of convergence: what the derivatives at a point say about it, independently of the optimizer that found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.evidence.along_slope import gain_along_slope
from fitkit.evidence.by_products import assess_by_products
from fitkit.evidence.by_some_rows import assess_by_some_rows
from fitkit.evidence.evidence import CLOSE, EXACT_UP_TO, Evidence, confirms, unknown
from fitkit.evidence.least_squares import assess_least_squares
from fitkit.evidence.smooth import FLAT_BELOW, assess_smooth
from fitkit.optimizers.affordable import affords_triangle
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

__all__ = [
    "CLOSE",
    "EXACT_UP_TO",
    "FLAT_BELOW",
    "Evidence",
    "assess",
    "assess_by_products",
    "assess_by_some_rows",
    "confirms",
    "gain_along_slope",
    "optimality_at",
]


def assess(problem: Problem, theta: Vector, largest: Vector | None = None, start: Vector | None = None) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: the objective.
        theta: the point.
        largest: the largest |theta_j| that the search has seen, the scale of parameters that end at zero, shape (free,).
        start: where the search began, by which a parameter that lost its effect is told, shape (free,).
    """
    import numpy as np

    seen = np.abs(theta) if largest is None else largest
    if problem.constrained:
        from fitkit.evidence.constrained import assess_constrained

        with np.errstate(all="ignore"):  # far out, where a search went astray, numbers overflow
            return assess_constrained(problem, theta, seen) if len(theta) <= EXACT_UP_TO else unknown(len(theta))
    if not problem.smooth:
        from fitkit.evidence.kinks import assess_kinks
        from fitkit.optimizers.kinks import KINKS_UP_TO

        return assess_kinks(problem, theta, seen) if 0 < len(theta) <= KINKS_UP_TO else unknown(len(theta))
    if problem.trained and len(theta) > EXACT_UP_TO:
        return unknown(len(theta))  # before the triangle of a Jacobian with as many columns is formed
    if problem.least_squares:
        if not affords_triangle(problem):
            return unknown(len(theta))
        return assess_least_squares(problem, theta, seen, start)
    if 0 < len(theta) <= EXACT_UP_TO:
        with np.errstate(all="ignore"):
            return assess_smooth(problem, theta, seen, start)
    return unknown(len(theta))


def optimality_at(problem: Problem, theta: Vector) -> float:
    """Return the scale-free slope at theta, or NaN where it would cost too much to know."""
    if not problem.smooth:
        return float("nan")
    return assess(problem, theta).optimality
