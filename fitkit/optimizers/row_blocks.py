"""Sums over the rows of wide tables, in blocks that stay in the cache: each row is read from memory once.

A gradient of a weighted sum of inputs reads its matrix twice, for the predictions and for the slopes. Block by block the
second time finds it in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fitkit.backend import jax, jnp, lax
from fitkit.input_matrix import InputMatrix, input_matrix
from fitkit.problem import Problem, RowData, weighted_mean
from fitkit.types import Rows, Scalar, Theta, Truth, WholeScalar

LARGE = 2**21
"""Numbers of a table up to which it is in the cache anyway."""
OF_GRADIENTS = 2**20
"""Numbers of a block, 8 MB, for gradients."""
OF_PRODUCTS = 2**18
"""Numbers of a block, 2 MB, for products of the table with itself."""


def value_and_gradient(problem: Problem, theta: Theta) -> tuple[Scalar, Theta]:
    """Return the objective and its gradient at theta, shape (free,)."""
    rows = problem.rows
    if rows is None or not _large(rows):
        whole: tuple[Scalar, Theta] = jax.value_and_grad(problem.objective)(theta)
        return whole
    total = jnp.asarray(problem.total_weight)

    def of_block(block: RowData, _: WholeScalar) -> tuple[Scalar, Theta]:
        both: tuple[Scalar, Theta] = jax.value_and_grad(
            lambda t: weighted_mean(problem.row_costs(t, block), block.weight, total)
        )(theta)
        return both

    value, gradient = _summed(rows, OF_GRADIENTS, of_block)
    penalty, slope = jax.value_and_grad(problem.penalty)(theta)
    return value + penalty, gradient + slope


def weighs_inputs(problem: Problem) -> bool:
    """Return whether the prediction of each row of a wide table is a weighted sum of inputs, and all the loss depends on."""
    rows, model, loss, layout = problem.rows, problem.model, problem.loss, problem.layout
    if rows is None or model is None or loss is None or not _large(rows) or model.weighs is None:
        return False
    constant, names = model.weighs
    searched_otherwise = (
        layout.logarithmic or layout.tied or layout.shapes or not set(layout.free) <= {constant, *names}
    )
    return not (searched_otherwise or loss.names or problem.smoothing is not None)


def hessian_of_weighted_sum(problem: Problem, theta: Theta, every: WholeScalar | int) -> tuple[jax.Array, Truth] | None:
    """Return the Hessian at theta, shape (free, free), as X'C X with the curvature C of the loss at each row's prediction.

    None where the prediction is not a weighted sum of inputs alone, or is not all that the loss depends on: there it takes
    as many products as there are parameters.

    Args:
        problem: the objective.
        theta: shape (free,).
        every: only the first of so many blocks of rows is taken, and all penalties. What is missing of the Hessian is positive
            where C is; whether it is, in all rows, comes beside it.
    """
    rows, model, loss, layout = problem.rows, problem.model, problem.loss, problem.layout
    if rows is None or model is None or loss is None or model.weighs is None or not weighs_inputs(problem):
        return None
    constant, names = model.weighs
    terms = (constant, *names)
    total = jnp.asarray(problem.total_weight)

    def curvature(block: RowData) -> Rows:
        fitted = problem.fitted(theta, block)
        slope = jax.grad(lambda z: jnp.sum(loss.cost(replace(fitted, prediction=z))))
        bends = jax.jvp(slope, (fitted.prediction,), (jnp.ones_like(fitted.prediction),))[1]
        return jnp.where(block.weight > 0, block.weight * bends, 0.0) / total

    def products_of(block: RowData, bends: Rows) -> tuple[Any, Any, Any]:
        matrix = input_matrix(block.inputs, names)
        return jnp.sum(bends), bends @ matrix, (matrix * bends[:, None]).T @ matrix

    def of_block(block: RowData, number: WholeScalar) -> tuple[Any, Any]:
        bends = curvature(block)
        nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(products_of, block, bends))
        products = lax.cond(number % every == 0, lambda: products_of(block, bends), lambda: nothing)
        return products, jnp.sum(~(bends >= 0))

    (corner, edge, products), downwards = _summed(rows, OF_PRODUCTS, of_block)
    whole = jnp.block([[corner[None, None], edge[None]], [edge[:, None], products]])
    places = jnp.asarray([terms.index(name) for name in layout.free])
    hessian: jax.Array = whole[places[:, None], places] + jax.hessian(problem.smooth_penalties)(theta)
    return hessian, downwards == 0


def _large(rows: RowData) -> bool:
    return isinstance(rows.inputs, InputMatrix) and rows.inputs.matrix.size > LARGE


def _summed(rows: RowData, numbers: int, of_block: Callable[[RowData, WholeScalar], Any]) -> Any:
    """Return the sum of what `of_block` makes of the rows, so many numbers of them at a time, and the number of the block."""
    columns = rows.inputs.matrix.shape[1] if isinstance(rows.inputs, InputMatrix) else 1
    size = min(len(rows), max(1, numbers // columns))
    blocks = -(-len(rows) // size)

    def block(number: WholeScalar | int) -> RowData:
        # The last begins earlier where rows are missing, and does not count those of the block before again.
        start = jnp.minimum(number * size, len(rows) - size)
        part: RowData = jax.tree.map(lambda column: lax.dynamic_slice_in_dim(column, start, size), rows)
        counted = jnp.arange(size) >= number * size - start
        return RowData(
            inputs=part.inputs, target=part.target, sigma=part.sigma, weight=jnp.where(counted, part.weight, 0.0)
        )

    kinds = jax.eval_shape(lambda: of_block(block(0), jnp.asarray(0)))
    zeros = jax.tree.map(lambda kind: jnp.zeros(kind.shape, kind.dtype), kinds)
    return lax.fori_loop(0, blocks, lambda k, sums: jax.tree.map(jnp.add, sums, of_block(block(k), k)), zeros)
