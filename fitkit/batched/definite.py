"""The solution of many small positive definite systems in lock step."""

from __future__ import annotations

from fitkit.backend import jax, jnp, lax

LEAST_PIVOT = 1e-15
"""A pivot below this share of a unit diagonal is rounding: the matrix is not positive definite."""


def solve_definite(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """Return x with matrix x = right, shape (free,), or NaN where the matrix is not positive definite.

    Gauss-Jordan elimination without pivoting, whose pivots are the squares of Cholesky's diagonal. As a loop over columns
    it compiles in the same time for any size, and under `vmap` it is plain arithmetic over the lanes: batched QR may hang
    on CPUs, and a library call for each lane would cost more than the elimination.

    Args:
        matrix: symmetric, with a diagonal near one, shape (free, free).
        right: shape (free,).
    """
    least = LEAST_PIVOT if right.dtype == jnp.float64 else 1e-7

    def eliminate(j: int | jax.Array, table: jax.Array) -> jax.Array:
        row = table[j]
        pivot = row[j]
        scaled = row / jnp.where(pivot > least, pivot, jnp.nan)
        reduced: jax.Array = (table - jnp.outer(table[:, j], scaled)).at[j].set(scaled)
        return reduced

    solved: jax.Array = lax.fori_loop(0, right.shape[0], eliminate, jnp.concatenate([matrix, right[:, None]], axis=1))
    return solved[:, -1]
