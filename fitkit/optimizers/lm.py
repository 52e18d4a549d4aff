"""Levenberg-Marquardt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

from fitkit.optimizers.base import Solver
from fitkit.optimizers.compiled_search import CompiledSearch
from fitkit.optimizers.damped_system import DampedSystem
from fitkit.optimizers.exact_newton import EPSILON, newton_step
from fitkit.optimizers.last_digits import refined_theta
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.least_squares_state import LeastSquaresState, relative_length, state_at
from fitkit.optimizers.linearization import Linearization
from fitkit.optimizers.lm_constants import (
    BEND_LIMIT,
    CRAWLING,
    FIRST_DAMPING,
    FORGETTING,
    LEAST_DAMPING,
    MOST_PATIENCE,
    MOST_POLISHING,
    POLISH_BELOW,
    SHORT,
    STEEPER,
)
from fitkit.optimizers.stopping import StopRule
from fitkit.optimizers.subspace import bend_step, damped_step
from fitkit.problem import Problem
from fitkit.types import Positive, Theta, WholeScalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardt(Solver):
    """Levenberg-Marquardt with geodesic acceleration: the choice for every loss of residuals.

    Each step solves min |r + J v|² + damping |D v|² with exact Jacobians by QR, is bent by the second derivative of the
    residuals along v, and stays within the bounds by projection.
    """

    kind: Literal["lm"] = "lm"
    damping: Positive = FIRST_DAMPING
    """The damping of the first step, relative to the squared column norms of the Jacobian."""
    on_host: ClassVar[bool] = True

    def init(self, problem: Problem, theta: Theta, seed: int | WholeScalar) -> LeastSquaresState:
        """Return the state at theta, shape (free,); the objective is evaluated once."""
        import numpy as np

        del seed
        start = np.clip(np.asarray(theta, np.float64), np.asarray(problem.lower), np.asarray(problem.upper))
        point = LeastSquares(problem).linearize(start)
        return state_at(
            problem,
            start,
            point,
            scale=_scale(start, point, np.zeros(len(start))),
            largest=np.abs(start),
            damping=self.damping,
            evaluations=1,
        )

    def step(self, problem: Problem, state: LeastSquaresState) -> LeastSquaresState:
        """Return the state after one accepted step, or a stalled one where every length down to rounding was refused."""
        if _wants_polish(state):
            polished = _polish(problem, state)
            if polished is not None:
                return polished
            longer = min(2 * state.patience, MOST_PATIENCE)
            state = replace(state, wait=state.patience, patience=longer, evaluations=state.evaluations + 1)
        return _descend(problem, state)

    def compiled(self, problem: Problem, rule: StopRule) -> CompiledSearch | None:
        """Return the compiled search of a small problem that has been searched before."""
        return CompiledSearch.of(problem, rule, self.damping)

    def finish(self, problem: Problem, state: LeastSquaresState) -> LeastSquaresState:
        """Return the state after Newton steps for as long as they shrink the slope: the tolerance is met, digits follow."""
        for _ in range(MOST_POLISHING):
            polished = _polish(problem, state) if state.point.sum_of_squares > 0 else None
            if polished is None:
                break
            state = polished
        return _refined(problem, state)


def _scale(theta: Vector, point: Linearization, remembered: Vector) -> Vector:
    """Return D at theta, shape (free,): the column norms of J, or what is remembered of them where they fell.

    A column that has all but vanished would leave its parameter free to go anywhere, whatever that does to the others: over
    its own size it counts for at least the rounding of the residual. One that is zero moves nothing.
    """
    import numpy as np

    own = np.where(theta != 0, np.abs(theta), np.inf)
    with np.errstate(invalid="ignore"):  # where the sum of squares has overflowed, the search is over
        least = np.where(point.column_norms > 0, EPSILON * point.sum_of_squares**0.5 / own, 0.0)
    scale = np.maximum(remembered, np.maximum(point.column_norms, least))
    return np.where(scale > 0, scale, 1.0)


def _descend(problem: Problem, state: LeastSquaresState) -> LeastSquaresState:
    """Shorten the damped step until it lowers the objective as foretold."""
    import numpy as np

    squares = LeastSquares(problem)
    room = squares.lower - state.theta, squares.upper - state.theta
    system = DampedSystem(state.point, state.scale, state.movable)
    damping, growth, evaluations = state.damping, state.growth, state.evaluations
    while True:
        velocity = system.velocity(damping)
        if squares.bounded and ((velocity < room[0]) | (velocity > room[1])).any():
            velocity = damped_step(state.point, state.scale, damping, state.movable, room)
        if relative_length(velocity, state.theta, state.largest) < 1e-16 or damping > 1e60:
            freed = _polish(problem, state) or _undamped(problem, state)
            forgetful = None if freed else _forgetful(state)
            if forgetful is not None:
                return _descend(problem, replace(forgetful, evaluations=evaluations))
            stalled = state.measures._replace(moved=np.False_, stalled=np.True_)
            return freed or replace(state, measures=stalled, evaluations=evaluations)
        trial = _bent(squares, state, system, velocity, damping)
        if trial is not None:
            point = squares.linearize(trial)
            evaluations += 1
            ratio = _ratio(state.point, point, velocity)
            if ratio > 1e-4:
                softer = damping * max(1 / 3, 1 - (2 * min(ratio, 1e3) - 1) ** 3)
                return state_at(
                    problem,
                    trial,
                    point,
                    scale=_scale(trial, point, FORGETTING * state.scale),
                    largest=np.maximum(state.largest, np.abs(trial)),
                    damping=min(max(softer, LEAST_DAMPING), 1e20),
                    evaluations=evaluations,
                    previous=state,
                )
        damping, growth = damping * growth, growth * 2


def _forgetful(state: LeastSquaresState) -> LeastSquaresState | None:
    """Return the state with D of this point alone, where what is remembered of far steeper ones holds parameters still.

    Down a cliff of twenty orders of magnitude, an exponential's say, columns fall faster than D forgets.
    """
    fresh = _scale(state.theta, state.point, 0 * state.scale)
    if not (state.scale > STEEPER * fresh).any():
        return None
    return replace(state, scale=fresh, damping=FIRST_DAMPING, growth=2.0)


def _undamped(problem: Problem, state: LeastSquaresState) -> LeastSquaresState | None:
    """Return the state after the Gauss-Newton step, if it lowers the objective as foretold; None if not.

    Where columns are nearly alike, what damped steps gain is below rounding long before the undamped one is.
    """
    import numpy as np

    squares = LeastSquares(problem)
    trial = np.clip(state.theta + state.newton.step, squares.lower, squares.upper)
    point = squares.linearize(trial)
    if not point.finite or _ratio(state.point, point, trial - state.theta) < 0.5:
        return None
    return state_at(
        problem,
        trial,
        point,
        scale=_scale(trial, point, FORGETTING * state.scale),
        largest=np.maximum(state.largest, np.abs(trial)),
        damping=LEAST_DAMPING,
        evaluations=state.evaluations + 1,
        previous=state,
    )


def _bent(
    squares: LeastSquares, state: LeastSquaresState, system: DampedSystem, velocity: Vector, damping: float
) -> Vector | None:
    """Return theta + v + a/2 inside the box, or None where the acceleration a is too long to trust."""
    import numpy as np

    bend = squares.bend(state.theta, velocity, state.point)
    if not np.isfinite(bend).all():
        return None
    down, up = velocity <= squares.lower - state.theta, velocity >= squares.upper - state.theta
    on_walls = squares.bounded and (down | up).any()
    if on_walls:
        acceleration = bend_step(state.point, state.scale, damping, state.movable & ~(down | up), bend)
    else:
        acceleration = system.acceleration(damping, bend)
    bent, straight = state.scale * acceleration, state.scale * velocity
    if 2 * math.sqrt(bent @ bent) > BEND_LIMIT * math.sqrt(straight @ straight):
        return None
    trial = state.theta + velocity + acceleration / 2
    if squares.bounded:
        trial = np.clip(trial, squares.lower, squares.upper)
    if on_walls:
        # Not where theta + (wall - theta) rounds to: an ulp beside it, the slope would not be seen to press against it.
        trial = np.where(down, squares.lower, np.where(up, squares.upper, trial))
    return trial if (trial != state.theta).any() else None


def _ratio(before: Linearization, after: Linearization, velocity: Vector) -> float:
    """Return the actual over the foretold decrease; negative where the objective rose or is not finite."""
    linear = before.projected + before.factor @ velocity
    foretold = float(before.projected @ before.projected - linear @ linear)
    actual = before.sum_of_squares - after.sum_of_squares
    if not after.finite or actual <= 0:
        return -1.0
    return actual / foretold if 0 < foretold < math.inf else 1.0


def _wants_polish(state: LeastSquaresState) -> bool:
    """Return whether the minimum is near enough, or damped steps are slow enough, to try a Newton step."""
    near = state.newton.offset < POLISH_BELOW or float(state.measures.theta_change) < SHORT
    return state.wait <= 0 and (near or state.crawled >= CRAWLING)


def _polish(problem: Problem, state: LeastSquaresState) -> LeastSquaresState | None:
    """Return the state after a Newton step on the exact Hessian, if the slope shrinks by it; None if it does not.

    The slope is measured by sqrt(g' H^-1 g) with one H for both points; differences of the objective are rounding here.
    """
    import numpy as np

    squares = LeastSquares(problem)
    exact = newton_step(state.point, squares.curvature(state.theta, state.point), state.movable)
    if exact.saddle is not None:
        return None
    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    trial = np.clip(state.theta + exact.step, lower, upper)
    if (trial == state.theta).all():
        return None
    point = squares.linearize(trial)
    if not point.finite or point.sum_of_squares > state.point.sum_of_squares * (1 + 1e-9):
        return None
    slope = np.where(state.movable, point.gradient, 0.0)
    clipped = bool((trial != state.theta + exact.step).any())
    shrinks = exact.measure(slope) <= 0.5 * exact.decrement
    falls = state.point.sum_of_squares - point.sum_of_squares >= 0.1 * exact.decrement**2
    if not (falls if clipped else shrinks):
        return None
    polished = state_at(
        problem,
        trial,
        point,
        scale=_scale(trial, point, FORGETTING * state.scale),
        largest=np.maximum(state.largest, np.abs(trial)),
        damping=state.damping,
        evaluations=state.evaluations + 1,
        previous=state,
    )
    return replace(polished, wait=0, patience=state.patience)


def _refined(problem: Problem, state: LeastSquaresState) -> LeastSquaresState:
    """Return the state at the minimum to the last digit, where rounding in doubles leaves too few; else the state itself."""
    import numpy as np

    theta = refined_theta(problem, state.theta, state.point, state.movable, state.largest)
    if theta is None:
        return state
    return state_at(
        problem,
        theta,
        LeastSquares(problem).linearize(theta),
        scale=state.scale,
        largest=np.maximum(state.largest, np.abs(theta)),
        damping=state.damping,
        evaluations=state.evaluations + 1,
        previous=state,
    )
