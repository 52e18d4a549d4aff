"""What is checked: a function of one flat vector, and all that is known of its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Block:
    """One parameter: a number where `shape` is empty, else an array that takes its entries in C order."""

    name: str
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    def entry(self, index: int) -> str:
        """Return the name of one entry: `b1`, or `w[3,4]`."""
        if not self.shape:
            return self.name
        places = []
        for length in reversed(self.shape):
            index, place = divmod(index, length)
            places.append(str(place))
        return f"{self.name}[{','.join(reversed(places))}]"


@final
@dataclass(frozen=True, kw_only=True)
class Subject:
    """A function theta -> value, theta of shape (free,) and float64, with what the checks need to know of it.

    Args:
        function: in JAX, pure; returns a scalar.
        theta: the start, shape (free,).
        blocks: the parameters, in theta's order; their sizes sum to free.
        gradient: the gradient under test, theta -> (free,); by default JAX's of `function`, in reverse mode or, where
            there is none (`while_loop`), in forward mode.
        scale: the size of a change that matters, for each entry, shape (free,); by default |theta|, or, for an entry
            that is zero, the root mean square of its block, or 1. NaN asks for the default.
        lower: the domain of each entry, shape (free,), -inf where there is no bound.
        upper: as `lower`.
        solution: a further point, used by the point kind `solution`.
        residuals: theta -> (rows,), whose Jacobian shows which parameters the data determine.
        single: the function as it runs in float32, of a float32 theta; None where it runs in float64.
        ignored: names of parameters that are no real numbers (integers), listed and left alone.
        rows: the number of rows, by which a mean that was taken for a sum is recognised.
    """

    function: Callable[[Any], Any]
    theta: Vector
    blocks: tuple[Block, ...]
    gradient: Callable[[Any], Any] | None = None
    scale: Vector | None = None
    lower: Vector | None = None
    upper: Vector | None = None
    solution: Vector | None = None
    residuals: Callable[[Any], Any] | None = None
    single: Callable[[Any], Any] | None = None
    ignored: tuple[str, ...] = ()
    rows: int | None = None

    def name(self, index: int) -> str:
        """Return the name of the entry of theta at `index`."""
        for block in self.blocks:
            if index < block.size:
                return block.entry(index)
            index -= block.size
        raise IndexError(index)

    def slices(self) -> tuple[tuple[Block, slice], ...]:
        """Return each parameter with its place in theta."""
        found, start = [], 0
        for block in self.blocks:
            found.append((block, slice(start, start + block.size)))
            start += block.size
        return tuple(found)
