"""The Newton step of least squares on the exact Hessian J'J + S, and how well it is known.

With columns of J scaled to length one and J = U sigma V', the Hessian is V sigma B sigma V' where

    B = I + (V / sigma)' S (V / sigma),

"whitened": its eigenvalues are one plus curvature times residual, whatever the conditioning of J.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.optimizers.bound_rows import CHUNK, REMEMBERED_UP_TO, BoundRows, remember
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.linearization import Linearization
from fitkit.optimizers.subspace import RANK_TOLERANCE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

WHITENED_UP_TO = 30.0
"""Largest eigenvalue of B that is trusted: beyond, J is nearly singular where the residual is not zero, and B loses digits."""
FLAT = 1e-8
"""Eigenvalues of B below this share are flat."""
FLAT_UNWHITENED = 1e-13


@final
@dataclass(frozen=True, kw_only=True)
class NewtonStep:
    """The step to the minimum of the exact quadratic model, over the directions that have curvature."""

    step: Vector
    """Shape (free,); zero for held parameters."""
    inverse: Matrix
    """The Hessian's inverse over directions with positive curvature, shape (free, free)."""
    decrement: float
    """sqrt(g' H^-1 g) with g = J'r: the root of the decrease that the model foretells."""
    smallest: float
    """The smallest eigenvalue of the whitened (or scaled) Hessian."""
    flat: Matrix
    """Directions without curvature, in scaled coordinates, shape (flat, free)."""
    saddle: Vector | None
    """The direction of the most negative curvature, shape (free,), where there is one."""

    def measure(self, gradient: Vector) -> float:
        """Return sqrt(g' H^-1 g) of another gradient J'r, shape (free,), in this metric."""
        import numpy as np

        with np.errstate(invalid="ignore", over="ignore"):
            squared = float(gradient @ self.inverse @ gradient)
        return float(max(0.0, squared) ** 0.5)


def newton_step(point: Linearization, curvature: Matrix, movable: Mask) -> NewtonStep:
    """Return the Newton step over the `movable` parameters.

    Args:
        point: R and Q'r.
        curvature: S, shape (free, free); zero where it is not finite, which gives the Gauss-Newton step.
        movable: parameters that are not held at a bound.
    """
    import numpy as np

    size = len(point.column_norms)
    scale, left, singular, right = point.spectrum_of(movable)
    whole = len(scale) == size
    with np.errstate(all="ignore"):  # where columns have all but vanished, S in their scale is not a number
        extra = (curvature if whole else curvature[np.ix_(movable, movable)]) / scale[:, None] / scale
    if not np.isfinite(extra).all():
        extra = np.zeros_like(extra)
    values, vectors, slopes, floor = _spectrum(left, singular, right, point.projected, extra)
    kept = values > floor
    if not kept.all():
        vectors_kept, values_kept, slopes_kept = vectors[:, kept], values[kept], slopes[kept]
    else:
        vectors_kept, values_kept, slopes_kept = vectors, values, slopes
    roots = np.sqrt(values_kept)
    half = vectors_kept / roots / scale[:, None]
    with np.errstate(over="ignore", invalid="ignore"):  # far out, an inverse may be too large to write down
        inverse = half @ half.T
    if not whole:
        part, inverse = inverse, np.zeros((size, size))
        inverse[np.ix_(movable, movable)] = part
    reduced = slopes_kept / roots
    step = -half @ reduced
    if not whole:
        part, step = step, np.zeros(size)
        step[movable] = part
    level = np.abs(values) <= floor
    flat = np.zeros((np.count_nonzero(level), size))
    if len(flat):
        flat[:, movable] = _unit(vectors[:, level]).T
    saddle = None
    if len(values) and values[0] < -10 * floor:
        saddle = np.zeros(size)
        saddle[movable] = vectors[:, 0] / scale
    return NewtonStep(
        step=step,
        inverse=inverse,
        decrement=math.sqrt(reduced @ reduced),
        smallest=float(values[0]) if len(values) else 1.0,
        flat=flat,
        saddle=saddle,
    )


def exact_step(
    squares: LeastSquares, theta: Vector, point: Linearization, curvature: Matrix, movable: Mask
) -> NewtonStep:
    """Return `newton_step` at theta, shape (free,); of the last points it is remembered."""
    kept = BoundRows.of(squares.problem).newton_steps
    key = theta.tobytes() + movable.tobytes() + curvature.tobytes()
    found = kept.get(key)
    if found is None:
        found = newton_step(point, curvature, movable)
        remember(kept, key, found)
    return found


def _spectrum(
    left: Matrix, singular: Vector, right: Matrix, projected: Vector, extra: Matrix
) -> tuple[Vector, Matrix, Vector, float]:
    """Return eigenvalues in ascending order, directions (in columns), slopes along them, and what counts as zero.

    Args:
        left: U of R with columns scaled to length one, shape (free, movable).
        singular: its singular values.
        right: V', shape (movable, movable).
        projected: Q'r, shape (free,).
        extra: S in the same scale, shape (movable, movable).
    """
    import numpy as np

    if len(singular) and singular[-1] > RANK_TOLERANCE * singular[0]:
        outward = right.T / singular
        values, vectors = np.linalg.eigh(np.eye(len(singular)) + outward.T @ extra @ outward)
        if max(-values[0], values[-1]) <= WHITENED_UP_TO:
            floor = FLAT * max(1.0, float(values[-1]))
            return values, outward @ vectors, vectors.T @ (left.T @ projected), floor
    values, vectors = np.linalg.eigh((right.T * singular**2) @ right + extra)
    floor = FLAT_UNWHITENED * float(np.max(np.abs(values), initial=1e-300))
    return values, vectors, vectors.T @ (right.T @ (singular * (left.T @ projected))), floor


