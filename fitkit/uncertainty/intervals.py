"""Quantiles for confidence intervals.

scipy.special has them too, but its import takes longer than a whole small fit; the tests hold these to scipy's.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

EXPANSION_FROM = 400
"""Degrees of freedom from which the expansion about the normal quantile is exact to rounding."""


@lru_cache(maxsize=1024)
def two_sided_quantile(level: float, dof: int | None) -> float:
    """Return the k for which an estimate +- k standard errors covers with probability `level`.

    Student's t with `dof` degrees of freedom, or the normal distribution where the scale is known (dof is None).
    """
    normal = NormalDist().inv_cdf((1 + level) / 2)
    if dof is None:
        return normal
    quantile = _expanded(normal, dof)
    if dof >= EXPANSION_FROM:
        return quantile
    return _refined(quantile, level, dof)


def _expanded(z: float, dof: int) -> float:
    """Return the quantile as a series in 1/dof about the normal quantile z: Abramowitz and Stegun 26.7.5."""
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / float(dof) ** power for power, term in enumerate(terms)))


def _refined(guess: float, level: float, dof: int) -> float:
    """Return the t where the two-sided probability is `level`, by bisection about a guess until doubles run out."""
    low, high = 0.0, max(1.0, guess)
    while _two_sided_probability(high, dof) < level:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if _two_sided_probability(middle, dof) < level:
            low = middle
        else:
            high = middle


def _two_sided_probability(t: float, dof: int) -> float:
    """Return P(|T| <= t) by the finite series in theta = atan(t / sqrt(dof)): Abramowitz and Stegun 26.7.3 and 26.7.4."""
    theta = math.atan(t / math.sqrt(dof))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = dof % 2 == 1
    term = cosine if odd else 1.0
    total = 0.0 if dof == 1 else term
    for k in range(3 if odd else 2, dof - 1, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total
