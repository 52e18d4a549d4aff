"""The linear algebra of the compiled search: of the size of theta, in as few operations as can be, as each is compiled anew."""

from __future__ import annotations

from typing import NamedTuple

from fitkit.backend import jax, jnp, lax
from fitkit.optimizers.exact_newton import EPSILON, SHAKING
from fitkit.optimizers.lm_constants import FORGETTING
from fitkit.optimizers.search_decision import pick


class Step(NamedTuple):
    """A step from a point, Newton's or a damped one, and what it foretells."""

    extra: jax.Array
    move: jax.Array
    """Shape (free,)."""
    velocity: jax.Array
    """Of the damped step, whichever is made, shape (free,)."""
    half: jax.Array
    """Of a Newton step H with H H' the Hessian's inverse, shape (free, free)."""
    sizes: jax.Array
    """Of a Newton step g' H^-1 g and the extreme eigenvalues; of a damped one |D a|², |D v|² and the decrease foretold."""


def triangle(tall: jax.Array) -> jax.Array:
    """Return R of the QR factorization of a matrix, shape (columns, columns)."""
    import numpy as np

    rows, size = tall.shape
    tall = jnp.pad(tall, ((0, max(0, size - rows)), (0, 0)))  # as many rows as parameters, and the residual beside them
    raw = jnp.linalg.qr(tall, mode="raw")[0].T  # LAPACK's own, without Q
    return pick(np.triu(np.ones((size, size), bool)), raw[:size], 0.0)


def solved(factor: jax.Array) -> jax.Array:
    """Return [R^-1, -R^-1 q] of [R q], shape (free, free + 1)."""
    import numpy as np

    size = factor.shape[0] - 1
    corner = np.zeros((size + 1, size + 1), bool)
    corner[size, size] = True
    whole = lax.linalg.triangular_solve(pick(corner, 1.0, factor), jnp.eye(size + 1), left_side=True, lower=False)
    return whole[:size]


def lengths_of(factor: jax.Array) -> jax.Array:
    """Return the lengths of the columns, ones where they are zero."""
    squares = jnp.sum(factor * factor, 0)
    return jnp.sqrt(pick(squares > 0, squares, 1.0))


def damped_system(factor: jax.Array, scale: jax.Array, damping: jax.Array) -> jax.Array:
    """Return [T^-1, -T^-1 p], shape (free, free + 1), of T and p in the QR factorization of [R/D, q; sqrt(damping), 0]."""
    import numpy as np

    size = scale.shape[0]
    upper = factor[:size] / lax.concatenate([scale, jnp.ones(1)], 0)
    both = lax.concatenate([upper, jnp.sqrt(damping) * np.eye(size, size + 1)], 0)
    return solved(triangle(both))


def bent_step(
    system: jax.Array,
    scale: jax.Array,
    damping: jax.Array,
    gradient: jax.Array,
    bend: jax.Array,
    extra: jax.Array,
) -> Step:
    """Return the damped step with half its geodesic acceleration."""
    size = scale.shape[0]
    outward, straight = system[:, :size], system[:, size]
    bent = -jnp.sum(outward * jnp.sum(outward * (bend / scale)[:, None], 0), 1)
    foretold = damping * straight**2 - gradient * straight / scale
    sizes = jnp.sum(jnp.stack([bent**2, straight**2, foretold]), 1)
    return Step(extra, (straight + bent / 2) / scale, straight / scale, jnp.zeros((size, size)), sizes)


def newton_step(
    factor: jax.Array, norms: jax.Array, gradient: jax.Array, extra: jax.Array, velocity: jax.Array
) -> Step:
    """Return the step on the Hessian, whitened as in `exact_newton` but with R^-1, which leaves the eigenvalues as they are.

    `extra` is S with the scale of columns of length one, shape (free, free).
    """
    size = norms.shape[0]
    extra = pick(jnp.isfinite(jnp.sum(extra)), extra, 0.0)
    inverse = solved(factor)[:, :size]
    whitening = inverse * norms[:, None]
    whitened = jnp.eye(size) + whitening.T @ (extra @ whitening)
    vectors, values = lax.linalg.eigh(whitened, symmetrize_input=False)
    half = inverse @ (vectors / jnp.sqrt(jnp.abs(values)))
    reduced = jnp.sum(half * gradient[:, None], 0)
    sizes = jnp.stack([jnp.sum(reduced * reduced), values[0], values[size - 1]])
    return Step(extra, -jnp.sum(half * reduced, 1), velocity, half, sizes)


def shares(move: jax.Array, theta: jax.Array, largest: jax.Array) -> jax.Array:
    """Return the moves relative to their parameters, as `relative_length` has it, shape (free,)."""
    size = pick(theta == 0, largest, jnp.abs(theta))
    return pick(move == 0, 0.0, pick(size > 0, jnp.abs(move) / size, 1.0))


def inside(move: jax.Array, room: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Return which components of a move stay off the walls, shape (free,)."""
    return (move > room[0]) & (move < room[1])


def next_scale(begins: jax.Array, scale: jax.Array, squares: jax.Array, theta: jax.Array) -> jax.Array:
    """Return D at a new point, by the rule of `lm`."""
    size = theta.shape[0]
    norms = jnp.sqrt(squares[:size])
    own = pick(theta != 0, jnp.abs(theta), jnp.inf)
    least = pick(norms > 0, EPSILON * jnp.sqrt(squares[size]) / own, 0.0)
    return jnp.maximum(pick(begins, 1.0, FORGETTING) * scale, jnp.maximum(norms, least))


def last_places(theta: jax.Array) -> jax.Array:
    """Return moves by one or two last places up or down in each parameter, as `exact_newton` has them, shape (moves, free)."""
    import numpy as np

    chosen = np.array(SHAKING)[(np.arange(theta.shape[0]) + np.arange(len(SHAKING))[:, None]) % len(SHAKING)]
    # Three quarters of an epsilon are more than half a last place and less than one and a half.
    once = theta + 0.75 * EPSILON * np.sign(chosen) * jnp.abs(theta)
    twice = once + 0.75 * EPSILON * np.where(np.abs(chosen) > 1, np.sign(chosen), 0) * jnp.abs(once)
    moves: jax.Array = twice - theta
    return moves
