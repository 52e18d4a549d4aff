"""The evidence for least squares: the exact Hessian J'J + S, the cosines, and the rounding of the minimum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from fitkit.evidence.evidence import (
    CLOSE,
    EXACT_UP_TO,
    NEAR_ZERO,
    Evidence,
    pressed,
    relative_move,
    relative_size,
    taking_part,
    unknown,
)
from fitkit.evidence.left_to_minimum import left_to_minimum
from fitkit.evidence.neighbours import look_beside
from fitkit.optimizers.bound_rows import BoundRows
from fitkit.optimizers.exact_newton import EPSILON, NewtonStep, exact_step
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.linearization import Linearization
from fitkit.optimizers.subspace import GaussNewton, gauss_newton
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]


WEAK = 1e-6
"""Curvature over a parameter's own size, as a share of the objective, below which its neighbours are looked at."""
LOST = 1e-6
"""A column of the Jacobian that fell to this share of its length at the start has vanished."""
NO_EFFECT = 1e-8
"""An effect below this share of the residual is none."""
SEVERAL = 10.0
"""How many standard deviations of rounding a step may be that is called rounding."""
NOISY = 1e-4
"""The largest share of a parameter that rounding may hide where a minimum is still told."""
NEAR = 3e-4
"""The largest share that such a step may be: an exponent has at most 745 units until it underflows, a step each."""
TOO_SMALL_TO_SQUARE = 1e-290
""" 1e-308 is the smallest double with all digits; squares that are added lose theirs earlier."""


@final
@dataclass(frozen=True, kw_only=True)
class _Derivatives:
    """What the derivatives at a point are, and what follows from each of them."""

    linear: GaussNewton
    held: Mask
    own: Vector
    """The sizes of the parameters by themselves: the largest that was seen of each, shape (free,)."""
    size: Vector
    """The same, or the size by the data where that is larger."""
    curvature: Matrix
    idle: Mask
    """Parameters that lost their effect, shape (free,)."""
    exact: NewtonStep
    left: Vector
    """The step that is left to the minimum, shape (free,)."""
    noise: Vector
    """What rounding moves the minimum by, one standard deviation, shape (free,)."""


def assess_least_squares(problem: Problem, theta: Vector, seen: Vector, start: Vector | None) -> Evidence:
    """Return the evidence at theta, shape (free,).

    Args:
        problem: of residuals.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
        start: where the search began, shape (free,).
    """
    import numpy as np

    squares = LeastSquares(problem)
    point = squares.linearize(theta)
    if not point.finite or len(theta) == 0:
        return unknown(len(theta), finite=len(theta) == 0)
    found = _derivatives(squares, theta, point, seen, start)
    exact, rounding = found.exact, found.noise + EPSILON / 2 * np.abs(theta)
    here = np.where(theta != 0, np.abs(theta), found.own)
    flat = taking_part(exact.flat, point.column_norms, here) if len(exact.flat) else exact.flat
    flat = np.vstack([flat, np.eye(len(theta))[found.idle]]) if found.idle.any() else flat
    beside = _beside(squares, theta, point, found)
    remaining, moves = _remaining(theta, point, found)
    strict = beside is None and exact.saddle is None and len(flat) == 0
    return Evidence(
        optimality=point.cosines(~found.held),
        remaining=remaining,
        newton_step=moves,
        smallest_eigenvalue=_smallest(point, found.curvature, ~found.held),
        condition=found.linear.condition,
        minimum=beside or ("saddle" if _saddle(exact, remaining) else "flat" if len(flat) else "strict"),
        held=found.held,
        flat=flat,
        without_effect=found.idle,
        linearization=point,
        uncertainty_of_minimum=np.hypot(found.left, found.noise) + EPSILON / 2 * np.abs(theta),
        at_rounding=strict and _told_apart_by_rounding_only(found.left, rounding, found.own),
    )


