"""What the compiled search knows in single numbers, and what it makes of the point that a turn of its loop found."""

from __future__ import annotations

from typing import Any, NamedTuple

from fitkit.backend import jax, jnp, lax
from fitkit.optimizers.exact_newton import FLAT, WHITENED_UP_TO
from fitkit.optimizers.lm_constants import (
    BEND_LIMIT,
    CRAWLING,
    LEAST_DAMPING,
    MOST_PATIENCE,
    MOST_POLISHING,
    POLISH_BELOW,
    SHORT,
)
from fitkit.optimizers.stopping import Measures, Reason, StopRule, judge

HOST = -1
"""The status where host steps have to go on."""
SINGULAR = 1e24
"""The square of a condition number of the scaled Jacobian, from above, from which on it is the host's."""
UNDERFLOW = 1e-280


def pick(test: Any, yes: Any, no: Any) -> jax.Array:
    """Return `jnp.where` of floats, which is traced and lowered as a function of its own each time, as one operation."""
    import numpy as np

    shape = np.broadcast_shapes(np.shape(test), np.shape(yes), np.shape(no))
    chosen: jax.Array = lax.select(
        _filled(test, shape, bool) if np.shape(test) else jnp.asarray(test, bool),
        _filled(yes, shape, np.float64),
        _filled(no, shape, np.float64),
    )
    return chosen


def either(test: Any, yes: Any, no: Any) -> Any:
    """Return the same of truths."""
    return (test & yes) | (~test & no)


