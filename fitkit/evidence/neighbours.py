"""A look at the neighbours of a point, where derivatives say nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Literal, final

from fitkit.optimizers.exact_newton import EPSILON
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

BESIDE = 1e-3
"""How far away the neighbours are, as a share of the parameter."""
NEARER = 64
"""A kink is one at a distance this much smaller, too; the floor of a crooked valley is not."""
MOST_LOOKS = 20
SEVERAL = 10.0
"""How many last places of the terms that cancel may be rounding."""


@final
class Beside(Enum):
    """What lies beside a point along one parameter."""

    NOTHING = "nothing"
    KINK = "kink"
    """The objective rises to both sides in proportion to the distance, or jumps."""
    EDGE = "edge"
    """To one side the objective is not finite."""


def look_beside(
    problem: Problem,
    theta: Vector,
    directions: Matrix,
    size: Vector,
    objective: Callable[[Vector], float],
    value: float,
    magnitude: float,
) -> Literal["kink", "saddle"] | None:
    """Return what the neighbours along `directions` make of a point, or None if it may be a minimum.

    A lower neighbour refutes it (an inflection); neighbours that rise in proportion to their distance make a kink.

    Args:
        problem: gives the bounds.
        theta: the point, shape (free,).
        directions: in the units of theta and of any length, shape (directions, free).
        size: of the parameters, shape (free,): the neighbours are a thousandth of it away.
        objective: the objective at a point.
        value: the objective at theta.
        magnitude: of the terms that cancel in the residuals, whose squares the objective is taken for.
    """
    hidden = SEVERAL * EPSILON * magnitude
    noise = max(1e3 * EPSILON * abs(value), 2 * abs(value) ** 0.5 * hidden + hidden**2)
    for direction in directions[:MOST_LOOKS]:
        rise = _Rise(problem, theta, _stretched(direction, size), objective, value)
        near = rise.at(BESIDE)
        if near < -noise:
            return "saddle"
        if rise.two_sided and rise.is_kink(near, noise):
            return "kink"
    return None


def rests_on_wall(
    problem: Problem, theta: Vector, level: Mask, size: Vector, objective: Callable[[Vector], float], value: float
) -> Mask:
    """Return which of the `level` parameters a kink presses against their bound, shape (free,).

    The slope of sqrt(x) at 0 is taken as zero, but away from that wall the objective rises more steeply than any slope.
    """
    import numpy as np

    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    noise = 1e3 * EPSILON * abs(value)
    found = np.zeros(len(theta), bool)
    for index in np.flatnonzero(level & ((theta == lower) | (theta == upper)))[:MOST_LOOKS]:
        rise = _Rise(problem, theta, _stretched(np.eye(len(theta))[index], size), objective, value)
        found[index] = not rise.two_sided and rise.is_kink(rise.at(BESIDE), noise)
    return found


def around(problem: Problem, theta: Vector, size: Vector, objective: Callable[[Vector], float]) -> list[Beside]:
    """Return what lies beside theta along each parameter, in the order of theta; `size` is as for `look_beside`."""
    import numpy as np

    value = objective(theta)
    noise = 1e3 * EPSILON * abs(value)
    found = []
    for axis in np.eye(len(theta)):
        rise = _Rise(problem, theta, _stretched(axis, size), objective, value)
        if not rise.is_finite:
            found.append(Beside.EDGE)
        else:
            kink = rise.two_sided and rise.is_kink(rise.at(BESIDE), noise)
            found.append(Beside.KINK if kink else Beside.NOTHING)
    return found


def _stretched(direction: Vector, size: Vector) -> Vector:
    """Return the direction at the length that moves no parameter by more than its size."""
    import numpy as np

    length = float(np.max(np.abs(direction) / np.where(size > 0, size, 1.0)))
    return direction / length if length > 0 else direction


@final
class _Rise:
    """How much the objective rises along a direction, on the side where it rises less; walls are no sides."""

    def __init__(
        self, problem: Problem, theta: Vector, move: Vector, objective: Callable[[Vector], float], value: float
    ) -> None:
        import numpy as np

        self._box = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
        self._theta, self._objective, self._value = theta, objective, value
        # A step that is cut to nothing by a wall leads nowhere; one that is cut short by it is a neighbour all the same.
        self._moves = [
            side * move
            for side in (-1, 1)
            if np.max(np.abs(self._cut(side * BESIDE * move) - theta) * (move != 0))
            > 1e-6 * BESIDE * np.max(np.abs(move))
        ]
        self.two_sided = len(self._moves) == 2

    def _cut(self, move: Vector) -> Vector:
        import numpy as np

        moved: Vector = np.clip(self._theta + move, *self._box)
        return moved

    @property
    def is_finite(self) -> bool:
        """Whether the objective is finite on every side."""
        import math

        return all(math.isfinite(self._objective(self._cut(BESIDE * move))) for move in self._moves)

    def at(self, share: float) -> float:
        """Return the rise at a share of the move; infinite where there is no way at all."""
        return min(
            (self._objective(self._cut(share * move)) - self._value for move in self._moves), default=float("inf")
        )

    def is_kink(self, near: float, noise: float) -> bool:
        """Return whether the rise `near` by is in proportion to the distance, or steeper, at two distances."""
        if not noise < near < float("inf") or self.at(2 * BESIDE) >= 3 * near:
            return False
        nearer = self.at(BESIDE / NEARER)
        return nearer > noise and self.at(2 * BESIDE / NEARER) < 3 * nearer
