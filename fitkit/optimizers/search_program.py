"""Levenberg-Marquardt as one compiled program: damped steps, Newton steps on the exact Hessian, and when to end.

The rules are those of `lm`, whose host steps go on where this program does not: at a bound, where the Jacobian is singular or
the Hessian has no curvature in a direction, and where no step is left. For small problems it takes a tenth of their time.

The residuals and their second derivatives each appear in it once, since compiling them takes longer than running them: one
turn of the loop makes either kind of step, from second derivatives along one direction or, for S, along all pairs of
parameters. What a turn finds is taken or left at the beginning of the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fitkit.backend import jax, jnp, kernel, lax
from fitkit.optimizers.exact_newton import EPSILON, SHAKING
from fitkit.optimizers.lm_constants import FORGETTING
from fitkit.optimizers.search_decision import HOST, SHAKES, Found, Numbers, decide, is_newton, is_too_bent, pick
from fitkit.optimizers.stopping import StopRule
from fitkit.problem import Problem, RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HISTORY", "HOST", "Ending", "Numbers", "search"]

HISTORY = 256
"""The most turns of the loop in a call."""


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

    numbers: jax.Array
    """`Numbers` side by side."""
    place: Place
    extra: jax.Array
    """S with the scale of columns of length one, shape (free, free), of the last Newton step that was tried."""
    history: jax.Array
    """The objective, the cosine and the relative move of each point taken, shape (HISTORY + 1, 3)."""
    begun: jax.Array
    """The triangular factor at the first point."""
    noise: jax.Array
    """Sums of the squares of what moves by last places leave over in the residuals at the end, shape (rows,)."""


class _Turn(NamedTuple):
    numbers: jax.Array
    place: Place
    found: Place
    """The point found by the last turn, which `numbers` say to take or to leave."""
    extra: jax.Array
    history: jax.Array
    begun: jax.Array
    noise: jax.Array


class _Step(NamedTuple):
    extra: jax.Array
    move: jax.Array
    """Shape (free,)."""
    half: jax.Array
    """Of a Newton step H with H H' the Hessian's inverse, shape (free, free)."""
    sizes: jax.Array
    """Of a Newton step g' H^-1 g and the extreme eigenvalues; of a damped one |D a|², |D v|² and the decrease foretold."""


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
        jnp.zeros(count),
    )
    numbers_of_rule: list[Any] = [rule[k] for k in range(len(StopRule._fields))]
    limits = StopRule(*numbers_of_rule)

    status, turns = Numbers._fields.index("status"), Numbers._fields.index("turns")

    def goes_on(turn: _Turn) -> Any:
        return (turn.numbers[status] == 0) & (turn.numbers[turns] < rule[-1])

    last = lax.while_loop(goes_on, lambda turn: _turn(problem, rows, limits, turn), begin)
    return Ending(last.numbers, _merged(last), last.extra, last.history, last.begun, last.noise)


def _merged(turn: _Turn) -> Place:
    taken = turn.numbers[Numbers._fields.index("taken")] > 0
    return Place(*(lax.select(taken, new, old) for new, old in zip(turn.found, turn.place, strict=True)))


