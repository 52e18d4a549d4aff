"""The walk to a minimum with kinks: they are rounded, less and less, and at the end resolved exactly.

Each round minimises the objective with its kinks rounded, by the optimizer that was asked for, and asks the active set that
the result suggests whether it holds the minimum. So the rounding seldom has to become small, and the end is exact.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.evidence import assess, confirms
from fitkit.minimize.rounds import Walk, before_the_first, run_round
from fitkit.minimize.search import Search, Watch
from fitkit.optimizers.active_set import finish
from fitkit.optimizers.base import Solver
from fitkit.optimizers.kinks import KINKS_UP_TO
from fitkit.optimizers.stopping import CLAIMS, Reason, Stopping, StopRule
from fitkit.problem import Problem, Smoothing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Widths = tuple[float, float]

NARROWER = 0.1
"""The factor of the widths from one round to the next."""
MOST_ROUNDS = 14
ROUGHLY = 1e-5
"""The slope to which a rounded objective is minimised: the next round begins there."""
LEVEL = 1e-12
"""A rise by this share of the objective is rounding."""
EXACT = 1e-10
"""A point is at the kinks if no parameter is further from them than this share of itself."""


def walk_by_continuation(
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
    walk.take(theta)
    reason = before_the_first(rule, walk) or _at_minimum(walk, rule)
    width = _first_width(problem, theta, walk.row.loss)
    for _ in range(MOST_ROUNDS):
        if reason:
            break
        reason = _round(walk, optimizer, rule, stopping, width, seed)
        if reason not in {*CLAIMS, Reason.STALLED}:
            break
        reason = _end(walk, rule, width)
        typical = _first_width(problem, walk.theta, walk.row.loss)
        width = (NARROWER * min(width[0], typical[0]), NARROWER * min(width[1], typical[1]))
    return walk.ended(reason or Reason.STALLED)


def _at_minimum(walk: Walk, rule: StopRule) -> Reason:
    """Return GRADIENT_SMALL if the walk begins at a minimum, which rounded kinks would lead away from, or RUNNING."""
    if len(walk.theta) > KINKS_UP_TO:
        return Reason.RUNNING
    evidence = assess(walk.problem, walk.theta, walk.largest)
    exact = evidence.known and evidence.newton_step <= EXACT and evidence.minimum not in {"flat", "saddle"}
    return Reason.GRADIENT_SMALL if exact and confirms(evidence, rule.gtol) else Reason.RUNNING


def _first_width(problem: Problem, theta: Vector, loss: float) -> Widths:
    """Return widths as large as the distances are in the mean, and weights for which the penalty is the whole objective."""
    l1 = float(problem.regularization.l1)
    typical = abs(loss) or 1.0
    return typical, typical / (l1 * max(1, len(theta))) if l1 > 0 else 1.0


def _round(walk: Walk, optimizer: Solver, rule: StopRule, stopping: Stopping, width: Widths, seed: int) -> Reason:
    """Minimise the rounded objective from where the walk is, and return why that ended."""
    dtype = walk.problem.lower.dtype
    rounded = replace(walk.problem, smoothing=Smoothing(*(array(part, dtype) for part in width)))
    return run_round(walk, rounded, optimizer, rule._replace(gtol=ROUGHLY, epochs=-1), stopping, seed)


def _end(walk: Walk, rule: StopRule, width: Widths) -> Reason:
    """Resolve the kinks; return GRADIENT_SMALL if that gives a minimum, else RUNNING."""
    if len(walk.theta) > KINKS_UP_TO:
        return Reason.RUNNING
    theta, found, evaluations = finish(walk.problem, walk.theta, width)
    walk.evaluations += evaluations
    if not walk.height(theta) <= walk.row.loss + LEVEL * abs(walk.row.loss):
        return Reason.RUNNING  # kinks that the rounding hid were taken for the minimum's, and led uphill
    evidence = assess(walk.problem, theta, walk.largest)
    exact = (
        found or evidence.newton_step <= EXACT
    )  # where more kinks meet than there are parameters, no set is the only one
    if not (exact and evidence.known and confirms(evidence, rule.gtol)):
        return Reason.RUNNING
    if (theta != walk.theta).any():
        walk.step += 1
        walk.take(theta, evidence.optimality)
    return Reason.GRADIENT_SMALL
