"""The global fit: shared parameters have one value for all groups, every group has its own of the others.

Levenberg-Marquardt on all parameters together, with one damping, by the elimination of `schur`; then Newton steps on the
whole Hessian, whose length is the evidence. The cost of a step is that of the groups' expansions: linear in their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

from fitkit.backend import jax
from fitkit.grouped.calls import begin, in_threads, of_groups
from fitkit.grouped.elimination import place
from fitkit.grouped.groups import GroupProgress, Groups
from fitkit.grouped.lane_rows import Shape, shape_of
from fitkit.grouped.packing import Columns, Piece, Room, Size, gather, pieces_of, size_for
from fitkit.grouped.record import Record
from fitkit.grouped.schur import eliminate
from fitkit.grouped.surroundings import expand_chunks
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Whole = NDArray[np.int64]

SLICE = 8192
"""Groups that are eliminated in one call."""
FULL_WORK = 300_000
"""Rows from which programs are compiled to run fast: each runs some ten times."""


class At(NamedTuple):
    """The objective of all groups together at a point, groups last."""

    value: Vector
    """Of each group, times its total weight, shape (groups,)."""
    slope: Matrix
    """Half the negative gradient, shape (free, groups)."""
    bend: Matrix
    """J'J, or half the Hessian, packed, shape (free(free+1)/2, groups)."""
    curvature: Matrix
    """What J'J leaves out of it; zero where it was not asked for."""
    prior: float
    """What priors of shared parameters add to the value."""
    prior_slope: Vector
    """Shape (shared,)."""
    prior_bend: Vector

    @property
    def total(self) -> float:
        """The objective times the total weight of all groups."""
        return float(self.value.sum()) + self.prior

    @property
    def finite(self) -> bool:
        """Whether all is finite."""
        import numpy as np

        return bool(np.isfinite(self.value.sum() + np.abs(self.slope).sum() + np.abs(self.bend).sum()))