def _turn(problem: Problem, rows: RowData, rule: StopRule, turn: _Turn) -> _Turn:
    now, place = Numbers.of(turn.numbers), _merged(turn)
    theta, remembered, largest, gradient = (place.vectors[k] for k in range(4))
    size = theta.shape[0]
    begins, newton, shakes = now.begins > 0, is_newton(now), now.shakes > 0
    scale = pick(remembered > 0, remembered, 1.0)
    norms = _lengths(place.factor)[:size]
    system = _damped_system(place.factor, scale, now.damping)
    straight = system[:, size]
    velocity = straight / scale
    along = pick(newton, _pairs(size) / norms, velocity)
    how_many = pick(newton, along.shape[0], pick(begins | shakes, 0, 1)).astype(jnp.int32)
    contracted = _second_derivatives(problem, rows, theta, place.rows[: size + 1], along, how_many)
    step = lax.cond(
        newton,
        lambda: _newton_step(place.factor, norms, gradient, contracted[:, size]),
        lambda: _bent_step(system, scale, straight, now.damping, gradient, contracted[0, :size], turn.extra),
    )
    move = pick(begins, 0.0, pick(shakes, _last_places(theta, now.shakes), step.move))
    trial = theta + move
    # A branch is also what keeps the compiler from computing the Jacobian anew for each of its uses.
    refused = ~begins & ~shakes & is_too_bent(newton, step.sizes)
    columns = lax.cond(refused, lambda: jnp.zeros_like(place.rows), lambda: _expand(problem, trial, rows))
    factor = _triangle(columns[: size + 1].T)
    inverse = _solved(factor)
    squares = jnp.sum(factor * factor, 0)
    slope = jnp.sum(factor * factor[:, size:], 0)[:size]
    seen = jnp.maximum(largest, jnp.abs(trial))
    room = problem.lower - theta, problem.upper - theta
    found = Found(
        step=step.sizes,
        squares=squares,
        maxima=jnp.max(
            jnp.stack([
                jnp.abs(slope) / jnp.sqrt(pick(squares[:size] > 0, squares[:size], 1.0)),
                jnp.maximum(_shares(move, trial, seen), _shares(inverse[:, size], trial, seen)),
                _shares(velocity, theta, largest),
                pick(_inside(move, room) & (newton | _inside(velocity, room)), 0.0, 1.0),
                pick(move != 0, 1.0, 0.0),
            ]), 1),
        sums=jnp.sum(
            jnp.stack([
                squares[:size] * jnp.sum(inverse[:, :size] ** 2, 1),
                jnp.sum(step.half * slope[:, None], 0) ** 2,
                factor[:size, size] ** 2,
            ]), 1),
    )  # fmt: skip
    numbers, taken, row = decide(now, rule, found)
    vectors = jnp.stack([trial, _next_scale(begins, remembered, squares, trial), seen, slope])
    # A point that is left goes where nobody looks.
    place_of_row = pick(taken, now.rows - now.polished, HISTORY).astype(jnp.int32)
    history = lax.dynamic_update_index_in_dim(turn.history, row, place_of_row, 0)
    begun = lax.select(begins, factor, turn.begun)
    left_over = columns[size] - place.rows[size] - jnp.sum(place.rows[:size] * move[:, None], 0)
    noise = turn.noise + pick(shakes, left_over**2, 0.0)
    return _Turn(numbers, place, Place(vectors, columns, factor), step.extra, history, begun, noise)


# -- the rows -----------------------------------------------------------------------------------------------------------------


def _expand(problem: Problem, theta: jax.Array, rows: RowData) -> jax.Array:
    """Return the columns of [J r predictions], shape (free + 2, rows)."""

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


def _last_places(theta: jax.Array, number: jax.Array) -> jax.Array:
    """Return a move by one or two last places up or down in each parameter, as `exact_newton` has it, shape (free,)."""
    import numpy as np

    moves = np.array(SHAKING)[(np.arange(theta.shape[0]) + np.arange(SHAKES)[:, None]) % SHAKES]
    chosen = lax.dynamic_index_in_dim(jnp.asarray(moves, theta.dtype), number.astype(jnp.int32) - 1, 0, keepdims=False)
    # Three quarters of an epsilon are more than half a last place and less than one and a half.
    once = theta + 0.75 * EPSILON * jnp.sign(chosen) * jnp.abs(theta)
    twice = once + pick(jnp.abs(chosen) > 1, 0.75 * EPSILON * jnp.sign(chosen) * jnp.abs(once), 0.0)
    return twice - theta


# -- linear algebra of the size of theta --------------------------------------------------------------------------------------


def _pairs(size: int) -> NDArray[np.float64]:
    """Return the unit vectors of single parameters, and the sums of two, shape (pairs, size)."""
    import numpy as np

    first, second = np.tril_indices(size)
    unit = np.eye(size)
    return np.where((first == second)[:, None], unit[first], unit[first] + unit[second])