def _derivatives(
    squares: LeastSquares, theta: Vector, point: Linearization, seen: Vector, start: Vector | None
) -> _Derivatives:
    """Return what the derivatives at theta are; the arguments are those of `assess_least_squares`."""
    import numpy as np

    held = pressed(squares.problem, theta, point.gradient)
    linear = gauss_newton(point, ~held)
    own = np.maximum(np.abs(theta), seen)
    # Not without limit: where a column vanishes, the size by the data goes to infinity and would excuse any step.
    by_data = _seen_by_data(squares, point)
    size = np.maximum(seen, np.where(own > 0, np.minimum(by_data, 1e3 * own), by_data))
    with np.errstate(over="ignore", invalid="ignore"):  # residuals near underflow have no inverse to speak of
        curvature = _curvature(squares, theta, point, linear, size)
        idle = _without_effect(squares, point, curvature, own, start) & ~held
        # A column that has nearly vanished makes the whitened S huge, and would put the blame on another parameter.
        exact = exact_step(squares, theta, point, curvature, ~held & ~idle)
        left, noise = left_to_minimum(squares, theta, point, curvature, exact, seen, ~held & ~idle)
    return _Derivatives(
        linear=linear,
        held=held,
        own=own,
        size=size,
        curvature=curvature,
        idle=idle,
        exact=exact,
        left=left,
        noise=noise,
    )


