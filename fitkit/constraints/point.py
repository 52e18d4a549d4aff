"""A point seen with its constraints: derivatives, multipliers, and the step that the conditions of a minimum leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.backend import array
from fitkit.constraints.kernels import constraint_curvature, expand_constraints
from fitkit.constraints.quadratic import LinearRows, QuadraticStep, solve_quadratic
from fitkit.optimizers.smooth_kernels import expand_smooth
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

NEAR_ZERO = 1e-6
"""A parameter below this share of the largest it was seen at is judged by that share instead of by itself."""
LEAST_SCALE = 1e-4
"""A curvature below the square of this share of objective over parameter squared says nothing of how far a parameter moves."""

CROSSED = 1e-2
"""The same share for the root of the curvature that a parameter has together with another, each as large as it is."""


@final
@dataclass(frozen=True, kw_only=True)
class ConstrainedPoint:
    """A point with its derivatives and the quadratic program there."""

    theta: Vector
    largest: Vector
    """The largest |theta_j| so far, shape (free,)."""
    value: float
    gradient: Vector
    hessian: Matrix
    """Of the Lagrangian at the multipliers given, shape (free, free)."""
    rows: LinearRows
    """The constraints, in their order, and behind them the bounds that there are."""
    scale: Vector
    """Lengths of parameters are measured by, shape (free,)."""
    quadratic: QuadraticStep
    evaluations: int

    @property
    def multipliers(self) -> Vector:
        """Those that the step leads to, of constraints and bounds, shape (rows,)."""
        return self.quadratic.multipliers

    @property
    def measure(self) -> float:
        """How far the conditions of a minimum say that it is: the largest component of the step relative to its parameter."""
        import numpy as np

        if not self.quadratic.consistent:
            return float("inf")
        size = sizes(self.theta, self.largest)
        return float(np.max(np.abs(self.quadratic.step) / np.where(size > 0, size, 1.0), initial=0.0))


def sizes(theta: Vector, largest: Vector) -> Vector:
    """Return how large each parameter is, shape (free,); zero where it has always been zero."""
    import numpy as np

    return np.maximum(np.abs(theta), NEAR_ZERO * largest)


def linear_rows(problem: Problem, theta: Vector) -> LinearRows:
    """Return the constraints at theta and, behind them, the bounds that are finite."""
    import numpy as np

    values, slopes = (
        np.asarray(part, np.float64) for part in expand_constraints.light(problem, array(theta, problem.lower.dtype))
    )
    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    low, high, one = np.flatnonzero(np.isfinite(lower)), np.flatnonzero(np.isfinite(upper)), np.eye(len(theta))
    equality = np.array([constraint.relation == "==" for constraint in problem.constraints])
    return LinearRows(
        np.concatenate([values, lower[low] - theta[low], theta[high] - upper[high]]),
        np.vstack([slopes, -one[low], one[high]]),
        np.concatenate([equality, np.zeros(len(low) + len(high), bool)]),
    )


def point_at(
    problem: Problem, theta: Vector, multipliers: Vector, largest: Vector, evaluations: int = 0
) -> ConstrainedPoint | None:
    """Return the point at theta, or None where a number is not finite.

    Args:
        problem: with constraints.
        theta: shape (free,).
        multipliers: of the constraints, with which the curvature is taken, shape (constraints,).
        largest: the largest |theta_j| so far, shape (free,).
        evaluations: how many there were before.
    """
    import numpy as np

    dtype = problem.lower.dtype
    here = array(theta, dtype)
    work = len(theta) ** 2 * (1 if problem.rows is None else len(problem.rows))
    found = expand_smooth.for_work(work)(problem, here)
    value, gradient = float(found.value), np.asarray(found.gradient, np.float64)
    bend = constraint_curvature.light(problem, here, array(multipliers, dtype))
    hessian = np.asarray(found.hessian, np.float64) + np.asarray(bend, np.float64)
    rows = linear_rows(problem, theta)
    if not all(np.isfinite(part).all() for part in (np.array(value), gradient, hessian, rows.values, rows.slopes)):
        return None
    largest = np.maximum(largest, np.abs(theta))
    with np.errstate(all="ignore"):
        scale = scale_of(theta, largest, value, gradient, hessian)
        reach = float(np.linalg.norm(scale * np.maximum(np.abs(theta), largest)))
        quadratic = solve_quadratic(gradient, hessian, rows, scale, reach)
        if not quadratic.consistent:  # scales that lie far apart can make it seem so
            even = scale_of(theta, largest, value, gradient, hessian, 1.0)
            again = solve_quadratic(gradient, hessian, rows, even, reach)
            scale, quadratic = (even, again) if again.consistent else (scale, quadratic)
    return ConstrainedPoint(
        theta=theta, largest=largest, value=value, gradient=gradient, hessian=hessian, rows=rows, scale=scale,
        quadratic=quadratic, evaluations=evaluations + 1,
    )  # fmt: skip


def scale_of(
    theta: Vector, largest: Vector, value: float, gradient: Vector, hessian: Matrix, share: float = LEAST_SCALE
) -> Vector:
    """Return what lengths of parameters are measured by, shape (free,), in units of the root of the objective.

    The root of the curvature along each parameter; where that vanishes, of the curvature that it has together with others,
    or how large the objective is beside the parameter.
    """
    import numpy as np

    size = np.maximum(np.abs(theta), largest)
    root = np.sqrt(np.abs(np.diag(hessian)))
    height = float(np.sqrt(max(abs(value), float(np.max(np.abs(gradient) * size, initial=0.0))))) or 1.0
    known = np.where(size > 0, size, 1.0)
    crossed = np.sqrt(np.max(np.abs(hessian) * size, axis=1, initial=0.0) / known)
    least = np.where(size > 0, np.maximum(share * height / known, CROSSED * crossed), 0.0)
    scale = np.maximum(root, least)
    steep = np.abs(gradient) / height
    scale = np.where(scale > 0, scale, steep)
    return np.where(scale > 0, scale, float(np.median(scale[scale > 0])) if (scale > 0).any() else 1.0)
