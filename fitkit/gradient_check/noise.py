"""How noisy are a function's values? Measured from the values alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from fitkit.gradient_check.ladder import Line

Vector = NDArray[np.float64]
FEWEST_STILL = 3
"""Rungs on which nothing moves before a function is said to stand still: on one or two, two values may be equal."""
EPSILON = float(np.finfo(np.float64).eps)


def difference_noise(values: Vector) -> float:
    """Return the standard deviation of the noise in equally spaced `values`, shape (m,), m >= 7.

    The k-th differences of noise of deviation e have variance e² (2k)! / (k!)², while those of a smooth function vanish;
    the first column from which three agree within a factor of 4 and whose entries change sign is noise. This is ECNoise:
    J. J. Moré and S. M. Wild, Estimating Computational Noise, SIAM J. Sci. Comput. 33 (2011) 1292-1314.
    """
    if not np.all(np.isfinite(values)):
        return 0.0
    table, deviations, signs = values, [], []
    for k in range(1, len(values) - 1):
        table = np.diff(table)
        variance = float(np.mean(np.square(table / np.max(np.abs(table), initial=1e-300))))
        scale = float(np.max(np.abs(table), initial=1e-300))
        deviations.append(scale * math.sqrt(variance * math.factorial(k) ** 2 / math.factorial(2 * k)))
        signs.append(bool(table.min() < 0 < table.max()))
    for k in range(len(deviations) - 2):
        three = deviations[k : k + 3]
        if signs[k] and max(three) <= 4 * min(three):
            return deviations[k]
    return float(np.median(deviations[2:]))


@final
@dataclass(frozen=True, kw_only=True)
class Quantum:
    """A function that does not move for small steps: it is held within one value until it jumps to the next."""

    size: float
    """The smallest jump that was seen; 0 where the values are not quantised."""
    until: float
    """The largest step within which nothing moved."""
    by_rounding: bool
    """Whether floating point explains it."""
    rounding: float = 0.0
    """The largest jump that it explains."""


def quantum(line: Line) -> Quantum:
    """Return how the values of `line` are quantised."""
    moved = np.maximum(_moves(line.forward, line.center), _moves(line.backward, line.center))
    still = int(np.argmax(np.cumsum(moved[::-1] > 0) > 0)) if np.any(moved > 0) else len(moved)
    if still == 0:
        return Quantum(size=0.0, until=0.0, by_rounding=True)
    until = float(line.steps[len(moved) - still])
    jumps = moved[moved > 0]
    largest = float(np.nanmax(np.abs(np.where(np.isfinite(line.forward), line.forward, line.center)), initial=0.0))
    size = float(jumps.min(initial=np.inf)) if len(jumps) else 0.0
    level = 4 * max(largest, abs(line.center)) * line.epsilon
    brief = still < FEWEST_STILL or until <= 4 * line.epsilon
    return Quantum(size=size, until=until, by_rounding=size <= level or brief, rounding=level)


def _moves(values: Vector, center: float) -> Vector:
    """Return |phi(t) - phi(0)|, zero where phi is not finite."""
    return np.where(np.isfinite(values), np.abs(values - center), 0.0)


def floor(line: Line, quantised: Quantum) -> float:
    """Return the noise that every value of `line` has at the least."""
    return max(difference_noise(line.near), 0.5 * EPSILON * abs(line.center), quantised.size, line.spread)
