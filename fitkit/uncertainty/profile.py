"""Likelihood profiles: where the deviance, with one parameter held and all others fitted anew, crosses its bound.

Along a parameter the root of the profile's deviance, tau(p), is nearly a straight line, and exactly one for a linear model.
So its crossing is sought by secants on tau, bracketed; both sides of all parameters at once, each a lane of one batch that
begins where the last refit of its side points to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.batched import Lanes, solve
from fitkit.evidence import Evidence
from fitkit.problem import Problem
from fitkit.uncertainty.crossing import Ending, Side
from fitkit.uncertainty.deviance import Deviance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

MOST_ROUNDS = 60
FARTHEST = 1e4
"""A profile that is still below its bound at so many times the width that the curvature foretells never reaches it."""
LOWER = 1e-3
"""A deviance below minus this is a lower minimum, and not rounding."""


@final
@dataclass(frozen=True, kw_only=True)
class ProfileEstimate:
    """The ends of the intervals, in the optimizer's coordinates."""

    lower: Vector
    """Shape (free,); NaN where nothing ends the interval on that side."""
    upper: Vector
    cut: tuple[int, ...]
    """Parameters whose interval a bound ends."""
    endless: tuple[int, ...]
    """Parameters whose profile never reaches its bound on a side."""
    unsure: tuple[int, ...]
    """Parameters of whose last refits one has not converged."""
    lowest: float | None
    """A lower minimum that a refit found, where one did: then there are no intervals."""


def profile(
    problem: Problem,
    theta: Vector,
    evidence: Evidence,
    deviance: Deviance,
    level: float,
    wanted: tuple[int, ...],
    stop: Callable[[], bool],
) -> ProfileEstimate | None:
    """Return the profile intervals of the `wanted` parameters, or None where `stop` said so.

    Args:
        problem: a smooth one.
        theta: its minimum, shape (free,).
        evidence: the derivatives there.
        deviance: what a rise of the objective means.
        level: the probability that the intervals are to cover with.
        wanted: positions in theta.
        stop: asked between refits.
    """
    import numpy as np

    bound = deviance.bound(level)
    sides = _sides(problem, theta, evidence, deviance, bound, wanted)
    movable = np.ones((len(sides) + 1, len(theta)), bool)  # the last lane is the minimum itself, by the same program
    movable[np.arange(len(sides)), [side.parameter for side in sides]] = False
    for _ in range(MOST_ROUNDS):
        if all(side.ending for side in sides):
            break
        points = np.vstack([*(_start(side, theta) for side in sides), theta])
        solved = solve(problem, Lanes(theta=points, movable=movable), damping=1e-3, stop=stop)
        if stop():
            return None
        rises = deviance.factor * (solved.value - solved.value[-1])
        if np.nanmin(rises) < -LOWER:
            return _estimate(theta, sides, float(np.nanmin(solved.value)))
        taus = np.sqrt(np.maximum(rises, 0.0))
        for side, tau, point, converged in zip(sides, taus, solved.theta, solved.converged, strict=False):
            if side.ending is None:
                side.look(float(tau), bound, point, converged=bool(converged))
    return _estimate(theta, sides, None)


def _sides(
    problem: Problem, theta: Vector, evidence: Evidence, deviance: Deviance, bound: float, wanted: tuple[int, ...]
) -> list[Side]:
    """Return both sides of each wanted parameter, with the distance that the curvature foretells to be looked at first."""
    import numpy as np

    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    errors, companions = _foretold(evidence, deviance)
    sides = []
    for parameter in wanted:
        error = float(errors[parameter])
        size = bound * error if error == error else max(abs(float(theta[parameter])), 1.0)
        for sign, room in ((-1, theta[parameter] - lower[parameter]), (1, upper[parameter] - theta[parameter])):
            sides.append(Side(
                parameter=parameter,
                sign=sign,
                room=float(room),
                next=min(size, float(room)),
                farthest=FARTHEST * size,
                point=theta + sign * size * companions[parameter],
                at=size,
                ending="bound" if room <= 0 else None,
            ))  # fmt: skip
    return sides


def _half_hessian(evidence: Evidence) -> Matrix | None:
    """Return J'J of a sum of squares, half the Hessian of all else, shape (free, free), where it is known."""
    point = evidence.linearization
    if point is not None:
        return point.factor.T @ point.factor
    return None if evidence.hessian is None else evidence.hessian / 2


def foretold_covariance(evidence: Evidence, deviance: Deviance) -> Matrix | None:
    """Return the covariance by the quadratic model of the deviance, zero for what a bound holds, shape (free, free).

    None where a parameter has no curvature.
    """
    import numpy as np

    half = _half_hessian(evidence)
    if half is None:
        return None
    free, diagonal = ~evidence.held, np.diag(half)
    if not (free.any() and (diagonal[free] > 0).all()):
        return None
    scale = np.sqrt(diagonal[free])
    inverse = np.linalg.pinv(half[np.ix_(free, free)] / np.outer(scale, scale), hermitian=True)
    covariance = np.zeros_like(half)
    covariance[np.ix_(free, free)] = inverse / np.outer(scale, scale) / deviance.factor
    return covariance


def _foretold(evidence: Evidence, deviance: Deviance) -> tuple[Vector, Matrix]:
    """Return what the quadratic model says of each profile.

    Returns:
        The distance at which its deviance is one, shape (free,), NaN where there is no curvature; and how all parameters
        move with a unit move of each, in rows, shape (free, free).
    """
    import numpy as np

    size = len(evidence.held)
    errors, companions = np.full(size, np.nan), np.eye(size)
    half = _half_hessian(evidence)
    if half is None:
        return errors, companions
    diagonal = np.diag(half)
    known = diagonal > 0
    # Of those held at a bound, the others where they are.
    errors[known] = 1 / np.sqrt(deviance.factor * diagonal[known])
    covariance = foretold_covariance(evidence, deviance)
    if covariance is not None:
        free = ~evidence.held
        variances = np.diag(covariance)[free]
        errors[free] = np.sqrt(variances)
        companions[np.ix_(free, free)] = covariance[np.ix_(free, free)] / variances[:, None]
    return errors, companions


def _start(side: Side, theta: Vector) -> Vector:
    """Return where the refit begins: on the line from the minimum through the last refit of this side."""
    point = theta + (side.point - theta) * (side.next / side.at)
    point[side.parameter] = theta[side.parameter] + side.sign * side.next
    return point


def _estimate(theta: Vector, sides: list[Side], lowest: float | None) -> ProfileEstimate:
    import numpy as np

    ends = {-1: np.full(len(theta), np.nan), 1: np.full(len(theta), np.nan)}
    for side in sides:
        if side.ending in {"crossed", "unsure"}:
            ends[side.sign][side.parameter] = theta[side.parameter] + side.sign * side.end

    def those(*endings: Ending | None) -> tuple[int, ...]:
        return tuple(sorted({side.parameter for side in sides if side.ending in endings}))

    return ProfileEstimate(
        lower=ends[-1],
        upper=ends[1],
        cut=those("bound"),
        endless=those("endless"),
        unsure=those("unsure", None),
        lowest=lowest,
    )
