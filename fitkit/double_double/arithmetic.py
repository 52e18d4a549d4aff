"""Arithmetic of double-doubles in numpy: about 31 decimal digits, from operations whose rounding errors are themselves exact.

A number is high + low with |low| <= ulp(high) / 2. This runs on the host because compilers of array programs re-associate
and fuse, and every line here is lost by that.

References: T. J. Dekker, A floating-point technique for extending the available precision, Numerische Mathematik 18
(1971); Y. Hida, X. S. Li and D. H. Bailey, Algorithms for quad-double precision floating point arithmetic, ARITH-15
(2001); T. Ogita, S. M. Rump and S. Oishi, Accurate sum and dot product, SIAM J. Sci. Comput. 26 (2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_SPLITTER = 134217729.0
"""2^27 + 1, which splits the 53 bits of a double into two halves whose products are exact."""


def two_sum(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """Return the rounded a + b and its rounding error, exactly."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def _quick_two_sum(a: Numbers, b: Numbers) -> DoubleDouble:
    """Return a + b for |a| >= |b|."""
    total = a + b
    return DoubleDouble(total, b - (total - a))


def two_product(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """Return the rounded a b and its rounding error, exactly unless it overflows or underflows."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _split(a: Numbers) -> tuple[Numbers, Numbers]:
    scaled = _SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


@final
@dataclass(frozen=True)
class DoubleDouble:
    """An array of double-doubles; both parts have its shape."""

    high: Numbers
    low: Numbers

    @classmethod
    def of(cls, values: Any) -> DoubleDouble:
        """Return doubles as double-doubles, exactly."""
        import numpy as np

        high = np.asarray(values, np.float64)
        return cls(high, np.zeros_like(high))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.high.shape

    def rounded(self) -> Numbers:
        """Return the nearest doubles."""
        return self.high + self.low

    def __neg__(self) -> DoubleDouble:
        """Return -self."""
        return DoubleDouble(-self.high, -self.low)

    def __add__(self, other: DoubleDouble) -> DoubleDouble:
        """Return self + other, with a relative error below 2^-104 even where the two cancel."""
        high, error = two_sum(self.high, other.high)
        low, rest = two_sum(self.low, other.low)
        once = _quick_two_sum(high, error + low)
        return _quick_two_sum(once.high, once.low + rest)

    def __sub__(self, other: DoubleDouble) -> DoubleDouble:
        """Return self - other."""
        return self + -other

    def __mul__(self, other: DoubleDouble) -> DoubleDouble:
        """Return self * other."""
        high, error = two_product(self.high, other.high)
        return _quick_two_sum(high, error + (self.high * other.low + self.low * other.high))

    def __truediv__(self, other: DoubleDouble) -> DoubleDouble:
        """Return self / other, by long division with three digits of 53 bits."""
        first = self.high / other.high
        rest = self - DoubleDouble.of(first) * other
        second = rest.high / other.high
        rest = rest - DoubleDouble.of(second) * other
        third = rest.high / other.high
        once = _quick_two_sum(first, second)
        return once + DoubleDouble.of(third)

    def __getitem__(self, index: Any) -> DoubleDouble:
        """Return a part of the array."""
        return DoubleDouble(self.high[index], self.low[index])

    def scaled(self, power: Any) -> DoubleDouble:
        """Return self * 2^power, exactly."""
        import numpy as np

        return DoubleDouble(np.ldexp(self.high, power), np.ldexp(self.low, power))

    def sum(self, axis: int) -> DoubleDouble:
        """Return the sum along an axis, halving it again and again."""
        import numpy as np

        parts = DoubleDouble(np.moveaxis(self.high, axis, 0), np.moveaxis(self.low, axis, 0))
        if parts.shape[0] == 0:
            return DoubleDouble.of(np.zeros(parts.shape[1:]))
        while parts.shape[0] > 1:
            half, odd = divmod(parts.shape[0], 2)
            folded = parts[:half] + parts[half : 2 * half]
            if odd:
                folded = DoubleDouble(
                    np.concatenate([folded.high, parts.high[-1:]]), np.concatenate([folded.low, parts.low[-1:]])
                )
            parts = folded
        return parts[0]
