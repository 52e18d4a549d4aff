"""The host's side of a batch: threads that cut, call and write down, in rounds of growing length.

A chunk runs to its slowest lane, so the first round is short, and the lanes that it left are gathered for another. All
threads share one compiled program, which lets go of Python's lock while it runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from fitkit.grouped.calls import Batch, in_threads, write_down
from fitkit.grouped.doubts import Ending, doubtful
from fitkit.grouped.groups import GroupProgress, Groups
from fitkit.grouped.lane_rows import shape_of
from fitkit.grouped.packing import Columns, Piece, Room, pieces_of, size_for
from fitkit.grouped.program import fit_chunks
from fitkit.grouped.record import Record
from fitkit.grouped.unconfirmed import Rest, end_flat, rest_of
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Whole = NDArray[np.int64]

ROUNDS = (7, 1e-6), (15, 1e-6), (60, 1e-9), (240, 1e-13)
"""Of each round the most steps, and the share of the objective that a step may still remove where a lane is polished: what
could not be confirmed from there is looked at again from farther down."""
AGAIN = 10.0, 1e-3
"""Dampings of the first step where another way is looked for: shorter steps, and longer ones."""
FEW = 100
"""Groups that are fitted alone however few groups there are; of many, one in a thousand."""
PATIENT = 1000, 1e-15
"""The same for the few groups that have not come to rest even then: along a valley a step leads not far."""
LEAPS = 8
"""How often the groups in a valley leap along it, doubling what moves most: twice as far as a single fit would go."""
BACK = 30, 1e-15
"""The same for the way back to the bottom of the valley."""
SHORT = 1e-3
"""The damping of the first of these steps."""
BY_HAND = 20
"""Groups without a minimum that are fitted alone before another program is worth its compilation."""
FULL_WORK = 3_000_000
"""Rows of a table from which a program that runs three times as fast is worth its compilation."""


def fit_in_batches(
    problem: Problem,
    groups: Groups,
    record: Record,
    *,
    max_steps: int | None,
    effort: Literal["light", "full"] | None,
    threads: int | None,
    exact: bool,
    sandwich: bool,
    allow_flat: bool,
    stop: Callable[[], bool],
    show: Callable[[GroupProgress], None],
) -> None:
    """End the groups that a batch can vouch for, and move the others to where it left them."""
    import numpy as np

    waiting = np.flatnonzero(record.reason == Reason.RUNNING)
    if len(waiting) == 0:
        return
    lengths = groups.lengths[waiting]
    size = size_for(lengths)
    columns = Columns.of(problem, groups)
    weighted = columns.weighted or bool((lengths != size.rows).any())
    shape = shape_of(problem, groups.rows, weighted=weighted, blocks=size.in_blocks, exact=exact, sandwich=sandwich)
    worth = FULL_WORK // (6 if size.in_blocks else 1)  # sums over blocks are what quick compiling is worst at
    full = effort == "full" or (effort is None and int(lengths.sum()) >= worth)
    batch = Batch(
        problem=replace(problem, rows=None, total_weight=1.0),
        groups=groups,
        columns=columns,
        size=size,
        shape=shape,
        record=record,
        damping=np.ones(len(groups)),
        call=fit_chunks.wide if full else fit_chunks.light,
        room=Room(),
    )
    left = sum(most for most, _ in ROUNDS) if max_steps is None else max_steps
    workers = threads or os.cpu_count() or 1
    batch.fitted(pieces_of(waiting[:1], groups.lengths, size, 1)[0], 0, 0, 1.0)  # compiles, so that no two threads do
    with ThreadPoolExecutor(workers) as pool:
        _search(batch, waiting, left, workers, pool, stop, show)
        _search_again(batch, left, workers, pool, stop)
        if not allow_flat and max_steps != 0:
            _look_around(batch, left, workers, pool, stop)
    if max_steps != 0 and not stop():
        _end_hopeless(groups, record)
        still = doubtful(batch.problem, groups, record)
        if len(still) <= max(FEW, len(groups) // 1000):
            record.reason[still] = int(Reason.RUNNING)  # as `train` fits them, whatever that comes to


def _search(
    batch: Batch,
    its: Whole,
    left: int,
    workers: int,
    pool: ThreadPoolExecutor,
    stop: Callable[[], bool],
    show: Callable[[GroupProgress], None],
) -> None:
    """Walk the groups `its` until they have ended, for at most `left` steps."""
    for most, offset in ROUNDS:
        its = its[batch.record.reason[its] == Reason.RUNNING]
        if len(its) == 0 or left <= 0 or stop():
            return
        _round(
            batch, pieces_of(its, batch.groups.lengths, batch.size, workers), min(most, left), offset, pool, stop, show
        )
        left -= most


def _search_again(batch: Batch, left: int, workers: int, pool: ThreadPoolExecutor, stop: Callable[[], bool]) -> None:
    """Search the groups whose minimum is in doubt again, with other first steps; the lower minimum is kept."""
    import numpy as np

    record, problem = batch.record, batch.problem
    for damping in AGAIN:
        its = np.empty(0, np.int64) if stop() else doubtful(problem, batch.groups, record)
        if len(its) == 0:
            return
        first = Ending.of(record, its)
        record.theta[its] = np.clip(batch.groups.start[its], np.asarray(problem.lower), np.asarray(problem.upper))
        record.reason[its], record.steps[its], batch.damping[its] = int(Reason.RUNNING), 0, damping
        _search(batch, its, left, workers, pool, stop, lambda _: None)
        first.restore(record, its)


def _look_around(batch: Batch, left: int, workers: int, pool: ThreadPoolExecutor, stop: Callable[[], bool]) -> None:
    """End what the data do not determine, and lead what stands on a saddle away; too few to be worth it are fitted alone."""
    import numpy as np

    if not batch.shape.squares or batch.problem.reports_otherwise:
        return
    its = _unconfirmed(batch)
    if len(its) <= BY_HAND or stop():
        return
    rest = _rest(batch, its, workers)
    _leave_saddles(batch, rest, left, workers, pool, stop)
    end_flat(batch.problem, batch.record, rest)
    for _ in range(LEAPS):
        its = rest.its[rest.valley & (batch.record.reason[rest.its] == Reason.RUNNING)]
        its = np.empty(0, np.int64) if left <= 0 or stop() else _leap(batch, rest, its, left, workers, pool, stop)
        if len(its) == 0:
            break
        rest = _rest(batch, its, workers)
        end_flat(batch.problem, batch.record, rest)
    its = _unconfirmed(batch)
    if left > 0 and len(its) > BY_HAND and not stop():
        most, offset = PATIENT
        pieces = pieces_of(its, batch.groups.lengths, batch.size, workers)
        _round(batch, pieces, min(most, left), offset, pool, stop, lambda _: None)
        rest = _rest(batch, _unconfirmed(batch), workers)
        _leave_saddles(batch, rest, left, workers, pool, stop)
        end_flat(batch.problem, batch.record, rest)


def _unconfirmed(batch: Batch) -> Whole:
    """Return the groups whose search came to rest, but at no minimum that could be confirmed."""
    import numpy as np

    found: Whole = np.flatnonzero((batch.record.reason == Reason.RUNNING) & np.isfinite(batch.record.loss))
    return found


def _rest(batch: Batch, its: Whole, workers: int) -> Rest:
    """Return how the groups `its` rest."""
    pieces = pieces_of(its, batch.groups.lengths, batch.size, workers)
    return rest_of(batch.problem, batch.record, [(piece.groups, batch.surroundings(piece)) for piece in pieces])


def _leap(
    batch: Batch,
    rest: Rest,
    its: Whole,
    left: int,
    workers: int,
    pool: ThreadPoolExecutor,
    stop: Callable[[], bool],
) -> Whole:
    """Leap with the groups `its` along their valleys; return those that came down lower, and put the others back."""
    import numpy as np

    if len(its) == 0:
        return its
    record, problem = batch.record, batch.problem
    first = Ending.of(record, its)
    ahead = rest.ahead[np.isin(rest.its, its)]
    record.theta[its], batch.damping[its] = np.clip(ahead, np.asarray(problem.lower), np.asarray(problem.upper)), SHORT
    most, offset = BACK
    pieces = pieces_of(its, batch.groups.lengths, batch.size, workers)
    _round(batch, pieces, min(most, left), offset, pool, stop, lambda _: None)
    lower = record.loss[its] < first.loss
    first.put_back(record, its, ~lower)
    return its[lower]


def _leave_saddles(
    batch: Batch, rest: Rest, left: int, workers: int, pool: ThreadPoolExecutor, stop: Callable[[], bool]
) -> None:
    """Search on from beside the saddles on which groups rest; those that find no minimum there are put back."""
    import numpy as np

    record, problem = batch.record, batch.problem
    its = rest.its[rest.saddle]
    first = Ending.of(record, its)
    record.theta[its] = np.clip(rest.beside[rest.saddle], np.asarray(problem.lower), np.asarray(problem.upper))
    batch.damping[its] = 1.0
    _search(batch, its, left, workers, pool, stop, lambda _: None)
    first.restore(record, its)


def _end_hopeless(groups: Groups, record: Record) -> None:
    """End what is left, but for as many groups as can be fitted alone in a time that a user can bear.

    The shortest groups are ended: that no minimum was confirmed has most often the reason that there is none.
    """
    import numpy as np

    left = np.flatnonzero(record.reason == Reason.RUNNING)
    if len(left) <= max(FEW, len(groups) // 1000):
        return
    broken = ~np.isfinite(record.loss[left])
    for group in left[broken].tolist():
        record.end(group, Reason.NOT_FINITE, "Diverged: the loss or its slope is not finite.")
    left = left[~broken]
    longest_first = left[np.argsort(-groups.lengths[left], kind="stable")]
    for group in longest_first[max(FEW, len(groups) // 1000) :].tolist():
        told = f"Not converged after {record.steps[group]} steps: no minimum could be confirmed. Too many groups are like it"
        record.end(group, Reason.MAX_STEPS, f"{told} to fit each alone, which may end otherwise.")


def _round(
    batch: Batch,
    pieces: list[Piece],
    most: int,
    offset: float,
    pool: ThreadPoolExecutor,
    stop: Callable[[], bool],
    show: Callable[[GroupProgress], None],
) -> None:
    """Walk the waiting groups for at most `most` steps."""
    in_threads(
        pool,
        pieces,
        lambda piece: write_down(batch, piece, batch.fitted(piece, len(piece.blocks), most, offset)),
        stop,
        lambda: show(GroupProgress(done=batch.record.done, total=len(batch.groups))),
    )
