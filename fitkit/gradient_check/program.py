"""The compiled programs of a check: values and gradients at many points, in one batch where the function allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fitkit.backend import LIGHT_WORK, Kernel, jax, jnp

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

ELEMENTS = 4_000_000
"""Numbers that one batch may hold at any one operation."""
MOST = 512
"""Points of one batch."""
CHEAP = 10
"""A check makes a few hundred calls where a fit makes thousands: a quick compilation pays for work so many times larger."""
FILLED = 2_000_000
"""Numbers that a whole batch makes up to which every batch is filled up: that costs less than to compile another size."""


@final
class Program:
    """A function of one point, compiled once, for many points.

    Args:
        function: theta -> an array of a fixed shape.
        width: the numbers of its widest operation at one point, by which batches are sized.
        heavy: numbers of all its operations together.
        most: points of one batch at the most.
    """

    def __init__(self, function: Callable[[Any], Any], *, width: int, heavy: int, most: int = MOST) -> None:
        self._function = function
        self._batch = max(1, min(most, ELEMENTS // max(width, 1)))
        self._filled = most < MOST or self._batch * heavy <= FILLED
        light = heavy <= CHEAP * LIGHT_WORK
        single, many = Kernel(function), Kernel(jax.vmap(function))
        self._single, self._many = (single.light, many.light) if light else (single.wide, many.wide)
        self.alone = self._batch == 1
        """Whether points are evaluated one after the other."""
        self.reason = ""
        """Why."""

    def __call__(self, point: Any) -> Any:
        """Return the function at one point, on the device."""
        return self._single(point)

    def at(self, points: Matrix) -> NDArray[np.float64]:
        """Return the function at each of `points`, shape (points, free), as a host array, shape (points, ...)."""
        if not self.alone:
            try:
                return self._batched(points)
            except Exception as error:  # a callback, a primitive without a batching rule: say why, go on
                self.alone, self.reason = True, first_line(error)
        return np.stack([self._one(point) for point in points])

    def _batched(self, points: Matrix) -> NDArray[np.float64]:
        size = self._batch if self._filled else min(self._batch, _rounded_up(len(points)))
        parts = []
        for start in range(0, len(points), size):
            part = points[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            parts.append(np.asarray(self._many(jnp.asarray(filled)), float)[: len(part)])
        return np.concatenate(parts)

    def _one(self, point: Vector) -> NDArray[np.float64]:
        try:
            return np.asarray(self._single(jnp.asarray(point)), float)
        except (ArithmeticError, ValueError, jax.errors.JaxRuntimeError):  # a callback that refuses this point
            shape = jax.eval_shape(self._function, jnp.asarray(point)).shape
            return np.full(shape, np.nan)


def _rounded_up(count: int) -> int:
    """Return the next power of two: few batch sizes, so that little is compiled twice."""
    return 1 << (count - 1).bit_length()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without the library's advice."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__


def along(program: Program, point: Vector, direction: Vector, places: Vector) -> Vector:
    """Return phi(t) = f(x + t d) at each of `places`, for a function so large that points are made on the device.

    What rounding does to the displacements is not made up for, as it is for small functions: it would cost more than
    the value, and over so many entries it averages out to less than the noise of the sum that the value is.
    """
    start, move = jnp.asarray(point), jnp.asarray(direction)
    return np.asarray([float(program(_DISPLACE.full(start, move, place))) for place in places])


def _displace(start: Any, move: Any, place: Any) -> Any:
    return start + place * move


_DISPLACE = Kernel(_displace)
