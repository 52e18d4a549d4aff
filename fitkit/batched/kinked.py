"""A batch of searches of an objective with kinks: rounded, less and less, for all lanes at once, and resolved lane by lane.

As in a search of its own, each round ends by asking the active set that a lane's end suggests whether it holds the minimum;
lanes that it holds are done, to the last digit, and the others go on with kinks that are rounded less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.batched.expand import of_lane
from fitkit.batched.lanes import Draw, Lanes, Solved
from fitkit.batched.solve import solve
from fitkit.optimizers.active_set import finish
from fitkit.optimizers.kinks import objective_at
from fitkit.problem import Problem, Smoothing, register_pytrees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Index = NDArray[np.intp]

NARROWER = 0.1
"""The factor of the widths from one round to the next."""
MOST_ROUNDS = 10
LEVEL = 1e-12
"""A rise by this share of the objective is rounding."""
STEPS = 40
"""Steps of a round: what is rounded need not be minimised well, for the next round begins there."""


def solve_kinked(
    problem: Problem,
    lanes: Lanes,
    *,
    damping: float = 1.0,
    most_steps: int = STEPS * MOST_ROUNDS,
    stop: Callable[[], bool] = lambda: False,
) -> Solved:
    """Return where the lanes end; the arguments are those of `solve`, but that the problem has kinks.

    A lane has converged if zero lies in the subdifferential at its end.
    """
    import numpy as np

    register_pytrees()
    low, high = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    theta = np.clip(lanes.theta, low, high)
    done, evaluations = np.zeros(len(theta), bool), 0
    value = np.array([_height(_lane(problem, lanes, lane), point) for lane, point in enumerate(theta)])
    width, left = _width(problem, value, theta.shape[1]), most_steps
    for number in range(MOST_ROUNDS):
        waiting = np.flatnonzero(~done)
        if len(waiting) == 0 or left <= 0 or stop():
            break
        rounded = replace(problem, smoothing=Smoothing(*(array(part, problem.lower.dtype) for part in width)))
        part = Lanes(theta=theta[waiting], draw=_of(lanes.draw, waiting))
        solved = solve(rounded, part, damping=damping if number == 0 else 1e-3, most_steps=min(STEPS, left), stop=stop)
        left, evaluations = left - STEPS, evaluations + solved.evaluations
        for lane, end in zip(waiting, solved.theta, strict=True):
            if stop():
                break
            own = _lane(problem, lanes, int(lane))
            point, found, spent = finish(own, end, width)
            height, before, evaluations = _height(own, point), _height(own, end), evaluations + spent
            if height <= before + LEVEL * abs(before):
                theta[lane], value[lane], done[lane] = point, height, found
            elif np.isfinite(before):  # kinks that the rounding hid were taken for the minimum's, and led uphill
                theta[lane], value[lane] = end, before
        typical = _width(problem, value, theta.shape[1])
        width = (NARROWER * min(width[0], typical[0]), NARROWER * min(width[1], typical[1]))
    return Solved(theta=theta, value=value, converged=done, determined=done.copy(), evaluations=evaluations)


def _of(draw: Draw | None, waiting: Index) -> Draw | None:
    """Return what draws the rows of some of the lanes."""
    return None if draw is None else lambda index: draw(waiting[index])


def _lane(problem: Problem, lanes: Lanes, lane: int) -> Problem:
    """Return the problem as a lane has it."""
    import numpy as np

    if lanes.draw is None:
        return problem
    target, weight = lanes.draw(np.array([lane]))
    dtype = problem.lower.dtype
    own = of_lane(
        problem,
        None if target is None else array(target[0], dtype),
        None if weight is None else array(weight[0], dtype),
        None,
    )
    return own if weight is None else replace(own, total_weight=array(weight[0].sum(), dtype))


def _height(problem: Problem, theta: Vector) -> float:
    size = len(theta) * (1 if problem.rows is None else len(problem.rows))
    return float(objective_at.for_work(size)(problem, array(theta, problem.lower.dtype)))


def _width(problem: Problem, value: Vector, free: int) -> tuple[float, float]:
    """Return widths as large as the distances are in the mean, and weights for which the penalty is the whole objective."""
    import numpy as np

    finite = np.abs(value[np.isfinite(value)])
    typical = (float(np.median(finite)) if len(finite) else 0.0) or 1.0
    l1 = float(problem.regularization.l1)
    return typical, typical / (l1 * max(1, free)) if l1 > 0 else 1.0
