"""The walk to a minimum with kinks: they are rounded, less and less, and at the end resolved exactly.

Each round minimises the objective with its kinks rounded, by the optimizer that was asked for, and asks the active set that
the result suggests whether it holds the minimum. So the rounding seldom has to become small, and the end is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import array, kernel
from fitkit.evidence import assess, confirms
from fitkit.minimize.search import History, HistoryRow, Search, Watch, outside
from fitkit.optimizers.active_set import finish
from fitkit.optimizers.base import Optimizer
from fitkit.optimizers.kinks import KINKS_UP_TO, objective_at
from fitkit.optimizers.stopping import CLAIMS, Reason, Stopping, StopRule, judge
from fitkit.problem import Problem, Smoothing
from fitkit.types import Theta

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
EXACT = 1e-10
"""A point is at the kinks if no parameter is further from them than this share of itself."""


@kernel()
def _init(problem: Problem, optimizer: Optimizer, theta: Theta, seed: int) -> Any:
    return optimizer.init(problem, theta, seed)


@kernel()
def _step(problem: Problem, optimizer: Optimizer, state: Any) -> Any:
    return optimizer.step(problem, state)


@final
class _Walk:
    """What is remembered on the way."""

    def __init__(self, problem: Problem, watch: Watch, theta: Vector) -> None:
        import numpy as np

        self.problem, self.watch, self.history = problem, watch, History()
        self.step, self.best_step, self.evaluations = 0, 0, 0
        self.largest = np.abs(theta)
        self.theta, self.best = theta, (np.inf, theta)
        self.row = HistoryRow(0, np.nan, np.nan, np.nan)

    def take(self, theta: Vector, optimality: float = float("nan"), change: float = float("nan")) -> None:
        """Write down a point; the loss told is that of the objective itself."""
        import numpy as np

        size = len(theta) * (1 if self.problem.rows is None else len(self.problem.rows))
        loss = float(objective_at.for_work(size)(self.problem, array(theta, self.problem.lower.dtype)))
        self.theta, self.largest = theta, np.fmax(self.largest, np.abs(theta))
        self.row = HistoryRow(self.step, loss, optimality, change)
        if loss < self.best[0]:
            self.best, self.best_step = (loss, theta), self.step
        self.history.add([self.row])
        self.watch.show(self.row)


def walk_by_continuation(
    problem: Problem,
    optimizer: Optimizer,
    rule: StopRule,
    stopping: Stopping,
    theta: Vector,
    seed: int,
    watch: Watch,
) -> Search:
    """Return where the search from theta, shape (free,), ends."""
    import numpy as np

    theta = np.clip(theta, np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64))
    walk = _Walk(problem, watch, theta)
    walk.take(theta)
    reason = _before(rule, walk)
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
    reason = reason or Reason.STALLED
    point = walk.best[1] if reason is Reason.PATIENCE else walk.theta
    return Search(
        theta=point,
        largest=walk.largest,
        reason=reason,
        history=walk.history.rows(),
        final=walk.row if point is walk.theta else walk.row._replace(step=walk.best_step, loss=walk.best[0]),
        steps=walk.step,
        evaluations=walk.evaluations,
    )


def _before(rule: StopRule, walk: _Walk) -> Reason:
    """Return why not even to begin, or RUNNING."""
    import numpy as np

    if not np.isfinite(walk.row.loss):
        return Reason.NOT_FINITE
    if len(walk.theta) == 0:
        return Reason.GRADIENT_SMALL
    return Reason.MAX_STEPS if rule.max_steps == 0 else Reason.RUNNING


def _first_width(problem: Problem, theta: Vector, loss: float) -> Widths:
    """Return widths as large as the distances are in the mean, and weights for which the penalty is the whole objective."""
    l1 = float(problem.regularization.l1)
    typical = abs(loss) or 1.0
    return typical, typical / (l1 * max(1, len(theta))) if l1 > 0 else 1.0


def _round(walk: _Walk, optimizer: Optimizer, rule: StopRule, stopping: Stopping, width: Widths, seed: int) -> Reason:
    """Minimise the rounded objective from where the walk is, and return why that ended."""
    import numpy as np

    dtype = walk.problem.lower.dtype
    rounded = replace(walk.problem, smoothing=Smoothing(*(array(part, dtype) for part in width)))
    size = len(walk.theta) * (1 if walk.problem.rows is None else len(walk.problem.rows))
    init: Callable[..., Any] = optimizer.init
    step: Callable[..., Any] = optimizer.step
    if not optimizer.on_host:
        begin, advance = _init.for_work(size), _step.for_work(size)
        init = lambda problem, theta, seed: begin(problem, optimizer, theta, seed)  # noqa: E731 - as above
        step = lambda problem, state: advance(problem, optimizer, state)  # noqa: E731 - as above
    state = init(rounded, array(walk.theta, dtype), seed)
    before, loose = int(state.evaluations), rule._replace(gtol=ROUGHLY, epochs=-1)
    walk.evaluations += before
    while True:
        measures = type(state.measures)(*(np.asarray(part) for part in state.measures))
        reason = Reason(int(judge(loose, walk.step, walk.step - walk.best_step, measures, np)))
        reason = reason or outside(stopping, walk.watch, walk.step)
        if reason:
            return reason
        state = step(rounded, state)
        walk.evaluations += int(state.evaluations) - before
        before = int(state.evaluations)
        if not state.measures.stalled:
            walk.step += 1
            walk.take(np.asarray(state.theta, np.float64), change=float(state.measures.theta_change))


def _end(walk: _Walk, rule: StopRule, width: Widths) -> Reason:
    """Resolve the kinks; return GRADIENT_SMALL if that gives a minimum, else RUNNING."""
    if len(walk.theta) > KINKS_UP_TO:
        return Reason.RUNNING
    theta, found, evaluations = finish(walk.problem, walk.theta, width)
    walk.evaluations += evaluations
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
