"""Whether an objective falls without end within its constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.constraints.feasibility import nearest_feasible
from fitkit.constraints.kernels import heights
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

FARTHER = 10.0
"""By what factor each look goes farther than the one before."""
LOOKS = 4
FASTER = 1.5
"""By what factor the fall grows at least from one look to the next: a root grows by three, an asymptote ends it."""
AWAY = 10.0
"""How many times as far as the parameters are large the first look goes."""


def falls_without_end(problem: Problem, theta: Vector, toward: Vector) -> Vector | None:
    """Return a point far out, shape (free,), if the objective falls on and on towards it within the constraints.

    Looks along the line from theta through `toward`, each ten times farther than the one before, are moved to the nearest
    point that meets the constraints. Where the fall grows in proportion, nothing suggests that it ever ends.

    Args:
        problem: with constraints.
        theta: meets them, shape (free,).
        toward: where a search went, shape (free,).
    """
    import numpy as np

    move = toward - theta
    size = np.max(np.abs(move) / np.where(theta != 0, np.abs(theta), 1.0), initial=0.0)
    if not (np.isfinite(move).all() and size > 0):
        return None
    move = move * (AWAY / size)
    before, value = 0.0, _height(problem, theta)
    point = theta
    for look in range(LOOKS):
        aim = theta + FARTHER**look * move
        near = nearest_feasible(problem, _inside(problem, aim), np.maximum(np.abs(aim), np.abs(theta)))
        fall = value - _height(problem, near.theta)
        if not (near.met and fall > FASTER * before):
            return None
        if fall == np.inf:
            break
        before, point = fall, near.theta
    return point


def _inside(problem: Problem, theta: Vector) -> Vector:
    import numpy as np

    return np.clip(theta, np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64))


def _height(problem: Problem, theta: Vector) -> float:
    size = len(theta) * (1 if problem.rows is None else len(problem.rows))
    return float(heights.for_work(size)(problem, array(theta, problem.lower.dtype))[0])
