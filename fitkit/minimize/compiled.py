"""The walk of an optimizer of least squares whose steps are compiled, with steps on the host where these do not do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, final

from fitkit.minimize.search import History, HistoryRow, Search, Watch, outside
from fitkit.optimizers.base import Solver
from fitkit.optimizers.bound_rows import BoundRows
from fitkit.optimizers.compiled_search import CompiledSearch
from fitkit.optimizers.last_digits import refined_theta
from fitkit.optimizers.least_squares_state import LeastSquaresState
from fitkit.optimizers.stopping import CLAIMS, Reason, Stopping, judge
from fitkit.optimizers.stretch import Stretch
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def walk_compiled(
    problem: Problem, optimizer: Solver, compiled: CompiledSearch, stopping: Stopping, theta: Vector, watch: Watch
) -> Search | None:
    """Return where the search from theta, shape (free,), ends; None where the host has to make its first step."""
    import numpy as np

    bound = BoundRows.of(problem)
    start = np.clip(theta, bound.lower, bound.upper) if bound.bounded else np.asarray(theta, np.float64)
    stretch = compiled.begin(start)
    if not stretch.went:
        return None
    stretch.leave_start(start)
    walk = _Walk(watch)
    walk.take(stretch.rows)
    while True:
        reason = stretch.reason or outside(stopping, watch, walk.step)
        if reason:
            return _ended(problem, walk, stretch, reason)
        if not stretch.gives_up:
            stretch = compiled.go_on(stretch)
            walk.take(stretch.rows[1:])
            continue
        stretch.leave_end()
        if stretch.claimed:
            return _ended_on_host(problem, optimizer, walk, stretch.state(), stretch.claimed)
        found = _on_host(problem, optimizer, compiled, stopping, stretch.state(), walk)
        if isinstance(found, Search):
            return found
        stretch = found


@final
class _Walk:
    """The rows of a search that is under way."""

    def __init__(self, watch: Watch) -> None:
        self.history, self.step, self.watch = History(), -1, watch
        self.last = HistoryRow(0, float("nan"), float("nan"), float("nan"))

    def take(self, rows: Iterable[Sequence[float]]) -> None:
        """Write down objective, cosine and relative move of further points."""
        written = [HistoryRow(step, *row) for step, row in enumerate(rows, self.step + 1)]
        if written:
            self.last, self.step = written[-1], written[-1].step
            self.history.add(written)
        for row in written:
            self.watch.show(row)

    def write(self, row: HistoryRow) -> None:
        """Write down a row."""
        self.last, self.step = row, row.step
        self.history.add([row])
        self.watch.show(row)

    def search(self, theta: Vector, largest: Vector, reason: Reason, evaluations: int) -> Search:
        """Return the search that ends at theta, shape (free,)."""
        return Search(
            theta=theta,
            largest=largest,
            reason=reason,
            history=self.history.rows(),
            final=self.last,
            steps=self.step,
            evaluations=evaluations,
        )


def _ended(problem: Problem, walk: _Walk, stretch: Stretch, reason: Reason) -> Search:
    """Return the search after its last compiled stretch, with the last digits where a minimum is claimed."""
    import numpy as np

    stretch.leave_end()
    theta, largest, evaluations = stretch.theta, stretch.largest, int(stretch.numbers.evaluations)
    if reason in CLAIMS:
        found = refined_theta(problem, theta, stretch.point, np.ones(len(theta), bool), largest)
        if found is not None:
            state = stretch.moved_to(found)
            theta, largest, evaluations = found, state.largest, state.evaluations
            walk.write(_row(walk.step + 1, state))
    return walk.search(theta, largest, reason, evaluations)


def _on_host(
    problem: Problem,
    optimizer: Solver,
    compiled: CompiledSearch,
    stopping: Stopping,
    state: LeastSquaresState,
    walk: _Walk,
) -> Search | Stretch:
    """Return the search if it ends on the host, or the next compiled stretch: tried after 1, 2, 4 ... steps."""
    import numpy as np

    count = 1
    while True:
        for _ in range(count):
            state = optimizer.step(problem, state)
            if not state.measures.stalled:
                walk.write(_row(walk.step + 1, state))
            reason = Reason(int(judge(compiled.rule, walk.step, 0, state.measures, np)))
            reason = reason or outside(stopping, walk.watch, walk.step)
            if reason:
                return _ended_on_host(problem, optimizer, walk, state, reason)
        stretch = compiled.resume(state, walk.step)
        # Where the program does not take even the point that it is given, its state is not to be used.
        if stretch.went and (stretch.numbers.rows > 1 or not stretch.gives_up):
            walk.take(stretch.rows[1:])
            return stretch
        count *= 2


def _ended_on_host(
    problem: Problem, optimizer: Solver, walk: _Walk, state: LeastSquaresState, reason: Reason
) -> Search:
    if reason in CLAIMS:
        finished = optimizer.finish(problem, state)
        if finished is not state:
            state = finished
            walk.write(_row(walk.step + 1, state))
    return walk.search(state.theta, state.largest, reason, int(state.evaluations))


def _row(step: int, state: LeastSquaresState) -> HistoryRow:
    measures = state.measures
    return HistoryRow(step, float(measures.value), float(measures.optimality), float(measures.theta_change))
