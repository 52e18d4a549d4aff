"""From rows sorted by group to chunks of lanes, and how large these are."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import jax
from fitkit.grouped.groups import Groups
from fitkit.losses.mse import MeanSquaredError
from fitkit.problem import Problem, RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

BEST = 6000
"""Numbers of a column that a chunk works on: fewer pay for dispatching, more fall out of the cache."""
LANES = 16, 512
"""The fewest and the most lanes of a chunk."""
BLOCK = 2**18
"""Numbers of a column that a call works on: many calls keep all threads busy to the end."""
CHUNKS = 32
"""The most chunks of a call."""
ALIGNED = 64
"""Bytes."""
LEAST_SHARE = 4
"""A call takes what is left, shared between the threads: large calls first, which cost least by the chunk, and small ones
at last, so that none waits long for another; none is smaller than this part of a thread's work."""


ROWS_OF_BLOCK, LANES_OF_BLOCKS = 16, 256
"""Of groups of unlike lengths, whose rows are laid out in blocks: then no length needs a program of its own."""
ALIKE = 1.1
"""How many times the shortest group the longest may be, to be filled up and not laid out in blocks."""


@final
@dataclass(frozen=True, kw_only=True)
class Size:
    """The shape of a call: the same for a whole fit."""

    rows: int
    """Of a block of rows."""
    lanes: int
    """Of a chunk."""
    chunks: int
    """The most of a call."""
    blocks: int
    """The most blocks of rows of a call."""

    @property
    def in_blocks(self) -> bool:
        """Whether a lane may have rows in several blocks."""
        return self.rows == ROWS_OF_BLOCK and self.lanes == LANES_OF_BLOCKS

    def blocks_for(self, lengths: Whole) -> Whole:
        """Return how many blocks of rows each group fills."""
        return -(-lengths // self.rows)


def size_for(lengths: Whole) -> Size:
    """Return the shape of calls for groups of these lengths."""
    longest = int(lengths.max())
    if longest > ALIKE * int(lengths.min()):
        room = BLOCK // (ROWS_OF_BLOCK * LANES_OF_BLOCKS)
        blocks = max(room, -(-longest // ROWS_OF_BLOCK))
        return Size(rows=ROWS_OF_BLOCK, lanes=LANES_OF_BLOCKS, chunks=CHUNKS, blocks=blocks)
    lanes = LANES[0]
    while lanes < LANES[1] and lanes * longest < BEST * 0.75:
        lanes *= 2
    chunks = min(max(1, BLOCK // (lanes * longest)), CHUNKS)
    return Size(rows=longest, lanes=lanes, chunks=chunks, blocks=chunks)


@final
@dataclass(frozen=True, kw_only=True)
class Piece:
    """What one call works on."""

    groups: Whole
    """By the order of their lanes."""
    blocks: Whole
    """How many blocks of rows each chunk has, shape (chunks,)."""


def pieces_of(waiting: Whole, lengths: Whole, size: Size, threads: int) -> list[Piece]:
    """Return the calls for groups: full ones where there are many, and several for each thread.

    Args:
        waiting: the groups.
        lengths: of all groups.
        size: of a call.
        threads: how many share the work.
    """
    import numpy as np

    if size.in_blocks:
        waiting = waiting[np.argsort(lengths[waiting], kind="stable")]
    starts = np.arange(0, len(waiting), size.lanes)
    blocks = size.blocks_for(np.maximum.reduceat(lengths[waiting], starts))
    left = int(blocks.sum())
    least, found, first = left / (LEAST_SHARE * threads), [], 0
    while first < len(blocks):
        share = math.ceil(max(left / threads, least))
        fits = np.cumsum(blocks[first : first + size.chunks]) <= min(size.blocks, max(share, int(blocks[first])))
        last = first + max(1, int(fits.sum()))
        found.append(Piece(
            groups=waiting[first * size.lanes : last * size.lanes], blocks=blocks[first:last]
        ))  # fmt: skip
        left -= int(blocks[first:last].sum())
        first = last
    return found


@final
@dataclass(frozen=True, kw_only=True)
class Columns:
    """The rows of a table as chunks are cut from them."""

    rows: RowData
    """On the host; `weight` has square roots of weights, by sigma where the loss is the square of a distance."""
    weighted: bool
    """Whether the weights are not all one."""

    @staticmethod
    def of(problem: Problem, groups: Groups) -> Columns:
        """Return the columns of groups."""
        import numpy as np

        rows: RowData = jax.tree.map(lambda column: np.asarray(column, np.float64), groups.rows)
        weight = np.asarray(rows.weight)
        plain = bool((weight == 1).all())
        sigma = rows.sigma
        if sigma is None:
            root: Any = weight if plain else np.sqrt(weight)
        elif isinstance(problem.loss, MeanSquaredError):
            root, sigma, plain = np.sqrt(weight) / np.asarray(sigma), None, False
        else:
            root = np.sqrt(weight)
        found = RowData(inputs=rows.inputs, target=rows.target, sigma=sigma, weight=root)
        return Columns(rows=found, weighted=not plain)


@final
class Room:
    """Memory that each thread cuts rows into again and again: fresh pages cost more than what is written to them."""

    def __init__(self) -> None:
        self._own = threading.local()

    def begin(self) -> Callable[[tuple[int, ...]], Any]:
        """Return what hands out this thread's arrays, by their shapes; they are overwritten after the next `begin`."""
        kept: list[Any] = self._own.__dict__.setdefault("kept", [])
        place = iter(range(1_000_000))

        def array(shape: tuple[int, ...]) -> Any:
            at = next(place)
            if at == len(kept):
                kept.append(_aligned(shape))
            elif kept[at].shape != shape:
                kept[at] = _aligned(shape)
            return kept[at]

        return array


def _aligned(shape: tuple[int, ...]) -> Any:
    """Return an array that begins where JAX asks of what it reads in place; any other it copies."""
    import numpy as np

    size = 8 * math.prod(shape)
    raw = np.empty(size + ALIGNED, np.uint8)
    begin = -raw.ctypes.data % ALIGNED
    return raw[begin : begin + size].view(np.float64).reshape(shape)


def gather(columns: Columns, offsets: Whole, piece: Piece, size: Size, room: Room, *, weighted: bool) -> RowData:
    """Return the rows of a piece in blocks, shape (blocks, rows, lanes); they stand in `room` until the next call.

    A group that is shorter is filled up with copies of its last row at weight zero: whatever is computed of a row is then a
    number if it is one for the group. Lanes without a group have a copy of the first's rows.

    Args:
        columns: of the whole table.
        offsets: of the groups.
        piece: what is wanted.
        size: of the call.
        room: of the threads.
        weighted: whether weights are read at all.
    """
    import numpy as np

    if not weighted and _one_after_the_other(offsets, piece, size):
        return _turned(columns, int(offsets[piece.groups[0]]), piece, size, room)
    chunk = np.repeat(np.arange(len(piece.blocks)), piece.blocks)
    before = np.cumsum(piece.blocks) - piece.blocks
    begin = (np.arange(len(chunk)) - before[chunk]) * size.rows
    lanes = filled(piece, size).reshape(-1, size.lanes)[chunk][:, None, :]
    last = offsets[lanes + 1] - 1
    index = offsets[lanes] + begin[:, None, None] + np.arange(size.rows)[None, :, None]
    beyond = index > last if weighted else None
    np.minimum(index, last, out=index)
    return _cut(columns, index, beyond, size.blocks, room)


def _one_after_the_other(offsets: Whole, piece: Piece, size: Size) -> bool:
    """Return whether a piece is full chunks of neighbouring groups of one length: its rows need no index."""
    groups = piece.groups
    if size.in_blocks or len(groups) % size.lanes or int(groups[-1] - groups[0]) != len(groups) - 1:
        return False
    return int(offsets[groups[-1] + 1] - offsets[groups[0]]) == len(groups) * size.rows


def _turned(columns: Columns, first: int, piece: Piece, size: Size, room: Room) -> RowData:
    """Return the rows of neighbouring groups without weights, from row `first` on."""
    import numpy as np

    used, array = len(piece.blocks), room.begin()

    def turn(column: Any) -> Any:
        whole = array((size.blocks, size.rows, *column.shape[1:], size.lanes))
        part = column[first : first + len(piece.groups) * size.rows]
        whole[:used] = np.moveaxis(part.reshape(used, size.lanes, size.rows, *column.shape[1:]), 1, -1)
        return whole

    rows = columns.rows
    target = turn(rows.target)
    return RowData(
        inputs=jax.tree.map(turn, rows.inputs),
        target=target,
        sigma=None if rows.sigma is None else turn(rows.sigma),
        weight=target,  # stands for what nobody reads
    )


def filled(piece: Piece, size: Size) -> Whole:
    """Return the group of every lane of a piece; lanes to spare have its first."""
    import numpy as np

    return np.concatenate([piece.groups, np.full(-len(piece.groups) % size.lanes, piece.groups[0])])


def _cut(columns: Columns, index: Whole, beyond: Any, blocks: int, room: Room) -> RowData:
    """Return the rows at `index`, shape (used, rows, lanes), in arrays with room for `blocks`."""
    import numpy as np

    used, array = len(index), room.begin()

    def cut(column: Any) -> Any:
        whole = array((blocks, index.shape[1], *column.shape[1:], index.shape[2]))
        if column.ndim == 1:
            # Indices are within bounds; without that, `out` is filled by way of a copy.
            np.take(column, index, out=whole[:used], mode="clip")
        else:
            whole[:used] = np.moveaxis(column[index], -1, -2)
        return whole

    rows = columns.rows
    target = cut(rows.target)
    weight = target  # stands for what nobody reads
    if beyond is not None:
        weight = cut(rows.weight)
        weight[:used][beyond] = 0.0
    return RowData(
        inputs=jax.tree.map(cut, rows.inputs),
        target=target,
        sigma=None if rows.sigma is None else cut(rows.sigma),
        weight=weight,
    )
