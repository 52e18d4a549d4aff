"""The one compiled program: chunk after chunk of lanes from their starts to polished minima with errors and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from fitkit.backend import jax, jnp, kernel, lax
from fitkit.grouped.elimination import diagonal
from fitkit.grouped.errors import covariance, reported
from fitkit.grouped.lane_rows import LaneProblem, Shape
from fitkit.grouped.steps import LIGHT, ROUNDING, State, descend, polish
from fitkit.problem import Problem, RowData

SURE = 1e-8
"""A lane has converged when the last step moved no parameter by more than this share of itself,"""
SMALL = 1e-7
"""or of its standard error."""
FELT = 1e-16
"""A parameter is felt if its whole effect, squared, is above this share of the squared targets."""
NATS = 1e-14
"""A parameter is felt by a likelihood if its whole effect is above this."""
LEAST_PIVOT = 2e-9
"""Errors from normal equations have six digits down to this pivot of the matrix scaled to a unit diagonal."""


LOST = 1e-9
"""The share of the squared targets that their difference with the square of their mean may have lost."""


class Chunks(NamedTuple):
    """Where the lanes of some chunks begin: (chunks, ...) each, lanes last."""

    theta: jax.Array
    """Shape (chunks, free, lanes)."""
    damping: jax.Array
    """Shape (chunks, lanes)."""
    total: jax.Array
    """The total weight of each lane."""
    dof: jax.Array
    held: Mapping[str, jax.Array]
    """Held parameters that differ between lanes."""
    first: jax.Array
    """The first block of rows of each chunk, shape (chunks,)."""
    blocks: jax.Array
    """How many it has, shape (chunks,)."""


class Lanes(NamedTuple):
    """Where the lanes ended: (chunks, ...) each, lanes last."""

    theta: jax.Array
    damping: jax.Array
    sure: jax.Array
    """Which lanes stand at a minimum beyond doubt."""
    steps: jax.Array
    value: jax.Array
    """The objective times the total weight."""
    squares: jax.Array
    """The part of it that is the rows'."""
    values: jax.Array
    """What a report tells, shape (chunks, reported, lanes)."""
    errors: jax.Array
    move: jax.Array
    """The last step, the largest share of a parameter."""
    free: jax.Array
    """Which parameters no bound holds, shape (chunks, free, lanes)."""
    scatter: jax.Array
    """The squared residuals about the mean target, or infinity where the objective is none of distances."""


@kernel("shape")
def fit_chunks(
    problem: Problem, rows: RowData, chunks: Chunks, count: int, most: int, offset: float, *, shape: Shape
) -> Lanes:
    """Return where the lanes of the first `count` chunks end after at most `most` steps each.

    Args:
        problem: what all lanes have in common.
        rows: columns of shape (blocks, rows, lanes); `weight` has square roots of weights.
        chunks: where they begin.
        count: how many chunks are full, traced, so that every table and every round is the same program.
        most: traced as well.
        offset: see `descend`; traced as well.
        shape: what the lanes need.
    """

    def one(index: Any) -> Lanes:
        own = jax.tree.map(lambda column: lax.dynamic_index_in_dim(column, index, keepdims=False), chunks)
        its = replace(problem, held={**problem.held, **own.held})
        return _fit(LaneProblem(its, shape, rows, own.total, own.first, own.blocks), own, most, offset)

    def body(index: Any, found: Lanes) -> Lanes:
        moved: Lanes = jax.tree.map(
            lambda whole, part: lax.dynamic_update_index_in_dim(whole, part, index, 0), found, one(index)
        )
        return moved

    like = jax.eval_shape(one, 0)
    nothing = jax.tree.map(lambda part: jnp.zeros((len(chunks.total), *part.shape), part.dtype), like)
    ended: Lanes = lax.fori_loop(0, count, body, nothing)
    return ended


def _fit(lanes: LaneProblem, own: Chunks, most: Any, offset: Any) -> Lanes:
    nothing, endless = jnp.zeros_like(own.total), jnp.full_like(own.total, jnp.inf)
    size, scatter = lanes.targets() if lanes.shape.distances else (nothing, endless)
    floor = ROUNDING * size
    state = descend(lanes, own.theta, own.damping, floor, most, offset)
    found = polish(lanes, state, floor)
    spread, pivot = covariance(lanes, found, own.dof)
    values, errors = reported(lanes, found.theta, spread, found.free)
    deviation = jnp.sqrt(diagonal(spread, lanes.size))
    near = jnp.where(
        deviation > 0, jnp.maximum(SURE * jnp.abs(found.theta), SMALL * deviation), SURE * jnp.abs(found.theta)
    )
    close = jnp.all((jnp.abs(found.last) <= near) | ~found.free, axis=0)
    whole = jnp.where(jnp.abs(found.theta) > 0, jnp.abs(found.theta), state.largest)
    move = jnp.max(jnp.where(found.free, jnp.abs(found.last) / jnp.where(whole > 0, whole, 1.0), 0.0), axis=0)
    sure = found.sound & close & (pivot > LEAST_PIVOT) & _felt(lanes, state, found.at.bend, size, found.free)
    return Lanes(
        theta=found.theta,
        # Beside a minimum little damping is wanted, however much it took to get there.
        damping=jnp.where(found.sound, jnp.minimum(state.damping, LIGHT), state.damping),
        sure=sure,
        steps=state.steps + 2,
        value=found.value,
        squares=found.value - (lanes.penalty_residuals(tuple(found.theta)) ** 2).sum(axis=0)
        if lanes.shape.penalized
        else found.value,
        values=values,
        errors=errors,
        move=move,
        free=found.free,
        scatter=scatter + LOST * size,
    )


def _felt(lanes: LaneProblem, state: State, bend: jax.Array, size: jax.Array, free: jax.Array) -> jax.Array:
    """Return which lanes feel each free parameter over the largest that it was seen at, shape (lanes,).

    The columns of a peak that has vanished look fine when scaled by their own lengths, and its width would be reported.
    """
    effects = jnp.abs(diagonal(bend, lanes.size)) * state.largest**2
    least = jnp.maximum(FELT * size, 1e-14 * jnp.abs(state.at.value))
    if lanes.problem.loss is not None and lanes.problem.loss.likelihood:
        # Where all counts are zero the likelihood ends by going to one, and any effect is a large share of what is left.
        least = jnp.maximum(least, NATS)
    return jnp.all((effects > least) | ~free, axis=0)
