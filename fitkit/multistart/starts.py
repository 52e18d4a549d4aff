"""Where the starts are.

A point u of the unit cube, from a sequence that fills it evenly, becomes a start, parameter by parameter: evenly between
two bounds; elsewhere within a reach of the given start, denser near it, because what a person wrote is the best guess there
is. Parameters with `scale: log` are drawn in their logarithm.

Reference: I. M. Sobol', On the distribution of points in a cube, USSR Computational Mathematics 7 (1967); the scrambling is
that of scipy.stats.qmc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.multistart.settings import Multistart
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True, kw_only=True)
class StartRange:
    """The box that starts come from, in the optimizer's coordinates, shape (free,) each."""

    center: Vector
    """The given start."""
    low: Vector
    high: Vector
    even: Mask
    """Which parameters are drawn evenly from low to high; the others are denser near the center."""

    @property
    def width(self) -> Vector:
        """The lengths of the box's sides, shape (free,)."""
        return self.high - self.low


def start_range(problem: Problem, start: Vector, spread: float) -> StartRange:
    """Return the box of the starts around the given one, shape (free,)."""
    import numpy as np

    layout = problem.layout
    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    logarithmic = np.array(layout.logarithms, bool)
    bounded = np.isfinite(lower) & np.isfinite(upper)
    reach = np.where(logarithmic, math.log(spread), spread * np.where(start == 0, 1.0, np.abs(start)))
    return StartRange(
        center=start,
        low=np.where(bounded, lower, np.maximum(lower, start - reach)),
        high=np.where(bounded, upper, np.minimum(upper, start + reach)),
        even=bounded | logarithmic,
    )


def draw_starts(box: StartRange, settings: Multistart, seed: int) -> Matrix:
    """Return the starts, the given one first, shape (starts, free)."""
    import numpy as np

    count, free = settings.starts - 1, len(box.center)
    if count == 0 or free == 0:
        return np.repeat(box.center[None], settings.starts, axis=0)
    cube = _sobol(count, free, seed) if settings.method == "sobol" else _latin_hypercube(count, free, seed)
    evenly = box.low + cube * box.width
    side = 2 * cube - 1
    near = box.center + np.abs(side) ** 3 * np.where(side < 0, box.low - box.center, box.high - box.center)
    return np.vstack([box.center, np.where(box.even, evenly, near)])


def _sobol(count: int, free: int, seed: int) -> Matrix:
    import numpy as np
    from scipy.stats import qmc

    # The sequence is even in whole powers of two, and warns of any other number.
    sequence = qmc.Sobol(free, scramble=True, rng=np.random.default_rng(seed))
    points: Matrix = sequence.random_base2(max(0, (count - 1).bit_length()))[:count]
    return points


def _latin_hypercube(count: int, free: int, seed: int) -> Matrix:
    """Return points of which each of `count` slices of each side holds one, shape (count, free)."""
    import numpy as np

    random = np.random.default_rng(seed)
    slices = random.permuted(np.tile(np.arange(count), (free, 1)), axis=1).T
    points: Matrix = (slices + random.random((count, free))) / count
    return points
