"""The walk to a minimum under constraints: augmented Lagrangians, and sequential quadratic programming at the end.

Each round minimises the objective with multipliers and penalties of the constraints in it, by the optimizer that was asked
for, and corrects both; from where it ends, sequential quadratic programming looks for the minimum itself, to rounding. So
the penalties seldom have to become large, and the end is exact. Weights are measured by the curvature of the objective
across each constraint, so that no unit of a parameter or a constraint matters.

Reference: J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, section 17.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from fitkit.backend import array
from fitkit.constraints.endless import falls_without_end
from fitkit.constraints.feasibility import nearest_feasible
from fitkit.constraints.kernels import heights
from fitkit.constraints.point import linear_rows, scale_of
from fitkit.minimize.exact_end import end_afresh, end_exactly
from fitkit.minimize.rounds import Walk, before_the_first, run_round
from fitkit.minimize.search import Search, Watch
from fitkit.optimizers.base import Solver
from fitkit.optimizers.smooth_kernels import expand_smooth
from fitkit.optimizers.stopping import CLAIMS, Reason, Stopping, StopRule
from fitkit.problem import Augmentation, Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

MOST_ROUNDS = 24
FIRST_WEIGHT = 10.0
"""The first penalty's curvature across a constraint, as a multiple of the objective's."""
WHOLE = 0.3
"""The share of the objective that stands for its curvature, over a parameter as large as it is, where that has none."""
HEAVIER = 10.0
ENOUGH_LESS = 0.25
"""A weight grows where a round leaves more than this share of the violation."""
ROUGHLY = 1e-5
"""The slope to which a round minimises: the next one begins there."""
MOST_STEPS_OF_A_ROUND = 300
BOTTOMLESS = 1e8
"""A round that falls by so many times all that was there before goes to infinity: its penalty is too light."""
BEYOND = 1e20
"""A round may leave a parameter at so many times its start, and sequential steps may find nothing: there is no minimum."""
PATIENT = 2
MOST_LOST = 4
"""So many rounds may end where no constraint can be met any more, before that is the answer."""


@final
@dataclass(frozen=True)
class _Pressure:
    """The multipliers and the weights of the penalties, shape (constraints,) each."""

    multipliers: Vector
    weights: Vector


def walk_constrained(
    problem: Problem,
    optimizer: Solver,
    rule: StopRule,
    stopping: Stopping,
    theta: Vector,
    seed: int,
    watch: Watch,
) -> Search:
    """Return where the search from theta, shape (free,), ends."""
    import numpy as np

    theta = np.clip(theta, np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64))
    walk = Walk(problem, watch, theta)
    with np.errstate(all="ignore"):  # where a round goes astray, numbers overflow
        return walk.ended(_rounds(walk, optimizer, rule, stopping, seed))


def _rounds(walk: Walk, optimizer: Solver, rule: StopRule, stopping: Stopping, seed: int) -> Reason:
    """Make round after round from where the walk is, and return why that ended."""
    problem, theta = walk.problem, walk.theta
    walk.take(theta)
    reason = before_the_first(rule, walk)
    pressure = None if reason else _first_pressure(walk)
    if not reason and pressure is None:
        reason = Reason.NOT_FINITE
    lost = rounds = 0
    while not reason and pressure is not None and lost < MOST_LOST and rounds < MOST_ROUNDS:
        rounds += 1
        reason, pressure = _round(walk, pressure, optimizer, rule, stopping, seed)
        if reason:
            break
        reason = end_exactly(walk, pressure.multipliers, rule, stopping, theta)
        if not reason and _far_out(walk):
            break
        nearest = nearest_feasible(problem, walk.theta, walk.largest)
        if not reason and rounds == PATIENT:  # what the rounds have learned leads nowhere: once without it
            reason = end_afresh(walk, theta, rule, stopping)
        if not reason and not nearest.met:  # the objective has won over the constraints: begin again, with heavier ones
            lost += 1
            walk.step += 1
            walk.back_to(theta)
            walk.take(nearest.theta if lost == MOST_LOST else theta)
            pressure = _Pressure(0 * pressure.multipliers, pressure.weights * HEAVIER**2)
    return reason or Reason.STALLED


def _first_pressure(walk: Walk) -> _Pressure | None:
    """Return no multipliers, and weights by the objective's curvature; None where a number is not finite."""
    import numpy as np

    problem, theta = walk.problem, walk.theta
    work = len(theta) ** 2 * (1 if problem.rows is None else len(problem.rows))
    found = expand_smooth.for_work(work)(problem, array(theta, problem.lower.dtype))
    value, gradient, hessian = float(found.value), np.asarray(found.gradient), np.asarray(found.hessian)
    rows, count = linear_rows(problem, theta), len(problem.constraints)
    if not all(np.isfinite(part).all() for part in (gradient, hessian, rows.values, rows.slopes)):
        return None
    scale = scale_of(theta, walk.largest, value, gradient, hessian, WHOLE)
    lengths = np.linalg.norm(rows.slopes[:count] / scale, axis=1)
    height = np.sqrt(abs(value)) or 1.0
    beside = np.where(rows.values[:count] != 0, np.abs(rows.values[:count]) / height, 1.0)
    lengths = np.where(lengths > 0, lengths, beside)
    return _Pressure(np.zeros(count), FIRST_WEIGHT / lengths**2)