@final
@dataclass(kw_only=True)
class Together:
    """The groups of a global fit as one problem."""

    problem: Problem
    """What the groups have in common, without the priors of shared parameters, which count once."""
    groups: Groups
    record: Record
    active: Whole
    """The groups that take part."""
    shared: tuple[int, ...]
    """Which numbers of theta are shared."""
    columns: Columns
    size: Size
    shape: Shape
    pool: ThreadPoolExecutor
    workers: int
    stop: Callable[[], bool]
    show: Callable[[GroupProgress], None]
    pieces: list[Piece] = field(default_factory=list)
    priors: list[tuple[int, float, float, bool, float]] = field(default_factory=list)
    """Of shared parameters: number, mean, sigma, whether it is a logarithm, and how much its square counts."""
    evaluations: int = 0
    full: bool = False
    room: Room = field(default_factory=Room)

    @staticmethod
    def of(
        problem: Problem,
        groups: Groups,
        record: Record,
        active: Whole,
        threads: int | None,
        stop: Callable[[], bool],
        show: Callable[[GroupProgress], None],
    ) -> Together:
        """Return the global problem of the groups `active`."""
        lengths = groups.lengths[active]
        size = size_for(lengths)
        columns = Columns.of(problem, groups)
        weighted = columns.weighted or bool((lengths != size.rows).any())
        names, layout = groups.shared, problem.layout
        once = {name: prior for name, prior in problem.priors.items() if name in names}
        share = 1.0 if problem.loss is not None and problem.loss.deviance else 0.5
        lanes = replace(problem, priors={n: p for n, p in problem.priors.items() if n not in once})
        workers = threads or os.cpu_count() or 1
        return Together(
            problem=replace(lanes, rows=None, total_weight=1.0),
            groups=groups,
            record=record,
            active=active,
            shared=tuple(layout.places[name].start for name in names),
            columns=columns,
            size=size,
            shape=shape_of(lanes, groups.rows, weighted=weighted, blocks=size.in_blocks, exact=False, sandwich=False),
            pool=ThreadPoolExecutor(workers),
            workers=workers,
            stop=stop,
            show=show,
            pieces=pieces_of(active, groups.lengths, size, workers),
            priors=[
                (layout.places[n].start, float(p.mean), float(p.sigma), n in layout.logarithmic, share)
                for n, p in once.items()
            ],
            full=int(lengths.sum()) >= FULL_WORK,
        )

    def leave(self, kept: Mask) -> None:
        """Go on with the groups that are `kept`, shape (active,)."""
        self.active = self.active[kept]
        self.pieces = pieces_of(self.active, self.groups.lengths, self.size, self.workers)

    @property
    def local(self) -> tuple[int, ...]:
        """Which numbers of theta each group has for itself."""
        return tuple(j for j in range(self.problem.layout.size) if j not in self.shared)

    def at(self, theta: Matrix, *, whole: bool) -> At:
        """Return the objective near theta, shape (free, active); `whole` asks for the curvature too."""
        import numpy as np

        size, count = self.problem.layout.size, len(self.groups)
        everywhere = np.zeros((count, size))
        everywhere[self.active] = theta.T
        value, slope = np.zeros(count), np.zeros((size, count))
        bend, curvature = (np.zeros((size * (size + 1) // 2, count)) for _ in range(2))
        damping = np.zeros(count)
        call = expand_chunks.full if self.full else expand_chunks.light

        def expand(piece: Piece, chunks: int) -> Any:
            rows = gather(self.columns, self.groups.offsets, piece, self.size, self.room, weighted=self.shape.weighted)
            begun = begin(self.groups, self.record, piece, self.size, everywhere, damping)
            found = call(self.problem, rows, begun, chunks, shape=self.shape, whole=whole)
            return jax.tree.map(np.asarray, found)

        def work(piece: Piece) -> None:
            found, its = expand(piece, len(piece.blocks)), piece.groups
            value[its] = of_groups(found.at.value, piece)
            slope[:, its] = of_groups(found.at.slope, piece).T
            bend[:, its] = of_groups(found.at.bend, piece).T
            curvature[:, its] = of_groups(found.curvature, piece).T

        expand(self.pieces[0], 0)  # compiles, so that no two threads do
        in_threads(self.pool, self.pieces, work, lambda: False, lambda: None)
        self.evaluations += len(self.active)
        prior, prior_slope, prior_bend = self._priors(theta, whole=whole)
        its = self.active
        return At(value[its], slope[:, its], bend[:, its], curvature[:, its], prior, prior_slope, prior_bend)

    def _priors(self, theta: Matrix, *, whole: bool) -> tuple[float, Vector, Vector]:
        """Return what the priors of shared parameters add to value, slope and bend."""
        import numpy as np

        value, slope, bend = 0.0, np.zeros(len(self.shared)), np.zeros(len(self.shared))
        for number, mean, sigma, logarithm, share in self.priors:
            at = self.shared.index(number)
            there = float(np.exp(theta[number, 0]) if logarithm else theta[number, 0])
            z, first = (there - mean) / sigma, (there if logarithm else 1.0) / sigma
            value += share * z * z
            slope[at] -= share * z * first
            bend[at] += share * (first * first + (z * first if logarithm and whole else 0.0))
        return value, slope, bend


class Elimination(NamedTuple):
    """What is left when every group's own parameters are eliminated; groups last."""

    matrix: Matrix
    """C, shape (shared, shared)."""
    right: Vector
    """b, shape (shared,)."""
    follow: NDArray[np.float64]
    """E, shape (local, shared, groups)."""
    alone: Matrix
    """v, shape (local, groups)."""
    least_pivot: Vector
    """Shape (groups,)."""
    inverse: Matrix
    """V^-1, packed."""


def eliminated(together: Together, at: At, bend: Matrix, lift: Matrix, free: Mask) -> Elimination:
    """Return the elimination at a point.

    Args:
        together: the groups.
        at: their expansions.
        bend: the matrix to take, packed, shape (free(free+1)/2, groups).
        lift: what is added to its diagonal, shape (free, groups).
        free: which parameters no bound holds, shape (free, groups).
    """
    import numpy as np

    count = bend.shape[1]
    call = eliminate.full if together.full else eliminate.light
    length = min(SLICE, 2 ** max(4, (count - 1).bit_length()))

    def cut(whole: Any, first: int) -> Any:
        part = whole[:, first : first + length]
        missing = length - part.shape[1]
        return np.ascontiguousarray(np.pad(part, ((0, 0), (0, missing))) if missing else part)

    def work(first: int) -> Any:
        found = call(cut(at.slope, first), cut(bend, first), cut(lift, first), cut(free, first), shared=together.shared)
        return jax.tree.map(np.asarray, found)

    firsts = range(0, count, length)
    parts = [work(0), *together.pool.map(work, firsts[1:])]  # the first compiles
    joined = [np.concatenate(pieces, axis=-1)[..., :count] for pieces in zip(
        *((p.follow, p.alone, p.least_pivot, p.inverse) for p in parts), strict=True
    )]  # fmt: skip
    # In the order of the groups, so that threads change nothing.
    matrix, right = sum(p.matrix for p in parts), sum(p.right for p in parts)
    return Elimination(
        matrix=matrix + np.diag(at.prior_bend), right=right + at.prior_slope, follow=joined[0], alone=joined[1],
        least_pivot=joined[2], inverse=joined[3],
    )  # fmt: skip


def shared_step(matrix: Matrix, right: Vector, free: Mask) -> Vector | None:
    """Return the solution over the free shared parameters, or None where the matrix is not positive definite."""
    import numpy as np

    step = np.zeros(len(right))
    if not free.any():
        return step
    part = matrix[np.ix_(free, free)]
    diagonal = np.diag(part)
    if not (np.isfinite(part).all() and (diagonal > 0).all()):
        return None
    scale = 1 / np.sqrt(diagonal)
    try:
        factor = np.linalg.cholesky(part * np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return None
    step[free] = scale * np.linalg.solve(factor.T, np.linalg.solve(factor, scale * right[free]))
    return step


def product_of(bend: Matrix, move: Matrix) -> Vector:
    """Return d'Ad summed over groups, from packed matrices and moves, shape (free, groups), entry by entry."""
    import numpy as np

    size = len(move)
    total = np.zeros(move.shape[1])
    for i in range(size):
        for j in range(i + 1):
            total += (1.0 if i == j else 2.0) * bend[place(i, j)] * move[i] * move[j]
    return total


@final
@dataclass(kw_only=True)
class Point:
    """Where the search stands."""

    theta: Matrix
    """Shape (free, groups)."""
    at: At
    scale: Matrix
    """D², shape (free, groups); of the shared parameters in `shared_scale`."""
    shared_scale: Vector
    largest: Matrix
    damping: float = 1.0
    steps: int = 0
    move: Vector | None = None
    """The largest share of itself by which the last Newton step moved a parameter of each group, shape (groups,)."""


def diagonals(bend: Matrix, size: int) -> Matrix:
    """Return the diagonals of packed matrices, shape (size, groups)."""
    return bend[[j * (j + 1) // 2 + j for j in range(size)]]


def free_of(together: Together, theta: Matrix, at: At) -> Mask:
    """Return which parameters no bound holds, shape (free, groups); a shared one is held for all or none."""
    import numpy as np

    lower, upper = (np.asarray(each, np.float64)[:, None] for each in (together.problem.lower, together.problem.upper))
    shared = list(together.shared)
    slope = at.slope.copy()
    slope[shared] = (slope[shared].sum(axis=1) + at.prior_slope)[:, None]
    free: Mask = ~(((theta <= lower) & (slope < 0)) | ((theta >= upper) & (slope > 0)))
    return free
