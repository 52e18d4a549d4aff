"""What L-BFGS has learned of curvature, in compact form: a product with the inverse Hessian is two of a thin matrix.

With the moves s in the rows of S, the changes of gradient y in those of Y, R the part of S Y' in which the move is not the
younger, and D its diagonal, the two-loop recursion from a first metric M is

    H g = M g - Z'a + S' W'(D a + Y Z'a - Z g),    Z = Y M,  W = R^-1,  a = W S g.

The order of age is in W alone, which grows by a column with each pair: [R r; 0 d]^-1 = [W, -W r / d; 0, 1 / d], and loses the
row and the column of the oldest as it is, because that comes first. So pairs lie in a ring, and nothing is ever moved.

Reference: R. H. Byrd, J. Nocedal and R. B. Schnabel, Representations of quasi-Newton matrices and their use in limited memory
methods, Mathematical Programming 63 (1994), theorem 2.2.
"""

from __future__ import annotations

from typing import NamedTuple

from fitkit.backend import jax, jnp, lax
from fitkit.types import FreeMask, Scalar, Theta, Truth, WholeScalar


class CompactCurvature(NamedTuple):
    """The last pairs of move and change of gradient, and what the inverse Hessian over the parameters that move needs."""

    slopes: jax.Array
    """Y, shape (memory, free), in a ring; zero where there is none yet."""
    pairs: jax.Array
    """S above Z, shape (2 memory, free), Z over the parameters that move."""
    products: jax.Array
    """s'y of each pair over all parameters, shape (memory,); zero marks an empty place."""
    following: WholeScalar
    """The place of the next pair; the newest stands before it."""
    inverse: jax.Array
    """W, shape (memory, memory); zero in the rows and columns of pairs of no use."""
    diagonal: jax.Array
    """D, shape (memory,)."""
    measured: jax.Array
    """Y Z', shape (memory, memory)."""
    scale: Scalar
    """s'y / y'My of the newest pair, by which M is multiplied; 1 before any."""
    movable: FreeMask
    """The parameters that this is for, shape (free,)."""


def without_pairs(memory: int, theta: Theta) -> CompactCurvature:
    """Return what is known before the first move from theta, shape (free,)."""
    square, row = jnp.zeros((memory, memory), theta.dtype), jnp.zeros(memory, theta.dtype)
    slopes, pairs = jnp.zeros((memory, theta.size), theta.dtype), jnp.zeros((2 * memory, theta.size), theta.dtype)
    one = jnp.ones((), theta.dtype)
    return CompactCurvature(slopes, pairs, row, jnp.asarray(0), square, row, square, one, jnp.ones(theta.size, bool))


def with_pair(
    known: CompactCurvature, step: Theta, slope: Theta, product: Scalar, *, moved: Truth, positive: Truth
) -> CompactCurvature:
    """Return the curvature with one more pair where its own, s'y, is positive; without a move all pairs are forgotten."""
    place = known.following
    products = known.products.at[place].set(jnp.where(positive, product, known.products[place]))
    return known._replace(
        pairs=known.pairs.at[place].set(jnp.where(positive, step, known.pairs[place])),
        slopes=known.slopes.at[place].set(jnp.where(positive, slope, known.slopes[place])),
        products=jnp.where(moved, products, 0.0),
        following=jnp.where(positive, (place + 1) % products.shape[0], place),
        inverse=jnp.where(moved, known.inverse, 0.0),
        scale=jnp.where(moved, known.scale, 1.0),
    )


def measured_for(known: CompactCurvature, metric: jax.Array, movable: FreeMask, fresh: WholeScalar) -> CompactCurvature:
    """Return the curvature over the movable parameters, with the newest `fresh` pairs taken in.

    Where others move than before, that is to be all of them. Cutting a pair down may cost it its positive curvature: such a
    pair is passed over.

    Args:
        known: the pairs.
        metric: M, shape (free, free) or, of a diagonal, (free,).
        movable: shape (free,).
        fresh: how many pairs are new: 0, 1 or, to begin anew, as many as are remembered.
    """
    memory = known.products.shape[0]
    places, same = jnp.arange(memory), fresh < memory
    start = known._replace(
        inverse=jnp.where(same, known.inverse, 0.0), scale=jnp.where(same, known.scale, 1.0), movable=movable
    )

    def take_in(age: WholeScalar, now: CompactCurvature) -> CompactCurvature:
        place = (now.following + age) % memory
        slope = jnp.where(movable, now.slopes[place], 0.0)
        pairs = now.pairs.at[memory + place].set(_apply(metric, slope, movable))
        both = pairs @ slope
        beside, sizes = both[:memory], both[memory:]
        product, whole = beside[place], now.products[place]
        usable = (whole > 0) & (product > 1e-14 * jnp.abs(whole))
        divisor = jnp.where(usable, product, 1.0)
        here = places == place
        older = jnp.where(here[:, None] | here, 0.0, now.inverse)
        column = jnp.where(here, 1.0, -(older @ beside)) / divisor
        length = sizes[place]
        scaled = usable & (length > 0)
        return now._replace(
            pairs=pairs,
            inverse=jnp.where(here & usable, column[:, None], older),
            diagonal=jnp.where(here, product, now.diagonal),
            measured=jnp.where(here[:, None], sizes, jnp.where(here, sizes[:, None], now.measured)),
            scale=jnp.where(scaled, product / jnp.where(scaled, length, 1.0), 1.0),
        )

    found: CompactCurvature = lax.fori_loop(memory - fresh, memory, take_in, start)
    return found


def inverse_product(known: CompactCurvature, metric: jax.Array, gradient: Theta) -> Theta:
    """Return H g over the movable parameters, shape (free,)."""
    memory, slope = len(known.products), jnp.where(known.movable, gradient, 0.0)
    both = known.pairs @ slope
    shares = known.inverse @ both[:memory]
    back = (known.diagonal * shares + known.scale * (known.measured @ shares - both[memory:])) @ known.inverse
    learned = jnp.concatenate([back, -known.scale * shares]) @ known.pairs
    return jnp.where(known.movable, known.scale * _apply(metric, slope, known.movable) + learned, 0.0)


def _apply(metric: jax.Array, vector: Theta, movable: FreeMask) -> Theta:
    product = metric @ vector if metric.ndim == 2 else metric * vector
    return jnp.where(movable, product, 0.0)
