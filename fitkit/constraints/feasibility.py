"""The search for a point that meets the constraints, whatever the objective: damped least squares on the violations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.constraints.point import linear_rows
from fitkit.constraints.sequential import violations
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

MOST_STEPS = 200
MOST_DAMPING = 1e12
LEVEL = 1e-10
"""A decrease of the violation below this share of itself is none."""
BROKEN = 1e-7
"""A violation is one if parameters would have to move by this share of themselves to end it."""


@final
@dataclass(frozen=True)
class Nearest:
    """Where the violations are least, near where the search began."""

    theta: Vector
    met: bool
    """Whether all constraints can be met there."""
    evaluations: int


def nearest_feasible(problem: Problem, theta: Vector, largest: Vector) -> Nearest:
    """Return the point near theta with the least violations, each relative to its slope where the search begins.

    Args:
        problem: with constraints.
        theta: where the search begins, within the bounds, shape (free,).
        largest: how large the parameters have been, shape (free,).
    """
    import numpy as np

    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    count = len(problem.constraints)
    scale = 1.0 / np.where(largest > 0, largest, 1.0)
    rows = linear_rows(problem, theta)
    lengths = np.linalg.norm(rows.slopes[:count] / scale, axis=1)
    unit = np.where(lengths > 0, lengths, np.where(rows.values[:count] != 0, np.abs(rows.values[:count]), 1.0))
    off = violations(rows.values[:count], problem) / unit
    damping, evaluations = 1e-3, 1
    for _ in range(MOST_STEPS):
        total = float(off @ off)
        if total == 0 or damping > MOST_DAMPING:
            break
        signed = np.where(off > 0, np.sign(rows.values[:count]) * off, 0.0)
        slopes = np.where((off > 0)[:, None], rows.slopes[:count], 0.0) / unit[:, None] / scale
        pull = -slopes.T @ signed
        room = ((theta > lower) | (pull > 0)) & ((theta < upper) | (pull < 0))
        slopes = slopes[:, room]
        inner = slopes.T @ slopes
        size = float(np.max(np.diag(inner), initial=0.0)) or 1.0
        move = np.zeros(len(theta))
        move[room] = np.linalg.solve(inner + damping * size * np.eye(len(inner)), pull[room])
        trial = np.clip(theta + move / scale, lower, upper)
        there = linear_rows(problem, trial)
        evaluations += 1
        following = violations(there.values[:count], problem) / unit
        fine = np.isfinite(there.values).all() and np.isfinite(there.slopes).all()
        if fine and float(following @ following) < total * (1 - LEVEL):
            theta, rows, off, damping = trial, there, following, max(damping / 10, 1e-15)
        else:
            damping *= 10
    return Nearest(theta, bool(_within_reach(off, rows.slopes[:count] / unit[:, None], theta)), evaluations)


def meets(problem: Problem, theta: Vector) -> bool:
    """Return whether theta, shape (free,), meets all constraints, to what moves of a tiny share of the parameters end."""
    import numpy as np

    rows, count = linear_rows(problem, theta), len(problem.constraints)
    if not (np.isfinite(rows.values).all() and np.isfinite(rows.slopes).all()):
        return False
    return _within_reach(violations(rows.values[:count], problem), rows.slopes[:count], theta)


def _within_reach(off: Vector, slopes: Matrix, theta: Vector) -> bool:
    """Return whether what is left of the violations is ended by moves that are tiny beside the parameters."""
    import numpy as np

    size = np.where(theta != 0, np.abs(theta), 1.0)
    reach = np.abs(slopes) @ size
    return bool((off <= BROKEN * np.where(reach > 0, reach, 1.0)).all())
