"""Derivatives of functions of the numbers of theta, lanes last, and the sums over rows that they make.

A sum is a number for each lane, shape (lanes,), and a matrix many of them, packed as `elimination` says: where they are
added up block by block, putting them into one array each time would cost as much as making them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from fitkit.backend import jax, jnp

Sums: TypeAlias = "tuple[jax.Array, ...]"
"""Shape (lanes,) each."""
Numbers: TypeAlias = "tuple[jax.Array, ...]"
"""The numbers of theta one by one, shape (lanes,) each."""


def along(of: Callable[[Numbers], Any], numbers: Numbers) -> tuple[Any, list[Any]]:
    """Return a function of the numbers of theta, and its derivative by each.

    Taken one by one, a derivative costs only what depends on its number.
    """
    value, columns = None, []
    for j, number in enumerate(numbers):
        value, column = jax.jvp(_of_one(of, numbers, j), (number,), (jnp.ones_like(number),))
        columns.append(column)
    return value, columns


def _of_one(of: Callable[[Numbers], Any], numbers: Numbers, j: int) -> Callable[[jax.Array], Any]:
    """Return a function of the j-th number alone."""
    return lambda number: of((*numbers[:j], number, *numbers[j + 1 :]))


def squares(of: Callable[[Numbers], jax.Array], numbers: Numbers) -> Sums:
    """Return the expansion of the sum of squares of a function: value, slopes, and the packed bend."""
    residuals, columns = along(of, numbers)
    slopes = [-(column * residuals).sum(axis=0) for column in columns]
    return ((residuals * residuals).sum(axis=0), *slopes, *products(columns))


def products(columns: Sequence[jax.Array]) -> Sums:
    """Return the sums over rows of the products of each two columns, packed."""
    return tuple((columns[i] * columns[j]).sum(axis=0) for i in range(len(columns)) for j in range(i + 1))


def newton(of: Callable[[Numbers], jax.Array], numbers: Numbers) -> Sums:
    """Return the expansion of a function of shape (lanes,) with its Hessian: value, slopes, and the packed bend."""

    def both(t: Numbers) -> tuple[jax.Array, Numbers]:
        def total(u: Numbers) -> tuple[jax.Array, jax.Array]:
            each = of(u)
            return each.sum(), each

        gradient, value = jax.grad(total, has_aux=True)(t)
        return value, gradient

    (value, gradient), columns = along(both, numbers)
    bend = [columns[i][1][j] / 2 for i in range(len(numbers)) for j in range(i + 1)]
    return (value, *(-each / 2 for each in gradient), *bend)


def bend_of(of: Callable[[Numbers], jax.Array], numbers: Numbers) -> Sums:
    """Return sum_i r_i Hess r_i of a function r, packed."""
    fixed, found = of(numbers), []
    for i, number in enumerate(numbers):
        for j in range(i + 1):

            def slope(first: jax.Array, i: int = i, j: int = j) -> jax.Array:
                moved = (*numbers[:i], first, *numbers[i + 1 :])
                ones = jnp.ones_like(first)
                column: jax.Array = jax.jvp(_of_one(of, moved, j), (moved[j],), (ones,))[1]
                return column

            def second(first: jax.Array, slope: Callable[[jax.Array], jax.Array] = slope) -> jax.Array:
                bent: jax.Array = jax.jvp(slope, (first,), (jnp.ones_like(first),))[1]
                return bent

            # A sum of products with zero would be computed: it need not be zero where a residual is infinite.
            none = jnp.zeros_like(number)
            found.append(none if _vanishes(second, number) else (fixed * second(number)).sum(axis=0))
    return tuple(found)


def _vanishes(of: Callable[[jax.Array], jax.Array], number: jax.Array) -> bool:
    """Return whether differentiation knows a function to be zero: parameters that enter linearly bend nothing."""
    from jax.extend.core import Literal

    program = jax.make_jaxpr(of)(number).jaxpr
    maker = next((step for step in program.eqns if program.outvars[0] in step.outvars), None)
    if maker is None or maker.primitive.name != "broadcast_in_dim":
        return False
    return isinstance(maker.invars[0], Literal) and maker.invars[0].val == 0
