"""A point of a least-squares search, and what an optimizer says of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.linearization import Linearization
from fitkit.optimizers.stopping import Measures
from fitkit.optimizers.subspace import GaussNewton, gauss_newton
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class LeastSquaresState:
    """A point of the search, its linearization, and the damping with which the next step starts."""

    theta: Vector
    point: Linearization
    newton: GaussNewton
    movable: NDArray[np.bool_]
    """Parameters that are not held at a bound by the slope."""
    scale: Vector
    """The diagonal of D."""
    largest: Vector
    """The largest |theta_j| so far."""
    damping: float
    growth: float
    """The factor of the damping at the next refusal."""
    wait: int
    """Steps to go before a Newton step is tried again."""
    patience: int
    """The wait after the next Newton step that fails."""
    crawled: int
    """Steps in a row that lowered the objective by less than a hundredth."""
    measures: Measures
    evaluations: int


def relative_length(step: Vector, theta: Vector, largest: Vector) -> float:
    """Return the largest move relative to its parameter; where a parameter has always been zero any move counts as one."""
    longest = 0.0
    # Plain numbers: for few parameters three times as fast as arrays.
    for move, at, seen in zip(step.tolist(), theta.tolist(), largest.tolist(), strict=True):
        size = abs(at) or seen
        share = 0.0 if move == 0 else abs(move) / size if size > 0 else 1.0
        if math.isnan(share):
            return math.nan
        longest = max(longest, share)
    return longest


def state_at(
    problem: Problem,
    theta: Vector,
    point: Linearization,
    *,
    scale: Vector,
    largest: Vector,
    damping: float,
    evaluations: int,
    previous: LeastSquaresState | None = None,
) -> LeastSquaresState:
    """Return the state at theta with its measures.

    The measures of change take the undamped step into account: a short step because of heavy damping is not convergence.
    """
    import numpy as np

    if not point.finite:
        nothing = gauss_newton(point, np.zeros(len(theta), bool))
        unknown = Measures(point.sum_of_squares, np.nan, np.nan, np.nan, np.False_, np.False_, np.False_, np.False_)
        movable = np.ones(len(theta), bool)
        return LeastSquaresState(
            theta=theta, point=point, newton=nothing, movable=movable, scale=scale, largest=largest, damping=damping,
            growth=2.0, wait=0, patience=1, crawled=0, measures=unknown, evaluations=evaluations,
        )  # fmt: skip
    gradient = point.gradient
    squares = LeastSquares(problem)
    held = ((theta <= squares.lower) & (gradient > 0)) | ((theta >= squares.upper) & (gradient < 0))
    newton = gauss_newton(point, ~held)
    rows = len(squares.rows)
    with np.errstate(invalid="ignore"):  # an infinite spread of a scatter that has underflowed to zero
        sigma = newton.spread * np.sqrt(point.sum_of_squares / max(1, rows - len(theta)))
    share = 1e-3 if problem.single else 1e-6
    negligible = np.maximum(np.maximum(share * np.abs(theta), share**2 * largest), share * sigma)
    value_change = theta_change = np.nan
    if previous is not None:
        before = previous.point.sum_of_squares
        value_change = max((before - point.sum_of_squares) / before, newton.offset**2)
        moved = relative_length(theta - previous.theta, theta, largest)
        theta_change = max(moved, relative_length(newton.step, theta, largest))
    measures = Measures(
        value=np.float64(point.sum_of_squares),
        optimality=np.float64(point.cosines(~held)),
        value_change=np.float64(value_change),
        theta_change=np.float64(theta_change),
        moved=np.bool_(previous is not None),
        stalled=np.False_,
        at_rounding=np.bool_((np.abs(newton.step) <= negligible).all()),
        finite=np.True_,
    )
    slow = previous is not None and previous.point.sum_of_squares - point.sum_of_squares < 0.01 * point.sum_of_squares
    wait = 0 if previous is None else max(0, previous.wait - 1)
    patience = 1 if previous is None else previous.patience
    crawled = previous.crawled + 1 if previous is not None and slow else 0
    return LeastSquaresState(
        theta=theta, point=point, newton=newton, movable=~held, scale=scale, largest=largest, damping=damping,
        growth=2.0, wait=wait, patience=patience, crawled=crawled, measures=measures, evaluations=evaluations,
    )  # fmt: skip
