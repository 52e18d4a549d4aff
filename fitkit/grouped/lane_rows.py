"""The rows of many lanes side by side, and the sums over them that a fit is made of.

Rows come first and lanes last: every operation on a row is one on a vector of lanes, and a sum over rows adds vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

from fitkit.backend import jax, jnp, lax
from fitkit.grouped.derivatives import Numbers, Sums, along, bend_of, newton, products, squares
from fitkit.losses import DistanceLoss, Fitted, ResidualLoss
from fitkit.losses.mse import MeanSquaredError
from fitkit.losses.residual import FormulaResidual
from fitkit.problem import Problem, RowData


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
    plain: bool
    """Whether these are squares of the residuals themselves."""
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
        plain=isinstance(loss, MeanSquaredError),
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

    def summed(self, of: Callable[[Numbers, RowData], Sums], numbers: Numbers) -> Sums:
        """Return the sums over rows that `of` gives at the numbers of theta for a block of them."""
        if not self.shape.blocks:
            return of(numbers, _block(self.rows, self.first))
        like = jax.eval_shape(lambda rows: of(numbers, _block(rows, 0)), self.rows)

        def add(block: Any, carry: tuple[Sums, Numbers]) -> tuple[Sums, Numbers]:
            totals, there = carry
            # Else what depends on theta alone is taken out of the loop, and what depends on rows, every exponential,
            # is then computed anew for each derivative that it is a part of.
            there = lax.optimization_barrier(there)  # type: ignore[no-untyped-call]  # it has no types
            return tuple(map(jnp.add, totals, of(there, _block(self.rows, block)))), there

        zeros = tuple(jnp.zeros(part.shape, part.dtype) for part in like)
        found: Sums = lax.fori_loop(self.first, self.first + self.count, add, (zeros, numbers))[0]
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
            sums = self.summed(lambda there, rows: squares(lambda t: self.residuals(t, rows), there), numbers)
            more = squares(self.penalty_residuals, numbers) if self.shape.penalized else ()
        else:
            sums = self.summed(lambda there, rows: newton(lambda t: self.costs(t, rows).sum(axis=0), there), numbers)
            more = (
                newton(lambda t: (self.penalty_residuals(t) ** 2).sum(axis=0), numbers) if self.shape.penalized else ()
            )
        if more:
            sums = tuple(map(jnp.add, sums, more))
        return Expansion(sums[0], jnp.stack(sums[1 : self.size + 1]), jnp.stack(sums[self.size + 1 :]))

    def curvature(self, theta: jax.Array) -> jax.Array:
        """Return S = sum_i r_i Hess r_i, packed: what J'J leaves out of half the Hessian of a sum of squares."""
        numbers = tuple(theta)
        found = self.summed(lambda there, rows: bend_of(lambda t: self.residuals(t, rows), there), numbers)
        if self.shape.penalized:
            found = tuple(map(jnp.add, found, bend_of(self.penalty_residuals, numbers)))
        return jnp.stack(found)

    def outer_products(self, theta: jax.Array) -> jax.Array:
        """Return a quarter of the sum over rows and priors of outer products of weighted gradients, packed."""
        numbers = tuple(theta)

        def of_rows(there: Numbers, rows: RowData) -> Sums:
            def cost(t: Numbers) -> jax.Array:
                return self.residuals(t, rows) ** 2 if self.shape.squares else self.costs(t, rows)

            return products(along(cost, there)[1])

        found = jnp.stack(self.summed(of_rows, numbers)) / 4
        if not self.problem.priors:
            return found
        # Unlike a row, a prior says itself how far it scatters: its gradient, z dz or twice that, has the variance of dz.
        twice = 4.0 if self.problem.loss is not None and self.problem.loss.deviance else 1.0
        return found + twice * jnp.stack(products(along(self.deviations, numbers)[1])) / 4

    def targets(self) -> tuple[jax.Array, jax.Array]:
        """Return the weighted sum of squared targets in units of sigma, and what a constant leaves, shape (lanes,) each.

        The first is the size that residuals compare with. The second is the sum of squared residuals about the mean target.
        """

        def of(_: Numbers, rows: RowData) -> Sums:
            weight = rows.weight if self.shape.weighted else jnp.ones_like(rows.target)
            own = rows.target if rows.sigma is None else rows.target / rows.sigma
            return (weight**2).sum(axis=0), (rows.target * weight**2).sum(axis=0), ((own * weight) ** 2).sum(axis=0)

        total, first, squares_ = self.summed(of, ())
        if self.shape.plain:
            return squares_, squares_ - first**2 / total

        def about(there: Numbers, rows: RowData) -> Sums:
            if not isinstance(self.problem.loss, DistanceLoss):
                raise TypeError("no distances")
            mean = jnp.broadcast_to(there[0], rows.target.shape)
            fitted = Fitted(prediction=mean, target=rows.target, sigma=rows.sigma, values={}, inputs={})
            found = self.problem.loss.residual(fitted)
            return (((found * rows.weight if self.shape.weighted else found) ** 2).sum(axis=0),)

        return squares_, self.summed(about, (first / total,))[0]


def _block(rows: RowData, block: Any) -> RowData:
    """Return the rows of a block, shape (rows, lanes)."""
    found: RowData = jax.tree.map(lambda column: lax.dynamic_index_in_dim(column, block, keepdims=False), rows)
    return found
