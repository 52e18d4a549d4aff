"""The evidence for objectives that are no sums of squares: the exact gradient and Hessian."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array, kernel
from fitkit.evidence.evidence import CLOSE, Evidence, pressed, relative_move, relative_size, taking_part, unknown
from fitkit.evidence.neighbours import look_beside, rests_on_wall
from fitkit.evidence.smooth_distance import SmoothDistance
from fitkit.optimizers.smooth_kernels import expansion_at, slope_of
from fitkit.problem import Problem
from fitkit.types import Scalar, Theta

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
LARGE = 1_000_000
"""Rows times parameters from which a program for the gradient alone pays."""
MOST_DESCENTS = 3
LOST = 1e-6
"""An effect that fell to this share of what it was at the start has vanished."""
NO_EFFECT = 1e-13
"""An effect below this share of the objective is rounding."""
SELDOM = 2**30
"""Of so many blocks of rows there is one in a Hessian that nobody looks at."""
WEAK = 1e-6
"""Curvature over a parameter's own size, as a share of the objective, below which its neighbours are looked at."""


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


def _work(problem: Problem) -> int:
    """Return rows times parameters."""
    return max(1, problem.layout.size) * (1 if problem.rows is None else len(problem.rows))


def _expand(problem: Problem, theta: Vector, every: int = 1) -> tuple[float, Vector, Matrix] | None:
    """Return value, gradient and Hessian at theta, or None where one is not finite; `every` is of `expand_smooth`."""
    import numpy as np

    parts = expansion_at(problem, theta, every)
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


def _effect(gradient: Vector, hessian: Matrix, size: Vector) -> Vector:
    """Return the most that each parameter changes the objective over a move by its own size, shape (free,)."""
    import numpy as np

    with np.errstate(all="ignore"):
        effect: Vector = np.abs(gradient) * size + np.abs(np.diag(hessian)) * size**2 / 2
    return effect


@kernel()
def objective_of(problem: Problem, theta: Theta) -> Scalar:
    """Return the objective at theta."""
    return problem.objective(theta)


def _weak(scale: float, hessian: Matrix, size: Vector, movable: Mask) -> Matrix:
    """Return the single parameters without curvature to speak of, as directions, shape (weak, free)."""
    import numpy as np

    with np.errstate(over="ignore"):
        weak = np.abs(np.diag(hessian)) * size**2 <= WEAK * scale
    directions: Matrix = np.eye(len(size))[weak & (size > 0) & movable]
    return directions


def _left(
    value: float, spectrum: tuple[Vector, Vector, Matrix], flat: Mask, theta: Vector, seen: Vector
) -> tuple[float, float, Mask]:
    """Return the root of the share of the objective that is left to gain, the move that is left, and what is flat, (movable,).

    Args:
        value: of the objective.
        spectrum: slopes along the directions, curvatures, and the directions in units of theta, in columns.
        flat: directions without curvature, shape (movable,).
        theta: the movable parameters, shape (movable,).
        seen: their sizes, shape (movable,).
    """
    import numpy as np

    slopes, values, ways = spectrum
    newton = slopes[~flat] / np.sqrt(np.abs(values[~flat]))
    share = float(np.sqrt(newton @ newton / 2 / abs(value))) if value else np.inf
    step = relative_move(ways[:, ~flat] @ (newton / np.sqrt(np.abs(values[~flat]))), theta, seen)
    steep = _steepest(slopes[flat], ways[:, flat], theta, seen)
    # What is far below the slope across it is no slope along a flat direction: it comes from the bend of the valley.
    sloping = bool((np.abs(slopes[flat]) > CLOSE * np.linalg.norm(slopes)).any())
    if sloping and steep > CLOSE**2 * abs(value):  # not level without curvature: there is no Newton step to speak of
        share = max(share, float(np.sqrt(steep / abs(value)))) if value else np.inf
        return share, np.inf, np.zeros_like(flat)
    return share, step, flat


def _without_effect(effect: Vector, value: float, own: Vector) -> Mask:
    """Return which parameters have no effect beyond rounding, shape (free,)."""
    without: Mask = (effect <= NO_EFFECT * abs(value)) & (own > 0)
    return without


