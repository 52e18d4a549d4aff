"""Jumps of a function beside the point: found on a grid, and looked at closer and closer until only a jump is left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

REACHES = (0.3, 0.1, 0.03, 0.01, 0.001)
"""Lengths over which a slope is sought that jumps do not hide."""
DEGREES = (1, 3, 5, 7)
GRID = 200
"""Points of one look."""
LOOKS = 4
"""Looks, each at a small part of the one before: the last sees a ten-millionth of the first."""
ORDER = 6
"""Differences of this order hide what is smooth on the grid, and show a jump undiminished."""


def first_jump(values: Callable[[Vector], Vector], end: float) -> float:
    """Return by how much `values`, constant next to 0, jump off their constant on the way to `end`; 0 for no jump.

    A hinge, or a tail that underflows, leaves it by less the closer one looks.
    """
    low, high, first, last = 0.0, end, 0.0, 0.0
    for look in range(LOOKS):
        places = np.linspace(low, high, GRID)
        found = values(places)
        moved = np.flatnonzero(np.isfinite(found) & (found != found[0]))
        if len(moved) == 0 or not np.isfinite(found[0]):
            return 0.0
        k = int(moved[0])
        last = abs(float(found[k] - found[0]))
        first = last if look == 0 else first
        low, high = float(places[k - 1]), float(places[k])
        if abs(high - low) <= np.spacing(abs(high)):
            break
    return last if last >= 0.5 * first else 0.0


def largest_jump(values: Callable[[Vector], Vector], reach: float, noise: float) -> float:
    """Return the size of the largest jump of `values` within `reach` of 0, or 0 where none is above the noise."""
    low, high, size = -reach, reach, 0.0
    for _ in range(LOOKS):
        places = np.linspace(low, high, GRID)
        found = values(places)
        if not np.all(np.isfinite(found)):
            return 0.0
        rough = np.abs(np.diff(found, ORDER))
        k = int(np.argmax(rough))
        size = float(np.max(np.abs(np.diff(found[k : k + ORDER + 1], 2))))
        low, high = float(places[k]), float(places[k + ORDER])
    return size if size > 50 * noise else 0.0


def slope_over_jumps(values: Callable[[Vector], Vector], jump: float) -> tuple[float, float]:
    """Return the slope at 0 that polynomials through `values` have over their jumps, and its bar; inf where none fits.

    What a polynomial leaves, r at the most, moves the slope by at most r times the sum of the absolute weights that the
    values have in it. Of all lengths and degrees the narrowest bar is taken, so that curvature is not mistaken for jumps; a
    length over which the polynomial leaves less than a share of `jump`, the largest, has no jumps to look over.
    """
    places = np.linspace(-1, 1, GRID // 2 + 1)
    every = values(np.concatenate([reach * places for reach in REACHES])).reshape(len(REACHES), -1)
    best = (np.nan, np.inf)
    for reach, found in zip(REACHES, every, strict=True):
        for degree in DEGREES if np.all(np.isfinite(found)) else ():
            design = np.polynomial.chebyshev.chebvander(places, degree)
            solved = np.linalg.pinv(design)
            slopes = [np.polynomial.Chebyshev.basis(power).deriv()(0.0) for power in range(degree + 1)]
            weights = np.asarray(slopes) @ solved
            left = float(np.max(np.abs(found - design @ (solved @ found))))
            bar = left * float(np.sum(np.abs(weights))) / reach
            if bar < best[1] and left >= jump / 8:
                best = (float(weights @ found) / reach, bar)
    return best