def _excesses(walk: Walk, theta: Vector) -> Vector:
    import numpy as np

    problem = walk.problem
    size = len(theta) * (1 if problem.rows is None else len(problem.rows))
    return np.asarray(heights.for_work(size)(problem, array(theta, problem.lower.dtype))[1], np.float64)


def _round(
    walk: Walk, pressure: _Pressure, optimizer: Solver, rule: StopRule, stopping: Stopping, seed: int
) -> tuple[Reason, _Pressure]:
    """Minimise the augmented Lagrangian; return why the whole search ends, or RUNNING, and the pressure of the next."""
    import numpy as np

    problem, begun = walk.problem, walk.theta
    dtype, equality = problem.lower.dtype, np.array([one.relation == "==" for one in problem.constraints])
    shifts = pressure.multipliers / pressure.weights
    variant = replace(problem, augmentation=Augmentation(array(shifts, dtype), array(pressure.weights, dtype)))
    before = _excesses(walk, begun)
    pushed = np.where(equality, before + shifts, np.maximum(before + shifts, 0.0))
    depth = BOTTOMLESS * (abs(walk.row.loss) + float(pressure.weights @ pushed**2) / 2)

    def enough(steps: int, value: float) -> bool:
        return steps >= MOST_STEPS_OF_A_ROUND or value < -depth

    loose = rule._replace(gtol=ROUGHLY, ftol=-1.0, epochs=-1, patience=-1)
    reason = run_round(walk, variant, optimizer, loose, stopping, seed, enough)
    if reason not in {*CLAIMS, Reason.STALLED, Reason.NOT_FINITE}:
        return reason, pressure
    after = _excesses(walk, walk.theta)
    fallen = walk.row.loss < -depth or not np.isfinite(after).all() or not np.isfinite(walk.row.loss)
    if fallen or reason is Reason.NOT_FINITE:
        if _endless(walk, begun):
            return Reason.RUNAWAY, pressure
        walk.back_to(begun)
        return Reason.RUNNING, _Pressure(pressure.multipliers, pressure.weights * HEAVIER**2)
    shifted = pressure.multipliers + pressure.weights * after
    multipliers = np.where(equality, shifted, np.maximum(shifted, 0.0))
    # An inequality that holds with room to spare, and without a multiplier, is no violation of complementarity.
    left = np.where(equality, np.abs(after), np.abs(np.maximum(after, -shifts)))
    had = np.where(equality, np.abs(before), np.abs(np.maximum(before, -shifts)))
    weights = np.where(left > ENOUGH_LESS * had, HEAVIER * pressure.weights, pressure.weights)
    return Reason.RUNNING, _Pressure(multipliers, weights)


def _far_out(walk: Walk) -> bool:
    """Return whether a parameter is so far from its start that there is no way back."""
    import numpy as np

    return bool((np.abs(walk.theta) > BEYOND * np.where(walk.begun > 0, walk.begun, np.inf)).any())


def _endless(walk: Walk, begun: Vector) -> bool:
    """Return whether the objective falls without end from `begun` towards where the walk is, and go far out if so."""
    nearest = nearest_feasible(walk.problem, begun, walk.begun)
    far = falls_without_end(walk.problem, nearest.theta, walk.theta) if nearest.met else None
    if far is None:
        return False
    walk.step += 1
    walk.take(far)
    return True
