"""Random values for parameters, on the scales that their units and the columns' ranges give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

_DECADES: Final = (-2.5, 2.5)
"""How far from its scale a parameter is sought, in powers of ten."""
_PURE_DECADES: Final = (-1.5, 1.5)
"""The same for a pure number: an exponent, a phase, a ratio."""
_POSITIVE: Final = 0.75
"""The share of candidates above zero."""
_WITHIN: Final = 0.7
"""The share of candidates inside the range of the column, for a parameter that is a place on it."""
_TYPICAL: Final = (-0.8, 0.6)
"""Mean and deviation of the decades of half of the widths: a tenth of the range, give or take."""
_CROSSED: Final = 0.3
"""The share of its numbers that a child has from a second parent."""
_MARGIN: Final = 0.1
"""How far outside the range a place may be."""


@final
@dataclass(frozen=True, kw_only=True)
class Span:
    """The range of a column, or of the target."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """The range, or the size of the only number there is; above zero."""
        return (self.high - self.low) or abs(self.high) or 1.0

    @property
    def decades(self) -> float:
        """How many powers of ten the column's steps lie below its range cannot be told; its offset lies so many above."""
        from math import log10

        return max(0.0, log10(max(abs(self.low), abs(self.high), self.width) / self.width))


@final
@dataclass(frozen=True, kw_only=True)
class Scale:
    """Where a parameter is sought."""

    size: float
    """The product of the columns' ranges to the powers of its unit."""
    place: Span | None
    """The column that it is a place on."""
    width: bool
    """Whether it is measured as a column is, and no place on it."""
    pure: bool
    offset_decades: float
    """How much further down from `size`: a column far from zero makes rates small, as in exp(-k * year)."""
    most_decades: float
    """How far up: a wave that is faster than the rows are dense looks like a slow one."""

    def excess(self, values: Vector) -> Vector:
        """Return how far the values lie above the scale, in powers of ten; shaped as they are."""
        import numpy as np

        with np.errstate(all="ignore"):
            return np.asarray(np.log10(1 + np.abs(values) / self.size))

    def draw(self, count: int, generator: np.random.Generator) -> Vector:
        """Return random values, shape (count,)."""
        import numpy as np

        low, high = _PURE_DECADES if self.pure else _DECADES
        decades = generator.uniform(low - self.offset_decades, min(high, self.most_decades), count)
        if self.width:
            decades = np.where(generator.random(count) < 0.5, generator.normal(*_TYPICAL, count), decades)
        magnitudes = self.size * 10**decades
        values = np.where(generator.random(count) < _POSITIVE, magnitudes, -magnitudes)
        if self.place is None:
            return values
        margin = _MARGIN * self.place.width
        places = generator.uniform(self.place.low - margin, self.place.high + margin, count)
        return np.where(generator.random(count) < _WITHIN, places, values)


def scale_of(unit: Mapping[str, float], spans: Mapping[str, Span], rows: int, *, shifts: bool) -> Scale:
    """Return where a parameter of this unit is sought, given the ranges of the columns; `shifts` if it shifts one."""
    from math import log10

    size, offset = 1.0, 0.0
    for name, exponent in unit.items():
        size *= spans[name].width ** exponent
        offset = max(offset, -exponent * spans[name].decades)
    whole = [name for name, exponent in unit.items() if abs(exponent - 1) < 0.1]
    rest = [name for name, exponent in unit.items() if name not in whole and abs(exponent) > 0.1]
    column = spans[whole[0]] if len(whole) == 1 and not rest else None
    pure = all(abs(exponent) <= 0.1 for exponent in unit.values())
    usable = size if 1e-100 < size < 1e100 else 1.0
    return Scale(
        size=usable,
        place=column if shifts else None,
        width=column is not None and not shifts,
        pure=pure,
        offset_decades=min(offset, 6.0),
        most_decades=log10(rows) + 0.5 if sum(unit.values()) < -0.1 else _DECADES[1],
    )


def draw(scales: Sequence[Scale], count: int, generator: np.random.Generator) -> Matrix:
    """Return random points, shape (count, free)."""
    import numpy as np

    return np.stack([scale.draw(count, generator) for scale in scales], axis=1)


def children(points: Matrix, scales: Sequence[Scale], many: int, generator: np.random.Generator) -> Matrix:
    """Return points near given ones, shape (points, many, free): within a factor, or a step along a column.

    Every second one has some of its numbers from another of the points, so that what each has found comes together.
    """
    import numpy as np

    shape = (len(points), many, len(scales))
    own = np.broadcast_to(points[:, None], shape)
    other = points[generator.integers(len(points), size=shape[:2])]
    crossed = (generator.random(shape) < _CROSSED) & (np.arange(many) % 2 == 0)[None, :, None]
    near = np.where(crossed, other, own)
    width = 10 ** generator.uniform(-3, 0, (*shape[:2], 1))
    near = near * np.exp(width * generator.normal(size=shape))
    for index, scale in enumerate(scales):
        if scale.place is not None:
            near[..., index] += 0.1 * scale.place.width * width[..., 0] * generator.normal(size=shape[:2])
    return near
