"""Levenberg-Marquardt as one compiled program: damped steps, Newton steps on the exact Hessian, and when to end.

The rules are those of `lm`, whose host steps go on where this program does not: at a bound, where the Jacobian is singular or
the Hessian has no curvature in a direction, and where no step is left. For small problems it takes a tenth of their time.

The residuals and their second derivatives each appear in it once, since compiling them takes longer than running them: one
turn of the loop makes either kind of step, from second derivatives along one direction or, for S, along all pairs of
parameters. What a turn finds is taken or left at the beginning of the next.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from fitkit.backend import jax, jnp, kernel, lax
from fitkit.optimizers.curved_parameters import curved_parameters, directions, polarization
from fitkit.optimizers.search_algebra import (
    Step,
    bent_step,
    damped_system,
    inside,
    last_places,
    lengths_of,
    newton_step,
    next_scale,
    shares,
    solved,
    triangle,
)
from fitkit.optimizers.search_decision import HOST, Found, Numbers, decide, is_newton, is_too_bent, pick
from fitkit.optimizers.stopping import StopRule
from fitkit.problem import Problem, RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HISTORY", "HOST", "Ending", "Numbers", "Small", "search"]

HISTORY = 256
"""The most turns of the loop in a call."""
BACKWARDS_FROM = 8
"""Parameters from which on one pass backwards through the rows takes less time than a pass forwards for each."""


class Place(NamedTuple):
    """A point of the search."""

    vectors: jax.Array
    """theta, the scale D, the largest |theta_j| so far, and J'r, shape (4, free)."""
    rows: jax.Array
    """The columns of [J r predictions], shape (free + 2, rows)."""
    factor: jax.Array
    """The triangular factor of [J r], shape (free + 1, free + 1)."""


class Ending(NamedTuple):
    """Where a call of the program ended."""

    small: jax.Array
    """What `Small` is, side by side: each array that leaves a program takes the host microseconds."""
    rows: jax.Array
    """The columns of [J r predictions] at the end, and the mean square of what moves by last places leave over in the
    residuals there, shape (free + 3, rows)."""
    history: jax.Array
    """The objective, the cosine and the relative move of each point taken, shape (HISTORY + 1, 3)."""


class Small(NamedTuple):
    """What is of the size of theta at the end of a call."""

    numbers: Any
    """`Numbers` side by side."""
    vectors: Any
    """As in `Place`."""
    factor: Any
    """As in `Place`."""
    extra: Any
    """S with the scale of columns of length one, shape (free, free), of the last Newton step that was tried."""
    begun: Any
    """The triangular factor at the first point."""

    @classmethod
    def of(cls, packed: NDArray[np.float64], size: int) -> Small:
        """Return the parts of `Ending.small` for `size` parameters."""
        square = size + 1, size + 1
        parts, begin = [], 0
        for shape in ((len(Numbers._fields),), (4, size), square, (size, size), square):
            end = begin + math.prod(shape)
            parts.append(packed[begin:end].reshape(shape))
            begin = end
        return cls(*parts)


class _Turn(NamedTuple):
    numbers: jax.Array
    place: Place
    found: Place
    """The point found by the last turn, which `numbers` say to take or to leave."""
    extra: jax.Array
    history: jax.Array
    begun: jax.Array


