"""Newton's method in a trust region."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, final

from fitkit.optimizers.base import Solver
from fitkit.optimizers.least_squares_state import relative_length
from fitkit.optimizers.newton_state import AT_ROUNDING, NewtonState, forget, state_at
from fitkit.problem import Problem
from fitkit.types import Theta, WholeScalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

NEAR = 1e-3
"""Below this slope a full step is accepted if it shrinks the slope by half: differences of the objective are noise there."""
SLACK = 1e-9
"""The share of the objective by which rounding may raise it in such a step."""
ROUNDING = 1e-14
"""The share of the objective below which a decrease that is foretold may be lost in its rounding; a full step that foretells
more and fails is too long for the curvature that it relies on."""
MOST_RADIUS = 1e100
MOST_CRAWLING = 30
"""Steps in a row that gain next to nothing, after which no further one is tried."""
MOST_POLISHING = 3
"""The most steps after the tolerance is met; each doubles the digits until rounding ends it."""


@final
@dataclass(frozen=True, kw_only=True)
class Newton(Solver):
    """Newton's method in a trust region, on the exact Hessian: few steps and many digits for any smooth objective.

    Up to 200 free parameters by the Hessian's eigenvalues, beyond by conjugate gradients on exact products with it. Negative
    curvature leads away from saddles; bounds hold by projection.
    """

    kind: Literal["newton"] = "newton"
    on_host: ClassVar[bool] = True

    def init(self, problem: Problem, theta: Theta, seed: int | WholeScalar) -> NewtonState:
        """Return the state at theta, shape (free,)."""
        import numpy as np

        del seed
        start = np.clip(np.asarray(theta, np.float64), np.asarray(problem.lower), np.asarray(problem.upper))
        return state_at(problem, start, previous=None, evaluations=1)

    def step(self, problem: Problem, state: NewtonState) -> NewtonState:
        """Return the state after one accepted step, or a stalled one where every length down to rounding was refused."""
        import numpy as np

        with np.errstate(all="ignore"):  # an overflow shows as a value that is not finite, and is refused as such
            return self._step(problem, state)

    def _step(self, problem: Problem, state: NewtonState) -> NewtonState:
        import numpy as np

        lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
        radius, evaluations = state.radius, state.evaluations
        while state.curvature is not None and state.crawled < MOST_CRAWLING:
            room = (lower - state.theta, upper - state.theta)
            proposal = state.curvature.propose(radius, room)
            # On a wall, not where theta + (wall - theta) rounds to: beside it the slope would not be seen to press against it.
            trial = np.clip(state.theta + proposal.step, lower, upper)
            trial = np.where(proposal.step <= room[0], lower, np.where(proposal.step >= room[1], upper, trial))
            moved = trial - state.theta
            if proposal.foretold <= 0 or relative_length(moved, state.theta, state.largest) < 1e-16:
                break
            length = float(np.linalg.norm(state.scale * proposal.step))
            following = state_at(problem, trial, previous=state, evaluations=evaluations + 1)
            evaluations += 1
            ratio = (state.value - following.value) / proposal.foretold if following.curvature is not None else -1.0
            if ratio > 1e-4:
                return replace(following, radius=_next_radius(radius, length, ratio))
            if _contracts(state, following):
                return replace(following, radius=radius)
            at_rounding = proposal.foretold <= ROUNDING * abs(state.value)
            if length < 0.99 * radius and state.measures.optimality <= AT_ROUNDING and at_rounding:
                break
            radius = min(radius, length) / 4
        forgetful = forget(problem, state)
        if forgetful is not None:
            return self._step(problem, replace(forgetful, evaluations=evaluations))
        stalled = state.measures._replace(moved=np.False_, stalled=np.True_)
        return replace(state, measures=stalled, evaluations=evaluations)

    def finish(self, problem: Problem, state: NewtonState) -> NewtonState:
        """Return the state after full steps for as long as they shrink the slope: the tolerance is met, digits follow."""
        import numpy as np

        lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
        for _ in range(MOST_POLISHING):
            if state.curvature is None:
                break
            trial = np.clip(state.theta + state.curvature.newton.step, lower, upper)
            if (trial == state.theta).all():
                break
            following = state_at(problem, trial, previous=state, evaluations=state.evaluations + 1)
            if not _contracts(state, following):
                break
            state = replace(following, radius=state.radius)
        return state


def _next_radius(radius: float, length: float, ratio: float) -> float:
    """Return the radius after a step of a length that was accepted: `ratio` is the actual over the foretold decrease."""
    if ratio > 0.75:
        return min(max(radius, 3 * length), MOST_RADIUS)
    return radius if ratio > 0.25 else length / 4


def _contracts(state: NewtonState, following: NewtonState) -> bool:
    """Return whether near a minimum a step shrinks the slope to less than half, in one metric for both points."""
    import numpy as np

    here, there = state.curvature, following.curvature
    if here is None or there is None or not state.measures.optimality <= NEAR or not there.newton.convex:
        return False
    slack = SLACK * abs(state.value) + here.newton.decrease
    # A component that a wall now holds has a slope by right.
    slope = np.where(following.movable, following.gradient, 0.0)
    return following.value <= state.value + slack and here.size_of(slope) <= 0.5 * here.size_of(state.gradient)
