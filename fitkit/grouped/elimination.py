"""Small symmetric systems, one for each lane, by Cholesky factorisations written out entry by entry.

A symmetric matrix of size n is packed: its lower triangle row by row, n(n+1)/2 rows of one number for each lane. Written
out, a factorisation is plain arithmetic over the lanes; a library call for each would cost more than the rest of the fit.

Reference: G. H. Golub and C. F. Van Loan, Matrix Computations, 4th edition 2013, section 4.2.
"""

from __future__ import annotations

from typing import TypeAlias

from fitkit.backend import jax, jnp

Lane: TypeAlias = "jax.Array"
"""A number for each lane, shape (lanes,)."""


def packed_size(size: int) -> int:
    """Return how many numbers a packed matrix has."""
    return size * (size + 1) // 2


def place(row: int, column: int) -> int:
    """Return where an entry of a packed matrix stands."""
    low, high = sorted((row, column))
    return high * (high + 1) // 2 + low


def diagonal(packed: jax.Array, size: int) -> jax.Array:
    """Return the diagonal, shape (size, lanes)."""
    return jnp.stack([packed[place(j, j)] for j in range(size)])


def product(packed: jax.Array, vector: jax.Array) -> jax.Array:
    """Return the matrix times a vector of shape (size, lanes)."""
    size = len(vector)
    rows = [sum_of([packed[place(i, j)] * vector[j] for j in range(size)]) for i in range(size)]
    return jnp.stack(rows)


def sum_of(parts: list[Lane]) -> Lane:
    """Return the sum of at least one part."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class Factor:
    """The Cholesky factor of every lane's matrix; NaN where a matrix is not positive definite.

    Args:
        packed: the matrices, shape (n(n+1)/2, lanes), with diagonals near one.
        size: n.
    """

    def __init__(self, packed: jax.Array, size: int) -> None:
        self.size = size
        self._lower: dict[tuple[int, int], Lane] = {}
        self._inverses: list[Lane] = []
        pivots: list[Lane] = []
        for j in range(size):
            row = [self._lower[j, k] for k in range(j)]
            pivot = packed[place(j, j)]
            for entry in row:
                pivot = pivot - entry * entry
            pivots.append(pivot)
            inverse = 1 / jnp.sqrt(pivot)  # NaN for a pivot below zero: the signal that this is no minimum's matrix
            self._inverses.append(inverse)
            for i in range(j + 1, size):
                value = packed[place(i, j)]
                for k in range(j):
                    value = value - self._lower[i, k] * self._lower[j, k]
                self._lower[i, j] = value * inverse
        self.least_pivot: Lane = pivots[0]
        """The smallest pivot, the inverse of which bounds the condition number from below, shape (lanes,)."""
        for pivot in pivots[1:]:
            self.least_pivot = jnp.minimum(self.least_pivot, pivot)

    def solve(self, right: jax.Array) -> jax.Array:
        """Return x with matrix x = right, shape (size, lanes)."""
        forward: list[Lane] = []
        for i in range(self.size):
            value = right[i]
            for k in range(i):
                value = value - self._lower[i, k] * forward[k]
            forward.append(value * self._inverses[i])
        found: list[Lane] = [forward[0]] * self.size
        for i in reversed(range(self.size)):
            value = forward[i]
            for k in range(i + 1, self.size):
                value = value - self._lower[k, i] * found[k]
            found[i] = value * self._inverses[i]
        return jnp.stack(found)

    def inverse(self) -> jax.Array:
        """Return the inverse matrices, packed."""
        size = self.size
        root: dict[tuple[int, int], Lane] = {}  # the inverse of the factor, by columns
        for j in range(size):
            root[j, j] = self._inverses[j]
            for i in range(j + 1, size):
                value = sum_of([self._lower[i, k] * root[k, j] for k in range(j, i)])
                root[i, j] = -value * self._inverses[i]
        return jnp.stack([
            sum_of([root[k, i] * root[k, j] for k in range(i, size)]) for i in range(size) for j in range(i + 1)
        ])  # fmt: skip


def scaled(packed: jax.Array, scale: jax.Array) -> jax.Array:
    """Return S M S for the diagonal S of `scale`, shape (size, lanes); M and the result are packed."""
    size = len(scale)
    return jnp.stack([packed[place(i, j)] * (scale[i] * scale[j]) for i in range(size) for j in range(i + 1)])


def lifted(packed: jax.Array, more: jax.Array) -> jax.Array:
    """Return the matrix with `more` added to its diagonal, shape (size, lanes)."""
    size = len(more)
    entries = [packed[place(i, j)] + (more[i] if i == j else 0.0) for i in range(size) for j in range(i + 1)]
    return jnp.stack(entries)


def restricted(packed: jax.Array, free: jax.Array) -> jax.Array:
    """Return the matrix over the free coordinates, with ones on the rest of its diagonal.

    Args:
        packed: the matrices.
        free: which coordinates count, shape (size, lanes).
    """
    size = len(free)
    return jnp.stack([
        jnp.where(free[i] & free[j], packed[place(i, j)], 1.0 if i == j else 0.0)
        for i in range(size)
        for j in range(i + 1)
    ])  # fmt: skip
