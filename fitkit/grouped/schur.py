"""The kernels of a global fit: the elimination of every group's local parameters, and what is to be told of them.

With U, W, V the blocks of a group's J'J over shared and local parameters, and h, q those of its slope,

    E = V^-1 W,   v = V^-1 q,   C = sum (U - W'E),   b = sum (h - W'v),

so that C ds = b is the step of the shared parameters and v - E ds that of each group's own: what is solved has the size of
one group, and the work grows with their number.

Reference: G. H. Golub and V. Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate, SIAM J. Numer. Anal. 10 (1973); Å. Björck, Numerical Methods for Least Squares Problems, SIAM 1996,
section 6.3, for problems of block angular form.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from fitkit.backend import jax, jnp, kernel, lax
from fitkit.grouped.elimination import Factor, place, sum_of
from fitkit.grouped.errors import reported
from fitkit.grouped.lane_rows import LaneProblem, Shape
from fitkit.problem import Problem, RowData


class Eliminated(NamedTuple):
    """Local parameters in terms of the shared ones, lanes last, and what they leave of the shared ones' system."""

    follow: jax.Array
    """E, shape (local, shared, lanes)."""
    alone: jax.Array
    """v, shape (local, lanes)."""
    matrix: jax.Array
    """C summed over the lanes, shape (shared, shared)."""
    right: jax.Array
    """b summed over the lanes, shape (shared,)."""
    least_pivot: jax.Array
    """Of each lane's V scaled to a unit diagonal, shape (lanes,)."""
    inverse: jax.Array
    """V^-1, packed."""


@kernel("shared")
def eliminate(
    slope: jax.Array, bend: jax.Array, lift: jax.Array, free: jax.Array, *, shared: tuple[int, ...]
) -> Eliminated:
    """Return the elimination of the local parameters of every lane.

    Args:
        slope: shape (free, lanes).
        bend: packed.
        lift: what the damping adds to the diagonal, shape (free, lanes).
        free: which parameters no bound holds; a lane to spare has zeros everywhere.
        shared: which numbers of theta are shared.
    """
    size = len(slope)
    local = tuple(j for j in range(size) if j not in shared)
    if not local:
        return _nothing_to_eliminate(slope, bend)
    diagonal = {j: bend[place(j, j)] + lift[j] for j in local}
    felt = {j: free[j] & (diagonal[j] > 0) for j in local}
    scale = {j: jnp.where(felt[j], lax.rsqrt(jnp.where(felt[j], diagonal[j], 1.0)), 0.0) for j in local}
    entries = [
        jnp.where(
            felt[i] & felt[j], (bend[place(i, j)] + (lift[i] if i == j else 0.0)) * scale[i] * scale[j], float(i == j)
        )
        for row, i in enumerate(local)
        for j in local[: row + 1]
    ]
    factor = Factor(jnp.stack(entries), len(local))
    scales = jnp.stack([scale[j] for j in local])

    def solve(right: jax.Array) -> jax.Array:
        return scales * factor.solve(scales * right)

    across = [jnp.stack([bend[place(i, a)] for i in local]) for a in shared]
    alone = solve(jnp.stack([slope[j] for j in local]))
    follow = [solve(column) for column in across]
    live = [jnp.where(jnp.stack([felt[j] for j in local]), column, 0.0) for column in across]
    matrix = [
        [(bend[place(a, b)] - (live[row] * follow[column]).sum(axis=0)).sum() for column, b in enumerate(shared)]
        for row, a in enumerate(shared)
    ]
    right = [(slope[a] - (live[row] * alone).sum(axis=0)).sum() for row, a in enumerate(shared)]
    inverse = factor.inverse()
    pairs = [(i, j) for i in range(len(local)) for j in range(i + 1)]
    return Eliminated(
        follow=jnp.stack(follow, axis=1),
        alone=alone,
        matrix=jnp.array(matrix),
        right=jnp.array(right),
        least_pivot=factor.least_pivot,
        inverse=jnp.stack([inverse[place(i, j)] * scales[i] * scales[j] for i, j in pairs]),
    )


def _nothing_to_eliminate(slope: jax.Array, bend: jax.Array) -> Eliminated:
    """Return the sums alone, where all parameters are shared."""
    size, lanes = slope.shape
    sums = bend.sum(axis=1)
    return Eliminated(
        follow=jnp.zeros((0, size, lanes)),
        alone=jnp.zeros((0, lanes)),
        matrix=jnp.array([[sums[place(i, j)] for j in range(size)] for i in range(size)]),
        right=slope.sum(axis=1),
        least_pivot=jnp.ones(lanes),
        inverse=jnp.zeros((0, lanes)),
    )


@kernel("shape", "shared")
def report(
    problem: Problem,
    theta: jax.Array,
    held: dict[str, jax.Array],
    total: jax.Array,
    follow: jax.Array,
    inverse: jax.Array,
    covariance: jax.Array,
    free: jax.Array,
    *,
    shape: Shape,
    shared: tuple[int, ...],
) -> tuple[jax.Array, jax.Array]:
    """Return what a report tells of every lane and its standard errors, shape (reported, lanes) each.

    With P = C^-1 the covariances are P of the shared parameters, V^-1 + E P E' of a group's own, -P E' between them.

    Args:
        problem: what the groups have in common.
        theta: the minimum, shape (free, lanes).
        held: held parameters that differ between lanes, shape (lanes,) each.
        total: the total weights, shape (lanes,).
        follow: E.
        inverse: V^-1 times the variance, packed.
        covariance: P times the variance, shape (shared, shared).
        free: what no bound holds.
        shape: what the lanes need.
        shared: which numbers of theta are shared.
    """
    size = len(theta)
    local = tuple(j for j in range(size) if j not in shared)
    ones = jnp.ones_like(total)

    def entry(i: int, j: int) -> jax.Array:
        if i in shared and j in shared:
            return covariance[shared.index(i), shared.index(j)] * ones
        if i in local and j in local:
            row, column = local.index(i), local.index(j)
            return inverse[place(row, column)] + sum_of([
                follow[row, a] * covariance[a, b] * follow[column, b] for a in range(len(shared)) for b in range(len(shared))
            ])  # fmt: skip
        own, common = (local.index(j), shared.index(i)) if i in shared else (local.index(i), shared.index(j))
        return -sum_of([covariance[common, b] * follow[own, b] for b in range(len(shared))])

    spread = jnp.stack([entry(i, j) for i in range(size) for j in range(i + 1)])
    its = replace(problem, held={**problem.held, **held})
    nothing = RowData(inputs={}, target=ones, sigma=None, weight=ones)
    return reported(LaneProblem(its, shape, nothing, total), theta, spread, free)
