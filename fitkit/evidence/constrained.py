"""The evidence for minima under constraints: the conditions of Karush, Kuhn and Tucker, of first and second order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from fitkit.backend import array
from fitkit.constraints.beside import Beside, look_beside
from fitkit.constraints.kernels import both_sides
from fitkit.constraints.point import ConstrainedPoint, point_at, sizes
from fitkit.constraints.quadratic import null_space
from fitkit.constraints.sequential import violations
from fitkit.evidence.constrained_distance import constrained_distance
from fitkit.evidence.evidence import CLOSE, Conditions, Evidence, unknown
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MET = 1e-8
"""A constraint is met if its violation is ended by moves of this share of the parameters."""
PRESSES = 1e-9
"""A multiplier presses if its row's pull is above this share of the slope."""
FLAT_BELOW = 1e-12
"""A curvature below this share of the largest is none."""
MOST_LOOKS = 20
TOUCHES = 1e-9
"""A constraint is active if moves of this share of the parameters reach its edge."""


def assess_constrained(problem: Problem, theta: Vector, seen: Vector) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: with constraints.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
    """
    import numpy as np

    count = len(problem.constraints)
    point = point_at(problem, theta, np.zeros(count), seen)
    if point is not None:
        point = point_at(problem, theta, point.multipliers[:count], seen)
    if point is None:
        return unknown(len(theta))
    conditions, strong = _conditions(problem, point)
    plane = null_space(_unit(point, strong))
    basis = plane.basis / point.scale[:, None]
    values, vectors = np.linalg.eigh(basis.T @ point.hessian @ basis)
    largest = max(float(np.max(np.abs(values), initial=0.0)), _largest(point))
    directions = basis @ vectors
    doubtful = np.flatnonzero(values <= FLAT_BELOW * largest)
    beside = {int(k): look_beside(problem, point, directions[:, k]) for k in doubtful[:MOST_LOOKS]}
    flat = np.array([k for k, found in beside.items() if found.word == "flat"], int)
    lower = next((found.lower for found in beside.values() if found.lower is not None), None)
    gain = abs(float(point.gradient @ point.quadratic.step))
    share = float(np.sqrt(gain / abs(point.value))) if point.value else 0.0 if gain == 0 else np.inf
    if not point.quadratic.consistent:
        share = np.inf
    smallest = float(np.min(values, initial=np.inf))
    word = _minimum(beside, len(doubtful))
    near = word == "strict" and point.measure <= CLOSE
    sides = np.abs(conditions.left) + np.abs(conditions.right)
    return Evidence(
        optimality=min(share, point.measure),
        remaining=share,
        newton_step=point.measure,
        smallest_eigenvalue=smallest if np.isfinite(smallest) else float("nan"),
        condition=float(np.sqrt(np.max(values) / smallest)) if smallest > 0 and len(values) else float("nan"),
        minimum=word,
        held=conditions.determined,
        flat=(directions * point.scale[:, None]).T[flat],
        linearization=LeastSquares(problem).linearize(theta) if problem.least_squares else None,
        gradient=point.gradient,
        hessian=point.hessian,
        conditions=replace(conditions, lower=lower),
        uncertainty_of_minimum=constrained_distance(problem, point, strong, sides) if near else None,
    )


def _minimum(beside: Mapping[int, Beside], doubtful: int) -> Literal["strict", "flat", "saddle", "unknown"]:
    """Return what directions without positive curvature make of a point, by what was found beside it along each."""
    words = {found.word for found in beside.values()}
    if "saddle" in words:
        return "saddle"
    if "flat" in words:
        return "flat"
    return "unknown" if doubtful else "strict"


def _largest(point: ConstrainedPoint) -> float:
    import numpy as np

    return float(np.max(np.abs(point.hessian / np.outer(point.scale, point.scale)), initial=0.0))


def _unit(point: ConstrainedPoint, chosen: Mask) -> Matrix:
    """Return rows in scaled coordinates with length one, shape (chosen, free)."""
    import numpy as np

    rows = point.rows.slopes[chosen] / point.scale
    lengths = np.linalg.norm(rows, axis=1)
    found: Matrix = rows[lengths > 0] / lengths[lengths > 0][:, None]
    return found


def _conditions(problem: Problem, point: ConstrainedPoint) -> tuple[Conditions, Mask]:
    """Return what is to be said of the constraints, and which rows are active and press."""
    import numpy as np

    rows, count = point.rows, len(problem.constraints)
    size = sizes(point.theta, point.largest)
    reach = np.abs(rows.slopes) @ np.where(size > 0, size, 1.0)
    lengths = np.linalg.norm(rows.slopes / point.scale, axis=1)
    pull = point.multipliers * lengths
    steep = float(np.linalg.norm(point.gradient / point.scale))
    active = rows.equality | (np.abs(rows.values) <= TOUCHES * reach)
    strong = rows.equality | (active & (pull > PRESSES * steep))
    off = violations(rows.values[:count], problem)
    plane, level = null_space(_unit(point, strong)), null_space(_unit(point, rows.equality))
    lost = np.linalg.norm(plane.basis, axis=1) < 1e-9
    left, right = (
        np.asarray(side, np.float64) for side in both_sides.light(problem, array(point.theta, problem.lower.dtype))
    )
    conditions = Conditions(
        left=left,
        right=right,
        violations=off,
        multipliers=point.multipliers[:count],
        active=active[:count],
        met=bool((off <= MET * np.where(reach[:count] > 0, reach[:count], 1.0)).all()),
        tangent=plane.basis / point.scale[:, None],
        equalities=level.rank,
        presses=bool((strong & ~rows.equality)[:count].any()),
        determined=lost & (np.linalg.norm(level.basis, axis=1) >= 1e-9),
        lower=None,
        settled=lost,
    )
    return conditions, strong
