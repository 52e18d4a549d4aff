"""The walk of a traced optimizer: compiled blocks of steps, each short enough that signals and the clock are heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fitkit.backend import Kernel, array, jax, jnp, kernel, lax
from fitkit.evidence import assess, assess_by_products, assess_by_some_rows, confirms
from fitkit.minimize.search import History, HistoryRow, Search, Watch, outside
from fitkit.optimizers.base import Solver
from fitkit.optimizers.stopping import CLAIMS, Reason, Stopping, StopRule, judge
from fitkit.problem import Problem
from fitkit.types import Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SECONDS = 0.4
"""A compiled block is sized to take about this long, so that Ctrl-C and the clock are heard."""
BLOCK_ROWS = 500
"""The most steps of a block: the length of the buffer its rows are written to."""
MOST_LEVEL = 50
"""Steps in a row without a new lowest loss after which a search is stalled."""
MOST_RESTARTS = 5
"""How often a search begins again because the exact derivatives refute its claim."""


class _Carry(NamedTuple):
    """What a compiled block hands to the next."""

    state: Any
    step: Any
    code: Any
    best_value: Any
    best_step: Any
    best_theta: Theta
    rows: Any
    """The rows of this block, shape (BLOCK_ROWS, 3), of which `filled` are written."""
    filled: Any


@kernel()
def _begin(problem: Problem, optimizer: Solver, rule: StopRule, theta: Theta, seed: int) -> _Carry:
    state = optimizer.init(problem, theta, seed)
    zero = jnp.asarray(0)
    code = judge(rule, zero, zero, state.measures, jnp)
    rows = jnp.zeros((BLOCK_ROWS, 3), theta.dtype).at[0].set(_row(state))
    return _Carry(state, zero, code, state.measures.value, zero, state.theta, rows, zero + 1)


@kernel()
def _advance(problem: Problem, optimizer: Solver, rule: StopRule, carry: _Carry, count: int) -> _Carry:
    """Return the carry after `count` steps, or fewer if the rule says stop."""
    end = carry.step + count

    def running(c: _Carry) -> jax.Array:
        return jnp.logical_and(c.code == int(Reason.RUNNING), c.step < end)

    def step(c: _Carry) -> _Carry:
        state = optimizer.step(problem, c.state)
        number = c.step + 1
        better = state.measures.value < c.best_value
        best_step = jnp.where(better, number, c.best_step)
        level = number - best_step >= MOST_LEVEL  # moves that lower nothing: on the ground of rounding they never end
        state = state._replace(measures=state.measures._replace(stalled=state.measures.stalled | level))
        return _Carry(
            state,
            number,
            judge(rule, number, number - best_step, state.measures, jnp),
            jnp.where(better, state.measures.value, c.best_value),
            best_step,
            jnp.where(better, state.theta, c.best_theta),
            c.rows.at[c.filled].set(_row(state)),
            c.filled + 1,
        )

    end_of_block: _Carry = lax.while_loop(running, step, carry._replace(filled=jnp.zeros_like(carry.filled)))
    return end_of_block


def _row(state: Any) -> jax.Array:
    return jnp.stack([state.measures.value, state.measures.optimality, state.measures.theta_change])


def walk_in_blocks(
    problem: Problem,
    optimizer: Solver,
    rule: StopRule,
    stopping: Stopping,
    theta: NDArray[np.float64],
    seed: int,
    watch: Watch,
) -> Search:
    """Return where the search from theta, shape (free,), ends, a compiled block of steps at a time."""
    import numpy as np

    size = max(1, len(theta)) * (1 if problem.rows is None else len(problem.rows))
    begin: Callable[..., _Carry] = _for_work(_begin, size)
    advance: Callable[..., _Carry] = _for_work(_advance, size)
    carry = begin(problem, optimizer, rule, array(theta, problem.lower.dtype), seed)
    history = History()
    per_step, restarts, before = np.nan, 0, np.zeros(len(theta))
    while True:
        step, code, filled, rows = (np.asarray(part) for part in (carry.step, carry.code, carry.filled, carry.rows))
        first = int(step) - int(filled) + 1
        fresh = [HistoryRow(first + k, *map(float, rows[k])) for k in range(int(filled))]
        reason = Reason(int(code)) or outside(stopping, watch, int(step))
        history.add(fresh)
        largest = np.fmax(before, np.asarray(carry.state.largest, np.float64))
        reason = _checked(problem, rule, carry, largest, reason, may_restart=restarts < MOST_RESTARTS)
        if reason is Reason.RUNNING and int(code):
            # The learned curvature misjudged what is left: begin again from here with the exact one.
            restarts, before = restarts + 1, largest
            carry = _again(begin(problem, optimizer, rule, carry.state.theta, seed), carry)
        for row in fresh:
            watch.show(row)
        if reason:
            break
        began = time.perf_counter()
        carry = advance(problem, optimizer, rule, carry, _block(per_step))
        int(carry.step)  # waits until the block has run
        if step > 0:  # the first block includes compilation
            per_step = (time.perf_counter() - began) / max(1, int(carry.filled))
    last = HistoryRow(int(step), *map(float, rows[max(0, int(filled) - 1)]))
    best = HistoryRow(int(carry.best_step), float(carry.best_value), np.nan, np.nan)
    patient = reason is Reason.PATIENCE
    return Search(
        theta=np.asarray(carry.best_theta if patient else carry.state.theta, np.float64),
        largest=largest,
        reason=reason,
        history=history.rows(),
        final=best if patient else last,
        steps=int(carry.step),
        evaluations=int(carry.state.evaluations),
    )


def _checked(
    problem: Problem, rule: StopRule, carry: _Carry, largest: NDArray[np.float64], reason: Reason, *, may_restart: bool
) -> Reason:
    """Return the reason that the exact derivatives support: a claim may be refuted, and a stall may be at the minimum."""
    import numpy as np

    if reason not in {*CLAIMS, Reason.STALLED}:
        return reason

    theta = np.asarray(carry.state.theta, np.float64)
    evidence = assess_by_products(problem, theta, largest) or assess_by_some_rows(problem, theta, largest, rule.gtol)
    if evidence is None or not confirms(evidence, rule.gtol):
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
    )


def _for_work(function: Kernel[..., _Carry], size: int) -> Callable[..., _Carry]:
    """Return the program for a loop over `size` numbers a step: optimising pays sooner than for a single call."""
    return function.for_work(10 * size)


def _block(per_step: float) -> int:
    """Return how many steps the next block makes: a short first one, then what fits the time."""
    if per_step != per_step:  # not known yet
        return 5
    return max(1, min(BLOCK_ROWS, int(BLOCK_SECONDS / max(per_step, 1e-9))))
