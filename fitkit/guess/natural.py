"""Of equally good points the one that a person would have written: few minus signs, and phases within a turn."""

from __future__ import annotations

from itertools import islice, product
from math import pi
from typing import TYPE_CHECKING, Final

from fitkit.guess.candidates import Scale
from fitkit.guess.projection import project
from fitkit.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_MOST: Final = 512
"""Equivalent points that are tried."""
_EQUAL: Final = 1e-6
"""Relative difference of two sums of squares that are the same."""
_ROUNDING: Final = 1e-10
"""Share of the target's sum of squares below which differences are rounding."""


def naturally(problem: Problem, theta: Vector, linear: NDArray[np.bool_], scales: Sequence[Scale]) -> Vector:
    """Return theta, or a point as good, with its linear parameters solved for again.

    A width enters squared, a Hill coefficient's sign swaps two plateaus, a frequency's that of the phase, and a phase may
    lie turns away: such twins are tried in all combinations.
    """
    import numpy as np

    options = [
        [value] if is_linear else _twins(float(value), scale)
        for value, is_linear, scale in zip(theta, linear, scales, strict=True)
    ]
    twins = np.array([theta, *islice(product(*options), _MOST)])
    points, squares = project(problem, twins, linear)
    if problem.rows is None or not np.isfinite(squares[0]):
        return theta
    total = float((np.asarray(problem.rows.target) ** 2).sum())
    equal = np.flatnonzero(squares <= squares[0] * (1 + _EQUAL) + _ROUNDING * total)
    # The first is theta itself: it stays where no twin is better.
    best = min(
        equal,
        key=lambda i: (int((points[i] < 0).sum()), float(np.abs(points[i, ~linear] / _sizes(scales, linear)).sum())),
    )
    return theta if best == 0 or (twins[best] == theta).all() else points[best]


def _twins(value: float, scale: Scale) -> list[float]:
    """Return other values that may mean the same."""
    turned = [(value + shift + pi) % (2 * pi) - pi for shift in (0.0, pi)] if scale.pure else []
    return list(dict.fromkeys([value, -value, *turned, *(-other for other in turned)]))


def _sizes(scales: Sequence[Scale], linear: NDArray[np.bool_]) -> Vector:
    import numpy as np

    return np.array([scale.size for scale in scales])[~linear]
