"""The compiled kernels of smooth objectives: value, gradient and Hessian, and conjugate gradients on Hessian products."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fitkit.backend import array, jax, jnp, kernel, lax
from fitkit.optimizers.row_blocks import hessian_of_weighted_sum, value_and_gradient, weighs_inputs
from fitkit.problem import Problem
from fitkit.types import FreeMask, Scalar, Theta, Truth, WholeScalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

AT_ONCE = 2**24
"""Numbers of a Hessian's rows that are worked on together: 128 MB; more are done in turn."""


class SmoothExpansion(NamedTuple):
    """An objective near a point."""

    value: Scalar
    gradient: Theta
    """Shape (free,)."""
    hessian: jax.Array
    """Shape (free, free)."""
    convex: Truth
    """Whether the cost of each row is known to be convex in theta there."""


@kernel()
def expand_smooth(problem: Problem, theta: Theta, every: WholeScalar | int = 1) -> SmoothExpansion:
    """Return the objective, its gradient and its exact Hessian, by forward over reverse mode.

    Of a weighted sum of inputs only every so manieth block of rows is in the Hessian, as `hessian_of_weighted_sum` says.
    """
    value, gradient = value_and_gradient(problem, theta)
    size = theta.shape[0]
    unknown = jnp.asarray(False)  # noqa: FBT003 - a traced truth value
    if size == 0:
        return SmoothExpansion(value, gradient, jnp.zeros((0, 0), theta.dtype), unknown)
    by_products = hessian_of_weighted_sum(problem, theta, every)
    if by_products is not None:
        return SmoothExpansion(value, gradient, *by_products)
    rows = 1 if problem.rows is None else len(problem.rows)
    if size * rows <= AT_ONCE:
        return SmoothExpansion(value, gradient, jax.hessian(problem.objective)(theta), unknown)
    columns = lax.map(
        lambda v: hessian_product(problem, theta, v),
        jnp.eye(size, dtype=theta.dtype),
        batch_size=max(1, AT_ONCE // rows),
    )
    return SmoothExpansion(value, gradient, columns, unknown)


def expansion_at(problem: Problem, theta: Vector, every: int = 1) -> SmoothExpansion:
    """Return that at theta, shape (free,), by the one program of all who ask, whatever `every` is."""
    size, rows = len(theta), 1 if problem.rows is None else len(problem.rows)
    found = expand_smooth.for_work(size * size * rows)
    point = array(theta, problem.lower.dtype)
    return found(problem, point, array(every, int)) if weighs_inputs(problem) else found(problem, point)


@kernel()
def slope_of(problem: Problem, theta: Theta) -> tuple[Scalar, Theta]:
    """Return the objective and its gradient."""
    return value_and_gradient(problem, theta)


def hessian_product(problem: Problem, theta: Theta, direction: Theta) -> Theta:
    """Return H v, exactly, shape (free,)."""
    product: Theta = jax.jvp(lambda point: value_and_gradient(problem, point)[1], (theta,), (direction,))[1]
    return product


@kernel()
def product_with(problem: Problem, theta: Theta, direction: Theta) -> Theta:
    """Return H v, shape (free,)."""
    return hessian_product(problem, theta, direction)


def product_at(problem: Problem, theta: Vector, direction: Vector) -> Vector:
    """Return that, shape (free,), of points of the host."""
    import numpy as np

    rows, dtype = 1 if problem.rows is None else len(problem.rows), problem.lower.dtype
    found = product_with.for_work(len(theta) * rows)(problem, array(theta, dtype), array(direction, dtype))
    return np.asarray(found, np.float64)


@kernel()
def hessian_diagonal(problem: Problem, theta: Theta) -> Theta:
    """Return the diagonal of H, shape (free,), from as many products as there are parameters."""

    def entry(index: WholeScalar) -> Scalar:
        unit = jnp.zeros_like(theta).at[index].set(1.0)
        return hessian_product(problem, theta, unit)[index]

    rows = 1 if problem.rows is None else len(problem.rows)
    diagonal: Theta = lax.map(entry, jnp.arange(theta.shape[0]), batch_size=max(1, min(64, AT_ONCE // rows)))
    return diagonal


class Walk(NamedTuple):
    """Where conjugate gradients led."""

    step: Theta
    product: Theta
    """H times the step."""
    inside: Truth
    """Whether they ended by their tolerance, inside the trust region and without meeting negative curvature."""
    convex: Truth
    """Whether every direction on the way had positive curvature."""
    solved: Truth
    """Whether the tolerance was reached, inside and within the products that were allowed."""


class _Carry(NamedTuple):
    walk: Walk
    residual: Theta
    direction: Theta
    products: WholeScalar
    done: Truth


@kernel()
def conjugate_gradients(
    problem: Problem,
    theta: Theta,
    slope: Theta,
    scale: Theta,
    movable: FreeMask,
    radius: Scalar,
    tolerance: Scalar,
    most: WholeScalar | int,
) -> Walk:
    """Return the step of Steihaug's method for min slope'p + p'Hp/2 with |D p| <= radius over the movable parameters.

    It works in the coordinates D p, and ends on the sphere where it leaves it or meets negative curvature, or after `most`
    products with the Hessian.
    Reference: T. Steihaug, The conjugate gradient method and trust regions in large scale optimization, SIAM Journal on
    Numerical Analysis 20 (1983).
    """
    masked = jnp.where(movable, slope / scale, 0.0)
    goal = tolerance * jnp.linalg.norm(masked)

    def product(v: Theta) -> Theta:
        return jnp.where(movable, hessian_product(problem, theta, v / scale) / scale, 0.0)

    def advance(c: _Carry) -> _Carry:
        along = product(c.direction)
        curvature, squared = jnp.vdot(c.direction, along), jnp.vdot(c.residual, c.residual)
        convex = curvature > 0
        length = squared / jnp.where(convex, curvature, 1.0)
        leaves = ~convex | (jnp.linalg.norm(c.walk.step + length * c.direction) >= radius)
        length = jnp.where(leaves, _to_sphere(c.walk.step, c.direction, radius), length)
        residual = c.residual + length * along
        walk = Walk(
            c.walk.step + length * c.direction,
            c.walk.product + length * along,
            ~leaves,
            c.walk.convex & convex,
            ~leaves,
        )
        reached = jnp.linalg.norm(residual) <= goal
        direction = -residual + jnp.vdot(residual, residual) / squared * c.direction
        return _Carry(walk, residual, direction, c.products + 1, leaves | reached)

    zero = jnp.zeros_like(theta)
    true = jnp.asarray(True)  # noqa: FBT003 - a traced truth value
    opening = _Carry(Walk(zero, zero, true, true, true), masked, -masked, jnp.asarray(0), goal <= 0)
    end = lax.while_loop(lambda c: ~c.done & (c.products < most), advance, opening)
    walk = end.walk
    return walk._replace(step=walk.step / scale, product=walk.product * scale, solved=walk.inside & end.done)


def _to_sphere(step: Theta, direction: Theta, radius: Scalar) -> Scalar:
    """Return the t >= 0 for which |step + t direction| = radius, from a step inside."""
    a, b = jnp.vdot(direction, direction), jnp.vdot(step, direction)
    c = radius**2 - jnp.vdot(step, step)
    return c / (b + jnp.sqrt(jnp.maximum(b**2 + a * c, 0.0)))
