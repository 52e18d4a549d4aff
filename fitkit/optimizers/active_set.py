"""The end of a search on an objective with kinks: which of them the minimum lies on, and the point itself to rounding.

With the kinks of an active set held at zero the objective is smooth. Multipliers a_m outside their slopes free a kink, a step
along the freed direction ends where the slope, which jumps at every kink on the way, turns upwards, and the kink there
becomes active: the simplex method, where the smooth part has no curvature.

References: I. Barrodale and F. D. K. Roberts, An Improved Algorithm for Discrete l1 Linear Approximation, SIAM Journal on
Numerical Analysis 10 (1973); M. R. Osborne, Finite Algorithms in Optimization and Data Analysis, Wiley 1985.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.optimizers.kinks import Kinks, kinks_at, objective_at
from fitkit.optimizers.reduced import VIOLATION, Reduced, reduce
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MOST_SHORTENINGS = 12
MOST_RETURNS = 2


def finish(problem: Problem, theta: Vector, width: tuple[float, float]) -> tuple[Vector, bool, int]:
    """Return the minimum near theta, whether the active set was found, and the number of evaluations.

    Args:
        problem: with kinks, and not smoothed.
        theta: near the minimum, shape (free,).
        width: to how much distances and weights were rounded on the way here.
    """
    import numpy as np

    kinks = kinks_at(problem, theta)
    active, sides, evaluations = _candidates(kinks, width), kinks.sides(), 1
    for turn in range(30 + 10 * len(theta)):
        if not kinks.finite:
            break
        state = reduce(kinks, active, sides)
        evaluations += 1
        if _off(state):  # first onto the active kinks, wherever that leads: what comes next goes downhill from there
            kinks = kinks_at(problem, _moved(state, state.correction))
            sides = kinks.sides()
            continue
        freed = -1
        if not _slopes_left(state):
            # The worst first, but where many kinks meet that may go round in circles, which the first does not (Bland).
            broken = state.excess > VIOLATION
            freed = int(np.argmax(broken if turn > 15 + 2 * len(theta) and broken.any() else state.excess))
            if state.excess[freed] <= VIOLATION:
                return kinks.theta, True, evaluations
            state = _without(state, freed)
        following = _descended(problem, state, freed)
        if following is None:
            break
        kinks, active = following
        sides = kinks.sides()
    return kinks.theta, False, evaluations


def _without(state: Reduced, freed: int) -> Reduced:
    """Return the point with one kink let go, to the side where its multiplier leads."""
    import numpy as np

    kinks, here = state.kinks, np.arange(len(state.active)) == freed
    side = kinks.up[freed] if state.multipliers[freed] > kinks.up[freed] else -kinks.down[freed]
    return reduce(kinks, state.active & ~here, np.where(here, side, state.sides))


def _moved(state: Reduced, move: Vector) -> Vector:
    """Return theta after a move, within the bounds, with weights and bounds that are active exactly there."""
    import numpy as np

    problem = state.kinks.problem
    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    return _snapped(state.kinks, state.active, np.clip(state.kinks.theta + move, lower, upper))


def _descended(problem: Problem, state: Reduced, freed: int) -> tuple[Kinks, Mask] | None:
    """Return a lower point and its active set, or None: the step is shortened until what it gains is real.

    The active kinks bend away from a straight step, so they are brought back to zero before heights are compared.
    """
    import numpy as np

    dtype = problem.lower.dtype
    move, entering = _downhill(state, freed)
    if move is None:
        return None
    before = float(objective_at.light(problem, array(state.kinks.theta, dtype)))
    for shortening in range(MOST_SHORTENINGS):
        step = move / 4**shortening
        if shortening:
            entering = -1
        active = state.active | (np.arange(len(state.active)) == entering)
        kinks = kinks_at(problem, _moved(state, step))
        for _ in range(MOST_RETURNS):
            if not (kinks.finite and state.active.any()):
                break
            step = step - state.inverse @ kinks.values[state.active]
            kinks = kinks_at(problem, _moved(state, step))
        height = float(objective_at.light(problem, array(kinks.theta, dtype)))
        if kinks.finite and height <= before + 1e-14 * abs(before):
            return kinks, active
    return None


def _off(state: Reduced) -> bool:
    """Return whether the active kinks are not yet at zero, in terms of the parameters."""
    import numpy as np

    theta = state.kinks.theta
    size = np.where(theta != 0, np.abs(theta), 1e-16)
    return bool((np.abs(state.correction) > 4e-15 * size + 1e-300).any()) and bool(
        (np.abs(state.kinks.values[state.active]) > state.kinks.rounding[state.active]).any()
    )


def _snapped(kinks: Kinks, active: Mask, theta: Vector) -> Vector:
    """Return theta with weights and bounds that are active exactly there, where a step leaves the rounding of theta."""
    import numpy as np

    problem, theta = kinks.problem, theta.copy()
    for index in np.flatnonzero(active[kinks.rows :]) + kinks.rows:
        moving = np.flatnonzero(kinks.jacobian[index])
        if len(moving) == 1 and index < kinks.smooth and not problem.layout.logarithms[moving[0]]:
            theta[moving[0]] = 0.0
        elif index >= kinks.smooth:
            wall = problem.lower if kinks.jacobian[index, moving[0]] > 0 else problem.upper
            theta[moving[0]] = float(wall[moving[0]])
    return theta


def _slopes_left(state: Reduced) -> bool:
    """Return whether directions that keep the active kinks still lead downwards."""
    import numpy as np

    theta = state.kinks.theta
    size = np.maximum(np.abs(theta), 1e-300)
    return state.level_slope > VIOLATION or bool((np.abs(state.step) > 1e-12 * size).any())


def _candidates(kinks: Kinks, width: tuple[float, float]) -> Mask:
    """Return kinks that are likely to be at zero, as many as are independent, the nearest first."""
    import numpy as np

    widths = np.concatenate([
        np.full(kinks.rows, width[0]), np.full(kinks.smooth - kinks.rows, width[1]),
        np.zeros(len(kinks.values) - kinks.smooth),
    ])  # fmt: skip
    near = np.abs(kinks.values) <= 3 * widths
    order = np.argsort(np.where(widths > 0, np.abs(kinks.values) / np.where(widths > 0, widths, 1.0), 0.0))
    active, basis = np.zeros(len(near), bool), np.zeros((0, len(kinks.theta)))
    for index in order[near[order]]:
        if len(basis) == len(kinks.theta):
            break
        normal = kinks.jacobian[index] / kinks.scale
        length = np.linalg.norm(normal)
        rest = normal - basis.T @ (basis @ normal)
        rest -= basis.T @ (basis @ rest)
        if length > 0 and np.linalg.norm(rest) > 1e-6 * length:
            basis = np.vstack([basis, rest / np.linalg.norm(rest)])
            active[index] = True
    return active


def _downhill(state: Reduced, freed: int) -> tuple[Vector | None, int]:
    """Return the step to the lowest point of the model along the steepest direction, and the kink it ends on, or -1."""
    import numpy as np

    kinks = state.kinks
    level = np.where(state.curved, 0.0, state.slopes)
    if np.max(np.abs(level), initial=0.0) > VIOLATION:
        direction = -state.directions @ level
        curvature = 0.0
    else:
        direction = state.step
        curvature = max(0.0, float(direction @ state.hessian @ direction))
    slope = float(state.slope @ direction)
    rates = kinks.jacobian @ direction
    crossing = ~state.active & (rates * kinks.values < 0)
    if freed >= 0:
        crossing[freed] = False
    times = np.full(len(rates), np.inf)
    times[crossing] = -kinks.values[crossing] / rates[crossing]
    with np.errstate(invalid="ignore"):
        jumps = np.where(crossing, (kinks.up + kinks.down) * np.abs(rates), 0.0)
    if slope >= 0:
        return None, -1
    for index in np.argsort(times):
        if not np.isfinite(times[index]) or slope + curvature * times[index] >= 0:
            break
        slope += jumps[index]
        if slope + curvature * times[index] >= 0:
            return times[index] * direction, int(index)
    return (-slope / curvature * direction, -1) if curvature > 0 else (None, -1)
