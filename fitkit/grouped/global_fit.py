"""The search of a global fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fitkit.backend import jax
from fitkit.grouped.global_verdict import SINGULAR, conclude, told
from fitkit.grouped.groups import GroupProgress, Groups, SharedFit
from fitkit.grouped.record import Record
from fitkit.grouped.together import (
    At,
    Elimination,
    Point,
    Together,
    diagonals,
    eliminated,
    free_of,
    product_of,
    shared_step,
)
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MOST_STEPS = 200
OFFSET = 1e-6
"""The share of the objective that a step may still remove when Newton steps are tried."""
NEWTON_STEPS = 8
SURE = 1e-8
"""The search has converged when a Newton step moves no parameter by more than this share of itself."""
FORGETTING = 0.64


def fit_together(
    problem: Problem,
    groups: Groups,
    record: Record,
    *,
    max_steps: int | None = None,
    threads: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    show: Callable[[GroupProgress], None] = lambda _: None,
) -> SharedFit:
    """End all groups by one fit that shares the parameters `groups.shared`, and return what these came to.

    Groups that cannot take part, for want of rows or of numbers, end with their own reasons and are left out.
    """
    import numpy as np

    local = problem.layout.size - len(groups.shared)
    own_priors = sum(name not in groups.shared for name in problem.priors)
    _without_numbers(groups, record, local - own_priors)
    active = np.flatnonzero(record.reason == Reason.RUNNING)
    if len(active) == 0:
        return told(
            groups, np.full(len(groups.shared), np.nan), Reason.TOO_FEW_ROWS, "No group can be fitted.", 0, None
        )
    together = Together.of(problem, groups, record, active, threads, stop, show)
    try:
        return _fit(together, MOST_STEPS if max_steps is None else max_steps)
    finally:
        together.pool.shutdown()


def _without_numbers(groups: Groups, record: Record, least: int) -> None:
    """End the groups with fewer rows than parameters of their own, and those whose rows are not numbers."""
    import numpy as np

    for group in np.flatnonzero((groups.lengths < least) & (record.reason == Reason.RUNNING)).tolist():
        rows = int(groups.lengths[group])
        cannot = f"{rows} row{'' if rows == 1 else 's'} cannot determine {least} parameters of its own."
        record.end(group, Reason.TOO_FEW_ROWS, cannot)
    columns = [groups.rows.target, *jax.tree.leaves(groups.rows.inputs)]
    sound = np.ones(len(groups.rows), bool)
    for column in columns:
        sound &= np.isfinite(np.asarray(column)).reshape(len(sound), -1).all(axis=1)
    broken = np.unique(np.searchsorted(groups.offsets, np.flatnonzero(~sound), side="right") - 1)
    for group in broken.tolist():
        if record.reason[group] == Reason.RUNNING:
            record.end(group, Reason.NOT_FINITE, "Diverged: a row of this group is not a finite number.")


def _fit(together: Together, most: int) -> SharedFit:
    import numpy as np

    record, groups, active = together.record, together.groups, together.active
    theta = record.theta[active].T.copy()
    point = _begin(together, theta)
    lost = ~np.isfinite(point.at.value)
    if lost.any():  # one of them would be the end of all
        for group in active[lost].tolist():
            record.end(group, Reason.NOT_FINITE, "Diverged: the loss is not finite at this group's start.")
        together.leave(~lost)
        if len(together.active) == 0:
            return told(groups, theta[list(together.shared), 0], Reason.NOT_FINITE, "No group can be fitted.", 0, None)
        point = _begin(together, theta[:, ~lost])
    reason = _search(together, point, most)
    return conclude(together, point, reason)


def _begin(together: Together, theta: Matrix) -> Point:
    import numpy as np

    at = together.at(theta, whole=False)
    diagonal = np.abs(diagonals(at.bend, len(theta)))
    shared = list(together.shared)
    return Point(
        theta=theta,
        at=at,
        scale=np.where(diagonal > 0, diagonal, 1.0),
        shared_scale=diagonal[shared].sum(axis=1) + at.prior_bend,
        largest=np.abs(theta),
    )


def _moved(together: Together, theta: Matrix, found: Elimination, shared_move: Vector, free: Mask) -> Matrix:
    """Return where a step leads, within the bounds."""
    import numpy as np

    lower, upper = (np.asarray(each, np.float64)[:, None] for each in (together.problem.lower, together.problem.upper))
    move = np.zeros_like(theta)
    move[list(together.shared)] = shared_move[:, None]
    move[list(together.local)] = found.alone - np.einsum("jag,a->jg", found.follow, shared_move)
    return np.clip(theta + np.where(free, move, 0.0), lower, upper)


def _share(move: Matrix, theta: Matrix, largest: Matrix) -> Matrix:
    """Return moves as shares of their parameters, shape (free, groups)."""
    import numpy as np

    size = np.maximum(np.abs(theta), 1e-6 * largest)
    share: Matrix = np.abs(move) / np.where(size > 0, size, 1.0)
    return share


def _search(together: Together, point: Point, most: int) -> Reason:
    """Move the point to a minimum, and return why the search ended."""
    import numpy as np

    growth = 2.0
    while point.steps < most:
        if together.stop():
            return Reason.INTERRUPTED
        together.show(GroupProgress(done=len(together.groups) - len(together.active), total=len(together.groups)))
        free, shared = free_of(together, point.theta, point.at), list(together.shared)
        found = eliminated(together, point.at, point.at.bend, point.damping * point.scale, free)
        matrix = found.matrix + point.damping * np.diag(point.shared_scale)
        move = shared_step(matrix, found.right, free[shared, 0])
        accepted = False
        if move is not None and np.isfinite(found.alone).all():
            trial = _moved(together, point.theta, found, move, free)
            step = trial - point.theta
            gain = _gain(point.at, step, shared)
            foretold = 2 * gain - float(product_of(point.at.bend, step).sum())
            foretold -= float(point.at.prior_bend @ step[shared, 0] ** 2)
            near = gain <= OFFSET * abs(point.at.total) and point.damping <= 1e-2
            there = together.at(trial, whole=False)
            fall = point.at.total - there.total
            tiny = foretold <= 1e-9 * abs(point.at.total) and fall >= -1e-12 * abs(point.at.total)
            accepted = there.finite and foretold > 0 and (fall > 1e-4 * foretold or tiny)
            if accepted:
                ratio = 1.0 if tiny else fall / foretold
                _take(point, trial, there, shared)
                point.damping = max(1e-16, point.damping * max(0.1, 1 - (2 * min(ratio, 1.0) - 1) ** 3))
                growth = 2.0
            if near and _polish(together, point):
                return Reason.GRADIENT_SMALL
        point.steps += 1
        if not accepted:
            point.damping *= growth
            growth *= 2
            if point.damping > 1e16:
                return Reason.STALLED
    return Reason.MAX_STEPS


def _gain(at: At, step: Matrix, shared: list[int]) -> float:
    """Return the slope along a step."""
    return float((at.slope * step).sum() + at.prior_slope @ step[shared, 0])


def _take(point: Point, trial: Matrix, there: At, shared: list[int]) -> None:
    import numpy as np

    diagonal = np.abs(diagonals(there.bend, len(trial)))
    point.theta, point.at = trial, there
    point.scale = np.maximum(FORGETTING * point.scale, diagonal)
    point.shared_scale = np.maximum(FORGETTING * point.shared_scale, diagonal[shared].sum(axis=1) + there.prior_bend)
    point.largest = np.maximum(point.largest, np.abs(trial))


def _polish(together: Together, point: Point) -> bool:
    """Make Newton steps on the whole Hessian while they shrink; return whether the last was next to nothing."""
    import numpy as np

    shared, before = list(together.shared), np.inf
    for _ in range(NEWTON_STEPS):
        at = together.at(point.theta, whole=True)
        free = free_of(together, point.theta, at)
        bend = at.bend + at.curvature
        nothing = np.zeros_like(point.scale)
        # A group whose own Hessian is not positive definite keeps J'J: it must not stop the others.
        concave = ~(eliminated(together, at, bend, nothing, free).least_pivot > SINGULAR)
        bend = np.where(concave, at.bend, bend)
        found = eliminated(together, at, bend, np.where(concave, 1e-8 * point.scale, 0.0), free)
        move = shared_step(found.matrix, found.right, free[shared, 0])
        if move is None or not np.isfinite(found.alone).all():
            return False
        trial = _moved(together, point.theta, found, move, free)
        share = _share(trial - point.theta, point.theta, point.largest)
        longest = float(share.max(initial=0.0))
        if longest > before / 2 and longest > SURE:
            return False
        there = together.at(trial, whole=False)
        if not there.finite or there.total > at.total * (1 + 1e-9) + 1e-300:
            return longest <= SURE
        point.theta, point.at, before = trial, there, longest
        point.move = share.max(axis=0, initial=0.0)
        point.steps += 1
        if longest <= SURE:
            return True
    return False
