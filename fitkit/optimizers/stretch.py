"""A stretch of the compiled search as the host sees it: its points, the state after it, and what the evidence may reuse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, final

from fitkit.optimizers.bound_rows import BoundRows, remember
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.least_squares_state import LeastSquaresState, state_at
from fitkit.optimizers.linearization import Linearization, lengths
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fitkit.optimizers.search_program import Ending, Numbers, Small

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What a call of the compiled search did."""

    problem: Problem
    ending: Ending

    @cached_property
    def small(self) -> Small:
        """What is of the size of theta."""
        import numpy as np

        from fitkit.optimizers.search_program import Small

        return Small.of(np.asarray(self.ending.small), len(self.problem.lower))

    @cached_property
    def numbers(self) -> Numbers:
        """The state of the search."""
        from fitkit.optimizers.search_program import Numbers

        return Numbers(*self.small.numbers.tolist())

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

    @property
    def vectors(self) -> Matrix:
        """The point, the scale D, the largest |theta_j| and J'r, shape (4, free)."""
        vectors: Matrix = self.small.vectors
        return vectors

    @cached_property
    def _rows(self) -> Matrix:
        import numpy as np

        return np.asarray(self.ending.rows)

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
        return _linearization(self.small.factor, (self._rows[:-2],))

    @property
    def curvature(self) -> Matrix:
        """S at the last point, if it is `known`, shape (free, free)."""
        norms = self.point.spectrum[0]
        scaled: Matrix = self.small.extra * norms * norms[:, None]
        return scaled

    def leave_start(self, start: Vector) -> None:
        """Let the evidence find what is known of the start, shape (free,), where this stretch began."""
        remember(BoundRows.of(self.problem).points, start.tobytes(), _linearization(self.small.begun, None))

    def leave_end(self) -> None:
        """Let the host and the evidence find what is known of the end."""
        import numpy as np

        kept, key = BoundRows.of(self.problem), self.theta.tobytes()
        remember(kept.points, key, self.point)
        kept.predictions = key, self._rows[-2]
        kept.shaken = key, np.sqrt(self._rows[-1])
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
