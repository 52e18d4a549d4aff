"""Searches in rounds: each minimises a variant of the problem, and what is written down is the problem's own objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import array, kernel
from fitkit.minimize.search import History, HistoryRow, Search, Watch, outside
from fitkit.optimizers.base import Solver
from fitkit.optimizers.kinks import objective_at
from fitkit.optimizers.stopping import Reason, Stopping, StopRule, judge
from fitkit.problem import Problem
from fitkit.types import Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@kernel()
def _init(problem: Problem, optimizer: Solver, theta: Theta, seed: int) -> Any:
    return optimizer.init(problem, theta, seed)


@kernel()
def _step(problem: Problem, optimizer: Solver, state: Any) -> Any:
    return optimizer.step(problem, state)


@final
class Walk:
    """What is remembered on the way."""

    def __init__(self, problem: Problem, watch: Watch, theta: Vector) -> None:
        import numpy as np

        self.problem, self.watch, self.history = problem, watch, History()
        self.step, self.best_step, self.evaluations = 0, 0, 0
        self.begun = np.abs(theta)
        self.largest = self.begun
        self.theta, self.best = theta, (np.inf, theta)
        self.row = HistoryRow(0, np.nan, np.nan, np.nan)

    def take(self, theta: Vector, optimality: float = float("nan"), change: float = float("nan")) -> None:
        """Write down a point; the loss told is that of the objective itself."""
        import numpy as np

        loss = self.height(theta)
        self.theta, self.largest = theta, np.fmax(self.largest, np.abs(theta))
        self.row = HistoryRow(self.step, loss, optimality, change)
        if loss < self.best[0]:
            self.best, self.best_step = (loss, theta), self.step
        self.history.add([self.row])
        self.watch.show(self.row)

    def back_to(self, theta: Vector) -> None:
        """Go on from a point; how large parameters were where the walk had gone astray says nothing of them."""
        import numpy as np

        self.theta, self.largest = theta, np.fmax(self.begun, np.abs(theta))

    def height(self, theta: Vector) -> float:
        """Return the objective itself at theta."""
        size = len(theta) * (1 if self.problem.rows is None else len(self.problem.rows))
        return float(objective_at.for_work(size)(self.problem, array(theta, self.problem.lower.dtype)))

    def ended(self, reason: Reason) -> Search:
        """Return the search: at the lowest point where patience ended it, else where it is."""
        point = self.best[1] if reason is Reason.PATIENCE else self.theta
        return Search(
            theta=point,
            largest=self.largest,
            reason=reason,
            history=self.history.rows(),
            final=self.row if point is self.theta else self.row._replace(step=self.best_step, loss=self.best[0]),
            steps=self.step,
            evaluations=self.evaluations,
        )


def before_the_first(rule: StopRule, walk: Walk) -> Reason:
    """Return why not even to begin, or RUNNING."""
    import numpy as np

    if not np.isfinite(walk.row.loss):
        return Reason.NOT_FINITE
    if len(walk.theta) == 0:
        return Reason.GRADIENT_SMALL
    return Reason.MAX_STEPS if rule.max_steps == 0 else Reason.RUNNING


def run_round(
    walk: Walk,
    variant: Problem,
    optimizer: Solver,
    rule: StopRule,
    stopping: Stopping,
    seed: int,
    enough: Callable[[int, float], bool] = lambda _steps, _value: False,
) -> Reason:
    """Minimise a variant of the walk's problem from where the walk is, and return why that ended.

    Args:
        walk: takes down the points.
        variant: what is minimised.
        optimizer: makes the steps.
        rule: when the round ends.
        stopping: the time that there is.
        seed: of what is random.
        enough: of the steps of this round and the variant's value; a round that it ends is stalled.
    """
    import numpy as np

    dtype = walk.problem.lower.dtype
    size = len(walk.theta) * (1 if walk.problem.rows is None else len(walk.problem.rows))
    init: Callable[..., Any] = optimizer.init
    step: Callable[..., Any] = optimizer.step
    if not optimizer.on_host:
        begin, advance = _init.for_work(size), _step.for_work(size)
        init = lambda problem, theta, seed: begin(problem, optimizer, theta, seed)  # noqa: E731 - as above
        step = lambda problem, state: advance(problem, optimizer, state)  # noqa: E731 - as above
    state = init(variant, array(walk.theta, dtype), seed)
    before, first = int(state.evaluations), walk.step
    walk.evaluations += before
    while True:
        measures = type(state.measures)(*(np.asarray(part) for part in state.measures))
        reason = Reason(int(judge(rule, walk.step, walk.step - walk.best_step, measures, np)))
        reason = reason or outside(stopping, walk.watch, walk.step)
        if not reason and enough(walk.step - first, float(measures.value)):
            reason = Reason.STALLED
        if reason:
            return reason
        state = step(variant, state)
        walk.evaluations += int(state.evaluations) - before
        before = int(state.evaluations)
        if not state.measures.stalled:
            walk.step += 1
            walk.take(np.asarray(state.theta, np.float64), change=float(state.measures.theta_change))
