"""Theta in pieces, one for each large array, so that an update of a network copies none of its weights."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, final

from fitkit.backend import jax, jnp, once
from fitkit.parameters import Layout

LARGE = 1024
"""Numbers from which on an array is a piece by itself; what is smaller shares one with its neighbours."""


@final
class Pieces:
    """Theta, shape (free,), as arrays one after the other: a pytree that is read like theta itself.

    Args:
        parts: the arrays.
        ends: where each begins, and where the last one ends.
    """

    def __init__(self, parts: tuple[Any, ...], ends: tuple[int, ...]) -> None:
        self.parts = parts
        self.ends = ends

    @property
    def shape(self) -> tuple[int, ...]:
        """That of theta."""
        return self.ends[-1:]

    @property
    def dtype(self) -> Any:
        """The type of the numbers."""
        return self.parts[0].dtype

    def __getitem__(self, place: slice | int) -> Any:
        """Return the numbers at a place, a whole piece without a copy."""
        if isinstance(place, int):
            return self[place : place + 1][0]
        begin, end, _ = place.indices(self.ends[-1])
        found = [
            part if begin <= first and last <= end else part[max(begin - first, 0) : end - first]
            for part, (first, last) in zip(self.parts, pairwise(self.ends), strict=True)
            if first < end and begin < last
        ]
        return found[0] if len(found) == 1 else jnp.concatenate([*found, self.parts[0][:0]])


def cut(numbers: Any, layout: Layout) -> Any:
    """Return theta, or what there is for each of its numbers, shape (free,), in pieces; itself where there would be one."""
    ends = {0, layout.size}
    for place in layout.places.values():
        if place.stop - place.start >= LARGE:
            ends |= {place.start, place.stop}
    if len(ends) <= 2:
        return numbers
    places = tuple(sorted(ends))
    return Pieces(tuple(numbers[first:last] for first, last in pairwise(places)), places)


def joined(theta: Any) -> Any:
    """Return theta in one piece, shape (free,)."""
    return jnp.concatenate(theta.parts) if isinstance(theta, Pieces) else theta


@once
def register_pieces() -> None:
    """Teach JAX that the arrays are traced and their places structure; does nothing the second time."""
    jax.tree_util.register_pytree_node(
        Pieces, lambda theta: (theta.parts, theta.ends), lambda ends, parts: Pieces(parts, ends)
    )
