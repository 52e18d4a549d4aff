"""The damped Newton steps of a batch: each lane for itself, all lanes in lock step.

With A the bend (J'J, or half the exact Hessian), g the slope and D² the largest |A_jj| so far, slowly forgotten, a step is

    (A + damping D²) d = -g,

over the parameters that may move and that no bound holds, cut to the bounds; it is taken if the objective falls by a share
of what the quadratic model foretells. A matrix that is not positive definite refuses the step, and more damping makes it
so: what converges is a minimum of the model, never its saddle.

Reference: K. Madsen, H. B. Nielsen and O. Tingleff, Methods for Non-Linear Least Squares Problems, DTU 2004, section 3.2,
for the rule of the damping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fitkit.backend import jax, jnp, kernel, lax
from fitkit.batched.definite import solve_definite
from fitkit.batched.expand import Expansion, expand, of_lane, squares
from fitkit.parameters import Prior
from fitkit.problem import Problem

RUNNING, CONVERGED, STUCK = 0, 1, 2
OFFSET = 1e-10
"""A sum of squares has converged when a step would remove at most this share of it: 1e-5 of the residual's length."""
SHORT = 1e-9
"""A lane has converged when a step moves no parameter by more than this share of itself."""
LIGHT_DAMPING = 1e-10
"""The most damping of a step that counts as evidence: a heavy one makes any step short."""
FORGETTING = 0.64
"""D² follows falling diagonals by this factor a step."""
NOISE = 1e-9
"""A step that foretells less than this share of the objective is judged kindly: differences are rounding there."""


NEAR = 1e-5
"""A step that moves no parameter by more than this share of itself may be judged by the slope."""


class LaneState(NamedTuple):
    """Each field has one row for each lane of the chunk."""

    theta: jax.Array
    at: Expansion
    scale: jax.Array
    """D², shape (lanes, free)."""
    largest: jax.Array
    """The largest |theta_j| so far."""
    damping: jax.Array
    growth: jax.Array
    code: jax.Array
    determined: jax.Array
    steps: jax.Array


@kernel("exact")
def walk(
    problem: Problem,
    theta: jax.Array,
    movable: jax.Array,
    damping: jax.Array,
    target: jax.Array | None,
    weight: jax.Array | None,
    priors: Mapping[str, Prior] | None,
    most: int,
    *,
    exact: bool,
) -> LaneState:
    """Return the lanes of a chunk after at most `most` steps each.

    Args:
        problem: shared by all lanes.
        theta: where they begin, within the bounds, shape (lanes, free).
        movable: which parameters they may move, shape (lanes, free).
        damping: of the first step, shape (lanes,).
        target: of each lane, shape (lanes, rows), or None for the problem's.
        weight: of the rows of each lane, shape (lanes, rows), or None for the problem's.
        priors: of each lane, with numbers of shape (lanes,), or None for the problem's.
        most: a limit that is traced, so that another limit is no other program.
        exact: use the whole Hessian of sums of squares: where residuals stay large, J'J leads there slowly.
    """

    def expand_lane(
        point: jax.Array,
        its_target: jax.Array | None,
        its_weight: jax.Array | None,
        its_priors: Mapping[str, Prior] | None,
    ) -> Expansion:
        return expand(of_lane(problem, its_target, its_weight, its_priors), point, exact=exact)

    def move_lane(state: LaneState, may: jax.Array) -> jax.Array:
        return _move(problem, state, may, state.damping)

    def settle_lane(state: LaneState, may: jax.Array, move: jax.Array, there: Expansion) -> LaneState:
        return _settle(problem, state, may, move, there)

    own = tuple(None if part is None else 0 for part in (target, weight, priors))
    expand_all = jax.vmap(expand_lane, in_axes=(0, *own))
    move_all, settle_all = jax.vmap(move_lane), jax.vmap(settle_lane)

    def running(carry: tuple[jax.Array, LaneState]) -> jax.Array:
        return jnp.logical_and(carry[0] < most, jnp.any(carry[1].code == RUNNING))

    def step(carry: tuple[jax.Array, LaneState]) -> tuple[jax.Array, LaneState]:
        count, state = carry
        move = move_all(state, movable)
        there = expand_all(_within(problem, state.theta, jnp.nan_to_num(move)), target, weight, priors)
        return count + 1, settle_all(state, movable, move, there)

    begun = _begin(theta, expand_all(theta, target, weight, priors), damping)
    ended: LaneState = lax.while_loop(running, step, (jnp.asarray(0), begun))[1]
    return ended


def _begin(theta: jax.Array, at: Expansion, damping: jax.Array) -> LaneState:
    diagonal = jnp.abs(jnp.diagonal(at.bend, axis1=1, axis2=2))
    finite = _finite(at, axes=(1, 2))
    lanes = theta.shape[0]
    return LaneState(
        theta=theta,
        at=at,
        scale=jnp.where(diagonal > 0, diagonal, 1.0),
        largest=jnp.abs(theta),
        damping=damping,
        growth=jnp.full(lanes, 2.0, theta.dtype),
        code=jnp.where(finite, RUNNING, STUCK),
        determined=jnp.zeros(lanes, bool),
        steps=jnp.zeros(lanes, int),
    )


def _finite(at: Expansion, axes: tuple[int, ...] | None = None) -> jax.Array:
    """Return whether every number is finite, by their sum: NaN and infinity never cancel to a number."""
    of_slope = None if axes is None else axes[:1]
    return jnp.isfinite(at.value + jnp.sum(jnp.abs(at.slope), axis=of_slope) + jnp.sum(jnp.abs(at.bend), axis=axes))


# -- one lane ---------------------------------------------------------------------------------------------------------------


