"""The compiled search as the host sees it: when there is one, calls of it, and states before and after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from fitkit.optimizers.bound_rows import BoundRows, remember
from fitkit.optimizers.exact_newton import SHAKING
from fitkit.optimizers.least_squares import POLARIZED_UP_TO, LeastSquares
from fitkit.optimizers.least_squares_state import LeastSquaresState, state_at
from fitkit.optimizers.linearization import Linearization, lengths
from fitkit.optimizers.row_kernels import expand
from fitkit.optimizers.stopping import Reason, StopRule
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fitkit.optimizers.search_program import Ending, Numbers

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

SMALL = 50_000
"""Rows times parameters up to which a search is compiled: beyond, the rows take longer than all that is done on the host."""
SEARCHES_BEFORE = 2
"""Searches of a structure after which its next one is compiled: a fit from two starts is over before that would pay."""


@final
@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What a call of the compiled search did."""

    problem: Problem
    numbers: Numbers
    ending: Ending

    @property
    def reason(self) -> Reason | None:
        """Why the search ended, if it did."""
        return Reason(int(self.numbers.status)) if self.numbers.status > 0 else None

    @property
    def gives_up(self) -> bool:
        """Whether the host has to go on."""
        return bool(self.numbers.status < 0)

    @property
    def went(self) -> bool:
        """Whether there is a point."""
        return bool(self.numbers.rows > 0)

    @cached_property
    def rows(self) -> list[list[float]]:
        """The objective, the cosine and the relative move of each point taken, the first one included."""
        import numpy as np

        rows: list[list[float]] = np.asarray(self.ending.history)[: int(self.numbers.rows)].tolist()
        return rows

    @cached_property
    def vectors(self) -> Matrix:
        """The point, the scale D, the largest |theta_j| and J'r, shape (4, free)."""
        import numpy as np

        return np.asarray(self.ending.place.vectors)

    @property
    def theta(self) -> Vector:
        """Where the search is, shape (free,)."""
        theta: Vector = self.vectors[0]
        return theta

    @property
    def largest(self) -> Vector:
        """The largest |theta_j| so far, shape (free,)."""
        largest: Vector = self.vectors[2]
        return largest

    @property
    def claimed(self) -> Reason | None:
        """Why the search ended, if all that is left is the last digits."""
        return Reason(int(self.numbers.reason)) if self.numbers.left > 0 else None

    @cached_property
    def point(self) -> Linearization:
        """The linearization there."""
        import numpy as np

        rows = np.asarray(self.ending.place.rows)
        return _linearization(np.asarray(self.ending.place.factor), (rows[:-1],))

    @property
    def curvature(self) -> Matrix:
        """S at the last point, if it is `known`, shape (free, free)."""
        import numpy as np

        norms = self.point.spectrum[0]
        scaled: Matrix = np.asarray(self.ending.extra) * norms * norms[:, None]
        return scaled

    def leave_start(self, start: Vector) -> None:
        """Let the evidence find what is known of the start, shape (free,), where this stretch began."""
        import numpy as np

        begun = _linearization(np.asarray(self.ending.begun), None)
        remember(BoundRows.of(self.problem).points, start.tobytes(), begun)

    def leave_end(self) -> None:
        """Let the host and the evidence find what is known of the end."""
        import numpy as np

        kept, key = BoundRows.of(self.problem), self.theta.tobytes()
        remember(kept.points, key, self.point)
        kept.predictions = key, np.asarray(self.ending.place.rows)[-1]
        if self.numbers.shakes > 0:
            kept.shaken = key, np.sqrt(np.asarray(self.ending.noise) / len(SHAKING))
        if self.numbers.known:
            remember(kept.curvatures, key, self.curvature)

    def moved_to(self, theta: Vector) -> LeastSquaresState:
        """Return the state at the minimum, of which theta, shape (free,), are more digits than this has."""
        import numpy as np

        state = self.state()
        return state_at(
            self.problem,
            theta,
            LeastSquares(self.problem).linearize(theta),
            scale=state.scale,
            largest=np.maximum(state.largest, np.abs(theta)),
            damping=state.damping,
            evaluations=state.evaluations + 1,
            previous=state,
        )

    def state(self) -> LeastSquaresState:
        """Return the state from which the host goes on."""
        import numpy as np

        theta, scale, largest, _ = self.vectors
        now = self.numbers
        state = state_at(
            self.problem,
            theta,
            self.point,
            scale=np.where(scale > 0, scale, 1.0),
            largest=largest,
            damping=now.damping,
            evaluations=int(now.evaluations),
        )
        measures = state.measures._replace(theta_change=np.float64(now.theta_change), moved=np.bool_(now.step > 0))
        return replace(
            state,
            growth=now.growth,
            wait=int(now.wait),
            patience=int(now.patience),
            crawled=int(now.crawled),
            measures=measures,
        )


def _linearization(factor: Matrix, columns: tuple[Matrix, ...] | None) -> Linearization:
    size = len(factor) - 1
    return Linearization(
        factor=factor[:size, :size],
        projected=factor[:size, size],
        sum_of_squares=float(factor[:, size] @ factor[:, size]),
        column_norms=lengths(factor[:, :size]),
        columns=columns,
    )


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
        from fitkit.optimizers.search_program import Numbers

        nan = float("nan")
        return Numbers(*[0.0] * len(Numbers._fields))._replace(
            damping=self.damping, growth=2.0, value=float("inf"), theta_change=nan, offset=nan, patience=1.0
        )

    def go_on(self, stretch: Stretch) -> Stretch:
        """Return the next stretch after one that ended for its length."""
        return self._run(stretch.numbers._replace(shakes=0.0), stretch.vectors)

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

        from fitkit.optimizers.search_program import HISTORY, Ending, Numbers, Place, search

        program = BoundRows.of(self.problem).chunks_of(search, vectors.shape[1])[0]
        ready = numbers._replace(begins=1.0, turns=0.0, rows=0.0, taken=0.0)
        found: Any = program(np.array(ready, np.float64), vectors, np.array([*self.rule, HISTORY], np.float64))
        ending = Ending(*found)
        ending = ending._replace(place=Place(*ending.place))
        return Stretch(problem=self.problem, numbers=Numbers(*np.asarray(ending.numbers).tolist()), ending=ending)
