"""The rows of many lanes side by side, and the sums over them that a fit is made of.

Rows come first and lanes last: every operation on a row is one on a vector of lanes, and a sum over rows adds vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, final

from fitkit.backend import jax, jnp, lax
from fitkit.losses import DistanceLoss, Fitted, ResidualLoss
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.residual import FormulaResidual
from fitkit.problem import Problem, RowData

Sums: TypeAlias = "tuple[jax.Array, ...]"
Numbers: TypeAlias = "tuple[jax.Array, ...]"
"""The numbers of theta one by one, shape (lanes,) each."""


@final
@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is the same for all lanes and decides which program they need."""

    broadcast: bool
    """Whether model and loss take lanes as a second axis as they are; otherwise they are mapped over it."""
    weighted: bool
    """Whether rows have weights, some of which may be those of padding."""
    penalized: bool
    """Whether priors or a penalty add to the rows."""
    bounded: bool
    blocks: bool
    """Whether a lane's rows lie in several blocks, as many as the chunk says."""
    squares: bool
    """Whether the objective is a sum of squares."""
    distances: bool
    """Whether the targets have the units of the residuals."""
    errors: str
    """How standard errors are made: squares, likelihood, sandwich or none."""
    scatter: bool
    """Whether squares have their scale from the residuals."""
    gauss_newton: bool
    """Whether errors are made from J'J alone."""


def shape_of(problem: Problem, rows: RowData, *, weighted: bool, blocks: bool, exact: bool, sandwich: bool) -> Shape:
    """Return the shape of a problem's lanes; `exact` and `sandwich` are what is asked of the errors."""
    import numpy as np

    loss = problem.loss
    if loss is None or problem.model is None:
        raise AssertionError("groups have rows, a model and a loss")
    known = isinstance(loss, MeanSquaredError | FormulaResidual)
    kind = "squares" if known else "likelihood" if loss.likelihood else "sandwich"
    return Shape(
        broadcast=problem.model.elementwise and not problem.layout.shapes and not loss.width,
        weighted=weighted,
        penalized=bool(problem.priors) or float(problem.regularization.l2) > 0,
        bounded=bool(np.isfinite(problem.lower).any() or np.isfinite(problem.upper).any()),
        blocks=blocks,
        squares=isinstance(loss, ResidualLoss),
        distances=isinstance(loss, DistanceLoss),
        errors="sandwich" if sandwich else kind,
        scatter=known and not sandwich and rows.sigma is None,
        gauss_newton=known and not exact,
    )


class Expansion(NamedTuple):
    """The objective of each lane near a point: value - 2 slope.d + d.bend.d, times its total weight."""

    value: jax.Array
    """Shape (lanes,)."""
    slope: jax.Array
    """Half the negative gradient, shape (free, lanes)."""
    bend: jax.Array
    """J'J for a sum of squares, else half the Hessian, packed, shape (free(free+1)/2, lanes)."""


