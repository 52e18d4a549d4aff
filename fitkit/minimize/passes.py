"""Passes over the data as one compiled program, which can stop and go on after any update.

The numbers do not depend on where it stops: the program is the same, only the bounds of its loops differ.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

from fitkit.backend import jax, jnp, kernel, lax
from fitkit.hashing import salted
from fitkit.optimizers.first_order import FirstOrder, Parts
from fitkit.optimizers.packed_rows import PackedRows, take
from fitkit.optimizers.pieces import cut, joined
from fitkit.optimizers.shuffle import Order, order_of_pass, rows_of_batch
from fitkit.optimizers.stopping import Measures, Reason, StopRule, judge
from fitkit.problem import Problem, RowData, weighted_mean
from fitkit.types import Scalar, Theta

BLOCK_ROWS = 500
"""The most passes of a block: the length of the buffer its rows are written to."""


class Training(NamedTuple):
    """What is trained, and on what: constant from block to block."""

    problem: Problem
    optimizer: FirstOrder
    rule: StopRule
    validation: RowData | None
    packed: PackedRows | None
    """The rows for batches; None where an update takes all of them."""
    order: Order | None
    noise: Any
    """A uint32 that decides what chance does in each update; None where it does nothing."""


class Progressed(NamedTuple):
    """How far it is: what a compiled block hands to the next."""

    theta: Theta
    gradient: Theta | None
    """Of the smooth objective over all rows; None with batches."""
    memory: Any
    """The update rule's own, in the pieces that theta is cut into."""
    step: Any
    """Whole passes made."""
    batch: Any
    """Batches of the next pass that were made already."""
    code: Any
    """The `Reason` to stop."""
    value: Any
    """The loss of the last whole pass."""
    sums: tuple[Any, Any]
    """Of weight times loss, and of weight, over the batches of this pass."""
    before: Theta
    """Theta at the beginning of this pass."""
    best_value: Any
    best_step: Any
    best_theta: Theta
    largest: Theta
    """The largest |theta_j| after a pass, shape (free,)."""
    rows: Any
    """The rows of this block, shape (BLOCK_ROWS, 3): loss, change and validation loss. `filled` of them are written."""
    filled: Any


@final
class Structure(NamedTuple):
    """What the compiled program is made for."""

    batch_size: int | None
    parts: Parts


@kernel("structure", donated=())
def begin(training: Training, theta: Theta, *, structure: Structure) -> Progressed:
    """Return the progress at theta, shape (free,), with a row for the start."""
    problem = training.problem
    theta = jnp.clip(theta, problem.lower, problem.upper)
    if structure.batch_size is None:
        value, gradient = _value_and_gradient(training, theta, 0)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
    else:
        value, gradient = problem.objective(theta), None
        finite = jnp.isfinite(value)
    held_out = validation_loss(training, theta)
    # Typed as a block returns it: what looks like a number of Python's would have `advance` compiled twice.
    zero, nan = jnp.zeros((), int), jnp.asarray(jnp.nan, theta.dtype)
    no = jnp.asarray(False)  # noqa: FBT003 - a traced truth value
    measures = Measures(value, nan, nan, nan, no, no, no, finite)
    rows = jnp.zeros((BLOCK_ROWS, 3), theta.dtype).at[0].set(jnp.stack([value, nan, held_out]))
    return Progressed(
        theta=theta,
        gradient=gradient,
        memory=training.optimizer.memory(cut(theta, problem.layout)),
        step=zero,
        batch=zero,
        code=judge(training.rule, zero, zero, measures, jnp),
        value=value,
        sums=(jnp.zeros((), theta.dtype), jnp.zeros((), theta.dtype)),
        before=theta,
        best_value=value if training.validation is None else held_out,
        best_step=zero,
        best_theta=theta,
        largest=jnp.abs(theta),
        rows=rows,
        filled=zero + 1,
    )


@kernel("structure", donated=("progress",))
def advance(training: Training, progress: Progressed, updates: Any, *, structure: Structure) -> Progressed:
    """Return the progress after so many updates, or fewer if the rule says stop or the buffer of rows is full."""
    batches = batches_of(training.problem, structure.batch_size)

    def running(carry: tuple[Progressed, Any]) -> jax.Array:
        p, left = carry
        going: jax.Array = (p.code == int(Reason.RUNNING)) & (left > 0) & (p.filled < BLOCK_ROWS)
        return going

    def part_of_pass(carry: tuple[Progressed, Any]) -> tuple[Progressed, Any]:
        p, left = carry
        end = jnp.minimum(batches, p.batch + left)
        left = left - (end - p.batch)
        if structure.batch_size is None:
            p = _full_update(training, p, structure.parts)
        else:
            p = _batch_updates(training, p, end, batches, structure.batch_size, structure.parts)
        return lax.cond(end == batches, lambda q: _end_of_pass(training, q), lambda q: q, p), left

    start = progress._replace(filled=jnp.zeros_like(progress.filled))
    ended: tuple[Progressed, Any] = lax.while_loop(running, part_of_pass, (start, updates))
    return ended[0]