@kernel()
def search(problem: Problem, numbers: jax.Array, vectors: jax.Array, rule: jax.Array, rows: RowData) -> Ending:
    """Return where the search from theta, the first of `vectors`, is after at most `turns` turns.

    Args:
        problem: of residuals, in float64, without penalties.
        numbers: `Numbers` side by side.
        vectors: as in `Place`; theta, the scale D (zeros at the start), the largest |theta_j|, and zeros.
        rule: `StopRule` side by side, and the number of turns.
        rows: all of them.
    """
    size, count = vectors.shape[1], rows.target.shape[0]
    empty = Place(vectors, jnp.zeros((size + 2, count)), jnp.eye(size + 1))
    begin = _Turn(
        numbers,
        empty,
        empty,
        jnp.zeros((size, size)),
        jnp.zeros((HISTORY + 1, 3)),
        jnp.zeros((size + 1, size + 1)),
    )
    numbers_of_rule: list[Any] = [rule[k] for k in range(len(StopRule._fields))]
    limits = StopRule(*numbers_of_rule)

    status, turns = Numbers._fields.index("status"), Numbers._fields.index("turns")

    def goes_on(turn: _Turn) -> Any:
        return (turn.numbers[status] == 0) & (turn.numbers[turns] < rule[-1])

    last = lax.while_loop(goes_on, lambda turn: _turn(problem, rows, limits, turn), begin)
    place = _merged(last)
    small = Small(last.numbers, place.vectors, place.factor, last.extra, last.begun)
    return Ending(
        lax.concatenate([lax.reshape(part, (part.size,)) for part in small], 0),
        lax.concatenate([place.rows, _noise(problem, rows, place)[None]], 0),
        last.history,
    )


def _merged(turn: _Turn) -> Place:
    taken = turn.numbers[Numbers._fields.index("taken")] > 0
    return Place(*(lax.select(taken, new, old) for new, old in zip(turn.found, turn.place, strict=True)))


def _turn(problem: Problem, rows: RowData, rule: StopRule, turn: _Turn) -> _Turn:
    now, place = Numbers.of(turn.numbers), _merged(turn)
    theta = place.vectors[0]
    begins, newton = now.begins > 0, is_newton(now)
    step = _step(problem, rows, now, newton, place, turn.extra)
    move = pick(begins, 0.0, step.move)
    # A branch is also what keeps the compiler from computing the Jacobian anew for each of its uses.
    refused = ~begins & is_too_bent(newton, step.sizes)
    columns = lax.cond(refused, lambda: jnp.zeros_like(place.rows), lambda: _expand(problem, theta + move, rows))
    there = _place(begins, place, theta + move, columns)
    numbers, taken, row = decide(now, newton, rule, _found(problem, newton, place, step, move, there))
    # A point that is left goes where nobody looks.
    place_of_row = pick(taken, now.rows - now.polished, HISTORY).astype(jnp.int32)
    history = lax.dynamic_update_index_in_dim(turn.history, row, place_of_row, 0)
    begun = lax.select(begins, there.factor, turn.begun)
    return _Turn(numbers, place, there, step.extra, history, begun)


def _step(problem: Problem, rows: RowData, now: Numbers, newton: Any, place: Place, extra: jax.Array) -> Step:
    """Return the step from a place: Newton's, or a damped one; `extra` is kept if it is not Newton's."""
    theta, remembered, _, gradient = (place.vectors[k] for k in range(4))
    size = theta.shape[0]
    scale = pick(remembered > 0, remembered, 1.0)
    norms = lengths_of(place.factor)[:size]
    system = damped_system(place.factor, scale, now.damping)
    velocity = system[:, size] / scale
    pairs = curved_parameters(problem) or ((0, 0),)
    along = pick(newton, directions(pairs, size) / norms, velocity)
    how_many = pick(newton, along.shape[0], 1 - now.begins).astype(jnp.int32)
    contracted = _second_derivatives(problem, rows, theta, place.rows[: size + 1], along, how_many)
    step: Step = lax.cond(
        newton,
        lambda: newton_step(
            place.factor, norms, gradient, jnp.sum(polarization(pairs, size) * contracted[:, size], 2), velocity
        ),
        lambda: bent_step(system, scale, now.damping, gradient, contracted[0, :size], extra),
    )
    return step


def _place(begins: Any, before: Place, theta: jax.Array, columns: jax.Array) -> Place:
    """Return the place at theta, whose columns of [J r predictions] are known."""
    size = theta.shape[0]
    _, remembered, largest, _ = (before.vectors[k] for k in range(4))
    factor = triangle(columns[: size + 1].T)
    slope = jnp.sum(factor[:, :size] * factor[:, size:], 0)
    scale = next_scale(begins, remembered, jnp.sum(factor * factor, 0), theta)
    return Place(jnp.stack([theta, scale, jnp.maximum(largest, jnp.abs(theta)), slope]), columns, factor)


