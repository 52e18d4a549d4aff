"""The compiled search as the host sees it: when there is one, and calls of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, final

from fitkit.optimizers.bound_rows import BoundRows
from fitkit.optimizers.least_squares import POLARIZED_UP_TO, LeastSquares
from fitkit.optimizers.least_squares_state import LeastSquaresState
from fitkit.optimizers.row_kernels import expand
from fitkit.optimizers.stopping import StopRule
from fitkit.optimizers.stretch import Stretch
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fitkit.optimizers.search_program import Numbers

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

SMALL = 50_000
"""Rows times parameters up to which a search is compiled: beyond, the rows take longer than all that is done on the host."""
SEARCHES_BEFORE = 2
"""Searches of a structure after which its next one is compiled: a fit from two starts is over before that would pay."""


@final
@dataclass(frozen=True)
class CompiledSearch:
    """The compiled search of a problem."""

    problem: Problem
    rule: StopRule
    damping: float
    """Of the first step."""

    @classmethod
    def of(cls, problem: Problem, rule: StopRule, damping: float) -> CompiledSearch | None:
        """Return the compiled search, or None where the host's is the better choice.

        That is where the program knows no way (penalties, float32, patience), where the problem is large, and for the first
        searches of its structure: a single fit is over before the program would be compiled.
        """
        squares = LeastSquares(problem)
        if problem.rows is None or not problem.least_squares or problem.single or squares.has_penalties:
            return None
        rows, size = len(problem.rows), len(problem.lower)
        if rule.patience >= 0 or not 0 < size <= POLARIZED_UP_TO or size > rows or rows * size > SMALL:
            return None
        if BoundRows.of(problem).searches(expand, size) < SEARCHES_BEFORE:
            return None
        found = cls(problem, rule, damping)
        BoundRows.of(problem).compiled_curvature = found.curvature
        return found

    def curvature(self, theta: Vector) -> Matrix | None:
        """Return S at theta, shape (free, free), in one call; None where it is not finite."""
        import numpy as np

        nothing = np.zeros(len(theta))
        numbers = self._fresh()._replace(looks=1.0)
        looked = self._run(numbers, np.stack([theta, nothing, np.abs(theta), nothing]))
        return looked.curvature if looked.numbers.known else None

    def begin(self, theta: Vector) -> Stretch:
        """Return the first stretch from theta, shape (free,)."""
        import numpy as np

        BoundRows.of(self.problem).forget()
        nothing = np.zeros(len(theta))
        return self._run(self._fresh(), np.stack([theta, nothing, np.abs(theta), nothing]))

    def _fresh(self) -> Numbers:
        return _numbers_at_start()._replace(damping=self.damping)

    def go_on(self, stretch: Stretch) -> Stretch:
        """Return the next stretch after one that ended for its length."""
        return self._run(stretch.numbers, stretch.vectors)

    def resume(self, state: LeastSquaresState, step: int) -> Stretch:
        """Return the next stretch after `step` steps, the last of them on the host."""
        import numpy as np

        numbers = self._fresh()._replace(
            damping=state.damping,
            growth=state.growth,
            offset=state.newton.offset,
            theta_change=float(state.measures.theta_change),
            wait=float(state.wait),
            patience=float(state.patience),
            crawled=float(state.crawled),
            evaluations=float(state.evaluations),
            step=float(step),
        )
        return self._run(numbers, np.stack([state.theta, state.scale, state.largest, np.zeros(len(state.theta))]))

    def _run(self, numbers: Numbers, vectors: Matrix) -> Stretch:
        import numpy as np

        from fitkit.optimizers.search_program import HISTORY, Ending, search

        program = BoundRows.of(self.problem).chunks_of(search, vectors.shape[1])[0]
        ready = numbers._replace(begins=1.0, turns=0.0, rows=0.0, taken=0.0)
        found: Any = program(np.array(ready), vectors, np.array([*self.rule, HISTORY], np.float64))
        return Stretch(problem=self.problem, ending=Ending(*found))


@cache
def _numbers_at_start() -> Numbers:
    from fitkit.optimizers.search_program import Numbers

    nan = float("nan")
    return Numbers(*[0.0] * len(Numbers._fields))._replace(
        growth=2.0, value=float("inf"), theta_change=nan, offset=nan, patience=1.0
    )