def assess_smooth(problem: Problem, theta: Vector, seen: Vector, start: Vector | None) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: a smooth objective.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
        start: where the search began, shape (free,); its objective is a scale where the objective ends at zero.
    """
    import numpy as np

    expansion = _expand(problem, theta)
    if expansion is None:
        return unknown(len(theta), finite=False)
    value, gradient, hessian = expansion
    dtype, own = problem.lower.dtype, np.maximum(np.abs(theta), seen)

    def objective(point: Vector) -> float:
        return float(objective_of.for_work(_work(problem))(problem, array(point, dtype)))

    level = (gradient == 0) & (np.diag(hessian) == 0)
    held = pressed(problem, theta, gradient) | rests_on_wall(problem, theta, level, own, objective, value)
    movable = ~held
    hessian = _beneath(problem, theta, value, gradient, hessian, movable)
    scale, values, vectors, flat = _spectrum(hessian[np.ix_(movable, movable)])
    slopes = vectors.T @ (gradient[movable] / scale)
    share, step, flat = _left(value, (slopes, values, vectors / scale[:, None]), flat, theta[movable], seen[movable])
    directions = np.zeros((int(flat.sum()), len(theta)))
    directions[:, movable] = vectors[:, flat].T
    effect = _effect(gradient, hessian, own)
    idle = _without_effect(effect, value, own) & movable
    # The curvature at the start is looked at only to tell whether what has no effect now has lost it since.
    begun = None if start is None else _expand(problem, start, 1 if idle.any() else SELDOM)
    idle &= effect <= LOST * (np.zeros(len(own)) if begun is None else _effect(*begun[1:], own))
    initial = 0.0 if begun is None else begun[0]
    unscaled = np.zeros_like(directions)
    unscaled[:, movable] = directions[:, movable] / scale
    looks = np.vstack([_weak(max(abs(value), abs(initial)), hessian, own, movable), unscaled])
    here = np.where(theta != 0, np.abs(theta), own)
    directions[:, movable] = taking_part(directions[:, movable], scale, here[movable])
    # As if of residuals: J'J is half the Hessian of squares.
    magnitude = float(np.sqrt(np.abs(theta) @ np.abs(hessian) @ np.abs(theta) / 2))
    minimum = look_beside(problem, theta, looks, own, objective, value, magnitude)
    smallest, largest = float(np.min(values, initial=np.inf)), float(np.max(np.abs(values), initial=1.0))
    saddle = smallest < -FLAT_BELOW * largest
    word = minimum or (
        "saddle" if saddle else "flat" if flat.any() or idle.any() else "strict" if smallest > 0 else "unknown"
    )
    distance = None
    if word == "strict" and min(share, step) <= CLOSE:
        distance = _distance(problem, theta, gradient, hessian, movable)
    return Evidence(
        optimality=min(share, step),
        remaining=share,
        newton_step=step,
        smallest_eigenvalue=smallest,
        condition=float(np.sqrt(largest / smallest)) if smallest > 0 else np.inf,
        minimum=word,
        held=held,
        flat=np.vstack([directions, np.eye(len(theta))[idle]]),
        without_effect=idle,
        gradient=gradient,
        hessian=hessian,
        uncertainty_of_minimum=None if distance is None or step > CLOSE else distance.uncertainty,
        at_rounding=distance is not None and distance.is_rounding(value, own),
    )


def _distance(problem: Problem, theta: Vector, gradient: Vector, hessian: Matrix, movable: Mask) -> SmoothDistance:
    """Return how far it is to a strict minimum."""
    import numpy as np

    def slopes(moved: Vector) -> Vector:
        if _work(problem) <= LARGE:
            expansion = _expand(problem, moved)  # whose program there is already
            return np.full(len(theta), np.inf) if expansion is None else expansion[1]
        slope = np.asarray(slope_of.full(problem, array(moved, problem.lower.dtype))[1], np.float64)
        return slope if np.isfinite(slope).all() else np.full(len(theta), np.inf)

    inside = np.ix_(movable, movable)
    scale, values, vectors, _ = _spectrum(hessian[inside])
    inverse = np.zeros_like(hessian)
    inverse[inside] = vectors / values @ vectors.T / np.outer(scale, scale)
    return SmoothDistance.at(theta, slopes, gradient, hessian, inverse, single=problem.single)
