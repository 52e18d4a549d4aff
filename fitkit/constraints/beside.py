"""A look along a direction in which the curvature is none or negative: along the constraints, to both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from fitkit.backend import array
from fitkit.constraints.kernels import heights
from fitkit.constraints.point import ConstrainedPoint, linear_rows
from fitkit.constraints.quadratic import null_space
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Mask = NDArray[np.bool_]

LENGTH = 1e-2
"""How far the looks go, as a share of the parameters."""
MOST_RETURNS = 12
MET = 1e-9
"""A move is brought back to a row if what is left is this share of the move."""
RISES = 1e-10
"""A rise beside that of a direction of unit curvature below this share is none."""
ROUNDING = 1e-13
"""A change below this share of the objective is rounding."""


@final
@dataclass(frozen=True)
class Beside:
    """What was found beside a point."""

    word: Literal["rises", "flat", "saddle"]
    lower: Vector | None = None
    """A point that is lower, shape (free,)."""


def look_beside(problem: Problem, point: ConstrainedPoint, direction: Vector) -> Beside:
    """Return what the objective does along a direction, shape (free,), with the constraints kept.

    A step is brought back to the equalities and to what it breaks, and once more to all rows that press, before heights are
    compared. A look that cannot be brought back is blocked, and says that the point is no worse than its neighbours there.
    """
    import numpy as np

    size = np.maximum(np.abs(point.theta), point.largest)
    longest = float(np.max(np.abs(direction) / np.where(size > 0, size, 1.0)))
    if not longest > 0:  # so far out that the direction has no length beside the parameters
        return Beside("flat")
    move = direction * (LENGTH / longest)
    unit = float(np.sum((point.scale * move) ** 2)) / 2
    level = max(RISES * unit, ROUNDING * abs(point.value))
    none = np.zeros(len(point.rows.values), bool)
    found = [_rise(problem, point, side * move, kept) for side in (-1.0, 1.0) for kept in (none, point.multipliers > 0)]
    rise, there = min(found, key=lambda one: one[0])
    if rise < -level:
        return Beside("saddle", there)
    return Beside("rises" if rise > level else "flat")


def _rise(problem: Problem, point: ConstrainedPoint, move: Vector, kept: Mask) -> tuple[float, Vector]:
    """Return the rise along a move with the `kept` rows at zero, infinity where the way is blocked, and where it led."""
    import numpy as np

    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    theta = np.clip(point.theta + move, lower, upper)
    length = float(np.linalg.norm(point.scale * move))
    for _ in range(MOST_RETURNS):
        rows = linear_rows(problem, theta)
        if not (np.isfinite(rows.values).all() and np.isfinite(rows.slopes).all()):
            return float("inf"), theta
        slopes = rows.slopes / point.scale
        lengths = np.linalg.norm(slopes, axis=1)
        unit = np.where(lengths > 0, lengths, 1.0)
        equal = rows.equality | kept
        chosen = equal | (rows.values > 0)
        off = np.where(chosen, np.abs(rows.values), 0.0) / unit
        if (off <= MET * length).all():
            break
        back = null_space(slopes[chosen] / unit[chosen][:, None]).inverse @ (rows.values[chosen] / unit[chosen])
        theta = np.clip(theta - back / point.scale, lower, upper)
    else:
        return float("inf"), theta
    size = len(theta) * (1 if problem.rows is None else len(problem.rows))
    value = float(heights.for_work(size)(problem, array(theta, problem.lower.dtype))[0])
    return (value - point.value if np.isfinite(value) else float("inf")), theta
