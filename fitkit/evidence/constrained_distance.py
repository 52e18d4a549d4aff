"""How far a point under constraints may be from the minimum: by the conditions of a minimum, and what rounding does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.constraints.point import ConstrainedPoint, linear_rows
from fitkit.constraints.quadratic import null_space
from fitkit.evidence.distance import distance_to_minimum, measured_noise, rounding_of_terms
from fitkit.optimizers.smooth_kernels import expand_smooth
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Mask = NDArray[np.bool_]


def constrained_distance(problem: Problem, point: ConstrainedPoint, pressing: Mask, sides: Vector) -> Vector:
    """Return how far each parameter may be from a strict minimum, shape (free,); nothing where a bound holds it exactly.

    Args:
        problem: with constraints.
        point: near the minimum, with its multipliers.
        pressing: rows of the point that are active and press, shape (rows,).
        sides: how large the sides of each constraint are, shape (constraints,).
    """
    import numpy as np

    count = len(problem.constraints)
    scale, slopes = point.scale, point.rows.slopes[pressing]
    lengths = np.linalg.norm(slopes / scale, axis=1)
    unit = np.where(lengths > 0, lengths, 1.0)
    plane = null_space(slopes / scale / unit[:, None])
    hessian = point.hessian / np.outer(scale, scale)
    reduced = plane.basis @ np.linalg.inv(plane.basis.T @ hessian @ plane.basis) @ plane.basis.T
    across = (np.eye(len(scale)) - reduced @ hessian) @ plane.inverse / unit
    inverse = np.hstack([reduced / scale, across]) / scale[:, None]
    bounds = np.flatnonzero(pressing) >= count
    noise = np.concatenate([_of_slopes(problem, point, pressing), _of_rows(problem, point, pressing, sides)])
    found = distance_to_minimum(point.theta, point.quadratic.step, inverse, noise)
    on_bound = (slopes[bounds] != 0).any(axis=0) & (
        (point.theta == np.asarray(problem.lower)) | (point.theta == np.asarray(problem.upper))
    )
    return np.where(on_bound, 0.0, found)


def _of_slopes(problem: Problem, point: ConstrainedPoint, pressing: Mask) -> Vector:
    """Return the noise of the Lagrangian's slope, shape (free,)."""
    import numpy as np

    work = len(point.theta) ** 2 * (1 if problem.rows is None else len(problem.rows))

    def gradient(theta: Vector) -> Vector:
        return np.asarray(expand_smooth.for_work(work)(problem, array(theta, problem.lower.dtype)).gradient, np.float64)

    here = expand_smooth.for_work(work)(problem, array(point.theta, problem.lower.dtype))
    seen = measured_noise(gradient, point.theta, point.gradient, np.asarray(here.hessian, np.float64))
    pulls = np.linalg.norm(point.rows.slopes[pressing] * point.multipliers[pressing][:, None], axis=0)
    return np.hypot(seen, rounding_of_terms(point.theta, point.hessian, pulls))


def _of_rows(problem: Problem, point: ConstrainedPoint, pressing: Mask, sides: Vector) -> Vector:
    """Return the noise of the rows that press, shape (pressing,); bounds are exact."""
    import numpy as np

    count = len(problem.constraints)

    def values(theta: Vector) -> Vector:
        return linear_rows(problem, theta).values[:count]

    slopes = point.rows.slopes[:count]
    seen = measured_noise(values, point.theta, point.rows.values[:count], slopes)
    found = np.zeros(len(point.rows.values))
    found[:count] = np.hypot(seen, rounding_of_terms(point.theta, slopes, sides))
    return found[pressing]
