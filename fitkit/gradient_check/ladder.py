"""The steps along a line, and the values that a line test looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

LARGEST = 0.3
"""The largest step, in units of the parameters' sizes."""
SMALLEST = 1e-14
"""The smallest: below it a double does not move."""
NOISE_STEP = 1e-13
"""The distance of the points by which noise is measured: near enough that a smooth function is a parabola to rounding."""
NOISE_POINTS = 9


def steps(rungs: int) -> Vector:
    """Return the steps t_0 > t_1 > ..., shape (rungs,), in a constant ratio.

    The ratio is no power of two for the numbers of rungs in use: a ladder in powers of two sees sin(2 pi 1024 x) at 0 as
    the constant 0 on every rung.
    """
    ratio = (LARGEST / SMALLEST) ** (1.0 / (rungs - 1))
    return np.asarray(LARGEST * ratio ** -np.arange(rungs, dtype=float))


def offsets(rungs: int) -> Vector:
    """Return all places of one line, t = 0 first, then the ladder forward, backward, and the points for the noise."""
    ladder = steps(rungs)
    return np.concatenate([[0.0], ladder, -ladder, NOISE_STEP * np.arange(1, NOISE_POINTS)])


@final
@dataclass(frozen=True, kw_only=True)
class Line:
    """What was measured along one line phi(t) = f(x + t d), and the derivative under test.

    Non-finite values stand for places outside the function's domain. Displacements that rounding changed are already
    made up for: phi(t) is less <g, (x + t d) rounded - x - t d>.
    """

    steps: Vector
    """t, shape (rungs,), from large to small."""
    center: float
    forward: Vector
    """phi(t), shape (rungs,)."""
    backward: Vector
    """phi(-t), shape (rungs,)."""
    near: Vector
    """phi at 0, h, 2h, ..., shape (NOISE_POINTS,), h = NOISE_STEP."""
    autodiff: float
    """<g, d>."""
    magnitude: float
    """sum_i |g_i d_i|."""
    condition: float
    """The most that rounding x changes <g, d>."""
    epsilon: float
    """The unit of rounding of the lowest precision in the program."""
    spread: float = 0.0
    """How far repeated evaluations at x differ."""


def line(values: Vector, rungs: int, **known: float) -> Line:
    """Return the line whose values at `offsets` are `values`, shape (1 + 2 rungs + NOISE_POINTS - 1,)."""
    return Line(
        steps=steps(rungs),
        center=float(values[0]),
        forward=values[1 : rungs + 1],
        backward=values[rungs + 1 : 2 * rungs + 1],
        near=np.concatenate([values[:1], values[2 * rungs + 1 :]]),
        **known,
    )