def _filled(numbers: Any, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    import numpy as np

    known = np.shape(numbers)
    converted = lax.convert_element_type(numbers, dtype)
    if known == shape:
        return converted
    return lax.broadcast_in_dim(converted, shape, tuple(range(len(shape) - len(known), len(shape))))


class Numbers(NamedTuple):
    """The state of the search but for what is as long as theta; all of them float64, so that they fit into one array."""

    damping: Any
    growth: Any
    value: Any
    """The sum of squares."""
    theta_change: Any
    offset: Any
    """|Q'r| / |r|; too large where the Jacobian is singular."""
    singular: Any
    wait: Any
    patience: Any
    crawled: Any
    evaluations: Any
    step: Any
    begins: Any
    """1 until the first point has been looked at."""
    looks: Any
    """1 if S is wanted at the first point, and no step."""
    left: Any
    """Newton steps that may still be made after the tolerance was met."""
    polished: Any
    """1 if one of them was."""
    reason: Any
    """Why the search ended, for the time after that."""
    known: Any
    """1 if the last S is that of the last point taken."""
    status: Any
    """0 while it goes on, then a `Reason` or `HOST`."""
    turns: Any
    rows: Any
    """Points taken, those after the tolerance was met counting as one."""
    taken: Any
    """1 if the last turn's point was."""

    @classmethod
    def of(cls, packed: jax.Array) -> Numbers:
        """Return the numbers by name."""
        return cls(*(lax.index_in_dim(packed, k, 0, keepdims=False) for k in range(len(cls._fields))))

    def packed(self) -> jax.Array:
        """Return them side by side, shape (numbers,): by selection, as stacking would compile a program for each."""
        import numpy as np

        packed = jnp.zeros(len(self))
        for k, number in enumerate(self):
            packed = pick(np.arange(len(self)) == k, number, packed)
        return packed


class Found(NamedTuple):
    """What is known of a trial point."""

    step: jax.Array
    """See `Step.sizes`."""
    squares: jax.Array
    """The squared lengths of the columns of [J r], shape (free + 1,)."""
    maxima: jax.Array
    """Over the parameters: the cosine times |r|, the relative move, that of the damped step, 1 if beyond a bound, 1 if it
    moved."""
    sums: jax.Array
    """Over the parameters: the square of the condition number from above, over `free`; the slope in the metric of the Newton
    step, squared; and |Q'r|²."""


def is_newton(now: Numbers) -> Any:
    """Return whether the next step is Newton's: after the tolerance is met, or where `lm` tries to polish."""
    near = (now.offset < POLISH_BELOW) | (now.theta_change < SHORT)
    wanted = (now.wait <= 0) & (near | (now.crawled >= CRAWLING))
    return (now.begins == 0) & ((now.left > 0) | (now.looks > 0) | wanted)


def is_too_bent(newton: Any, sizes: jax.Array) -> Any:
    """Return whether a damped step, with its `Step.sizes`, has too long an acceleration to be tried."""
    return ~newton & ~(4 * sizes[0] <= BEND_LIMIT**2 * sizes[1])


def decide(now: Numbers, newton: Any, rule: StopRule, found: Found) -> tuple[jax.Array, Any, jax.Array]:
    """Return the numbers after a turn, side by side, whether the point found is taken, and its row of history, shape (3,)."""
    begins = now.begins > 0
    curved = is_too_bent(newton, found.step)
    accept, host, ratio = _judged(now, found, newton, curved)
    taken = accept & ~host & ~(newton & (now.looks > 0))
    total = found.squares[-1]
    measures = _measures(now, found, begins)
    step = now.step + pick(begins | (now.polished > 0), 0, 1)
    damped = _damped(now, taken, newton, begins, ratio)
    after = _ended(damped, now, newton, judge(rule, step, 0, measures, jnp), accept, taken)
    crawls = pick(now.value - total < 0.01 * total, now.crawled + 1, 0)
    singular = ~(found.sums[0] * (len(found.squares) - 1) < SINGULAR)
    numbers = after._replace(
        value=pick(taken, total, now.value),
        theta_change=pick(taken & ~begins, measures.theta_change, now.theta_change),
        offset=pick(taken, jnp.sqrt(found.sums[2] / total), now.offset),
        singular=pick(taken, singular, now.singular),
        crawled=pick(taken & ~begins, crawls, now.crawled),
        evaluations=now.evaluations + pick(curved, 0, 1),
        step=pick(taken, step, now.step),
        known=pick(taken, 0, pick(newton, 1, now.known)),
        status=pick(host, HOST, after.status),
        rows=now.rows + pick(taken & (now.polished == 0), 1, 0),
    )
    return numbers.packed(), taken, jnp.stack([total, measures.optimality, measures.theta_change])


def _judged(now: Numbers, found: Found, newton: Any, curved: Any) -> tuple[Any, Any, Any]:
    """Return whether the point found is good, whether the host has to go on, and the decrease over that foretold."""
    begins, beyond = now.begins > 0, found.maxima[3] > 0
    finite = jnp.isfinite(jnp.sum(found.squares))
    good, undecided = _newton_verdict(now, found)
    actual, foretold = now.value - found.squares[-1], found.step[2]
    ratio = pick((foretold > 0) & (foretold < jnp.inf), actual / foretold, 1.0)
    descends = (actual > 0) & (ratio > 1e-4) & ~curved
    accept = begins | (finite & (found.maxima[4] > 0) & either(newton, good, descends))
    short = ~newton & ~begins & ((found.maxima[2] < 1e-16) | (now.damping > 1e60))
    host = short | either(newton, undecided | (now.singular > 0) | (accept & beyond), finite & beyond)
    host = host | (accept & ~(finite & (found.squares[-1] > UNDERFLOW)))
    return accept, host, ratio


def _ended(after: Numbers, now: Numbers, newton: Any, code: Any, accept: Any, taken: Any) -> Numbers:
    """Return the numbers with whether and why the search ended: at a minimum only once its last digits are found."""
    finishing, looks = now.left > 0, now.looks > 0
    claims = (code >= Reason.GRADIENT_SMALL) & (code <= Reason.LOSS_FLAT) & ~looks
    left = pick(finishing, now.left - 1, pick(claims, MOST_POLISHING, 0))
    ended = finishing & either(accept, left == 0, newton)
    stops = taken & ~finishing & ~claims & ~looks
    status = pick(stops, code, pick(looks & newton, Reason.STALLED, 0))
    return after._replace(
        left=pick(taken, left, now.left),
        polished=pick(taken & finishing, 1, now.polished),
        reason=pick(taken & ~finishing & claims, code, now.reason),
        status=pick(ended, now.reason, status),
    )


def _newton_verdict(now: Numbers, found: Found) -> tuple[Any, Any]:
    """Return whether a Newton step is to be taken, and whether the host has to tell."""
    floor = FLAT * jnp.maximum(1.0, found.step[2])
    saddle = found.step[1] < -10 * floor
    flat = ~saddle & ~(found.step[1] > floor)
    whitened = jnp.maximum(-found.step[1], found.step[2]) <= WHITENED_UP_TO
    shrinks = 4 * found.sums[1] <= found.step[0]
    good = ~saddle & ~flat & (found.squares[-1] <= now.value * (1 + 1e-9)) & shrinks
    # On the way, a step whose metric has lost its digits is judged by what it gains; at the end, by the host.
    return good, either(whitened, flat, (now.left > 0) | (now.looks > 0))


def _measures(now: Numbers, found: Found, begins: Any) -> Measures:
    total = found.squares[-1]
    change = jnp.maximum((now.value - total) / now.value, found.sums[2] / total)
    return Measures(
        value=total,
        optimality=pick(total > 0, found.maxima[0] / jnp.sqrt(total), 0.0),
        value_change=pick(begins, jnp.nan, change),
        theta_change=pick(begins, jnp.nan, found.maxima[1]),
        moved=~begins,
        stalled=False,
        at_rounding=False,
        finite=jnp.isfinite(total),
    )


def _damped(now: Numbers, taken: Any, newton: Any, begins: Any, ratio: Any) -> Numbers:
    """Return the numbers with the damping, and the waits for Newton steps, after a turn."""
    softer = now.damping * jnp.maximum(1 / 3, 1 - (2 * jnp.minimum(ratio, 1e3) - 1) ** 3)
    softer = jnp.minimum(jnp.maximum(softer, LEAST_DAMPING), 1e20)
    harder = pick(newton, now.damping, now.damping * now.growth)
    waited = pick(begins, now.wait, pick(newton, 0, jnp.maximum(0, now.wait - 1)))
    failed = newton & ~taken
    return now._replace(
        damping=pick(taken, pick(newton | begins, now.damping, softer), harder),
        growth=pick(taken, pick(begins, now.growth, 2.0), pick(newton, now.growth, 2 * now.growth)),
        wait=pick(failed, now.patience, pick(taken, waited, now.wait)),
        patience=pick(failed, jnp.minimum(2 * now.patience, MOST_PATIENCE), now.patience),
        begins=pick(taken, 0, now.begins),
        turns=now.turns + 1,
        taken=taken,
    )