def batches_of(problem: Problem, batch_size: int | None) -> int:
    """Return how many updates a pass has."""
    return 1 if batch_size is None or problem.rows is None else -(-len(problem.rows) // batch_size)


def validation_loss(training: Training, theta: Theta) -> Scalar:
    """Return the mean loss of the rows held out, without penalties; NaN where there are none."""
    held_out = training.validation
    if held_out is None:
        return jnp.asarray(jnp.nan, theta.dtype)
    return weighted_mean(training.problem.row_costs(theta, held_out), held_out.weight, jnp.sum(held_out.weight))


def _key(training: Training, step: Any, batch: Any) -> Any:
    """Return what decides of chance in an update: another uint32 for each, whatever block it is in."""
    if training.noise is None:
        return None
    return salted(jnp.asarray(batch, jnp.uint32), salted(jnp.asarray(step, jnp.uint32), training.noise))


def _value_and_gradient(training: Training, theta: Theta, step: Any) -> tuple[Scalar, Theta]:
    """Return the whole objective, and the gradient of its smooth part that update `step` is made with."""
    problem, key = training.problem, _key(training, step, 0)
    if key is not None:  # chance is in the updates only, never in what is said of the loss
        noisy = lambda t: problem.smooth_objective(t, problem.rows, problem.total_weight, key)  # noqa: E731 - an argument
        return problem.objective(theta), jax.grad(noisy)(theta)
    smooth = lambda t: problem.smooth_objective(t, problem.rows, problem.total_weight)  # noqa: E731 - an argument
    value, gradient = jax.value_and_grad(smooth)(theta)
    return value + problem.kinked_penalty(theta), gradient


def _full_update(training: Training, p: Progressed, parts: Parts) -> Progressed:
    """Return the progress after an update from all rows."""
    if p.gradient is None:
        raise AssertionError("an update from all rows has their gradient")
    problem, optimizer = training.problem, training.optimizer
    share = optimizer.share(p.step, 1, training.rule.epochs)
    point, slope = cut(p.theta, problem.layout), cut(p.gradient, problem.layout)
    point, memory = optimizer.move(problem, parts, point, slope, p.memory, share)
    theta = joined(point)
    value, gradient = _value_and_gradient(training, theta, p.step + 1)
    one = jnp.ones((), theta.dtype)
    return p._replace(theta=theta, memory=memory, gradient=gradient, sums=(value, one))


def _batch_updates(training: Training, p: Progressed, end: Any, batches: int, size: int, parts: Parts) -> Progressed:
    """Return the progress after the batches of this pass up to `end`; the last batch may have fewer rows."""
    problem, optimizer, order, packed = training.problem, training.optimizer, training.order, training.packed
    if problem.rows is None or order is None or packed is None:
        raise AssertionError("batches need rows and their order")
    all_rows, chosen, full = problem.rows, order_of_pass(order, p.step), len(problem.rows) % size == 0

    def update(number: Any, carry: tuple[Theta, Any, tuple[Any, Any]]) -> tuple[Theta, Any, tuple[Any, Any]]:
        theta, memory, sums = carry
        rows = take(all_rows, packed, rows_of_batch(order, chosen, number, size))
        if not full:
            beyond = number * size + jnp.arange(size) >= len(all_rows)
            weight = jnp.where(beyond, 0.0, rows.weight)
            rows = RowData(inputs=rows.inputs, target=rows.target, sigma=rows.sigma, weight=weight)
        total = jnp.sum(rows.weight)
        some = jnp.where(total > 0, total, 1.0)
        key = _key(training, p.step, number)
        value, gradient = jax.value_and_grad(lambda t: problem.smooth_objective(t, rows, some, key))(theta)
        if parts.proximal:
            value = value + problem.regularization.l1 * jnp.sum(jnp.abs(problem.weights(theta)))
        share = optimizer.share(p.step * batches + number, batches, training.rule.epochs)
        theta, memory = optimizer.move(problem, parts, theta, gradient, memory, share)
        return theta, memory, (sums[0] + total * value, sums[1] + total)

    start = (cut(p.theta, problem.layout), p.memory, p.sums)
    theta, memory, sums = lax.fori_loop(p.batch, end, update, start)
    return p._replace(theta=joined(theta), memory=memory, sums=sums, batch=jnp.asarray(end, p.batch.dtype))


def _end_of_pass(training: Training, p: Progressed) -> Progressed:
    """Return the progress with the pass written down and judged."""
    step, value = p.step + 1, p.sums[0] / p.sums[1]
    held_out = validation_loss(training, p.theta)
    watched = value if training.validation is None else held_out
    moves = jnp.abs(p.theta - p.before)
    size = jnp.where(p.theta != 0, jnp.abs(p.theta), moves + (moves == 0))
    change = jnp.max(moves / size, initial=0.0)
    finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(p.theta))
    if p.gradient is not None:
        finite &= jnp.all(jnp.isfinite(p.gradient))
    better = watched < p.best_value
    best_step = jnp.where(better, step, p.best_step)
    no = jnp.asarray(False)  # noqa: FBT003 - a traced truth value
    measures = Measures(
        value=value,
        optimality=jnp.asarray(jnp.nan, value.dtype),
        value_change=jnp.abs(p.value - value) / jnp.where(p.value != 0, jnp.abs(p.value), 1.0),
        theta_change=change,
        moved=jnp.any(moves > 0),
        stalled=no,
        at_rounding=no,
        finite=finite,
    )
    return p._replace(
        step=step,
        batch=jnp.zeros_like(p.batch),
        code=judge(training.rule, step, step - best_step, measures, jnp),
        value=value,
        sums=(jnp.zeros_like(p.sums[0]), jnp.zeros_like(p.sums[1])),
        before=p.theta,
        best_value=jnp.where(better, watched, p.best_value),
        best_step=best_step,
        best_theta=jnp.where(better, p.theta, p.best_theta),
        largest=jnp.fmax(p.largest, jnp.abs(p.theta)),
        rows=p.rows.at[p.filled].set(jnp.stack([value, change, held_out])),
        filled=p.filled + 1,
    )
