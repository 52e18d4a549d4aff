"""The end of a search under constraints: sequential quadratic programming to rounding, and what the derivatives say there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.constraints.feasibility import nearest_feasible
from fitkit.constraints.point import point_at
from fitkit.constraints.sequential import advance
from fitkit.evidence import CLOSE, assess, confirms
from fitkit.minimize.rounds import Walk
from fitkit.minimize.search import outside
from fitkit.optimizers.stopping import Reason, Stopping, StopRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

MOST_ESCAPES = 5
MOST_ASTRAY = 3
"""Steps in a row that may be made where the linear constraints seem to contradict each other."""
MOST_SEQUENTIAL = 100
EXACT = 1e-13
"""The measure at which sequential steps have nothing left to gain."""


def end_exactly(walk: Walk, multipliers: Vector, rule: StopRule, stopping: Stopping, begun: Vector) -> Reason:
    """Return a claim if sequential steps end in a minimum: from here, from what is feasible nearby, and from `begun`."""
    here = walk.theta
    for start in (here, begun):
        for theta in (start, _feasible(walk, start)):
            if theta is None:
                continue
            if (theta != walk.theta).any():
                walk.step += 1
                if start is begun:
                    walk.back_to(theta)
                walk.take(theta)
            reason = _sequentially(walk, multipliers, rule, stopping)
            if reason:
                return reason
    walk.step += 1
    walk.take(here)
    return Reason.RUNNING


def end_afresh(walk: Walk, begun: Vector, rule: StopRule, stopping: Stopping) -> Reason:
    """Return a claim if sequential steps from `begun`, without multipliers, end in a minimum."""
    import numpy as np

    here = walk.theta
    walk.step += 1
    walk.back_to(begun)
    walk.take(begun)
    reason = _sequentially(walk, np.zeros(len(walk.problem.constraints)), rule, stopping)
    if not reason:
        walk.step += 1
        walk.take(here)
    return reason


def _feasible(walk: Walk, theta: Vector) -> Vector | None:
    """Return a point near theta where all constraints hold, None where there is none or theta is one."""
    nearest = nearest_feasible(walk.problem, theta, walk.largest)
    walk.evaluations += nearest.evaluations
    return nearest.theta if nearest.met and (nearest.theta != theta).any() else None


def _sequentially(walk: Walk, multipliers: Vector, rule: StopRule, stopping: Stopping, escapes: int = 0) -> Reason:
    """Return a claim if sequential quadratic programming from here ends in a minimum, where the walk then is.

    Args:
        walk: begins here.
        multipliers: of the constraints, shape (constraints,).
        rule: when to stop.
        stopping: the time that there is.
        escapes: how often it went on beside a saddle before.
    """
    import numpy as np

    problem = walk.problem
    point = point_at(problem, walk.theta, multipliers, walk.largest)
    weights, astray = np.abs(multipliers), 0
    for _ in range(MOST_SEQUENTIAL):
        if point is None or point.measure <= EXACT:
            break
        astray = 0 if point.quadratic.consistent else astray + 1
        if astray > MOST_ASTRAY:
            break
        if walk.step >= rule.max_steps:
            return Reason.MAX_STEPS
        reason = outside(stopping, walk.watch, walk.step)
        if reason:
            return reason
        taken = advance(problem, point, weights)
        weights = taken.weights
        walk.evaluations += taken.evaluations - point.evaluations
        if taken.point is None:
            break
        point = taken.point
        walk.step += 1
        walk.take(point.theta, point.measure)
    if point is None:
        return Reason.RUNNING
    evidence = assess(problem, walk.theta, walk.largest)
    lower = None if evidence.conditions is None else evidence.conditions.lower
    if evidence.minimum == "saddle" and lower is not None and escapes < MOST_ESCAPES and evidence.newton_step < CLOSE:
        walk.step += 1
        walk.take(lower)
        return _sequentially(walk, multipliers, rule, stopping, escapes + 1)
    if evidence.minimum == "saddle" or not (evidence.known and confirms(evidence, rule.gtol)):
        return Reason.RUNNING
    return Reason.GRADIENT_SMALL if evidence.optimality <= max(rule.gtol, EXACT) else Reason.STEP_SMALL
