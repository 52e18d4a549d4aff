"""Whether the objective has its infimum at infinity: where parameters went on and on, it does not rise farther out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.optimizers.bound_rows import BoundRows
from fitkit.optimizers.exact_newton import EPSILON
from fitkit.optimizers.smooth_kernels import SmoothExpansion, expand_smooth
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Mask = NDArray[np.bool_]

FAR = 10.0
"""A parameter that is so many times its start has gone far."""
LOGARITHMS = 10.0
"""The same for the logarithm of a parameter: four orders of magnitude."""
FARTHER = (1.25, 2.0, 10.0, 100.0, 1000.0)
"""By what factors the parameters are moved on."""
BACK = (0.8, 0.1, 0.01)
"""By what factors they are moved back: a valley that is level both ways has no infinity at its end."""
SETTLED = 3
"""At how many points farther out the other parameters are settled anew."""
MOST_SETTLING = 8
FLAT = 1e-14
"""Curvature below this share of the largest is not followed when parameters are settled."""


def heads_for_infinity(problem: Problem, start: Vector, theta: Vector, objective: Callable[[Vector], float]) -> Mask:
    """Return which parameters went far from their start towards an infimum at infinity, shape (free,).

    Parameters that went far are moved on by growing factors: each alone; all together; all together while those that shrank
    go on shrinking, where the product of two may be all that counts; and so again with all but one of them settled anew.
    Where the objective does not rise on the way out, and fell on the way there, no minimum has a finite value.

    Args:
        problem: gives bounds and scales.
        start: where the search began, shape (free,).
        theta: where it ended, shape (free,).
        objective: the objective at a point.
    """
    import numpy as np

    logarithmic = np.array(problem.layout.logarithms, bool)
    begun = np.where(start == 0, _first_steps(problem, start), np.abs(start))
    far = np.where(logarithmic, np.abs(theta - start) > LOGARITHMS, np.abs(theta) > FAR * begun)
    shrunk = ~logarithmic & (np.abs(theta) < np.abs(start) / FAR)
    sides = np.where(logarithmic, np.sign(theta - start), 1.0)

    def moved(powers: Vector, factor: float) -> Vector:
        move = np.log(factor) * powers * sides
        return np.where(logarithmic, theta + move, theta * np.exp(np.where(logarithmic, 0.0, move)))

    for powers, keep in _ways(far, shrunk):
        outward = [moved(powers, factor) for factor in FARTHER]
        back = [moved(powers, factor) for factor in BACK]
        if keep is not None:
            outward = [_settled(problem, point, keep) for point in outward[:SETTLED]]
            back = [_settled(problem, point, keep) for point in back]
        if _endless(problem, objective(theta), outward, back, objective):
            return far & (powers > 0)
    return np.zeros(len(theta), bool)


def _first_steps(problem: Problem, start: Vector) -> Vector:
    """Return how far a Newton step leads in each parameter alone, shape (free,): the size of one that starts at zero."""
    import numpy as np

    if not (start == 0).any():
        return np.zeros(len(start))
    found = _expanded(problem, start)
    with np.errstate(all="ignore"):
        steps = np.abs(np.asarray(found.gradient) / np.diag(np.asarray(found.hessian)))
    return np.where(np.isfinite(steps), steps, 0.0)


def _expanded(problem: Problem, point: Vector) -> SmoothExpansion:
    work = len(point) ** 2 * (1 if problem.rows is None else len(problem.rows))
    return expand_smooth.for_work(work)(problem, array(point, problem.lower.dtype))


def _ways(far: Mask, shrunk: Mask) -> Iterator[tuple[Vector, int | None]]:
    """Yield the powers of the factor by which each parameter is moved, shape (free,), and the one that is then kept."""
    import numpy as np

    each = np.flatnonzero(far)
    for index in each:
        yield np.eye(len(far))[index], None
    together = ([far.astype(float)] if len(each) > 1 else []) + (
        [far.astype(float) - shrunk] if len(each) > 0 and shrunk.any() else []
    )
    yield from ((powers, None) for powers in together)
    yield from ((powers, int(each[0])) for powers in together)
    yield from ((np.eye(len(far))[index], int(index)) for index in each if len(far) > 1)


def _endless(
    problem: Problem, value: float, outward: list[Vector], back: list[Vector], objective: Callable[[Vector], float]
) -> bool:
    """Return whether the objective does not rise at the points `outward`, and does at one of those `back`."""
    import numpy as np

    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    if any(((point < lower) | (point > upper)).any() for point in outward):
        return False
    noise = max(1e3 * EPSILON * abs(value), _rounding(problem))
    found = np.array([objective(point) for point in outward[:SETTLED]])
    # Far out a formula may overflow to what is no number; the first point tells enough, and a bottomless fall is one.
    no_number = (np.isnan(found) | (found == np.inf)) & (np.arange(len(found)) > 0)
    if not ((found <= value + noise) | no_number).all():
        return False
    return any(objective(point) > value + noise for point in back)


def all_but_exact(problem: Problem, value: float) -> bool:
    """Return whether a loss of distances is next to nothing beside the targets, so that its infimum is zero.

    That may be at infinity, where derivatives vanish as they do at a minimum: an exponential tail has digits to lose for a
    long way before they tell.
    """
    return value <= EPSILON * BoundRows.of(problem).mean_square_of_targets


def _rounding(problem: Problem) -> float:
    """Return what the rounding of targets alone makes of a loss of distances that is zero otherwise."""
    return (10 * EPSILON) ** 2 * BoundRows.of(problem).mean_square_of_targets


def _settled(problem: Problem, point: Vector, keep: int) -> Vector:
    """Return the point with all parameters but one moved by Newton steps for as long as they lower the objective, (free,)."""
    import numpy as np

    others = np.arange(len(point)) != keep
    best, least = point, np.inf
    with np.errstate(all="ignore"):
        for _ in range(MOST_SETTLING):
            found = _expanded(problem, point)
            value, slope, hessian = (
                float(found[0]),
                np.asarray(found[1])[others],
                np.asarray(found[2])[others][:, others],
            )
            if not (value < least and np.isfinite(slope).all() and np.isfinite(hessian).all()):
                break
            best, least = point, value
            scale = np.sqrt(np.where(np.diag(hessian) > 0, np.diag(hessian), 1.0))
            values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
            kept = values > FLAT * values[-1]
            point = point.copy()
            point[others] -= vectors[:, kept] @ (vectors[:, kept].T @ (slope / scale) / values[kept]) / scale
    return best
