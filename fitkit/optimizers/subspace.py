"""Linear algebra on the triangular factor: the Gauss-Newton step, damped steps inside a box, and what cannot be told.

Everything here is of the size of theta and runs in numpy on the host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.optimizers.linearization import Linearization, triangular_factor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

RANK_TOLERANCE = 1e-13
"""Singular values of the column-scaled Jacobian below this share of the largest are rounding: about 500 ulp."""


@final
@dataclass(frozen=True, kw_only=True)
class GaussNewton:
    """The undamped step on the directions that the data determine."""

    step: Vector
    """Of smallest norm in scaled coordinates, shape (free,); zero for held parameters."""
    offset: float
    """|Q'r| / |r|, in [0, 1]: the share of the residual that a linear step can still remove, the relative offset."""
    spread: Vector
    """Square root of the diagonal of (J'J)^-1 over the determined directions, shape (free,); zero for held ones."""
    condition: float
    """The condition number of the column-scaled Jacobian; infinite where a column vanishes."""
    smallest: float
    """The smallest eigenvalue of J'J with columns scaled to length one."""
    flat: Matrix
    """Directions without effect on the residuals, in scaled coordinates, shape (flat, free)."""


def gauss_newton(point: Linearization, movable: Mask) -> GaussNewton:
    """Return the Gauss-Newton step over the `movable` parameters, from the SVD of R with columns scaled to length one.

    Reference: D. M. Bates and D. G. Watts, A Relative Offset Orthogonality Convergence Criterion for Nonlinear Least
    Squares, Technometrics 23 (1981).
    """
    import numpy as np

    size = len(point.column_norms)
    step, spread = np.zeros(size), np.zeros(size)
    if not movable.any():
        return GaussNewton(step=step, offset=0.0, spread=spread, condition=1.0, smallest=1.0, flat=np.zeros((0, size)))
    scale, left, singular, right = point.spectrum_of(movable)
    norm = math.sqrt(point.sum_of_squares)
    if len(scale) == size and singular[-1] > RANK_TOLERANCE * singular[0]:  # as almost always, and half the work
        reach, inverse = left.T @ point.projected, right.T / singular
        return GaussNewton(
            step=-(inverse @ reach) / scale,
            offset=math.sqrt(reach @ reach) / norm if norm > 0 else 0.0,
            spread=np.sqrt((inverse * inverse).sum(axis=1)) / scale,
            condition=float(singular[0] / singular[-1]),
            smallest=float(singular[-1] ** 2),
            flat=np.zeros((0, size)),
        )
    kept = singular > RANK_TOLERANCE * singular[0] if singular[0] > 0 else np.zeros(len(singular), bool)
    reach = left[:, kept].T @ point.projected
    inverse = right[kept].T / singular[kept]
    step[movable] = -(inverse @ reach) / scale
    spread[movable] = np.sqrt(np.einsum("ij,ij->i", inverse, inverse)) / scale
    flat = np.zeros((int((~kept).sum()), size))
    flat[:, movable] = right[~kept]
    return GaussNewton(
        step=step,
        offset=float(np.linalg.norm(reach) / norm) if norm > 0 else 0.0,
        spread=spread,
        condition=float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf"),
        smallest=float(singular[-1] ** 2),
        flat=flat,
    )


def damped_step(
    point: Linearization, scale: Vector, damping: float, movable: Mask, room: tuple[Vector, Vector]
) -> Vector:
    """Return the v that minimises |r + J v|² + damping |D v|² with lower <= v <= upper, shape (free,).

    Components that would leave the box are put on its wall, their effect moves to the right-hand side, and the rest is
    solved again, at most once per parameter.

    Args:
        point: R and Q'r.
        scale: the diagonal of D, shape (free,).
        damping: above zero, so that the system has full rank.
        movable: parameters that are not held at a bound.
        room: the box around the current point, lower <= 0 <= upper, each shape (free,).
    """
    import numpy as np

    lower, upper = room
    step = np.zeros(len(scale))
    inside = movable.copy()
    while inside.any():
        shifted = point.projected + point.factor[:, ~inside] @ step[~inside]
        matrix = np.vstack([point.factor[:, inside] / scale[inside], np.sqrt(damping) * np.eye(int(inside.sum()))])
        right = np.concatenate([-shifted, np.zeros(int(inside.sum()))])
        q, r = np.linalg.qr(matrix)
        step[inside] = np.linalg.solve(r, q.T @ right) / scale[inside]
        outside = inside & ((step < lower) | (step > upper))
        if not outside.any():
            break
        step[outside] = np.clip(step[outside], lower[outside], upper[outside])
        inside &= ~outside
    return step


def bend_step(point: Linearization, scale: Vector, damping: float, movable: Mask, bend: Vector) -> Vector:
    """Return the geodesic acceleration a = -(J'J + damping D²)^-1 J'r_vv over the movable parameters, shape (free,).

    By seminormal equations: the factor is orthogonal work, and a correction needs few digits.
    Reference: M. K. Transtrum and J. P. Sethna, Improvements to the Levenberg-Marquardt algorithm for nonlinear
    least-squares minimization, arXiv:1201.5885 (2012).
    """
    import numpy as np

    matrix = np.vstack([point.factor[:, movable] / scale[movable], np.sqrt(damping) * np.eye(int(movable.sum()))])
    factor = triangular_factor(matrix)
    half = np.linalg.solve(factor.T, -bend[movable] / scale[movable])
    result = np.zeros(len(scale))
    result[movable] = np.linalg.solve(factor, half) / scale[movable]
    return result
