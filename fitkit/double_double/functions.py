"""Elementary functions of double-doubles: reduction of the argument, a short series, and one Newton step for inverses.

Errors are a few units of 2^-100, relative to the result for the exponential and the roots, to one for sine and cosine.
Reference: Y. Hida, X. S. Li and D. H. Bailey, Algorithms for quad-double precision floating point arithmetic, ARITH-15
(2001), section 4.
"""

from __future__ import annotations

from fitkit.double_double.arithmetic import DoubleDouble

_LOG_2 = (0.6931471805599453, 2.3190468138462996e-17)
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
_HALVINGS = 9
_TERMS = 10
_LARGEST_ANGLE = 1e6
"""Beyond, reduction by pi to 106 bits would cost digits."""


def exponential(x: DoubleDouble) -> DoubleDouble:
    """Return exp(x)."""
    import numpy as np

    turns = np.where(np.isfinite(x.high), np.clip(np.rint(x.high / _LOG_2[0]), -1100.0, 1100.0), 0.0)
    grown = _small_expm1(x - DoubleDouble.of(turns) * _constant(_LOG_2)) + DoubleDouble.of(1.0)
    # In two halves: 2^1024 alone overflows where the product with exp(rest) < 1 does not.
    first = (turns / 2).astype(np.int64)
    return grown.scaled(first).scaled(turns.astype(np.int64) - first)


def exponential_minus_one(x: DoubleDouble) -> DoubleDouble:
    """Return exp(x) - 1 without cancellation."""
    import numpy as np

    small = np.abs(x.high) < 0.3
    near = _small_expm1(_where(small, x, DoubleDouble.of(0.0)))
    return _where(small, near, exponential(x) - DoubleDouble.of(1.0))


def _small_expm1(x: DoubleDouble) -> DoubleDouble:
    """Return exp(x) - 1 for |x| < 0.7: the series at x / 512, then (1 + s)² - 1 = 2 s + s² nine times."""
    reduced = x.scaled(-_HALVINGS)
    term = total = reduced
    for power in range(2, _TERMS + 1):
        term = term * reduced / DoubleDouble.of(float(power))
        total = total + term
    for _ in range(_HALVINGS):
        total = total.scaled(1) + total * total
    return total


def logarithm(x: DoubleDouble) -> DoubleDouble:
    """Return log(x), NaN below zero: a Newton step y + x exp(-y) - 1 from the double doubles its digits."""
    import numpy as np

    guess = DoubleDouble.of(np.log(x.high))
    # About one the logarithm itself is small, and so is what the step must be relative to.
    return guess + (exponential_minus_one(-guess) * x + (x - DoubleDouble.of(1.0)))


def square_root(x: DoubleDouble) -> DoubleDouble:
    """Return sqrt(x), NaN below zero."""
    import numpy as np

    root = np.sqrt(x.high)
    divisor = DoubleDouble.of(np.where(root == 0, 1.0, root))
    return DoubleDouble.of(root) + ((x - DoubleDouble.of(root) * DoubleDouble.of(root)) / divisor).scaled(-1)


def whole_power(x: DoubleDouble, exponent: int) -> DoubleDouble:
    """Return x^exponent by squaring."""
    import numpy as np

    result, base, left = DoubleDouble.of(np.ones_like(x.high)), x, abs(exponent)
    while left:
        result = result * base if left % 2 else result
        base, left = (base * base if left > 1 else base), left // 2
    return result if exponent >= 0 else DoubleDouble.of(1.0) / result


def power(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """Return x^y: by squaring where y is one whole number for all, else exp(y log x), NaN for x below zero."""
    exponent = float(y.high.flat[0]) if y.high.size else 0.0
    if (y.high == exponent).all() and not y.low.any() and exponent.is_integer() and abs(exponent) <= 64:
        return whole_power(x, int(exponent))
    return exponential(y * logarithm(x))


def sine_and_cosine(x: DoubleDouble) -> tuple[DoubleDouble, DoubleDouble]:
    """Return sin(x) and cos(x), NaN for angles beyond a million."""
    import numpy as np

    known = np.abs(x.high) <= _LARGEST_ANGLE
    turns = np.where(known, np.rint(x.high / _HALF_PI[0]), 0.0)
    rest = x - DoubleDouble.of(turns) * _constant(_HALF_PI)
    sine, cosine = _series(rest, 1), _series(rest, 0)
    quarter = turns.astype(np.int64) % 4
    lost = DoubleDouble.of(np.nan)
    swapped = quarter % 2 == 1
    sines = _where(swapped, cosine, sine)
    cosines = _where(swapped, sine, cosine)
    return (
        _where(known, _where(quarter >= 2, -sines, sines), lost),
        _where(known, _where((quarter == 1) | (quarter == 2), -cosines, cosines), lost),
    )


def _series(x: DoubleDouble, first: int) -> DoubleDouble:
    """Return the series of sine (first = 1) or cosine (first = 0) for |x| < 0.8."""
    import numpy as np

    square = -(x * x)
    term = total = x if first else DoubleDouble.of(np.ones_like(x.high))
    for k in range(first + 1, first + 28, 2):
        term = term * square / DoubleDouble.of(float(k * (k + 1)))
        total = total + term
    return total


def hyperbolic_tangent(x: DoubleDouble) -> DoubleDouble:
    """Return tanh(x)."""
    import numpy as np

    clipped = _where(np.abs(x.high) > 40.0, DoubleDouble.of(np.copysign(40.0, x.high)), x)
    grown = exponential_minus_one(clipped.scaled(1))
    return grown / (grown + DoubleDouble.of(2.0))


def logistic(x: DoubleDouble) -> DoubleDouble:
    """Return 1 / (1 + exp(-x))."""
    return DoubleDouble.of(1.0) / (DoubleDouble.of(1.0) + exponential(-x))


def _constant(parts: tuple[float, float]) -> DoubleDouble:
    return DoubleDouble.of(parts[0]) + DoubleDouble.of(parts[1])


def _where(condition: object, chosen: DoubleDouble, other: DoubleDouble) -> DoubleDouble:
    import numpy as np

    mask = np.asarray(condition, bool)
    return DoubleDouble(np.where(mask, chosen.high, other.high), np.where(mask, chosen.low, other.low))