def _beside(
    squares: LeastSquares, theta: Vector, point: Linearization, found: _Derivatives
) -> Literal["kink", "saddle"] | None:
    """Return what the neighbours make of the point, along parameters and directions of which derivatives say little."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        curved = (point.factor * point.factor).sum(axis=0) + found.curvature.diagonal()
        weak = curved * found.own**2 <= WEAK * point.sum_of_squares
    doubtful = (weak | found.idle) & ~found.held
    if not doubtful.any() and len(found.exact.flat) == 0:
        return None
    unscaled = found.exact.flat / np.where(point.column_norms > 0, point.column_norms, 1.0)
    looks = np.vstack([np.eye(len(theta))[doubtful], unscaled])
    magnitude = float(point.column_norms @ np.abs(theta))
    value = point.sum_of_squares
    return look_beside(squares.problem, theta, looks, found.own, squares.sum_of_squares, value, magnitude)


def _remaining(theta: Vector, point: Linearization, found: _Derivatives) -> tuple[float, float]:
    """Return the root of the share of the objective that is left to gain, and the largest relative move that is left."""
    exact = found.exact
    norm = point.sum_of_squares**0.5
    remaining = exact.decrement / norm if norm > 0 else 0.0
    moves = relative_move(found.left, theta, found.size)
    steep = _steepest(point, exact.flat) if len(exact.flat) else 0.0
    if steep > CLOSE:  # without curvature and yet not level: there is no Newton step to speak of
        remaining, moves = max(remaining, steep), math.inf
    if exact.saddle is not None and remaining >= CLOSE:  # downhill by a curvature, of which the step knows nothing
        moves = math.inf
    if underflows(point.sum_of_squares) and moves > CLOSE:  # the squares are gone, but not what they are squares of
        remaining = math.inf
    return remaining, moves


def _seen_by_data(squares: LeastSquares, point: Linearization) -> Vector:
    """Return |target| / |J_j|, the size at which parameter j alone would make the target, shape (free,); 0 if unknown."""
    import numpy as np

    size = math.sqrt(BoundRows.of(squares.problem).mean_square_of_targets)
    known = point.column_norms > 0
    return np.where(known, size / np.where(known, point.column_norms, 1.0), 0.0)


def _without_effect(
    squares: LeastSquares, point: Linearization, curvature: Matrix, size: Vector, start: Vector | None
) -> Mask:
    """Return which parameters lost their effect since the start: a move by their own size is below rounding, (free,).

    A parameter that ends near zero has little effect over its own size too, but its column is as long as ever.
    """
    import numpy as np

    if start is None:
        return np.zeros(len(size), bool)
    begun = squares.linearize(start).column_norms
    lost: Mask = point.column_norms <= LOST * np.where(np.isfinite(begun), begun, np.inf)
    if not lost.any():
        return lost
    norm = point.sum_of_squares**0.5
    targets = math.sqrt(BoundRows.of(squares.problem).mean_square_of_targets)
    effects = point.column_norms * size
    # Of any parameter, where targets vanish and residuals do.
    largest = float(np.max(effects[np.isfinite(effects)], initial=0.0)) if targets == 0 else 0.0
    least = max(NO_EFFECT * norm, 1e3 * EPSILON * targets, EPSILON * largest)
    bend = np.abs(np.diag(curvature))  # where residuals are near underflow, it may be no number
    bends = np.where(np.isfinite(bend), bend, 0.0) * size**2 > least * max(norm, least)
    idle: Mask = lost & (effects <= least) & ~(bends | ~np.isfinite(size)) & (size > 0)
    return idle


def _smallest(point: Linearization, curvature: Matrix, movable: Mask) -> float:
    """Return the smallest eigenvalue of the exact Hessian scaled to unit diagonal, over the movable parameters."""
    import numpy as np

    if not movable.any():
        return float("nan")
    hessian = point.factor.T @ point.factor + np.where(np.isfinite(curvature), curvature, 0.0)
    if not movable.all():
        hessian = hessian[np.ix_(movable, movable)]
    diagonal = np.abs(hessian.diagonal())
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return float(np.linalg.eigvalsh(hessian / scale[:, None] / scale)[0])


def _curvature(squares: LeastSquares, theta: Vector, point: Linearization, linear: GaussNewton, seen: Vector) -> Matrix:
    """Return S, shape (free, free); zero where along flat directions of J it may come from the slope that is left.

    Along the valley of a product a b, say, the curvature is the slope over a parameter: zero at the bottom, and of any sign
    beside it. So it is taken where a linear step leads, and counts only if a move of the parameters' own size gains more
    by it than by the slope left there.
    """
    import numpy as np

    none = np.zeros((len(theta), len(theta)))
    if len(theta) > EXACT_UP_TO:
        return none
    if len(linear.flat) == 0:
        return squares.curvature(theta, point)
    bottom = theta + linear.step
    there = squares.linearize(bottom)
    if not (there.finite and there.sum_of_squares <= point.sum_of_squares * (1 + 1e-9)):
        bottom, there = theta, point
    curvature = squares.curvature(bottom, there)
    doubt = 10 * np.abs(there.gradient) @ np.maximum(np.abs(bottom), NEAR_ZERO * seen)
    scale = np.where(point.column_norms > 0, point.column_norms, 1.0)
    ways = np.array([way / (relative_size(way, bottom, seen) or 1.0) for way in linear.flat / scale])
    # Over all of them together: at the saddle of a b each alone bends nothing.
    bends = np.abs(np.linalg.eigvalsh(ways @ np.where(np.isfinite(curvature), curvature, 0.0) @ ways.T)) / 2
    return curvature if (bends > doubt).any() else none


def _saddle(exact: NewtonStep, remaining: float) -> bool:
    """Return whether the slope vanishes where a curvature is negative."""
    return exact.saddle is not None and remaining < CLOSE


def _told_apart_by_rounding_only(step: Vector, noise: Vector, size: Vector) -> bool:
    """Return whether the Newton step that is left is the rounding of the minimum, and that is small, in every parameter."""
    import numpy as np

    if not (np.isfinite(step).all() and np.isfinite(noise).all()):
        return False
    near = np.minimum(SEVERAL * noise, NEAR * size)
    return bool((np.abs(step) <= near).all() and (noise <= NOISY * size).all())


def _steepest(point: Linearization, flat: Matrix) -> float:
    """Return the largest cosine between the residual and what it changes by along flat directions, shape (flat, free).

    Where J has no effect there is none; but a curvature that cancels J'J leaves a slope.
    """
    import numpy as np

    norms = np.where(point.column_norms > 0, point.column_norms, 1.0)
    changes = flat @ (point.factor / norms).T
    lengths = np.linalg.norm(changes, axis=1)
    along = np.abs(changes @ point.projected)
    total = lengths * point.sum_of_squares**0.5
    return float(np.max(along / np.where(total > 0, total, 1.0), where=lengths > CLOSE, initial=0.0))


def underflows(sum_of_squares: float) -> bool:
    """Return whether a sum of squares is too small to have its digits."""
    return abs(sum_of_squares) < TOO_SMALL_TO_SQUARE
