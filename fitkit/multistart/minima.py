"""The distinct minima among the ends of many searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

SAME_VALUE = 1e-6
"""Relative difference of the objective up to which two ends may be one minimum."""
SAME_PLACE = 1e-3
"""Distance of each parameter, in units of its scale, up to which they are."""


@final
@dataclass(frozen=True, kw_only=True)
class Minimum:
    """A minimum, at its lowest end, and how many searches ended in it."""

    value: float
    theta: Vector
    count: int


def distinct_minima(theta: Matrix, value: Vector, width: Vector) -> tuple[Minimum, ...]:
    """Return the minima that the searches ended in, the lowest first.

    A search is counted for the lowest minimum that agrees with its end in value and place.

    Args:
        theta: where they ended, shape (searches, free).
        value: the objective there, finite, shape (searches,).
        width: of the range that the starts came from: a parameter's scale is its size, or a thousandth of this, (free,).
    """
    import numpy as np

    found: list[list[int]] = []
    floor = 1e-10 * float(np.median(np.abs(value))) if len(value) else 0.0
    for search in np.argsort(value, kind="stable"):
        for members in found:
            first = members[0]
            near = abs(value[search] - value[first]) <= SAME_VALUE * abs(value[first]) + floor
            scale = np.maximum(np.maximum(np.abs(theta[first]), np.abs(theta[search])), 1e-3 * width)
            if near and np.all(np.abs(theta[search] - theta[first]) <= SAME_PLACE * scale):
                members.append(int(search))
                break
        else:
            found.append([int(search)])
    return tuple(
        Minimum(value=float(value[members[0]]), theta=theta[members[0]], count=len(members)) for members in found
    )
