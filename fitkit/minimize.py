"""Minimization: one loop walks an optimizer's points, asks the stop rule, and writes down rows.

On the host a step at a time, in compiled blocks of steps otherwise; between them the host looks at signals and the clock,
so nothing ever calls back out of compiled code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, final

from fitkit.backend import Kernel, array, jax, jnp, kernel, lax
from fitkit.evidence import assess, confirms, optimality_at
from fitkit.optimizers.base import Optimizer
from fitkit.optimizers.first_order import FirstOrder
from fitkit.optimizers.stopping import CLAIMS, Reason, Stopping, StopRule, judge
from fitkit.problem import Problem, register_component, register_pytrees
from fitkit.types import Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SECONDS = 0.4
"""A compiled block is sized to take about this long, so that Ctrl-C and the clock are heard."""
BLOCK_ROWS = 500
"""The most steps of a block: the length of the buffer its rows are written to."""
CHECK_EVERY = 100
"""Steps between evaluations of the scale-free slope for optimizers that do not know it."""


MOST_RESTARTS = 5
"""How often a search begins again because the exact derivatives refute its claim."""


class HistoryRow(NamedTuple):
    """One line of the history: the state after `step` steps."""

    step: int
    loss: float
    optimality: float
    change: float
    """The largest relative move of a parameter by the step."""


@final
@dataclass(kw_only=True)
class Watch:
    """What the outside world says while a search runs, and what it is shown."""

    interrupted: Callable[[], bool] = lambda: False
    show: Callable[[HistoryRow], None] = lambda _: None
    started: float = field(default_factory=time.perf_counter)

    def seconds(self) -> float:
        """Return the seconds since the watch was started."""
        return time.perf_counter() - self.started


@final
@dataclass(frozen=True, kw_only=True)
class Search:
    """Where a search ended, why, and how it went there."""

    theta: NDArray[np.float64]
    largest: NDArray[np.float64]
    """The largest |theta_j| on the way, shape (free,)."""
    reason: Reason
    history: tuple[HistoryRow, ...]
    steps: int
    evaluations: int

    @property
    def final(self) -> HistoryRow:
        """The row of the point returned: the lowest one where patience ended the search, else the last."""
        if self.reason is Reason.PATIENCE:
            return min(self.history, key=lambda row: row.loss)
        return self.history[-1]


def stop_rule(optimizer: Optimizer, stopping: Stopping) -> StopRule:
    """Return the numbers to stop by; with `epochs`, a tolerance counts only if it is written."""
    epochs = optimizer.epochs if isinstance(optimizer, FirstOrder) else None

    def tolerance(written: float | None, default: float) -> float:
        if written is not None:
            return written
        return -1.0 if epochs is not None else default

    most = stopping.max_steps
    return StopRule(
        gtol=tolerance(stopping.gtol, optimizer.default_gtol),
        ftol=tolerance(stopping.ftol, optimizer.default_ftol),
        xtol=tolerance(stopping.xtol, optimizer.default_xtol),
        max_steps=most if most is not None else max(optimizer.default_max_steps, epochs or 0),
        epochs=-1 if epochs is None else epochs,
        patience=-1 if stopping.patience is None else stopping.patience,
    )


def minimize(
    problem: Problem,
    optimizer: Optimizer,
    stopping: Stopping,
    theta: NDArray[np.float64],
    *,
    seed: int = 0,
    watch: Watch,
) -> Search:
    """Return where `optimizer` leads from theta, shape (free,).

    Raises:
        ShapeMismatchError: the model does not return one number per row.
    """
    register_pytrees()
    register_component(type(optimizer))
    walk = _walk_on_host if optimizer.on_host else _walk_in_blocks
    return walk(problem, optimizer, stop_rule(optimizer, stopping), stopping, theta, seed, watch)


def _outside(stopping: Stopping, watch: Watch) -> Reason:
    """Return the reason to stop that comes from outside the search, or RUNNING."""
    if watch.interrupted():
        return Reason.INTERRUPTED
    if stopping.time_limit is not None and watch.seconds() > stopping.time_limit:
        return Reason.TIME_LIMIT
    return Reason.RUNNING


def _walk_on_host(
    problem: Problem,
    optimizer: Optimizer,
    rule: StopRule,
    stopping: Stopping,
    theta: NDArray[np.float64],
    seed: int,
    watch: Watch,
) -> Search:
    import numpy as np

    state = optimizer.init(problem, array(theta, problem.lower.dtype), seed)
    best, best_step, step = state, 0, 0
    largest = np.abs(np.asarray(state.theta, np.float64))
    history: list[HistoryRow] = []
    while True:
        measures = state.measures
        row = HistoryRow(step, float(measures.value), float(measures.optimality), float(measures.theta_change))
        history.append(row)
        watch.show(row)
        if measures.value < best.measures.value:
            best, best_step = state, step
        reason = Reason(int(judge(rule, step, step - best_step, measures, np)))
        reason = reason or _outside(stopping, watch)
        if reason:
            break
        state = optimizer.step(problem, state)
        largest = np.fmax(largest, np.abs(np.asarray(state.theta, np.float64)))
        if measures.stalled or state.measures.stalled:
            history[-1:] = []  # a refused step is no new row
        else:
            step += 1
    if reason in CLAIMS:
        finished = optimizer.finish(problem, state)
        if finished is not state:
            state, step = finished, step + 1
            m = state.measures
            history.append(HistoryRow(step, float(m.value), float(m.optimality), float(m.theta_change)))
            watch.show(history[-1])
    ended = best if reason is Reason.PATIENCE else state
    return Search(
        theta=np.asarray(ended.theta, np.float64),
        largest=largest,
        reason=reason,
        history=tuple(history),
        steps=step,
        evaluations=int(state.evaluations),
    )


class _Carry(NamedTuple):
    """What a compiled block hands to the next."""

    state: Any
    step: Any
    code: Any
    best_value: Any
    best_step: Any
    best_theta: Theta
    largest: Theta
    """The largest |theta_j| so far, shape (free,)."""
    rows: Any
    """The rows of this block, shape (BLOCK_ROWS, 3), of which `filled` are written."""
    filled: Any


@kernel()
def _begin(problem: Problem, optimizer: Optimizer, rule: StopRule, theta: Theta, seed: int) -> _Carry:
    state = optimizer.init(problem, theta, seed)
    zero = jnp.asarray(0)
    code = judge(rule, zero, zero, state.measures, jnp)
    rows = jnp.zeros((BLOCK_ROWS, 3), theta.dtype).at[0].set(_row(state))
    return _Carry(state, zero, code, state.measures.value, zero, state.theta, jnp.abs(state.theta), rows, zero + 1)


@kernel()
def _advance(problem: Problem, optimizer: Optimizer, rule: StopRule, carry: _Carry, count: int) -> _Carry:
    """Return the carry after `count` steps, or fewer if the rule says stop."""
    end = carry.step + count

    def running(c: _Carry) -> jax.Array:
        return jnp.logical_and(c.code == int(Reason.RUNNING), c.step < end)

    def step(c: _Carry) -> _Carry:
        state = optimizer.step(problem, c.state)
        number = c.step + 1
        better = state.measures.value < c.best_value
        best_step = jnp.where(better, number, c.best_step)
        return _Carry(
            state,
            number,
            judge(rule, number, number - best_step, state.measures, jnp),
            jnp.where(better, state.measures.value, c.best_value),
            best_step,
            jnp.where(better, state.theta, c.best_theta),
            jnp.fmax(c.largest, jnp.abs(state.theta)),
            c.rows.at[c.filled].set(_row(state)),
            c.filled + 1,
        )

    end_of_block: _Carry = lax.while_loop(running, step, carry._replace(filled=jnp.zeros_like(carry.filled)))
    return end_of_block


def _row(state: Any) -> jax.Array:
    return jnp.stack([state.measures.value, state.measures.optimality, state.measures.theta_change])


def _walk_in_blocks(
    problem: Problem,
    optimizer: Optimizer,
    rule: StopRule,
    stopping: Stopping,
    theta: NDArray[np.float64],
    seed: int,
    watch: Watch,
) -> Search:
    import numpy as np

    size = max(1, len(theta)) * (1 if problem.rows is None else len(problem.rows))
    begin: Callable[..., _Carry] = _for_work(_begin, size)
    advance: Callable[..., _Carry] = _for_work(_advance, size)
    carry = begin(problem, optimizer, rule, array(theta, problem.lower.dtype), seed)
    history: list[HistoryRow] = []
    per_step, restarts = np.nan, 0
    while True:
        step, code, filled, rows = (np.asarray(part) for part in (carry.step, carry.code, carry.filled, carry.rows))
        first = int(step) - int(filled) + 1
        fresh = [HistoryRow(first + k, *map(float, rows[k])) for k in range(int(filled))]
        reason = Reason(int(code)) or _outside(stopping, watch)
        if fresh and not reason and isinstance(optimizer, FirstOrder) and rule.gtol >= 0 and step % CHECK_EVERY == 0:
            slope = optimality_at(problem, np.asarray(carry.state.theta, np.float64))
            fresh[-1] = fresh[-1]._replace(optimality=slope)
            reason = Reason.GRADIENT_SMALL if slope <= rule.gtol else Reason.RUNNING
        history += fresh
        if not isinstance(optimizer, FirstOrder):
            reason = _checked(problem, rule, carry, reason, may_restart=restarts < MOST_RESTARTS)
            if reason is Reason.RUNNING and int(code):
                # The learned curvature misjudged what is left: begin again from here with the exact one.
                restarts += 1
                carry = _again(begin(problem, optimizer, rule, carry.state.theta, seed), carry)
        for row in fresh:
            watch.show(row)
        if reason:
            break
        began = time.perf_counter()
        count = _block(int(step), per_step)
        carry = advance(problem, optimizer, rule, carry, count)
        int(carry.step)  # waits until the block has run
        if step > 0:  # the first block includes compilation
            per_step = (time.perf_counter() - began) / max(1, int(carry.filled))
    ended = carry.best_theta if reason is Reason.PATIENCE else carry.state.theta
    return Search(
        theta=np.asarray(ended, np.float64),
        largest=np.asarray(carry.largest, np.float64),
        reason=reason,
        history=tuple(history),
        steps=int(carry.step),
        evaluations=int(carry.state.evaluations),
    )


def _checked(problem: Problem, rule: StopRule, carry: _Carry, reason: Reason, *, may_restart: bool) -> Reason:
    """Return the reason that the exact derivatives support: a claim may be refuted, and a stall may be at the minimum."""
    import numpy as np

    if reason not in {*CLAIMS, Reason.STALLED}:
        return reason

    theta, largest = (np.asarray(part, np.float64) for part in (carry.state.theta, carry.largest))
    evidence = assess(problem, theta, largest)
    if reason is Reason.STALLED:
        return Reason.STEP_SMALL if evidence.known and confirms(evidence, rule.gtol) else reason
    if confirms(evidence, rule.gtol):
        return reason
    return Reason.RUNNING if may_restart else Reason.STALLED


def _again(fresh: _Carry, before: _Carry) -> _Carry:
    """Return a fresh start that remembers how far the search was, and does not take its first claim for an end."""
    evaluations = before.state.evaluations + 1
    return fresh._replace(
        state=fresh.state._replace(evaluations=evaluations),
        step=before.step,
        code=jnp.zeros_like(before.code),
        best_step=before.step,
        largest=before.largest,
    )


def _for_work(function: Kernel[..., _Carry], size: int) -> Callable[..., _Carry]:
    """Return the program for a loop over `size` numbers a step: optimising pays sooner than for a single call."""
    return function.for_work(10 * size)


def _block(step: int, per_step: float) -> int:
    """Return how many steps the next block makes: a short first one, then what fits the time, up to the next check."""
    to_check = CHECK_EVERY - step % CHECK_EVERY
    if per_step != per_step:  # not known yet
        return min(to_check, 5)
    return max(1, min(BLOCK_ROWS, to_check, int(BLOCK_SECONDS / max(per_step, 1e-9))))
