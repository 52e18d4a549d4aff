"""The walk of an optimizer that steps on the host over small compiled kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array
from fitkit.minimize.compiled import walk_compiled
from fitkit.minimize.search import History, HistoryRow, Search, Watch, outside
from fitkit.optimizers.base import Solver
from fitkit.optimizers.stopping import CLAIMS, Measures, Reason, Stopping, StopRule, judge
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def walk_on_host(
    problem: Problem,
    optimizer: Solver,
    rule: StopRule,
    stopping: Stopping,
    theta: NDArray[np.float64],
    seed: int,
    watch: Watch,
) -> Search:
    """Return where the search from theta, shape (free,), ends, a step at a time."""
    import numpy as np

    compiled = optimizer.compiled(problem, rule)
    if compiled is not None:
        search = walk_compiled(problem, optimizer, compiled, stopping, theta, watch)
        if search is not None:
            return search
    state = optimizer.init(problem, array(theta, problem.lower.dtype), seed)
    best, best_step, step = state, 0, 0
    largest = np.abs(np.asarray(state.theta, np.float64))
    history = History()
    while True:
        measures = state.measures
        if not measures.stalled:  # a refused step is no new row
            history.add([_row(step, measures)])
            watch.show(_row(step, measures))
        if measures.value < best.measures.value:
            best, best_step = state, step
        reason = Reason(int(judge(rule, step, step - best_step, measures, np)))
        reason = reason or outside(stopping, watch, step)
        if reason:
            break
        state = optimizer.step(problem, state)
        largest = np.fmax(largest, np.abs(np.asarray(state.theta, np.float64)))
        step += not state.measures.stalled
    if reason in CLAIMS:
        finished = optimizer.finish(problem, state)
        if finished is not state:
            state, step = finished, step + 1
            history.add([_row(step, state.measures)])
            watch.show(_row(step, state.measures))
    ended, ended_at = (best, best_step) if reason is Reason.PATIENCE else (state, step)
    return Search(
        theta=np.asarray(ended.theta, np.float64),
        largest=largest,
        reason=reason,
        history=history.rows(),
        final=_row(ended_at, ended.measures),
        steps=step,
        evaluations=int(state.evaluations),
    )


def _row(step: int, measures: Measures) -> HistoryRow:
    return HistoryRow(step, float(measures.value), float(measures.optimality), float(measures.theta_change))
