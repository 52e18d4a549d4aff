"""What evidence of convergence is, and what counts as close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from fitkit.optimizers.bound_rows import BoundRows
from fitkit.optimizers.linearization import Linearization
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

EXACT_UP_TO = 200
"""Free parameters up to which the exact Hessian is formed."""
CLOSE = 1e-6
"""A claim of convergence stands if what is left to gain, or to move, is at most this (or 100 gtol, if that is looser)."""
NOTHING = 1e-15
"""A share whose square is far below the rounding of the objective: a parameter at zero has no own size to judge by."""
TOLD = 1e-7
"""A component of a flat direction below this may be rounding."""
STEADY = 1e-3
"""A Newton step longer than this share of a parameter leads somewhere else, however little it gains."""
NEAR_ZERO = 1e-6
"""A parameter below this share of the largest it was seen at is judged by that share instead of by itself."""


@final
@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is to be said of constraints at a point."""

    left: Vector
    """The value of each left side, shape (constraints,)."""
    right: Vector
    violations: Vector
    """By how much each is broken, shape (constraints,)."""
    multipliers: Vector
    """Of c = left - right for <= and ==, right - left for >=; shape (constraints,)."""
    active: Mask
    """Which of them hold as equalities, shape (constraints,)."""
    met: bool
    """Whether all hold, to rounding."""
    tangent: Matrix
    """A basis of the directions that keep the active constraints and bounds, in columns, shape (free, directions)."""
    equalities: int
    """How many independent equalities there are."""
    presses: bool
    """Whether an inequality among the constraints is active, with a multiplier."""
    determined: Mask
    """Parameters that active inequalities and bounds leave no way to move, shape (free,)."""
    lower: Vector | None
    """A point beside this one that is lower and meets the constraints, where one was found, shape (free,)."""
    settled: Mask
    """The same with equalities alone counted too, shape (free,)."""


@final
@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the derivatives at a point say.

    All numbers are free of units: rescaling a parameter or the data changes none of them. NaN where unknown.
    """

    optimality: float
    """The largest cosine between residual and Jacobian columns, or the smaller of `remaining` and `newton_step`."""
    remaining: float
    """The root of the share of the objective that a Newton step (Gauss-Newton for least squares) would still remove."""
    newton_step: float
    """The largest component of that step relative to its parameter."""
    smallest_eigenvalue: float
    """Of the Hessian scaled to unit diagonal, over parameters not held at a bound (Gauss-Newton for least squares)."""
    condition: float
    """The condition number of the scaled Jacobian, or the root of that of the scaled Hessian."""
    minimum: Literal["strict", "degenerate", "flat", "kink", "saddle", "unknown"]
    """A kink is a point that is lower than its neighbours without having curvature; a degenerate minimum rises along some
    direction more slowly than any square."""
    held: Mask
    """Parameters pressed against a bound, shape (free,)."""
    flat: Matrix
    """Directions along which the objective does not change, by how much each parameter takes part, shape (flat, free)."""
    without_effect: Mask | None = None
    """Parameters that could double, or vanish, without the objective noticing, shape (free,)."""
    linearization: Linearization | None = None
    """For least squares."""
    gradient: Vector | None = None
    hessian: Matrix | None = None
    """For other objectives, shape (free, free)."""
    uncertainty_of_minimum: Vector | None = None
    """How far the point may be from the minimum: what a Newton step would still move, and what rounding hides, (free,)."""
    at_rounding: bool = False
    """Whether a strict minimum is as near as rounding lets it be told."""
    finite: bool = True
    """False where derivatives were asked for and are not finite."""

    conditions: Conditions | None = None
    """Of the constraints, where there are any."""
    gain_along_slope: float = float("nan")
    """The share of the objective that the best step along the slope would remove, where there is no Hessian."""

    @property
    def known(self) -> bool:
        """Whether there are derivatives to ask."""
        return self.remaining == self.remaining


def confirms(evidence: Evidence, gtol: float) -> bool:
    """Return whether the exact derivatives support a claim of convergence; True where there are none to ask.

    Little left to gain is not enough: on the way to an asymptote the gain vanishes and the steps do not. For least squares
    the cosines tell the two apart, because they do not care for the length of a column; otherwise the step itself does.
    """
    bound = max(CLOSE, 100 * gtol)
    if not evidence.finite or (evidence.conditions is not None and not evidence.conditions.met):
        return False
    if evidence.at_rounding or not evidence.known or evidence.newton_step <= bound or evidence.remaining <= NOTHING:
        return True
    steady = evidence.optimality <= bound if evidence.linearization is not None else evidence.newton_step <= STEADY
    return evidence.remaining <= bound and steady


def taking_part(flat: Matrix, norms: Vector, own: Vector) -> Matrix:
    """Return flat directions with the parameters brought out that have to move by a fair share of their own size.

    In coordinates scaled by their effects, the slope of a line hardly takes part beside an offset of a million slopes.

    Args:
        flat: in scaled coordinates, shape (flat, free).
        norms: of the scale, shape (free,).
        own: the sizes of the parameters, shape (free,).
    """
    import numpy as np

    with np.errstate(all="ignore"):
        moves = np.abs(flat) / np.where(own > 0, norms * own, np.inf)
        longest = np.max(moves, axis=1, keepdims=True, initial=0.0)
        shares = np.where((np.abs(flat) > TOLD) & (longest > 0), moves / longest, 0.0)
    return np.where(shares > np.abs(flat), np.copysign(shares, flat), flat)


def unknown(size: int, *, finite: bool = True) -> Evidence:
    """Return the evidence where derivatives cost too much, or are not `finite`."""
    import numpy as np

    nan = float("nan")
    return Evidence(
        optimality=nan if size else 0.0,
        remaining=nan if size else 0.0,
        newton_step=nan if size else 0.0,
        smallest_eigenvalue=nan,
        condition=nan,
        minimum="unknown",
        held=np.zeros(size, bool),
        flat=np.zeros((0, size)),
        without_effect=np.zeros(size, bool),
        finite=finite,
    )


def pressed(problem: Problem, theta: Vector, gradient: Vector) -> Mask:
    """Return which parameters the gradient presses against a bound, shape (free,)."""
    import numpy as np

    bound = BoundRows.of(problem)
    if not bound.bounded:
        return np.zeros(len(theta), bool)
    lower, upper = bound.lower, bound.upper
    return ((theta <= lower) & (gradient > 0)) | ((theta >= upper) & (gradient < 0))


def relative_size(step: Vector, theta: Vector, seen: Vector) -> float:
    """Return the largest component of a step relative to its parameter.

    A parameter that ends at zero is known to no share of itself: a millionth of the largest it was seen at stands in, or
    one where it has always been zero.
    """
    import numpy as np

    size = np.maximum(np.abs(theta), NEAR_ZERO * seen)
    return float(np.max(np.abs(step) / np.where(size > 0, size, 1.0), initial=0.0))


def relative_move(step: Vector, theta: Vector, seen: Vector) -> float:
    """Return `relative_size`, but infinity where a parameter that has always been zero has a step left.

    Whether that step is small nobody knows: in units of its own it may be large.
    """
    import numpy as np

    unmeasured = (step != 0) & (np.maximum(np.abs(theta), seen) == 0)
    return float("inf") if unmeasured.any() else relative_size(step, theta, seen)
