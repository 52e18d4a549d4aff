"""The host's side of a batch: threads that cut, call and write down, in rounds of growing length.

A chunk runs to its slowest lane, so the first round is short, and the lanes that it left are gathered for another. All
threads share one compiled program, which lets go of Python's lock while it runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, final

from fitkit.backend import jax
from fitkit.grouped.doubts import Ending, doubtful
from fitkit.grouped.groups import GroupProgress, Groups
from fitkit.grouped.lane_rows import Shape, shape_of
from fitkit.grouped.packing import Columns, Piece, Room, Size, filled, gather, pieces_of, size_for
from fitkit.grouped.program import Chunks, Lanes, fit_chunks
from fitkit.grouped.record import Record
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Whole = NDArray[np.int64]

ROUNDS = 7, 15, 60, 240
"""Steps of each round."""
AGAIN = 10.0, 1e-3
"""Dampings of the first step where another way is looked for: shorter steps, and longer ones."""
FEW = 100
"""Groups that are fitted alone however few groups there are; of many, one in a thousand."""
FULL_WORK = 3_000_000
"""Rows of a table from which a program that runs three times as fast is worth its compilation."""


@final
@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the calls of a batch have in common."""

    problem: Problem
    groups: Groups
    columns: Columns
    size: Size
    shape: Shape
    record: Record
    damping: Vector
    """Of each group's next step, shape (groups,)."""
    call: Callable[..., Any]
    room: Room


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
    left = sum(ROUNDS) if max_steps is None else max_steps
    workers = threads or os.cpu_count() or 1
    _call(batch, pieces_of(waiting[:1], groups.lengths, size, 1)[0], 0, 0)  # compiles, so that no two threads do
    with ThreadPoolExecutor(workers) as pool:
        _search(batch, waiting, left, workers, pool, stop, show)
        _search_again(batch, left, workers, pool, stop)
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
    for most in ROUNDS:
        its = its[batch.record.reason[its] == Reason.RUNNING]
        if len(its) == 0 or left <= 0 or stop():
            return
        _round(batch, pieces_of(its, batch.groups.lengths, batch.size, workers), min(most, left), pool, stop, show)
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
    pool: ThreadPoolExecutor,
    stop: Callable[[], bool],
    show: Callable[[GroupProgress], None],
) -> None:
    """Walk the waiting groups for at most `most` steps."""
    in_threads(
        pool,
        pieces,
        lambda piece: _write(batch, piece, _call(batch, piece, len(piece.blocks), most)),
        stop,
        lambda: show(GroupProgress(done=batch.record.done, total=len(batch.groups))),
    )


def in_threads(
    pool: ThreadPoolExecutor,
    pieces: list[Piece],
    work: Callable[[Piece], None],
    stop: Callable[[], bool],
    show: Callable[[], None],
) -> None:
    """Do the work of every piece, unless told to stop."""
    stopped = threading.Event()

    def unless_stopped(piece: Piece) -> None:
        if not stopped.is_set():
            work(piece)

    running: set[Future[None]] = {pool.submit(unless_stopped, piece) for piece in pieces}
    try:
        while running:
            ended, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            for one in ended:
                one.result()
            if stop():
                stopped.set()
            show()
    finally:
        stopped.set()


def _call(batch: Batch, piece: Piece, chunks: int, most: int) -> Lanes:
    """Return where the lanes of the first `chunks` chunks of a piece end, as arrays of the host."""
    import numpy as np

    rows = gather(batch.columns, batch.groups.offsets, piece, batch.size, batch.room, weighted=batch.shape.weighted)
    begun = begin(batch.groups, batch.record, piece, batch.size, batch.record.theta, batch.damping)
    ended = batch.call(batch.problem, rows, begun, chunks, most, shape=batch.shape)
    found: Lanes = jax.tree.map(np.asarray, ended)
    return found


def begin(groups: Groups, record: Record, piece: Piece, size: Size, theta: Matrix, damping: Vector) -> Chunks:
    """Return where the lanes of a piece begin: at `theta`, shape (groups, free)."""
    import numpy as np

    lanes = filled(piece, size).reshape(-1, size.lanes)

    def laid_out(column: Any) -> Any:
        whole = np.zeros((size.chunks, *column.shape[1:], size.lanes))
        whole[: len(lanes)] = np.moveaxis(column[lanes], 1, -1)
        return whole

    def counts(numbers: Any) -> Any:
        whole = np.zeros(size.chunks, np.int64)
        whole[: len(numbers)] = numbers
        return whole

    return Chunks(
        theta=laid_out(theta),
        damping=laid_out(damping),
        total=laid_out(record.total_weight),
        dof=laid_out(record.dof),
        held={name: laid_out(numbers) for name, numbers in groups.held.items()},
        first=counts(np.cumsum(piece.blocks) - piece.blocks),
        blocks=counts(piece.blocks),
    )


def of_groups(column: Any, piece: Piece) -> Any:
    """Return what a call gave for each group of a piece, groups first."""
    import numpy as np

    used = np.moveaxis(column[: len(piece.blocks)], -1, 1)
    return used.reshape(-1, *used.shape[2:])[: len(piece.groups)]


def _write(batch: Batch, piece: Piece, ended: Lanes) -> None:
    """Write down where the groups of a piece ended, all that is known of those that the batch is sure of."""
    record, groups = batch.record, piece.groups
    record.theta[groups] = of_groups(ended.theta, piece)
    batch.damping[groups] = of_groups(ended.damping, piece)
    steps = of_groups(ended.steps, piece)
    record.steps[groups] += steps
    sure = of_groups(ended.sure, piece)
    record.count_evaluations(int(steps.sum()) + len(groups))
    record.values[groups] = of_groups(ended.values, piece)
    record.loss[groups] = of_groups(ended.value, piece) / record.total_weight[groups]
    its = groups[sure]
    record.errors[its] = of_groups(ended.errors, piece)[sure]
    if record.squares:
        record.rss[its] = of_groups(ended.squares, piece)[sure]
        record.scatter[its] = of_groups(ended.scatter, piece)[sure]
    record.move[its], record.at_bound[its] = of_groups(ended.move, piece)[sure], ~of_groups(ended.free, piece)[sure]
    record.reason[its] = int(Reason.GRADIENT_SMALL)
