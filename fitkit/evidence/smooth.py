"""The evidence for objectives that are no sums of squares: the exact gradient and Hessian."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.evidence.evidence import CLOSE, Evidence, pressed, relative_size, unknown
from fitkit.optimizers.smooth_kernels import expand_smooth
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

FLAT_BELOW = 1e-12
"""An eigenvalue of the scaled Hessian below this is flat: rounding in a Hessian of unit diagonal is about 1e-15."""
NEARLY_FLAT = 1e-6
"""An eigenvalue below this share of the largest may be made of the slope that is left."""
MOST_DESCENTS = 3


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

    lengths = [relative_size(direction, theta, seen) for direction in directions.T]
    return float(np.max(np.abs(slopes) / np.where(np.array(lengths) > 0, lengths, 1.0), initial=0.0))


def _expand(problem: Problem, theta: Vector) -> tuple[float, Vector, Matrix] | None:
    """Return value, gradient and Hessian at theta, or None where one is not finite."""
    import numpy as np

    work = len(theta) ** 2 * (1 if problem.rows is None else len(problem.rows))
    parts = expand_smooth.for_work(work)(problem, array(theta, problem.lower.dtype))
    value, gradient, hessian = float(parts[0]), np.asarray(parts[1], np.float64), np.asarray(parts[2], np.float64)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return None
    return value, gradient, hessian


def _beneath(problem: Problem, theta: Vector, value: float, gradient: Vector, hessian: Matrix, movable: Mask) -> Matrix:
    """Return the Hessian at the bottom of the valley beside theta, where there may be one, shape (free, free).

    Along the valley of a product a b, say, the curvature is the slope over a parameter: zero at the bottom, and of any sign
    beside it. Newton steps across it, over the directions with clear curvature, lead to where it can be judged.
    """
    import numpy as np

    inside = np.ix_(movable, movable)
    for _ in range(MOST_DESCENTS):
        scale, values, vectors, flat = _spectrum(hessian[inside])
        clear = values > NEARLY_FLAT * np.max(np.abs(values), initial=0.0)
        if clear.all() or (flat | clear).all():
            break
        slopes = vectors[:, clear].T @ (gradient[movable] / scale)
        bottom = theta.copy()
        bottom[movable] -= vectors[:, clear] @ (slopes / values[clear]) / scale
        bottom = np.clip(bottom, np.asarray(problem.lower), np.asarray(problem.upper))
        expansion = _expand(problem, bottom)
        if expansion is None or expansion[0] > value + CLOSE**2 * abs(value):
            break
        theta, (value, gradient, hessian) = bottom, expansion
    return hessian


def assess_smooth(problem: Problem, theta: Vector, seen: Vector) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: a smooth objective.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
    """
    import numpy as np

    expansion = _expand(problem, theta)
    if expansion is None:
        return unknown(len(theta))
    value, gradient, hessian = expansion
    held = pressed(problem, theta, gradient)
    movable = ~held
    hessian = _beneath(problem, theta, value, gradient, hessian, movable)
    scale, values, vectors, flat = _spectrum(hessian[np.ix_(movable, movable)])
    slopes = vectors.T @ (gradient[movable] / scale)
    newton = slopes[~flat] / np.sqrt(np.abs(values[~flat]))
    share = float(np.sqrt(newton @ newton / 2 / abs(value))) if value else np.inf
    move = vectors[:, ~flat] @ (newton / np.sqrt(np.abs(values[~flat]))) / scale
    step = relative_size(move, theta[movable], seen[movable])
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
