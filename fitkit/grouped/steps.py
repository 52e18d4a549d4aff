"""Levenberg-Marquardt for all lanes of a chunk in lock step, and the polish that ends it.

With A = J'J (or half the Hessian), g = -J'r, and D² the largest A_jj so far, slowly forgotten, a step is

    (A + damping D²) d = g,

over what may move and no bound holds. Nielsen's rule moves the damping. When a step would remove less than a millionth of
the objective the lane waits for the others, and all are polished at once: a Newton step on the whole Hessian J'J + S, and
another with the same factor from where it led. The second contracts the error by the first, so its length bounds what is
left, and that is the evidence of convergence. Every acceptance is a comparison that holds: with NaN none does, so that a
lane without numbers ends where it began, and its neighbours never see it.

Reference: K. Madsen, H. B. Nielsen and O. Tingleff, Methods for Non-Linear Least Squares Problems, DTU 2004, section 3.2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fitkit.backend import jax, jnp, lax
from fitkit.grouped.elimination import Factor, diagonal, lifted, product, restricted, scaled
from fitkit.grouped.lane_rows import Expansion, LaneProblem

LIGHT = 1e-2
"""The most damping at which the length of a step says anything."""
HOPELESS = 1e16
"""A damping at which no step does anything."""
FORGETTING = 0.64
"""D² follows falling diagonals by this factor a step."""
NEARBY = 1e-4
"""The share of the objective that the first Newton step may remove, or else the share of a parameter that it may move:
from farther away it may lead to another minimum."""
ROUNDING = (100 * 2.0**-52) ** 2
"""A decrease below this share of the squared targets is rounding."""


class State(NamedTuple):
    """Where the lanes stand, lanes last."""

    theta: jax.Array
    at: Expansion
    scale: jax.Array
    """D², shape (free, lanes)."""
    largest: jax.Array
    """The largest |theta_j| so far."""
    damping: jax.Array
    growth: jax.Array
    waiting: jax.Array
    """Which lanes have come near a minimum, or nowhere."""
    steps: jax.Array


def descend(
    lanes: LaneProblem, theta: jax.Array, damping: jax.Array, floor: jax.Array, most: Any, offset: Any
) -> State:
    """Return the lanes after at most `most` steps each.

    Args:
        lanes: their problems.
        theta: where they begin, within the bounds, shape (free, lanes).
        damping: of the first step, shape (lanes,).
        floor: a decrease that is rounding, shape (lanes,).
        most: a limit that is traced, so that another limit is no other program.
        offset: the share of the objective that a step may still remove when a lane is ready for its polish; traced too.
    """
    begun = _begin(lanes.expand(theta), theta, damping)

    def running(carry: tuple[jax.Array, State]) -> jax.Array:
        return jnp.logical_and(carry[0] < most, jnp.any(~carry[1].waiting))

    def step(carry: tuple[jax.Array, State]) -> tuple[jax.Array, State]:
        return carry[0] + 1, _step(lanes, carry[1], floor, offset)

    ended: State = lax.while_loop(running, step, (jnp.asarray(0), begun))[1]
    return ended


def _begin(at: Expansion, theta: jax.Array, damping: jax.Array) -> State:
    size, lanes = theta.shape
    curved = jnp.abs(diagonal(at.bend, size))
    return State(
        theta=theta,
        at=at,
        scale=jnp.where(curved > 0, curved, 1.0),
        largest=jnp.abs(theta),
        damping=damping,
        growth=jnp.full(lanes, 2.0, theta.dtype),
        waiting=~jnp.isfinite(at.value),
        steps=jnp.zeros(lanes, jnp.int32),
    )


def free_of_bounds(lanes: LaneProblem, theta: jax.Array, slope: jax.Array) -> jax.Array | None:
    """Return which parameters are not pressed against a bound, shape (free, lanes); None where there are no bounds."""
    if not lanes.shape.bounded:
        return None
    lower, upper = lanes.problem.lower[:, None], lanes.problem.upper[:, None]
    return ~(((theta <= lower) & (slope < 0)) | ((theta >= upper) & (slope > 0)))


def _step(lanes: LaneProblem, state: State, floor: jax.Array, offset: Any) -> State:
    at, size = state.at, lanes.size
    free = free_of_bounds(lanes, state.theta, at.slope)
    slope = at.slope if free is None else jnp.where(free, at.slope, 0.0)
    curved = jnp.abs(diagonal(at.bend, size))
    scale = lax.rsqrt(jnp.where(curved > 0, curved, state.scale))
    matrix = lifted(scaled(at.bend, scale), state.damping * state.scale * scale**2)
    if free is not None:
        matrix = restricted(matrix, free)
    move = scale * Factor(matrix, size).solve(scale * slope)
    trial = state.theta + move
    if lanes.shape.bounded:
        trial = jnp.clip(trial, lanes.problem.lower[:, None], lanes.problem.upper[:, None])
        move = trial - state.theta
    # What the quadratic model foretells of the whole step, and what it would of a step without damping.
    foretold = (2 * move * at.slope - move * product(at.bend, move)).sum(axis=0)
    gain = (move * slope).sum(axis=0)
    there = lanes.expand(trial)
    ratio = (at.value - there.value) / foretold
    known = jnp.isfinite(there.value + jnp.abs(there.slope).sum(axis=0) + jnp.abs(there.bend).sum(axis=0))
    taken = (ratio > 1e-4) & (foretold > 0) & known & ~state.waiting
    small = (jnp.abs(gain) <= jnp.maximum(_near(lanes, state, move, offset), floor)) & (state.damping <= LIGHT)
    lost = (state.damping > HOPELESS) | ~jnp.isfinite(state.damping)
    softer = jnp.maximum(1e-16, state.damping * jnp.maximum(0.1, 1 - (2 * jnp.minimum(ratio, 1.0) - 1) ** 3))
    bends = jnp.abs(diagonal(there.bend, size))
    return State(
        theta=jnp.where(taken, trial, state.theta),
        at=Expansion(*(jnp.where(taken, new, old) for new, old in zip(there, at, strict=True))),
        scale=jnp.where(taken, jnp.maximum(FORGETTING * state.scale, bends), state.scale),
        largest=jnp.where(taken, jnp.maximum(state.largest, jnp.abs(trial)), state.largest),
        damping=jnp.where(taken, softer, jnp.where(state.waiting, state.damping, state.damping * state.growth)),
        growth=jnp.where(taken, 2.0, jnp.where(state.waiting, state.growth, state.growth * 2)),
        waiting=state.waiting | small | lost,
        steps=state.steps + ~state.waiting,
    )


def _near(lanes: LaneProblem, state: State, move: jax.Array, offset: Any) -> jax.Array:
    """Return the gain at which a lane is near enough: of squares a share of themselves, else none but by the step."""
    if lanes.shape.squares:
        share: jax.Array = offset * state.at.value
        return share
    # An objective that may be zero or negative has no size of its own.
    short = jnp.all(jnp.abs(move) <= 1e-3 * jnp.maximum(jnp.abs(state.theta), 1e-3 * state.largest), axis=0)
    return jnp.where(short, jnp.inf, -1.0)


class Polished(NamedTuple):
    """The lanes after two Newton steps, where these led to a minimum; else as they were."""

    theta: jax.Array
    at: Expansion
    """One step before theta, where derivatives have the same digits that matter."""
    value: jax.Array
    """The objective at theta, shape (lanes,)."""
    last: jax.Array
    """The second step, shape (free, lanes)."""
    free: jax.Array
    """What no bound holds, shape (free, lanes)."""
    sound: jax.Array
    """Which lanes were polished, shape (lanes,)."""


def polish(lanes: LaneProblem, state: State, floor: jax.Array) -> Polished:
    """Return the lanes after a Newton step and another with the same matrix."""
    at, size = state.at, lanes.size
    whole = at.bend + lanes.curvature(state.theta) if lanes.shape.squares else at.bend
    held = free_of_bounds(lanes, state.theta, at.slope)
    free = jnp.ones(state.theta.shape, bool) if held is None else held
    curved = diagonal(whole, size)
    scale = lax.rsqrt(jnp.where(free, curved, 1.0))  # NaN for a negative curvature: not a minimum's
    factor = Factor(restricted(scaled(whole, scale), free), size)

    def newton(slope: jax.Array) -> tuple[jax.Array, jax.Array]:
        over = jnp.where(free, slope, 0.0)
        step = jnp.where(free, scale * factor.solve(jnp.where(free, scale * over, 0.0)), 0.0)
        return step, (step * over).sum(axis=0)

    first, decrement = newton(at.slope)
    middle = state.theta + first
    there = lanes.expand(middle)
    last, left = newton(there.slope)
    theta = middle + last
    own = jnp.maximum(jnp.abs(state.theta), 1e-3 * state.largest)
    longest = jnp.max(jnp.abs(first) / jnp.where(own > 0, own, 1.0), axis=0)
    calmer = (left <= decrement / 4) | (decrement <= floor) | (longest <= 1e-11)
    near = (decrement <= NEARBY * at.value) if lanes.shape.squares else longest <= NEARBY**0.5
    sound = jnp.all(jnp.isfinite(theta), axis=0) & calmer & (near | (decrement <= floor))
    sound &= there.value <= at.value + 1e-9 * jnp.abs(at.value) + floor
    if lanes.shape.bounded:
        lower, upper = lanes.problem.lower[:, None], lanes.problem.upper[:, None]
        pressed = ~free & (((theta <= lower) & (there.slope < 0)) | ((theta >= upper) & (there.slope > 0)))
        inside = free & (theta > lower) & (theta < upper)
        sound &= jnp.all(pressed | inside, axis=0)
    return Polished(
        theta=jnp.where(sound, theta, state.theta),
        at=Expansion(*(jnp.where(sound, new, old) for new, old in zip(there, at, strict=True))),
        value=jnp.where(sound, jnp.where(there.value > left, there.value - left, there.value), at.value),
        last=last,
        free=free,
        sound=sound,
    )
