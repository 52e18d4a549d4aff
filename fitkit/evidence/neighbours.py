"""A look at the neighbours of a point, where derivatives say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from fitkit.optimizers.exact_newton import EPSILON
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

BESIDE = 1e-3
"""How far away the neighbours are, as a share of the parameter."""
MOST_LOOKS = 20


def look_beside(
    problem: Problem,
    theta: Vector,
    directions: Matrix,
    size: Vector,
    objective: Callable[[Vector], float],
    value: float,
) -> Literal["kink", "saddle"] | None:
    """Return what the neighbours along `directions` make of a point, or None if it may be a minimum.

    A lower neighbour refutes it (an inflection); neighbours that rise in proportion to their distance make a kink.

    Args:
        problem: gives the bounds.
        theta: the point, shape (free,).
        directions: in units of `size`, shape (directions, free).
        size: of the parameters, shape (free,).
        objective: the objective at a point.
        value: the objective at theta.
    """
    import numpy as np

    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    noise = 1e3 * EPSILON * abs(value)

    def rise(move: Vector) -> float:
        return min(objective(np.clip(theta + side * move, lower, upper)) for side in (-1, 1)) - value

    for direction in directions[:MOST_LOOKS]:
        move = BESIDE * direction * np.where(size > 0, size, 1.0)
        near, far = rise(move), rise(2 * move)
        if near < -noise:
            return "saddle"
        if noise < near and far < 3 * near:
            return "kink"
    return None
