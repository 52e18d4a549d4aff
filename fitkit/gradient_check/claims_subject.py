"""What claimed derivatives are derivatives of: numbers, row by row, as a function of all parameters in the user's units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import jax, jnp
from fitkit.expressions import Expression, to_numpy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class ClaimSubject:
    """The model, row by row, or the objective of `minimize`, as one row.

    Args:
        function: in JAX; of one number for each of `names`, shape (names,), returns shape (rows,).
        names: every parameter that is not tied, free and fixed ones.
        start: their values, shape (names,).
        constants: those of them that are fixed: the structural constants of the formula.
        positive: those that can only be positive.
        lower: the smallest value of each, shape (names,), -inf where there is none.
        upper: as `lower`.
        ties: parameters given by formulas of others, each after those it needs.
        columns: columns by name, and text comparisons, shape (rows,) each.
        where: row -> how a message names a row; None where there is only one.
        mentioned: names that the formula or the claims mention.
        count: the number of rows of the whole table, 1 for `minimize`.
    """

    function: Callable[[Any], Any]
    names: tuple[str, ...]
    start: Vector
    constants: frozenset[str]
    positive: frozenset[str]
    lower: Vector
    upper: Vector
    ties: tuple[tuple[str, Expression], ...] = ()
    columns: Mapping[Any, Vector]
    where: Callable[[int], str] | None = None
    mentioned: frozenset[str]
    count: int = 1

    def environment(self, point: Vector) -> dict[Any, Any]:
        """Return every name with its value at a point, shape (names,), for formulas in numpy; a column wins."""
        found: dict[Any, Any] = dict(zip(self.names, point, strict=True))
        for name, formula in self.ties:
            found[name] = to_numpy(formula)(found)
        return {**found, **self.columns}

    @cached_property
    def value(self) -> Callable[[Vector], Vector]:
        """The function, compiled: shape (names,) -> (rows,)."""
        return _on_host(jax.jit(self.function))

    def slope(self, name: str) -> Callable[[Vector], Vector]:
        """Return the derivative by one parameter, compiled: shape (names,) -> (rows,)."""
        kept: dict[str, Callable[[Vector], Vector]] = self.__dict__.setdefault("_slopes", {})
        if name not in kept:
            index = self.names.index(name)

            def forward(point: Any) -> Any:
                along = jnp.zeros(len(self.names), point.dtype).at[index].set(1.0)
                return jax.jvp(self.function, (point,), (along,))[1]

            def backward(point: Any) -> Any:
                return jax.jacrev(self.function)(point)[:, index]

            try:  # a function with a custom_vjp has no forward mode, one with a while_loop no reverse mode
                jax.eval_shape(forward, self.start)
                kept[name] = _on_host(jax.jit(forward))
            except TypeError:
                kept[name] = _on_host(jax.jit(backward))
        return kept[name]


def _on_host(function: Callable[[Any], Any]) -> Callable[[Vector], Vector]:
    import numpy as np

    def called(point: Vector) -> Vector:
        return np.asarray(function(np.asarray(point, np.float64)), np.float64)

    return called