@final
@dataclass(frozen=True)
class LaneProblem:
    """The objectives of a chunk of lanes, in a program that is being traced.

    Args:
        problem: what they have in common; held numbers that each lane has for itself, shape (lanes,), stand in it.
        shape: see there.
        rows: columns of shape (rows, lanes), or (blocks, rows, lanes); `weight` has square roots of weights.
        total: the total weight of each lane, shape (lanes,).
        first: the chunk's first block.
        count: how many blocks it has.
    """

    problem: Problem
    shape: Shape
    rows: RowData
    total: jax.Array
    first: Any = 0
    count: Any = 1

    @property
    def size(self) -> int:
        """How many numbers are free."""
        return self.problem.layout.size

    def summed(self, of: Callable[[RowData], Sums]) -> Sums:
        """Return the sums over rows that `of` gives for a block of them."""
        if not self.shape.blocks:
            return of(_block(self.rows, self.first))
        like = jax.eval_shape(lambda rows: of(_block(rows, 0)), self.rows)

        def add(block: Any, totals: Sums) -> Sums:
            return tuple(map(jnp.add, totals, of(_block(self.rows, block))))

        zeros = tuple(jnp.zeros(part.shape, part.dtype) for part in like)
        found: Sums = lax.fori_loop(self.first, self.first + self.count, add, zeros)
        return found

    # -- rows ---------------------------------------------------------------------------------------------------------------

    def _fitted(self, of: Callable[[Problem, Fitted], Any], numbers: Numbers, rows: RowData) -> Any:
        """Return what `of` makes of predictions beside observations, lanes last."""
        if self.shape.broadcast:
            return of(self.problem, self.problem.fitted_by(self.problem.values_apart(numbers), rows))
        held = {name: -1 if jnp.ndim(value) else None for name, value in self.problem.held.items()}

        def one(t: jax.Array, r: RowData, h: dict[str, Any]) -> Any:
            its = replace(self.problem, held=h)
            return of(its, its.fitted(t, r))

        return jax.vmap(one, in_axes=(-1, -1, held), out_axes=-1)(jnp.stack(numbers), rows, dict(self.problem.held))

    def residuals(self, numbers: Numbers, rows: RowData) -> jax.Array:
        """Return the weighted residuals, shape (rows, lanes)."""

        def of(problem: Problem, fitted: Fitted) -> jax.Array:
            if not isinstance(problem.loss, ResidualLoss):
                raise TypeError("no residuals")
            return problem.loss.residual(fitted)

        found: jax.Array = self._fitted(of, numbers, rows)
        return found * rows.weight if self.shape.weighted else found

    def costs(self, numbers: Numbers, rows: RowData) -> jax.Array:
        """Return the weighted costs, shape (rows, lanes)."""

        def of(problem: Problem, fitted: Fitted) -> jax.Array:
            if problem.loss is None:
                raise TypeError("no loss")
            return problem.loss.cost(fitted)

        found: jax.Array = self._fitted(of, numbers, rows)
        return jnp.where(rows.weight > 0, found * rows.weight**2, 0.0) if self.shape.weighted else found

    def _each(self, of: Callable[[Problem, jax.Array], jax.Array], numbers: Numbers) -> jax.Array:
        """Return a vector of each lane's problem, shape (numbers, lanes)."""
        held = {name: -1 if jnp.ndim(value) else None for name, value in self.problem.held.items()}

        def one(t: jax.Array, total: jax.Array, h: dict[str, Any]) -> jax.Array:
            return of(replace(self.problem, held=h, total_weight=total), t)

        found: jax.Array = jax.vmap(one, in_axes=(-1, -1, held), out_axes=-1)(
            jnp.stack(numbers), self.total, dict(self.problem.held)
        )
        return found

    def penalty_residuals(self, numbers: Numbers) -> jax.Array:
        """Return penalties and priors as residuals, shape (penalties, lanes)."""
        return self._each(lambda p, t: p.penalty_residuals(t) * jnp.sqrt(p.total_weight), numbers)

    def deviations(self, numbers: Numbers) -> jax.Array:
        """Return the z of priors, shape (priors, lanes)."""
        return self._each(lambda p, t: p.deviations(t), numbers)

    def reported(self, numbers: Numbers) -> jax.Array:
        """Return what a report tells, shape (reported, lanes)."""
        return self._each(lambda p, t: p.reported(t), numbers)

    # -- expansions ---------------------------------------------------------------------------------------------------------

    def expand(self, theta: jax.Array) -> Expansion:
        """Return the expansion at theta, shape (free, lanes)."""
        numbers = tuple(theta)
        if self.shape.squares:
            sums = self.summed(lambda rows: _squares(lambda t: self.residuals(t, rows), numbers))
            if self.shape.penalized:
                sums = tuple(map(jnp.add, sums, _squares(self.penalty_residuals, numbers)))
        else:
            sums = self.summed(lambda rows: _newton(lambda t: self.costs(t, rows).sum(axis=0), numbers))
            if self.shape.penalized:
                more = _newton(lambda t: (self.penalty_residuals(t) ** 2).sum(axis=0), numbers)
                sums = tuple(map(jnp.add, sums, more))
        return Expansion(*sums)

    def curvature(self, theta: jax.Array) -> jax.Array:
        """Return S = sum_i r_i Hess r_i, packed: what J'J leaves out of half the Hessian of a sum of squares."""
        numbers = tuple(theta)
        found = self.summed(lambda rows: (_bend(lambda t: self.residuals(t, rows), numbers),))[0]
        return found + _bend(self.penalty_residuals, numbers) if self.shape.penalized else found

    def outer_products(self, theta: jax.Array) -> jax.Array:
        """Return a quarter of the sum over rows and priors of outer products of weighted gradients, packed."""
        numbers = tuple(theta)

        def products(columns: list[jax.Array]) -> jax.Array:
            pairs = [columns[i] * columns[j] for i in range(self.size) for j in range(i + 1)]
            return jnp.stack([pair.sum(axis=0) for pair in pairs]) / 4

        def of_rows(rows: RowData) -> Sums:
            def cost(t: Numbers) -> jax.Array:
                return self.residuals(t, rows) ** 2 if self.shape.squares else self.costs(t, rows)

            return (products(along(cost, numbers)[1]),)

        found = self.summed(of_rows)[0]
        if not self.problem.priors:
            return found
        # Unlike a row, a prior says itself how far it scatters: its gradient, z dz or twice that, has the variance of dz.
        twice = 4.0 if self.problem.loss is not None and self.problem.loss.deviance else 1.0
        return found + twice * products(along(self.deviations, numbers)[1])

    def square_of_targets(self) -> jax.Array:
        """Return the weighted sum of squared targets, in units of sigma, the size that residuals compare with, (lanes,)."""

        def of(rows: RowData) -> Sums:
            target = rows.target if rows.sigma is None else rows.target / rows.sigma
            return (((target * rows.weight if self.shape.weighted else target) ** 2).sum(axis=0),)

        return self.summed(of)[0]


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