def _unit(vectors: Matrix) -> Matrix:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=0)
    return vectors / np.where(lengths > 0, lengths, 1.0)


LOST = 1e-11
"""Where rounding may move a parameter by more than this share of it, the minimum is refined."""
EPSILON = 2.0**-52


def rounding_of_minimum(
    squares: LeastSquares, theta: Vector, point: Linearization, newton: NewtonStep, *, measured: bool = True
) -> Vector:
    """Return how far rounding in the residuals alone moves the minimum, one standard deviation, shape (free,).

    noise_j² = eps² [ sum_i (H^-1 J')_ji² mag_i² + sum_k (H^-1)_jk² sum_i (J_ik r_i)² ],

    where mag_i = |target_i| + |r_i| + sum_j |J_ij theta_j| bounds the terms whose rounding makes up residual i. If `measured`,
    it is also seen beside that by moving theta within its last places, at the cost of four evaluations.
    """
    import numpy as np

    total = np.zeros(len(theta))
    parts, weights = _sensitivity(squares, theta, point, newton)
    noises = shaken(squares, theta, point) if measured else itertools.repeat(None)
    for (reach, magnitude), noise in zip(parts, noises, strict=False):
        total += reach @ (magnitude**2 if noise is None else magnitude**2 + (noise / EPSILON) ** 2)
    epsilon = 2.0**-23 if squares.problem.single else EPSILON
    return epsilon * np.sqrt(total + newton.inverse**2 @ weights)


def _sensitivity(
    squares: LeastSquares, theta: Vector, point: Linearization, newton: NewtonStep
) -> tuple[list[tuple[Matrix, Vector]], Vector]:
    """Return (H^-1 J')², (free, rows), and mag, (rows,), for every chunk, and sum_i (J_ik r_i)²; remembered where small."""
    import numpy as np

    kept, key = BoundRows.of(squares.problem).sensitivities, theta.tobytes() + newton.inverse.tobytes()
    if key in kept:
        return kept[key]
    parts, weights = [], np.zeros(len(theta))
    for columns, sizes in zip(squares.known_columns(theta, point), targets_of(squares), strict=False):
        jacobian, residual = columns[:-1], np.abs(columns[-1])
        parts.append(((newton.inverse @ jacobian) ** 2, sizes + residual + np.abs(theta) @ np.abs(jacobian)))
        weights += jacobian**2 @ residual**2
    if len(squares.rows) * len(theta) <= REMEMBERED_UP_TO:
        remember(kept, key, (parts, weights))
    return parts, weights


def targets_of(squares: LeastSquares) -> list[Vector]:
    """Return |target| in the units of the residuals, (rows,) for every chunk."""
    import numpy as np

    from fitkit.losses import DistanceLoss

    kept = BoundRows.of(squares.problem)
    if kept.targets is not None:
        return kept.targets
    found = []
    for rows in squares.chunks():
        scale = np.sqrt(np.asarray(rows.weight, np.float64) / float(squares.problem.total_weight))
        if rows.sigma is not None:
            scale = scale / np.asarray(rows.sigma, np.float64)
        size = np.abs(np.asarray(rows.target, np.float64)) if isinstance(squares.problem.loss, DistanceLoss) else 0.0
        found.append(scale * size)
    if len(squares.rows) <= CHUNK:
        kept.targets = found
    return found


SHAKING = (1, -1, 2, -2)
"""Last places by which parameters are moved, each in its turn."""


def shaken(squares: LeastSquares, theta: Vector, point: Linearization) -> list[Vector]:
    """Return the evaluation noise of each residual, (rows,) for every chunk: what linear moves within an ulp leave over."""
    import numpy as np

    known = BoundRows.of(squares.problem).shaken
    if known is not None and known[0] == theta.tobytes():
        return [known[1]]
    moves = np.array(SHAKING)
    total = None
    for trial in range(4):
        signs = moves[(np.arange(len(theta)) + trial) % 4]
        moved = theta + signs * np.spacing(np.abs(theta))
        squared = [
            (there[-1] - here[-1] - (moved - theta) @ here[:-1]) ** 2
            for there, here in zip(squares.columns(moved), squares.known_columns(theta, point), strict=True)
        ]
        total = squared if total is None else [a + b for a, b in zip(total, squared, strict=True)]
    return [np.sqrt(part / 4) for part in total or []]


def loses_digits(uncertainty: Vector, theta: Vector, largest: Vector, movable: Mask) -> bool:
    """Return whether so much is uncertain of a parameter, shape (free,) each, that the minimum is to be refined."""
    import numpy as np

    size = np.maximum(np.abs(theta), 1e-3 * largest)
    return bool((uncertainty > LOST * size)[movable].any())