def _polarization(size: int) -> NDArray[np.float64]:
    """Return how S follows from second derivatives along `_pairs`, shape (size, size, pairs)."""
    import numpy as np

    found = np.zeros((size, size, size * (size + 1) // 2))
    number = {pair: k for k, pair in enumerate(zip(*(part.tolist() for part in np.tril_indices(size)), strict=True))}
    for (i, j), pair in number.items():
        for row, column in {(i, j), (j, i)}:
            found[row, column, pair] = 1.0 if i == j else 0.5
            if i != j:
                found[row, column, [number[i, i], number[j, j]]] = -0.5
    return found


def _triangle(tall: jax.Array) -> jax.Array:
    """Return R of the QR factorization of a matrix, shape (columns, columns)."""
    import numpy as np

    rows, size = tall.shape
    tall = jnp.pad(tall, ((0, max(0, size - rows)), (0, 0)))  # as many rows as parameters, and the residual beside them
    raw = jnp.linalg.qr(tall, mode="raw")[0].T  # LAPACK's own, without Q
    return pick(np.triu(np.ones((size, size), bool)), raw[:size], 0.0)


def _solved(factor: jax.Array) -> jax.Array:
    """Return [R^-1, -R^-1 q] of [R q], shape (free, free + 1)."""
    import numpy as np

    size = factor.shape[0] - 1
    corner = np.zeros((size + 1, size + 1), bool)
    corner[size, size] = True
    whole = lax.linalg.triangular_solve(pick(corner, 1.0, factor), jnp.eye(size + 1), left_side=True, lower=False)
    return whole[:size]


def _lengths(factor: jax.Array) -> jax.Array:
    """Return the lengths of the columns, ones where they are zero."""
    squares = jnp.sum(factor * factor, 0)
    return jnp.sqrt(pick(squares > 0, squares, 1.0))


def _damped_system(factor: jax.Array, scale: jax.Array, damping: jax.Array) -> jax.Array:
    """Return [T^-1, -T^-1 p], shape (free, free + 1), of T and p in the QR factorization of [R/D, q; sqrt(damping), 0]."""
    import numpy as np

    size = scale.shape[0]
    upper = factor[:size] / lax.concatenate([scale, jnp.ones(1)], 0)
    both = lax.concatenate([upper, jnp.sqrt(damping) * np.eye(size, size + 1)], 0)
    return _solved(_triangle(both))


def _bent_step(
    system: jax.Array,
    scale: jax.Array,
    straight: jax.Array,
    damping: jax.Array,
    gradient: jax.Array,
    bend: jax.Array,
    extra: jax.Array,
) -> _Step:
    """Return the damped step with half its geodesic acceleration."""
    size = scale.shape[0]
    outward = system[:, :size]
    bent = -jnp.sum(outward * jnp.sum(outward * (bend / scale)[:, None], 0), 1)
    foretold = damping * straight**2 - gradient * straight / scale
    sizes = jnp.sum(jnp.stack([bent**2, straight**2, foretold]), 1)
    return _Step(extra, (straight + bent / 2) / scale, jnp.zeros((size, size)), sizes)


def _newton_step(factor: jax.Array, norms: jax.Array, gradient: jax.Array, bends: jax.Array) -> _Step:
    """Return the step on the Hessian, whitened as in `exact_newton` but with R^-1, which leaves the eigenvalues as they are."""
    size = norms.shape[0]
    extra = jnp.sum(_polarization(size) * bends, 2)
    extra = pick(jnp.isfinite(jnp.sum(extra)), extra, 0.0)
    inverse = _solved(factor)[:, :size]
    whitening = inverse * norms[:, None]
    whitened = jnp.eye(size) + whitening.T @ (extra @ whitening)
    vectors, values = lax.linalg.eigh(whitened, symmetrize_input=False)
    half = inverse @ (vectors / jnp.sqrt(jnp.abs(values)))
    reduced = jnp.sum(half * gradient[:, None], 0)
    sizes = jnp.stack([jnp.sum(reduced * reduced), values[0], values[size - 1]])
    return _Step(extra, -jnp.sum(half * reduced, 1), half, sizes)


def _shares(move: jax.Array, theta: jax.Array, largest: jax.Array) -> jax.Array:
    """Return the moves relative to their parameters, as `relative_length` has it, shape (free,)."""
    size = pick(theta == 0, largest, jnp.abs(theta))
    return pick(move == 0, 0.0, pick(size > 0, jnp.abs(move) / size, 1.0))


def _inside(move: jax.Array, room: tuple[jax.Array, jax.Array]) -> jax.Array:
    return (move > room[0]) & (move < room[1])


def _next_scale(begins: jax.Array, scale: jax.Array, squares: jax.Array, theta: jax.Array) -> jax.Array:
    """Return D at a new point, by the rule of `lm`."""
    size = theta.shape[0]
    norms = jnp.sqrt(squares[:size])
    own = pick(theta != 0, jnp.abs(theta), jnp.inf)
    least = pick(norms > 0, EPSILON * jnp.sqrt(squares[size]) / own, 0.0)
    return jnp.maximum(pick(begins, 1.0, FORGETTING) * scale, jnp.maximum(norms, least))