def _squares(of: Callable[[Numbers], jax.Array], numbers: Numbers) -> Sums:
    """Return the expansion of the sum of squares of a function."""
    residuals, columns = along(of, numbers)
    value = (residuals * residuals).sum(axis=0)
    slope = jnp.stack([-(column * residuals).sum(axis=0) for column in columns])
    pairs = [(columns[i] * columns[j]).sum(axis=0) for i in range(len(columns)) for j in range(i + 1)]
    return value, slope, jnp.stack(pairs)


def _newton(of: Callable[[Numbers], jax.Array], numbers: Numbers) -> Sums:
    """Return the expansion of a function of shape (lanes,) with its Hessian."""

    def both(t: Numbers) -> tuple[jax.Array, Numbers]:
        def total(u: Numbers) -> tuple[jax.Array, jax.Array]:
            each = of(u)
            return each.sum(), each

        gradient, value = jax.grad(total, has_aux=True)(t)
        return value, gradient

    (value, gradient), columns = along(both, numbers)
    bend = jnp.stack([columns[i][1][j] for i in range(len(numbers)) for j in range(i + 1)]) / 2
    return value, -jnp.stack(gradient) / 2, bend


def _bend(of: Callable[[Numbers], jax.Array], numbers: Numbers) -> jax.Array:
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
    return jnp.stack(found)


def _vanishes(of: Callable[[jax.Array], jax.Array], number: jax.Array) -> bool:
    """Return whether differentiation knows a function to be zero: parameters that enter linearly bend nothing."""
    from jax.extend.core import Literal

    program = jax.make_jaxpr(of)(number).jaxpr
    maker = next((step for step in program.eqns if program.outvars[0] in step.outvars), None)
    if maker is None or maker.primitive.name != "broadcast_in_dim":
        return False
    return isinstance(maker.invars[0], Literal) and maker.invars[0].val == 0


def _block(rows: RowData, block: Any) -> RowData:
    """Return the rows of a block, shape (rows, lanes)."""
    found: RowData = jax.tree.map(lambda column: lax.dynamic_index_in_dim(column, block, keepdims=False), rows)
    return found
