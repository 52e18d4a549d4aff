"""Standard errors of all lanes of a chunk, made as those of a single fit are.

    squares       s² (J'J)^-1, s² the sum of squares by the degrees of freedom, or one where the data give sigma
    likelihoods   the inverse of the Hessian of the summed costs
    sandwich      A^-1 B A^-1, B the sum of outer products of the rows' gradients

over the parameters that no bound holds, and propagated to what a report tells.
"""

from __future__ import annotations

from fitkit.backend import jax, jnp, lax
from fitkit.grouped.derivatives import along
from fitkit.grouped.elimination import Factor, diagonal, place, restricted, scaled, sum_of
from fitkit.grouped.lane_rows import LaneProblem
from fitkit.grouped.steps import Polished


def covariance(lanes: LaneProblem, at: Polished, dof: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the covariance of theta, packed, and the smallest pivot of the matrix that was inverted, shape (lanes,).

    Args:
        lanes: their problems.
        at: the minima.
        dof: degrees of freedom, shape (lanes,).
    """
    size, shape = lanes.size, lanes.shape
    bend = at.at.bend
    if shape.squares and not shape.gauss_newton:
        bend = bend + lanes.curvature(at.theta)
    scale = lax.rsqrt(jnp.where(at.free, diagonal(bend, size), 1.0))
    factor = Factor(restricted(scaled(bend, scale), at.free), size)
    inverse = scaled(factor.inverse(), scale)
    if shape.errors == "sandwich":
        return _sandwich(inverse, lanes.outer_products(at.theta), at.free), factor.least_pivot
    if shape.errors == "likelihood":
        return inverse / 2, factor.least_pivot
    variance = at.at.value / dof if shape.scatter else jnp.ones_like(at.at.value)
    known = (dof > 0) & (at.at.value > 0)  # else there is no scatter to tell errors from
    return inverse * jnp.where(known, variance, jnp.nan) if shape.scatter else inverse, factor.least_pivot


def _sandwich(inverse: jax.Array, middle: jax.Array, free: jax.Array) -> jax.Array:
    """Return A^-1 B A^-1 over the free coordinates, packed."""
    size = len(free)
    kept = restricted(inverse, free)
    left = {
        (i, j): sum_of([jnp.where(free[k], kept[place(i, k)] * middle[place(k, j)], 0.0) for k in range(size)])
        for i in range(size)
        for j in range(size)
    }
    return jnp.stack([
        sum_of([jnp.where(free[k], left[i, k] * kept[place(k, j)], 0.0) for k in range(size)])
        for i in range(size)
        for j in range(i + 1)
    ])  # fmt: skip


def reported(lanes: LaneProblem, theta: jax.Array, spread: jax.Array, free: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the values that a report tells, and their standard errors, NaN for none, shape (reported, lanes) each.

    Args:
        lanes: their problems.
        theta: the minima, shape (free, lanes).
        spread: the covariance of theta, packed.
        free: what no bound holds, shape (free, lanes).
    """
    values, columns = along(lanes.reported, tuple(theta))
    size = lanes.size
    errors = []
    for row in range(len(values)):
        slopes = [jnp.where(free[j], columns[j][row], 0.0) for j in range(size)]
        variance = sum_of([slopes[i] * slopes[j] * spread[place(i, j)] for i in range(size) for j in range(size)])
        held = sum_of([(~free[j] & (columns[j][row] != 0)).astype(values.dtype) for j in range(size)]) > 0
        moved = sum_of([jnp.abs(slope) for slope in slopes]) > 0
        errors.append(jnp.where(moved & ~held, jnp.sqrt(variance), jnp.nan))
    return values, jnp.stack(errors)
