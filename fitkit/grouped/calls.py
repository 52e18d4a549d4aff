"""A call of the one compiled program: what it is given of groups, and what it gives back of them, in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import jax
from fitkit.grouped.groups import Groups
from fitkit.grouped.lane_rows import Shape
from fitkit.grouped.packing import Columns, Piece, Room, Size, filled, gather
from fitkit.grouped.program import Chunks, Lanes
from fitkit.grouped.record import Record
from fitkit.grouped.surroundings import Surroundings, expand_chunks
from fitkit.optimizers.stopping import Reason
from fitkit.problem import Problem, RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Whole = NDArray[np.int64]


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

    def fitted(self, piece: Piece, chunks: int, most: int, offset: float) -> Lanes:
        """Return where the lanes of the first `chunks` chunks of a piece end, as arrays of the host."""
        import numpy as np

        ended = self.call(self.problem, *self._given(piece), chunks, most, offset, shape=self.shape)
        found: Lanes = jax.tree.map(np.asarray, ended)
        return found

    def surroundings(self, piece: Piece) -> Surroundings:
        """Return what surrounds the groups of a piece where they stand, groups first."""
        import numpy as np

        there = expand_chunks.light(self.problem, *self._given(piece), len(piece.blocks), shape=self.shape, whole=True)
        found: Surroundings = jax.tree.map(lambda column: of_groups(np.asarray(column), piece), there)
        return found

    def _given(self, piece: Piece) -> tuple[RowData, Chunks]:
        rows = gather(self.columns, self.groups.offsets, piece, self.size, self.room, weighted=self.shape.weighted)
        return rows, begin(self.groups, self.record, piece, self.size, self.record.theta, self.damping)


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


def write_down(batch: Batch, piece: Piece, ended: Lanes) -> None:
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