def _found(problem: Problem, newton: Any, place: Place, step: Step, move: jax.Array, there: Place) -> Found:
    """Return what decides on the place `there`."""
    theta, largest = place.vectors[0], place.vectors[2]
    trial, seen, slope = there.vectors[0], there.vectors[2], there.vectors[3]
    size = theta.shape[0]
    inverse = solved(there.factor)
    squares = jnp.sum(there.factor * there.factor, 0)
    room = problem.lower - theta, problem.upper - theta
    maxima = (
        jnp.abs(slope) / jnp.sqrt(pick(squares[:size] > 0, squares[:size], 1.0)),
        jnp.maximum(shares(move, trial, seen), shares(inverse[:, size], trial, seen)),
        shares(step.velocity, theta, largest),
        pick(inside(move, room) & (newton | inside(step.velocity, room)), 0.0, 1.0),
        pick(move != 0, 1.0, 0.0),
    )
    sums = (
        squares[:size] * jnp.sum(inverse[:, :size] ** 2, 1),
        jnp.sum(step.half * slope[:, None], 0) ** 2,
        there.factor[:size, size] ** 2,
    )
    return Found(step.sizes, squares, jnp.max(jnp.stack(maxima), 1), jnp.sum(jnp.stack(sums), 1))


def _noise(problem: Problem, rows: RowData, place: Place) -> jax.Array:
    """Return what moves by last places leave over in the residuals, mean square, shape (rows,)."""
    theta, size = place.vectors[0], place.vectors.shape[1]
    moves = last_places(theta)
    moved = jax.vmap(lambda move: problem.row_residuals(theta + move, rows))(moves)
    linear = jnp.sum(moves[:, :, None] * place.rows[None, :size], 1)
    return jnp.mean((moved - place.rows[size] - linear) ** 2, 0)


# -- the rows -----------------------------------------------------------------------------------------------------------------


def _expand(problem: Problem, theta: jax.Array, rows: RowData) -> jax.Array:
    """Return the columns of [J r predictions], shape (free + 2, rows)."""
    size, shape = theta.shape[0], rows.target.shape
    if problem.model is not None and problem.model.elementwise and size >= BACKWARDS_FROM:
        # Of rows that know nothing of each other one pass backwards has the derivatives by all parameters.
        apart = [lax.broadcast(lax.index_in_dim(theta, k, keepdims=False), shape) for k in range(size)]
        residuals, back, predictions = jax.vjp(
            lambda *numbers: problem.residuals_and_predictions_by(problem.values_apart(numbers), rows),
            *apart,
            has_aux=True,
        )
        return lax.concatenate([column[None] for column in (*back(jnp.ones(shape)), residuals, predictions)], 0)

    def along(tangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        both: tuple[jax.Array, jax.Array, jax.Array] = jax.jvp(
            lambda t: problem.residuals_and_predictions(t, rows), (theta,), (tangent,), has_aux=True
        )
        return both

    residuals, jacobian, predictions = jax.vmap(along, out_axes=(None, 0, None))(jnp.eye(theta.shape[0]))
    return lax.concatenate([jacobian, residuals[None], predictions[None]], 0)


def _second_derivatives(
    problem: Problem, rows: RowData, theta: jax.Array, columns: jax.Array, along: jax.Array, count: jax.Array
) -> jax.Array:
    """Return [J r]'r_vv for the first `count` directions v in `along`, shape (directions, free + 1)."""

    def second(velocity: jax.Array) -> jax.Array:
        def slope(t: jax.Array) -> jax.Array:
            first: jax.Array = jax.jvp(lambda u: problem.row_residuals(u, rows), (t,), (velocity,))[1]
            return first

        bend: jax.Array = jax.jvp(slope, (theta,), (velocity,))[1]
        return bend

    def one(state: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
        index, found = state
        velocity = lax.dynamic_index_in_dim(along, index, 0, keepdims=False)
        return index + 1, lax.dynamic_update_index_in_dim(found, columns @ second(velocity), index, 0)

    none = jnp.zeros((along.shape[0], columns.shape[0]))
    return lax.while_loop(lambda state: state[0] < count, one, (0, none))[1]
