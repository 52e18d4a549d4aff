"""Likelihood profiles of tied parameters: the objective minimised with a function g of theta at a given value.

A further residual pulls g towards an aim beyond the value that is wanted. Wherever the pulled minimum lies, it is a minimum
of the objective among all theta with the same g: the gradient there is a multiple of that of g. So every refit gives an exact
point of the profile, at the g that it came to, and no constraint has to be met. The pull is a prior that is a tenth as wide
as the standard error of g: stiff enough that profiles which bend downwards, as those of inverses do, are followed too.

Reference: D. M. Bates and D. G. Watts, Nonlinear Regression Analysis and Its Applications, Wiley 1988, section 6.1.3, for
profiles of functions of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import array, jax, jnp, kernel
from fitkit.batched import Lanes, solve
from fitkit.evidence import Evidence
from fitkit.parameters import Prior
from fitkit.problem import Problem
from fitkit.types import Theta
from fitkit.uncertainty.covariance import values_jacobian
from fitkit.uncertainty.deviance import Deviance
from fitkit.uncertainty.profile import LOWER, foretold_covariance
from fitkit.uncertainty.pulled_side import PulledSide

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

STIFFNESS = 10.0
"""The standard error of g over the width of the pull."""
MOST_ROUNDS = 40


@kernel()
def _look(problem: Problem, points: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the objective, shape (lanes,), and the tied parameters, shape (lanes, tied), at points, shape (lanes, free)."""

    def one(theta: Theta) -> tuple[jax.Array, jax.Array]:
        values = problem.values(theta)
        return problem.objective(theta), jnp.stack([values[name] for name, _ in problem.layout.tied])

    found: tuple[jax.Array, jax.Array] = jax.vmap(one)(points)
    return found


@final
@dataclass(frozen=True, kw_only=True)
class TiedProfiles:
    """The ends of the intervals of tied parameters."""

    intervals: dict[str, tuple[float | None, float | None]]
    """None where nothing ends the interval on that side."""
    cut: tuple[str, ...]
    """Parameters that cannot go as far as their bound."""
    endless: tuple[str, ...]
    unsure: tuple[str, ...]
    """Parameters whose crossing was not found."""
    lowest: float | None
    """A lower minimum that a refit found, where one did: then there are no intervals."""


def profile_tied(
    problem: Problem,
    theta: Vector,
    evidence: Evidence,
    deviance: Deviance,
    level: float,
    determined: tuple[int, ...],
    stop: Callable[[], bool],
) -> TiedProfiles | None:
    """Return the profile intervals of tied parameters, or None where `stop` said so.

    Args:
        problem: a smooth one.
        theta: its minimum, shape (free,).
        evidence: the derivatives there.
        deviance: what a rise of the objective means.
        level: the probability that the intervals are to cover with.
        determined: positions in theta of what the data tell; a tied parameter that moves with others has no interval.
        stop: asked between refits.
    """
    import numpy as np

    bound, dtype = deviance.bound(level), problem.lower.dtype
    height, center = (np.asarray(part, np.float64)[0] for part in _look.light(problem, array(theta[None], dtype)))
    position = {name: index for index, (name, _) in enumerate(problem.layout.tied)}
    sides = _sides(problem, theta, evidence, deviance, bound, determined)
    for _ in range(MOST_ROUNDS):
        if all(side.ending for side in sides):
            break
        aims = [center[position[side.name]] + side.sign * (side.next + side.lag) for side in sides]
        lanes = Lanes(theta=np.stack([side.theta for side in sides]), priors=_pulls(problem, deviance, sides, aims))
        solved = solve(problem, lanes, damping=1e-3, stop=stop)
        if stop():
            return None
        heights, values = (np.asarray(part, np.float64) for part in _look.light(problem, array(solved.theta, dtype)))
        rises = deviance.factor * (heights - height)
        if np.nanmin(rises) < -LOWER:
            return _told(sides, center, position, float(np.nanmin(heights)))
        for side, rise, value, point in zip(sides, rises, values, solved.theta, strict=True):
            if side.ending is None:
                tau = float(np.sqrt(max(rise, 0.0))) if np.isfinite(rise) else math.inf
                at = side.next
                reached = side.sign * float(value[position[side.name]] - center[position[side.name]])
                side.look(reached, tau, bound)
                if tau <= 4 * bound and reached > 0:
                    side.theta = theta + (point - theta) * (side.next / reached)
                else:
                    side.theta = theta + (side.theta - theta) * (side.next / at)
    return _told(sides, center, position, None)


def _sides(
    problem: Problem, theta: Vector, evidence: Evidence, deviance: Deviance, bound: float, determined: tuple[int, ...]
) -> list[PulledSide]:
    """Return both sides of each tied parameter that has a standard error, and where its first refit begins."""
    import numpy as np

    covariance = foretold_covariance(evidence, deviance)
    if covariance is None:
        return []
    slopes = values_jacobian(problem, theta)
    sides = []
    for name, _ in problem.layout.tied:
        slope = slopes[problem.reported_names.index(name)]
        along = covariance @ slope
        width = float(np.sqrt(max(0.0, slope @ along)))
        elsewhere = np.delete(slope, list(determined))
        if elsewhere.any() or not (width > 0 and math.isfinite(width)):
            continue
        for sign in (-1, 1):
            first = bound * width
            start = theta + sign * first * along / width**2
            sides.append(
                PulledSide(name=name, sign=sign, width=width, next=first, lag=first / STIFFNESS**2, theta=start)
            )
    return sides


def _pulls(problem: Problem, deviance: Deviance, sides: list[PulledSide], aims: list[float]) -> dict[str, Prior]:
    """Return the priors of every lane: the problem's own, and the pull of one tied parameter, as one where both meet."""
    import numpy as np

    share = 1.0 if problem.loss is not None and problem.loss.deviance else 0.5
    # factor * share / weight * ((g - aim) / sigma)² is the deviance of a pull.
    unit = math.sqrt(deviance.factor * share / float(problem.total_weight)) / STIFFNESS
    names = dict.fromkeys([*problem.priors, *(side.name for side in sides)])
    found: dict[str, Prior] = {}
    for name in names:
        own = problem.priors.get(name)
        precision = np.array([(side.width * unit) ** -2 if side.name == name else 0.0 for side in sides])
        weighted = precision * np.array(aims)
        if own is not None:
            precision, weighted = (
                precision + float(own.sigma) ** -2,
                weighted + float(own.mean) * float(own.sigma) ** -2,
            )
        silent = precision == 0
        mean: Any = np.where(silent, 0.0, weighted / np.where(silent, 1.0, precision))
        sigma: Any = np.where(silent, np.inf, 1 / np.sqrt(np.where(silent, 1.0, precision)))
        found[name] = Prior(mean=mean, sigma=sigma) if own is None else replace(own, mean=mean, sigma=sigma)
    return found


def _told(sides: list[PulledSide], center: Vector, position: dict[str, int], lowest: float | None) -> TiedProfiles:
    ends: dict[str, dict[int, float]] = {side.name: {} for side in sides}
    for side in sides:
        if side.ending == "crossed":
            ends[side.name][side.sign] = float(center[position[side.name]]) + side.sign * side.end

    def those(*endings: str | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(side.name for side in sides if side.ending in endings))

    return TiedProfiles(
        intervals={name: (found.get(-1), found.get(1)) for name, found in ends.items()},
        cut=those("cut"),
        endless=those("endless"),
        unsure=those("unsure", None),
        lowest=lowest,
    )
