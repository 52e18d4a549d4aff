"""A problem near a point, as every lane sees it: value, half the gradient, and half the Hessian or what stands for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from fitkit.backend import jax, jnp
from fitkit.losses import KinkedLoss, ResidualLoss
from fitkit.parameters import Prior
from fitkit.problem import Problem
from fitkit.types import Rows, Scalar, Theta


class Expansion(NamedTuple):
    """The objective near theta: value + 2 slope.d + d.bend.d."""

    value: Scalar
    slope: Theta
    """J'r for a sum of squares, else half the gradient, shape (free,)."""
    bend: jax.Array
    """J'J for a sum of squares unless all of it is asked for, else half the Hessian, shape (free, free)."""


def of_lane(problem: Problem, target: Rows | None, weight: Rows | None, priors: Mapping[str, Prior] | None) -> Problem:
    """Return the problem with the targets, weights, shape (rows,), and priors of a lane; None keeps the problem's own."""
    if priors is not None:
        problem = replace(problem, priors=priors)
    rows = problem.rows
    if rows is None:
        return problem
    if target is not None:
        rows = replace(rows, target=target)
    if weight is None:
        return replace(problem, rows=rows)
    return replace(problem, rows=replace(rows, weight=weight), total_weight=jnp.sum(weight))


def squares(problem: Problem) -> bool:
    """Return whether the objective is a sum of squares; in compiled code the penalties are numbers that nobody can ask."""
    rounded = problem.smoothing is not None and isinstance(problem.loss, KinkedLoss)
    return rounded or isinstance(problem.loss, ResidualLoss)


def expand(problem: Problem, theta: Theta, *, exact: bool) -> Expansion:
    """Return the expansion at theta, shape (free,); of a sum of squares too with its Hessian if `exact`."""
    if squares(problem) and not exact:
        residuals, columns = _residuals_and_columns(problem, theta)
        return Expansion(residuals @ residuals, columns @ residuals, columns @ columns.T)
    value, gradient = jax.value_and_grad(problem.objective)(theta)
    return Expansion(value, gradient / 2, jax.hessian(problem.objective)(theta) / 2)


def _residuals_and_columns(problem: Problem, theta: Theta) -> tuple[Rows, jax.Array]:
    """Return the residuals of rows and penalties, and the columns of their Jacobian, shape (free, residuals)."""

    def residuals(t: Theta) -> Rows:
        rows = problem.rows
        if rows is None:
            raise AssertionError("least squares has rows")
        return jnp.concatenate([problem.row_residuals(t, rows), problem.penalty_residuals(t)])

    def along(tangent: jax.Array) -> tuple[Rows, Rows]:
        both: tuple[Rows, Rows] = jax.jvp(residuals, (theta,), (tangent,))
        return both

    found: tuple[Rows, jax.Array] = jax.vmap(along, out_axes=(None, 0))(jnp.eye(theta.shape[0], dtype=theta.dtype))
    return found
