"""Evidence of convergence: what the derivatives at a point say about it, independently of the optimizer that found it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from fitkit.backend import array, jax, kernel
from fitkit.losses import DistanceLoss
from fitkit.optimizers.least_squares import LeastSquares, Linearization
from fitkit.optimizers.subspace import gauss_newton
from fitkit.problem import Problem
from fitkit.types import Scalar, Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

EXACT_UP_TO = 200
"""Free parameters up to which the exact Hessian is formed."""
FLAT_BELOW = 1e-12
"""An eigenvalue of the scaled Hessian below this is flat: rounding in a Hessian of unit diagonal is about 1e-15."""


@kernel()
def _gradient_and_hessian(problem: Problem, theta: Theta) -> tuple[Scalar, Theta, Theta]:
    """Return the objective, its gradient (free,) and its Hessian (free, free)."""
    value, gradient = jax.value_and_grad(problem.objective)(theta)
    return value, gradient, jax.hessian(problem.objective)(theta)


CLOSE = 1e-6
"""A claim of convergence stands if what is left to gain, or to move, is at most this (or 100 gtol, if that is looser)."""
NEAR_ZERO = 1e-6
"""A parameter below this share of the largest it was seen at is judged by that share instead of by itself."""


@final
@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the derivatives at a point say.

    All numbers are free of units: rescaling a parameter or the data changes none of them. NaN where unknown.
    """

    optimality: float
    """The largest cosine between residual and Jacobian columns, or the smaller of `remaining` and `newton_step`."""
    remaining: float
    """The root of the share of the objective that a Newton step (Gauss-Newton for least squares) would still remove."""
    newton_step: float
    """The largest component of that step relative to its parameter."""
    smallest_eigenvalue: float
    """Of the Hessian scaled to unit diagonal, over parameters not held at a bound (Gauss-Newton for least squares)."""
    condition: float
    """The condition number of the scaled Jacobian, or the root of that of the scaled Hessian."""
    minimum: Literal["strict", "flat", "saddle", "unknown"]
    held: Mask
    """Parameters pressed against a bound, shape (free,)."""
    flat: Matrix
    """Directions along which the objective does not change, in scaled coordinates, shape (flat, free)."""
    linearization: Linearization | None = None
    """For least squares."""
    gradient: Vector | None = None
    hessian: Matrix | None = None
    """For other objectives, shape (free, free)."""

    @property
    def known(self) -> bool:
        """Whether there are derivatives to ask."""
        return self.remaining == self.remaining


def assess(problem: Problem, theta: Vector, largest: Vector | None = None) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: the objective.
        theta: the point.
        largest: the largest |theta_j| that the search has seen, the scale of parameters that end at zero, shape (free,).
    """
    import numpy as np

    seen = np.abs(theta) if largest is None else largest
    if problem.least_squares:
        return _assess_least_squares(problem, theta, seen)
    if 0 < len(theta) <= EXACT_UP_TO:
        return _assess_smooth(problem, theta, seen)
    return _unknown(len(theta))


def confirms(evidence: Evidence, gtol: float) -> bool:
    """Return whether the exact derivatives support a claim of convergence; True where there are none to ask."""
    bound = max(CLOSE, 100 * gtol)
    return not evidence.known or evidence.remaining <= bound or evidence.newton_step <= bound


def optimality_at(problem: Problem, theta: Vector) -> float:
    """Return the scale-free slope at theta, or NaN where it would cost too much to know."""
    if problem.regularization.l1 > 0 or (problem.loss is not None and not problem.loss.smooth):
        return float("nan")
    return assess(problem, theta).optimality


def _unknown(size: int) -> Evidence:
    import numpy as np

    nan = float("nan")
    return Evidence(
        optimality=nan if size else 0.0,
        remaining=nan if size else 0.0,
        newton_step=nan if size else 0.0,
        smallest_eigenvalue=nan,
        condition=nan,
        minimum="unknown",
        held=np.zeros(size, bool),
        flat=np.zeros((0, size)),
    )


def _pressed(problem: Problem, theta: Vector, gradient: Vector) -> Mask:
    """Return which parameters the gradient presses against a bound, shape (free,)."""
    import numpy as np

    lower, upper = np.asarray(problem.lower), np.asarray(problem.upper)
    return ((theta <= lower) & (gradient > 0)) | ((theta >= upper) & (gradient < 0))


def _relative(step: Vector, theta: Vector, seen: Vector) -> float:
    """Return the largest component of a step relative to its parameter.

    A parameter that ends at zero is known to no share of itself: a millionth of the largest it was seen at stands in, or
    one where it has always been zero.
    """
    import numpy as np

    size = np.maximum(np.abs(theta), NEAR_ZERO * seen)
    return float(np.max(np.abs(step) / np.where(size > 0, size, 1.0), initial=0.0))


def _seen_by_data(problem: Problem, point: Linearization) -> Vector:
    """Return |target| / |J_j|, the size at which parameter j alone would make the target, shape (free,); 0 if unknown."""
    import numpy as np

    rows = problem.rows
    if rows is None or not isinstance(problem.loss, DistanceLoss):
        return np.zeros(len(point.column_norms))
    target = np.asarray(rows.target, np.float64) / (1.0 if rows.sigma is None else np.asarray(rows.sigma, np.float64))
    size = np.sqrt(np.asarray(rows.weight, np.float64) @ target**2 / float(problem.total_weight))
    known = point.column_norms > 0
    return np.where(known, size / np.where(known, point.column_norms, 1.0), 0.0)


def _assess_least_squares(problem: Problem, theta: Vector, seen: Vector) -> Evidence:
    import numpy as np

    point = LeastSquares(problem).linearize(theta)
    if not point.finite or len(theta) == 0:
        return _unknown(len(theta))
    held = _pressed(problem, theta, point.gradient)
    newton = gauss_newton(point, ~held)
    flat = len(newton.flat) > 0
    return Evidence(
        optimality=point.cosines(~held),
        remaining=newton.offset,
        newton_step=_relative(newton.step, theta, np.maximum(seen, _seen_by_data(problem, point))),
        smallest_eigenvalue=newton.smallest,
        condition=newton.condition,
        minimum="flat" if flat else "strict",
        held=held,
        flat=newton.flat,
        linearization=point,
    )


def _spectrum(hessian: Matrix) -> tuple[Vector, Vector, Matrix, Mask]:
    """Return the scale that makes the diagonal one, the scaled Hessian's eigenvalues and vectors, and which are flat."""
    import numpy as np

    diagonal = np.abs(np.diag(hessian))
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    return scale, values, vectors, np.abs(values) <= FLAT_BELOW * np.max(np.abs(values), initial=1.0)


