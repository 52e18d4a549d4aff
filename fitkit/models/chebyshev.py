"""Chebyshev's polynomials of a scaled input, and the way between their coefficients and those of powers, exactly.

With s = (x - center) / half, T_0 = 1, T_1 = s and T_(k+1) = 2 s T_k - T_(k-1). On an interval they are told apart by doubles up
to any degree, where powers become the same: of degree 10 on -9 < x < -3 all but one digit in 5e9 of them are. The way to
powers cancels as many digits again, so that its numbers are worked out as fractions and rounded once.

Reference: J. C. Mason and D. C. Handscomb, Chebyshev Polynomials, Chapman and Hall 2003, sections 1.2 and 2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

RESOLVED = 1e12
"""Condition of the powers up to which doubles tell them apart with digits to spare."""
MOST_POINTS = 500
"""Inputs that the condition is worked out from, spread evenly over those there are."""


def interval(x: Vector) -> tuple[float, float]:
    """Return the middle of the inputs and half their width, one where they are all the same."""
    low, high = float(x.min()), float(x.max())
    return low / 2 + high / 2, (high / 2 - low / 2) or 1.0


def resolved(x: Vector, degree: int) -> bool:
    """Return whether doubles tell the powers of the inputs, shape (rows,), apart, each brought to length one."""
    import numpy as np

    points = np.unique(x)
    points = points[:: max(1, len(points) // MOST_POINTS)]
    size = np.abs(points).max()
    powers = np.vander(points / size if size > 0 else points, degree + 1)
    lengths = np.linalg.norm(powers, axis=0)
    if len(points) <= degree or (lengths == 0).any():
        return True  # too few inputs for any basis
    return bool(np.linalg.cond(powers / lengths) <= RESOLVED)


def powers_of(center: float, half: float, degree: int) -> Matrix:
    """Return M, shape (degree + 1, degree + 1): c = M b are the coefficients of powers of x for b of T_k."""
    from fractions import Fraction

    import numpy as np

    middle, scale = Fraction(center), Fraction(half)
    before, here = [Fraction(0)], [Fraction(1)]
    columns = [here]
    for k in range(degree):
        times = 1 if k == 0 else 2
        # times * (x - middle) / scale * here - before
        found = [Fraction(0)] * (len(here) + 1)
        for power, coefficient in enumerate(here):
            share = times * coefficient / scale
            found[power + 1] += share
            found[power] -= share * middle
        for power, coefficient in enumerate(before):
            found[power] -= coefficient
        before, here = here, found
        columns.append(here)
    matrix = np.zeros((degree + 1, degree + 1))
    for column, coefficients in enumerate(columns):
        matrix[: len(coefficients), column] = [_rounded(coefficient) for coefficient in coefficients]
    return matrix


def from_powers(coefficients: list[float], center: float, half: float) -> Vector:
    """Return b, shape (degree + 1,), for the coefficients c_0, c_1, ... of powers of x, by Horner's rule in the T_k."""
    from fractions import Fraction

    import numpy as np

    middle, scale = Fraction(center), Fraction(half)
    found = [Fraction(0)] * len(coefficients)
    for coefficient in reversed(coefficients):
        moved = [middle * b for b in found]
        for k, b in enumerate(found):  # s T_0 = T_1, and s T_k = (T_(k-1) + T_(k+1)) / 2
            share = scale * b
            for place, part in ((1, share),) if k == 0 else ((k - 1, share / 2), (k + 1, share / 2)):
                if part:
                    moved[place] += part
        moved[0] += Fraction(coefficient)
        found = moved
    return np.array([_rounded(b) for b in found])


def _rounded(exact: Fraction) -> float:
    """Return the nearest double, infinite where there is none."""
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else -float("inf")


def value(coefficients: Any, s: Any) -> Any:
    """Return sum_k b_k T_k(s), of the shape of s, by Clenshaw's recurrence."""
    after = beyond = s * 0
    for b in reversed(coefficients[1:]):
        after, beyond = 2 * s * after - beyond + b, after
    return s * after - beyond + coefficients[0]
