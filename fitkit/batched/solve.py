"""The host's side of a batch: chunks of lanes through one compiled program, in rounds of growing length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import array
from fitkit.batched.expand import squares
from fitkit.batched.lanes import Lanes, Solved
from fitkit.batched.steps import CONVERGED, RUNNING, walk
from fitkit.parameters import Prior
from fitkit.problem import Problem, register_pytrees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Index = NDArray[np.intp]

ROUNDS = ((10, False), (30, False), (160, True))
"""Steps of each round, and whether the whole Hessian is used. A chunk runs to its slowest lane, so lanes that take long are
gathered for a round of their own; those left to the last have residuals so large that it takes the exact Hessian."""
MOST_STEPS = sum(steps for steps, _ in ROUNDS)
AT_ONCE = 2**15
"""Numbers of a column that a chunk works on together: they fit into the cache."""
MOST_LANES = 256
"""Lanes of a chunk at most."""


@final
@dataclass
class _Batch:
    """The lanes on the host while the rounds go on."""

    lanes: Lanes
    theta: Matrix
    damping: Vector
    value: Vector
    code: NDArray[np.int64]
    determined: NDArray[np.bool_]
    evaluations: int = 0


def solve(
    problem: Problem,
    lanes: Lanes,
    *,
    damping: float = 1.0,
    most_steps: int = MOST_STEPS,
    stop: Callable[[], bool] = lambda: False,
) -> Solved:
    """Return where the lanes end.

    Args:
        problem: smooth, of few parameters: its Hessian, or J'J, is formed for each lane.
        lanes: where they begin, and what differs between them.
        damping: of the first step: 1 from starts that are guesses, less from the neighbourhood of a minimum.
        most_steps: the most steps of each lane.
        stop: asked between chunks; lanes that were not finished by then count as not converged.
    """
    import numpy as np

    register_pytrees()
    count, free = lanes.theta.shape
    low, high = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    batch = _Batch(
        lanes=lanes,
        theta=np.clip(lanes.theta, low, high),
        damping=np.full(count, damping),
        value=np.full(count, np.nan),
        code=np.full(count, RUNNING),
        determined=np.zeros(count, bool),
    )
    size = _chunk(problem, count, free)
    left = most_steps
    for steps, exact in ROUNDS:
        waiting = np.flatnonzero(batch.code == RUNNING)
        for first in range(0, len(waiting), size):
            if stop():
                break
            _advance(
                problem, batch, waiting[first : first + size], size, min(steps, left), exact=exact and squares(problem)
            )
        left -= min(steps, left)
        if left == 0:
            break
    return Solved(
        theta=batch.theta,
        value=batch.value,
        converged=batch.code == CONVERGED,
        determined=batch.determined,
        evaluations=batch.evaluations,
    )


def _chunk(problem: Problem, lanes: int, free: int) -> int:
    """Return how many lanes are worked on together: a power of two, so that few shapes are compiled."""
    rows = 1 if problem.rows is None else len(problem.rows)
    most = max(1, AT_ONCE // max(rows, free))
    return int(2 ** min((lanes - 1).bit_length(), most.bit_length() - 1, (MOST_LANES - 1).bit_length()))


def _priors(lanes: Lanes, index: Index, dtype: Any) -> dict[str, Prior] | None:
    """Return the priors of the lanes at `index` as arrays of the device, (lanes,) each."""
    if lanes.priors is None:
        return None
    import numpy as np

    def of(numbers: Any) -> Any:
        return array(np.asarray(numbers, np.float64)[index], dtype)

    return {name: replace(prior, mean=of(prior.mean), sigma=of(prior.sigma)) for name, prior in lanes.priors.items()}


def _advance(problem: Problem, batch: _Batch, index: Index, size: int, steps: int, *, exact: bool) -> None:
    """Move the lanes at `index` by at most `steps` steps; a chunk that is not full is filled up with copies of its first."""
    import numpy as np

    full = np.concatenate([index, np.full(size - len(index), index[0])])
    dtype = problem.lower.dtype
    target, weight = (None, None) if batch.lanes.draw is None else batch.lanes.draw(full)
    movable = np.ones((size, batch.theta.shape[1]), bool) if batch.lanes.movable is None else batch.lanes.movable[full]
    rows = 1 if problem.rows is None else len(problem.rows)
    # Few steps of few lanes do not earn back the time of an optimising compiler.
    work = len(batch.theta) * rows * batch.theta.shape[1] // 40
    ended = walk.for_work(work)(
        problem,
        array(batch.theta[full], dtype),
        array(movable, bool),
        array(batch.damping[full], dtype),
        None if target is None else array(target, dtype),
        None if weight is None else array(weight, dtype),
        _priors(batch.lanes, full, dtype),
        steps,
        exact=exact,
    )
    kept = len(index)
    batch.theta[index] = np.asarray(ended.theta, np.float64)[:kept]
    batch.damping[index] = np.asarray(ended.damping, np.float64)[:kept]
    batch.value[index] = np.asarray(ended.at.value, np.float64)[:kept]
    batch.code[index] = np.asarray(ended.code)[:kept]
    batch.determined[index] = np.asarray(ended.determined)[:kept]
    batch.evaluations += int(np.asarray(ended.steps)[:kept].sum()) + kept
