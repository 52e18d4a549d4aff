"""The compiled kernels of least squares: what is computed row by row, and nothing else."""

from __future__ import annotations

from typing import NamedTuple

from fitkit.backend import jax, jnp, kernel
from fitkit.problem import Problem, RowData
from fitkit.types import Rows, Theta


class Expansion(NamedTuple):
    """The rows near a point, as one compiled kernel gives them."""

    predictions: jax.Array
    """On the scale of the target, shape (rows,)."""
    columns: jax.Array
    """The columns of [J r], shape (free + 1, rows): the layout that LAPACK reads."""


@kernel()
def expand(problem: Problem, theta: Theta, rows: RowData) -> Expansion:
    """Return predictions, residuals, and their Jacobian by forward mode, one tangent per parameter.

    Predictions ride along, so that a report needs no program of its own.
    """

    def along(tangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        both: tuple[jax.Array, jax.Array, jax.Array] = jax.jvp(
            lambda t: problem.residuals_and_predictions(t, rows), (theta,), (tangent,), has_aux=True
        )
        return both

    residuals, jacobian, predictions = jax.vmap(along, out_axes=(None, 0, None))(
        jnp.eye(theta.shape[0], dtype=theta.dtype)
    )
    return Expansion(predictions, jnp.concatenate([jacobian, residuals[None]]))


@kernel()
def second_derivative(problem: Problem, theta: Theta, velocity: Theta, rows: RowData) -> jax.Array:
    """Return the second derivative of r along `velocity`, shape (rows,)."""

    def slope(t: jax.Array) -> jax.Array:
        first: jax.Array = jax.jvp(lambda u: problem.row_residuals(u, rows), (t,), (velocity,))[1]
        return first

    second: jax.Array = jax.jvp(slope, (theta,), (velocity,))[1]
    return second


@kernel()
def residual_curvature(problem: Problem, theta: Theta, residuals: Rows, rows: RowData) -> jax.Array:
    """Return sum_i r_i Hess r_i with the factor r held fixed, shape (free, free)."""
    hessian: jax.Array = jax.hessian(lambda t: jnp.vdot(residuals, problem.row_residuals(t, rows)))(theta)
    return hessian


@kernel()
def expand_penalties(problem: Problem, theta: Theta) -> jax.Array:
    """Return the columns of [J r] of the penalties, shape (free + 1, penalties)."""
    jacobian: jax.Array = jax.jacfwd(problem.penalty_residuals)(theta)
    return jnp.concatenate([jacobian.T, problem.penalty_residuals(theta)[None]])


@kernel()
def penalty_curvature(problem: Problem, theta: Theta) -> jax.Array:
    """Return sum_p r_p Hess r_p of the penalties with the factor r held fixed, shape (free, free)."""
    residuals = jax.lax.stop_gradient(problem.penalty_residuals(theta))
    hessian: jax.Array = jax.hessian(lambda t: jnp.vdot(residuals, problem.penalty_residuals(t)))(theta)
    return hessian


@kernel()
def bend_penalties(problem: Problem, theta: Theta, velocity: Theta) -> jax.Array:
    """Return J'a of the penalties, shape (free,), where a is their second derivative along `velocity`."""

    def slope(t: jax.Array) -> jax.Array:
        first: jax.Array = jax.jvp(problem.penalty_residuals, (t,), (velocity,))[1]
        return first

    second = jax.jvp(slope, (theta,), (velocity,))[1]
    bent: jax.Array = jax.vjp(problem.penalty_residuals, theta)[1](second)[0]
    return bent
