"""The expansions of all groups' objectives where they stand, without a step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from fitkit.backend import jax, jnp, kernel, lax
from fitkit.grouped.lane_rows import Expansion, LaneProblem, Shape
from fitkit.grouped.program import Chunks
from fitkit.problem import Problem, RowData


class Surroundings(NamedTuple):
    """The expansions of some chunks, (chunks, ...) each, lanes last."""

    at: Expansion
    curvature: jax.Array
    """What J'J leaves out of half the Hessian, packed; zero where it was not asked for."""


@kernel("shape", "whole")
def expand_chunks(
    problem: Problem, rows: RowData, chunks: Chunks, count: int, *, shape: Shape, whole: bool
) -> Surroundings:
    """Return the expansions of the lanes of the first `count` chunks, with the whole Hessian if `whole`."""

    def one(index: Any) -> Surroundings:
        own = jax.tree.map(lambda column: lax.dynamic_index_in_dim(column, index, keepdims=False), chunks)
        its = replace(problem, held={**problem.held, **own.held})
        lanes = LaneProblem(its, shape, rows, own.total, own.first, own.blocks)
        at = lanes.expand(own.theta)
        return Surroundings(at, lanes.curvature(own.theta) if whole and shape.squares else jnp.zeros_like(at.bend))

    def body(index: Any, found: Surroundings) -> Surroundings:
        moved: Surroundings = jax.tree.map(
            lambda all_, part: lax.dynamic_update_index_in_dim(all_, part, index, 0), found, one(index)
        )
        return moved

    like = jax.eval_shape(one, 0)
    nothing = jax.tree.map(lambda part: jnp.zeros((len(chunks.total), *part.shape), part.dtype), like)
    ended: Surroundings = lax.fori_loop(0, count, body, nothing)
    return ended
