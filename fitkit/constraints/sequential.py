"""Sequential quadratic programming on exact second derivatives, with a line search on an exact penalty.

A step is accepted if it lowers objective + sum_i w_i |violation_i|, with weights above the multipliers; where the constraints
bend away from it, after a second-order correction; and near the end, where differences of the objective are rounding, if it
shrinks the next step to less than half.

Reference: J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, sections 15.6, 18.3 and 18.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.backend import array
from fitkit.constraints.kernels import heights
from fitkit.constraints.point import ConstrainedPoint, linear_rows, point_at
from fitkit.constraints.quadratic import null_space
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

ARMIJO = 1e-4
MOST_HALVINGS = 30
NEAR = 1e-2
"""Below this measure a full step is accepted if it shrinks the measure by half."""
ABOVE = 1.5
"""By how much the weights of violations exceed the multipliers."""


@final
@dataclass(frozen=True)
class Advance:
    """The outcome of a step: the next point, or None where none is better, and the weights of the penalty."""

    point: ConstrainedPoint | None
    weights: Vector
    evaluations: int


def violations(values: Vector, problem: Problem) -> Vector:
    """Return by how much each constraint is broken, shape (constraints,)."""
    import numpy as np

    equality = np.array([constraint.relation == "==" for constraint in problem.constraints])
    return np.where(equality, np.abs(values), np.maximum(values, 0.0))


def advance(problem: Problem, point: ConstrainedPoint, weights: Vector) -> Advance:
    """Return the step from a point.

    Args:
        problem: with constraints.
        point: where the step begins; its quadratic program is consistent.
        weights: of the violations so far, shape (constraints,).
    """
    import numpy as np

    count = len(problem.constraints)
    multipliers = point.multipliers[:count]
    weights = np.maximum(ABOVE * np.abs(multipliers), (weights + np.abs(multipliers)) / 2)
    step, evaluations = point.quadratic.step, point.evaluations
    full = _inside(problem, point, point.theta + step)
    if point.measure <= NEAR:
        following = point_at(problem, full, multipliers, point.largest, evaluations)
        evaluations += 1
        if following is not None and following.measure <= 0.5 * point.measure:
            return Advance(following, weights, evaluations)
    broken = violations(point.rows.values[:count], problem)
    height = point.value + weights @ broken
    slope = float(point.gradient @ step - weights @ broken)
    if slope >= 0:
        return Advance(None, weights, evaluations)
    trials = [(1.0, full), (1.0, _corrected(problem, point, full))]
    trials += [(0.5**k, _inside(problem, point, point.theta + 0.5**k * step)) for k in range(1, MOST_HALVINGS)]
    for share, trial in trials:
        if (trial == point.theta).all():
            break
        evaluations += 1
        if _height(problem, trial, weights) <= height + ARMIJO * share * slope:
            following = point_at(problem, trial, multipliers, point.largest, evaluations)
            if following is not None:
                return Advance(following, weights, evaluations + 1)
    return Advance(None, weights, evaluations)


def _height(problem: Problem, theta: Vector, weights: Vector) -> float:
    import numpy as np

    size = len(theta) * (1 if problem.rows is None else len(problem.rows))
    value, excesses = heights.for_work(size)(problem, array(theta, problem.lower.dtype))
    height = float(value) + float(weights @ violations(np.asarray(excesses, np.float64), problem))
    return height if np.isfinite(height) else float("inf")


def _inside(problem: Problem, point: ConstrainedPoint, trial: Vector) -> Vector:
    """Return a trial point within the bounds, and exactly on those that the quadratic program rests on."""
    import numpy as np

    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    trial = np.clip(trial, lower, upper)
    count, low = len(problem.constraints), np.flatnonzero(np.isfinite(lower))
    resting = point.quadratic.working[count:]
    if (trial == np.clip(point.theta + point.quadratic.step, lower, upper)).all():
        trial = trial.copy()
        high = np.flatnonzero(np.isfinite(upper))
        trial[low[resting[: len(low)]]] = lower[low[resting[: len(low)]]]
        trial[high[resting[len(low) :]]] = upper[high[resting[len(low) :]]]
    return trial


def _corrected(problem: Problem, point: ConstrainedPoint, full: Vector) -> Vector:
    """Return the end of a full step brought back to the constraints that it rests on, by the shortest way."""
    import numpy as np

    working = point.quadratic.working
    there = linear_rows(problem, full).values[working]
    if not np.isfinite(there).all():
        return full
    slopes = point.rows.slopes[working] / point.scale
    lengths = np.linalg.norm(slopes, axis=1)
    unit = np.where(lengths > 0, lengths, 1.0)
    back = null_space(slopes / unit[:, None]).inverse @ (there / unit) / point.scale
    return _inside(problem, point, full - back)