def _steepest(slopes: Vector, directions: Matrix, theta: Vector, seen: Vector) -> float:
    """Return the most that the objective changes to first order by a move of a parameter's own size along a direction.

    Args:
        slopes: of the objective along each direction, shape (directions,).
        directions: shape (free, directions).
        theta: the point, shape (free,).
        seen: the size of parameters that end at zero, shape (free,).
    """
    import numpy as np

    lengths = [_relative(direction, theta, seen) for direction in directions.T]
    return float(np.max(np.abs(slopes) / np.where(np.array(lengths) > 0, lengths, 1.0), initial=0.0))


def _assess_smooth(problem: Problem, theta: Vector, seen: Vector) -> Evidence:
    import numpy as np

    work = len(theta) ** 2 * (1 if problem.rows is None else len(problem.rows))
    point = array(theta, problem.lower.dtype)
    parts = _gradient_and_hessian.for_work(work)(problem, point)
    value, gradient, hessian = float(parts[0]), np.asarray(parts[1], np.float64), np.asarray(parts[2], np.float64)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return _unknown(len(theta))
    held = _pressed(problem, theta, gradient)
    movable = ~held
    scale, values, vectors, flat = _spectrum(hessian[np.ix_(movable, movable)])
    slopes = vectors.T @ (gradient[movable] / scale)
    newton = slopes[~flat] / np.sqrt(np.abs(values[~flat]))
    share = float(np.sqrt(newton @ newton / 2 / abs(value))) if value else np.inf
    move = vectors[:, ~flat] @ (newton / np.sqrt(np.abs(values[~flat]))) / scale
    step = _relative(move, theta[movable], seen[movable])
    steep = _steepest(slopes[flat], vectors[:, flat] / scale[:, None], theta[movable], seen[movable])
    if steep > CLOSE**2 * abs(value):  # without curvature and yet not level: there is no Newton step to speak of
        share, step = max(share, float(np.sqrt(steep / abs(value)))) if value else np.inf, np.inf
        flat = np.zeros_like(flat)
    directions = np.zeros((int(flat.sum()), len(theta)))
    directions[:, movable] = vectors[:, flat].T
    smallest, largest = float(np.min(values, initial=np.inf)), float(np.max(np.abs(values), initial=1.0))
    saddle = smallest < -FLAT_BELOW * largest
    return Evidence(
        optimality=min(share, step),
        remaining=share,
        newton_step=step,
        smallest_eigenvalue=smallest,
        condition=float(np.sqrt(largest / smallest)) if smallest > 0 else np.inf,
        minimum="saddle" if saddle else "flat" if flat.any() else "strict" if smallest > 0 else "unknown",
        held=held,
        flat=directions,
        gradient=gradient,
        hessian=hessian,
    )
