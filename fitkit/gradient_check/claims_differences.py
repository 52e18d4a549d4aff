"""Numerical derivatives row by row: central differences on a ladder of steps, extrapolated, each with an error bar.

Richardson's extrapolation on steps in the ratio 1.7, which is no power of two, so that no period of the function can
hide in it. Of every row the entry of the tableau with the smallest bar is taken; a bar is what the neighbours in the
tableau differ by, and what the noise of the function's values does to the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fitkit.gradient_check.claims_subject import ClaimSubject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

_RATIO: Final = 1.7
_LARGEST: Final = 0.3
_RUNGS: Final = 22
_COLUMNS: Final = 5
_TINY: Final = (1.0e-9, 1.3e-9, 2.1e-9)
"""Relative steps at which nothing but noise is left of a second difference."""


def numerical_slope(subject: ClaimSubject, name: str, point: Rows) -> tuple[Rows, Rows]:
    """Return the derivative by `name` at a point, and its error bar, shape (rows,) each; the bar is inf if nothing holds.

    Where the slopes on both sides differ, at a kink, nothing holds.
    """
    import numpy as np

    index = subject.names.index(name)
    size = abs(point[index]) or 1.0
    middle = subject.value(point)

    def sides(step: float) -> tuple[Rows, Rows, float]:
        ahead, behind = np.array(point), np.array(point)
        ahead[index] += step
        behind[index] -= step
        return subject.value(ahead), subject.value(behind), ahead[index] - behind[index]

    with np.errstate(all="ignore"):
        noise = _noise(middle, [sides(size * tiny) for tiny in _TINY])
        steps, slopes, one_sided = [], [], []
        for rung in range(_RUNGS):
            ahead, behind, width = sides(size * _LARGEST * _RATIO**-rung)
            steps.append(width)
            slopes.append((ahead - behind) / width)
            one_sided.append((ahead - 2 * middle + behind) / (width / 2))
        value, bar = _extrapolated(np.array(slopes), np.array(steps), noise)
        return value, np.where(_kinked(np.array(one_sided), noise, np.array(steps)), np.inf, bar)


def _noise(middle: Rows, small: list[tuple[Rows, Rows, float]]) -> Rows:
    """Return the noise of the values in each row: what second differences of tiny steps are made of."""
    import numpy as np

    eps = float(np.finfo(np.float64).eps)
    seen = [np.abs(ahead - 2 * middle + behind) / 2 for ahead, behind, _ in small]
    measured = np.median(np.array(seen), axis=0)
    floor = 2 * eps * np.abs(middle)
    return np.asarray(np.maximum(np.where(np.isfinite(measured), measured, 0.0), floor))


def _extrapolated(slopes: Rows, steps: Rows, noise: Rows) -> tuple[Rows, Rows]:
    """Return of each row the entry of Richardson's tableau with the smallest bar, and the bar."""
    import numpy as np

    rough = 4 * noise[None, :] / np.abs(steps)[:, None]
    best, bar = slopes[-1], np.full(slopes.shape[1], np.inf)
    column = slopes
    for order in range(1, _COLUMNS):
        weight = _RATIO ** (2 * order)
        finer = column[1:] + (column[1:] - column[:-1]) / (weight - 1)
        spread = np.maximum(np.abs(finer - column[1:]), np.abs(column[1:] - column[:-1]) / weight)
        bars = 2 * spread + rough[order:]
        bars = np.where(np.isfinite(bars), bars, np.inf)
        which = np.argmin(bars, axis=0)
        found = np.take_along_axis(bars, which[None, :], 0)[0]
        better = found < bar
        best = np.where(better, np.take_along_axis(finer, which[None, :], 0)[0], best)
        bar = np.where(better, found, bar)
        column = finer
    return best, bar


def _kinked(one_sided: Rows, noise: Rows, steps: Rows) -> Rows:
    """Return in which rows the slopes on both sides keep their difference while the step shrinks by a factor of 1.7**6."""
    import numpy as np

    early, late = np.abs(one_sided[-12]), np.abs(one_sided[-6])
    seen = late > 50 * noise / np.abs(steps[-6])
    return np.asarray(seen & (late > 0.5 * early))
