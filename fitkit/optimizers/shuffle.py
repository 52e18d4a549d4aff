"""A new order of the rows for each pass, without a permutation in compiled code: an index is computed when it is needed.

A permutation is drawn once, on the host. The order of a pass is that permutation after a bijection of the positions which
the seed and the number of the pass choose: position -> multiplier position + shift modulo the rows, then rounds of the
swap-or-not shuffle, in each of which i changes places with (key - i) modulo the rows if a bit that is hashed from the larger
of the two says so. All is integer arithmetic on a batch of positions, which costs less than looking an index up in memory.

Reference: V. T. Hoang, B. Morris and P. Rogaway, An Enciphering Scheme Based on a Card Shuffle, CRYPTO 2012 (swap-or-not).
"""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

from fitkit.backend import jnp
from fitkit.hashing import hashed, salted

ROUNDS = 8
MULTIPLIERS = 256
"""How many multipliers there are to choose from."""


class Order(NamedTuple):
    """What all passes have in common."""

    base: Any
    """A permutation of the rows, shape (rows,)."""
    multipliers: Any
    """Numbers that have no divisor in common with the number of rows, shape (MULTIPLIERS,)."""
    seed: Any


class PassOrder(NamedTuple):
    """What chooses the order of one pass."""

    multiplier: Any
    shift: Any
    keys: Any
    """One number below the number of rows for each round, shape (ROUNDS,)."""
    salts: Any
    """What the hash of each round is salted with, shape (ROUNDS,)."""


def draw_order(rows: int, seed: int) -> Order:
    """Return the permutation and the multipliers that a seed draws for so many rows, fewer than 2**31."""
    import numpy as np

    random = np.random.default_rng([seed, rows])
    found: list[int] = []
    while len(found) < MULTIPLIERS:
        candidates = random.integers(1, max(2, rows), MULTIPLIERS)
        found += [int(c) for c in candidates if gcd(int(c), rows) == 1]
    base = random.permutation(rows).astype(np.int32)
    return Order(base, np.array(found[:MULTIPLIERS], np.int64), np.uint32(random.integers(2**32)))


def order_of_pass(order: Order, number: Any) -> PassOrder:
    """Return what chooses the order of the pass with this number, counted from zero."""
    rows = order.base.shape[0]
    counter = jnp.arange(2 * ROUNDS + 2, dtype=jnp.uint32) + jnp.asarray(number, jnp.uint32) * jnp.uint32(
        2 * ROUNDS + 2
    )
    words = salted(counter, order.seed)
    return PassOrder(
        multiplier=order.multipliers[words[0] % MULTIPLIERS],
        shift=(words[1] % rows).astype(jnp.int64),
        keys=(words[2 : 2 + ROUNDS] % rows).astype(jnp.int32),
        salts=words[2 + ROUNDS :],
    )


def rows_of_batch(order: Order, chosen: PassOrder, batch: Any, size: int) -> Any:
    """Return the row numbers at the positions of a batch, shape (size,); positions past the last row begin again."""
    rows = order.base.shape[0]
    steps = (jnp.arange(size, dtype=jnp.int64) * chosen.multiplier % rows).astype(jnp.int32)
    first = ((batch * (size * chosen.multiplier % rows) + chosen.shift) % rows).astype(jnp.int32)
    index = _wrapped(first + steps - rows, rows)
    for number in range(ROUNDS):
        partner = _wrapped(chosen.keys[number] - index, rows)
        larger = jnp.maximum(index, partner).astype(jnp.uint32)
        index = jnp.where(hashed(larger ^ chosen.salts[number]) >> 31 == 1, partner, index)
    return order.base.at[index].get(mode="promise_in_bounds")


def _wrapped(index: Any, rows: int) -> Any:
    """Return an index between -rows and rows modulo rows."""
    return jnp.where(index < 0, index + rows, index)