def _free(problem: Problem, state: LaneState, movable: jax.Array) -> jax.Array:
    """Return which parameters may move and are not pressed against a bound, shape (free,)."""
    pressed_low = (state.theta <= problem.lower) & (state.at.slope > 0)
    pressed_high = (state.theta >= problem.upper) & (state.at.slope < 0)
    return movable & ~pressed_low & ~pressed_high


def _move(problem: Problem, state: LaneState, movable: jax.Array, damping: jax.Array) -> jax.Array:
    """Return the damped step, cut to the bounds, shape (free,); NaN where the matrix is not positive definite."""
    free = _free(problem, state, movable)
    diagonal = jnp.abs(jnp.diagonal(state.at.bend))
    shrink = jnp.where(free, 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, state.scale)), 0.0)
    scaled = state.at.bend * jnp.outer(shrink, shrink)
    lifted = scaled + jnp.diag(jnp.where(free, damping * state.scale * shrink**2, 1.0))
    # One on the diagonal after the damping as well, so that pivots can be compared with one.
    size = 1 / jnp.sqrt(jnp.maximum(jnp.abs(jnp.diagonal(lifted)), 1e-30))
    direction = shrink * size * solve_definite(lifted * jnp.outer(size, size), -state.at.slope * shrink * size)
    return _within(problem, state.theta, direction) - state.theta


def _within(problem: Problem, theta: jax.Array, move: jax.Array) -> jax.Array:
    """Return theta + move inside the bounds: a cut move need not lead back to a bound in floating point."""
    return jnp.clip(theta + move, problem.lower, problem.upper)


def _foretold(state: LaneState, move: jax.Array) -> jax.Array:
    """Return the decrease that the quadratic model foretells."""
    return -(2 * move @ state.at.slope + move @ state.at.bend @ move)


def _settle(problem: Problem, state: LaneState, movable: jax.Array, move: jax.Array, there: Expansion) -> LaneState:
    """Return the lane with the step taken or refused, its damping moved, and whether it has ended."""
    value, trial = jnp.abs(state.at.value), _within(problem, state.theta, move)
    foretold, fall = _foretold(state, move), state.at.value - there.value
    tiny = (foretold <= NOISE * value) & (fall >= -1e-12 * value)
    diagonal = jnp.abs(jnp.diagonal(there.bend))
    # What an objective that ends near zero is made of may be far larger than itself, and its differences are rounding long
    # before the step is: there the slope tells.
    near = jnp.all(jnp.abs(move) <= NEAR * _size(state))
    calmer = near & (_steepness(there.slope, state.scale) <= 0.25 * _steepness(state.at.slope, state.scale))
    known = _finite(there) & (foretold > 0)  # comparisons with NaN are false
    running = state.code == RUNNING
    taken = running & known & ((fall > 1e-4 * foretold) | tiny | calmer)
    ratio = jnp.clip(fall / jnp.where(foretold > 0, foretold, 1.0), 0.0, 1.0)
    ratio = jnp.where(calmer, 1.0, ratio)
    softer = jnp.maximum(1e-16, state.damping * jnp.maximum(0.1, 1 - (2 * ratio - 1) ** 3))
    largest = jnp.maximum(state.largest, jnp.abs(trial))
    ended = _ended(problem, state, movable)
    stuck = (state.damping > 1e16) | ~jnp.isfinite(state.damping)
    code = jnp.where(ended, CONVERGED, jnp.where(stuck, STUCK, RUNNING))
    now = LaneState(
        theta=trial,
        at=there,
        scale=jnp.maximum(FORGETTING * state.scale, diagonal),
        largest=largest,
        damping=softer,
        growth=jnp.full_like(state.growth, 2.0),
        code=code,
        determined=state.determined,
        steps=state.steps + 1,
    )
    held = state._replace(
        damping=jnp.where(running, state.damping * state.growth, state.damping),
        growth=jnp.where(running, state.growth * 2, state.growth),
        code=jnp.where(running, code, state.code),
        steps=state.steps + running,
    )
    chosen: LaneState = jax.tree.map(lambda a, b: jnp.where(taken, a, b), now, held)
    return chosen._replace(determined=_determined(problem, chosen, movable))


def _ended(problem: Problem, state: LaneState, movable: jax.Array) -> jax.Array:
    """Return whether the lane stands at a minimum, by the step that it would make if it were hardly damped."""
    move = _move(problem, state, movable, jnp.minimum(state.damping, LIGHT_DAMPING))
    foretold, value = _foretold(state, move), jnp.abs(state.at.value)
    epsilon = 2.0**-52 if move.dtype == jnp.float64 else 2.0**-23
    close = jnp.all(jnp.abs(move) <= max(SHORT, 10 * epsilon) * _size(state)) | (
        (foretold >= 0) & (foretold <= 4 * epsilon * value)
    )
    if squares(problem):
        close |= (foretold >= 0) & (jnp.abs(move @ state.at.slope) <= max(OFFSET, 10 * epsilon) * value)
    return close


def _size(state: LaneState) -> jax.Array:
    """Return the size that a move is compared with, shape (free,): a parameter that ends at zero has no other."""
    return jnp.maximum(jnp.abs(state.theta), 1e-3 * state.largest)


def _steepness(slope: jax.Array, scale: jax.Array) -> jax.Array:
    """Return g' D^-2 g, free of the parameters' units."""
    return jnp.sum(slope**2 / scale)


def _determined(problem: Problem, state: LaneState, movable: jax.Array) -> jax.Array:
    """Return whether a move of each free parameter's own size would be felt: peaks that have vanished feel nothing."""
    free = _free(problem, state, movable)
    felt = jnp.abs(jnp.diagonal(state.at.bend)) * state.largest**2 > 1e-14 * jnp.abs(state.at.value)
    return jnp.all(felt | ~free | (state.largest == 0))
