"""The row kernels of one problem, bound to its rows once, and the points that were last looked at with them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import BoundKernel, Kernel
from fitkit.optimizers.linearization import Linearization
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fitkit.optimizers.exact_newton import NewtonStep

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

CHUNK = 65_536
"""Rows linearized at a time: with ten parameters 5 MB, within the cache of the last level."""
REMEMBERED = 4
"""Points that are kept: the search ends where the evidence looks first."""
REMEMBERED_UP_TO = 2**20
"""Numbers of a Jacobian up to which its point is kept, 8 MB."""


MOST_STRUCTURES = 4096
"""Structures and shapes of problems whose searches are counted."""


@final
class SearchCounts(threading.local):
    """How many searches of each structure and shape began in this thread, or for what it works at."""

    def __init__(self) -> None:
        self._begun: OrderedDict[tuple[int, ...], int] = OrderedDict()
        self._of: dict[str, OrderedDict[tuple[int, ...], int]] = {}

    @contextmanager
    def counted_for(self, purpose: str) -> Iterator[None]:
        """Count apart, for `purpose`, while the block runs: its numbers do not depend on what else this thread did."""
        kept, self._begun = self._begun, self._of.setdefault(purpose, OrderedDict())
        try:
            yield
        finally:
            self._begun = kept

    def count(self, key: tuple[int, ...]) -> int:
        """Return how many there were, and count one more."""
        found = self._begun.pop(key, 0)
        self._begun[key] = found + 1
        if len(self._begun) > MOST_STRUCTURES:
            self._begun.popitem(last=False)
        return found


SEARCHES = SearchCounts()


@final
class BoundRows:
    """What is kept of a problem between looks at it; a problem never changes, so it cannot go stale."""

    def __init__(self, problem: Problem) -> None:
        import numpy as np

        self._problem = problem
        self._bound: dict[tuple[int, int], list[BoundKernel]] = {}
        self.lower: Vector = np.asarray(problem.lower, np.float64)
        self.upper: Vector = np.asarray(problem.upper, np.float64)
        self.bounded = bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())
        self.points: OrderedDict[bytes, Linearization] = OrderedDict()
        self.curvatures: OrderedDict[bytes, Matrix] = OrderedDict()
        self.compiled_curvature: Callable[[Vector], Matrix | None] | None = None
        """S at a point in one call, where the search is compiled."""
        self.newton_steps: OrderedDict[bytes, NewtonStep] = OrderedDict()
        self.sensitivities: OrderedDict[bytes, tuple[list[tuple[Matrix, Vector]], Vector]] = OrderedDict()
        self.targets: list[Vector] | None = None
        self.predictions: tuple[bytes, Vector] | None = None
        """Of the point where a search ended."""
        self.shaken: tuple[bytes, Vector] | None = None
        """The evaluation noise of its residuals, shape (rows,)."""

    @classmethod
    def of(cls, problem: Problem) -> BoundRows:
        """Return what is kept of this problem."""
        kept: BoundRows | None = problem.__dict__.get("_bound_rows")
        if kept is None:
            kept = problem.__dict__["_bound_rows"] = cls(problem)
        return kept

    @cached_property
    def counting(self) -> int:
        """How many rows count: their weight is above zero."""
        import numpy as np

        return 0 if self._problem.rows is None else int(np.count_nonzero(np.asarray(self._problem.rows.weight)))

    @cached_property
    def mean_square_of_targets(self) -> float:
        """In units of sigma; zero where the loss is not of distances."""
        import numpy as np

        from fitkit.losses import DistanceLoss

        rows = self._problem.rows
        if rows is None or not isinstance(self._problem.loss, DistanceLoss):
            return 0.0
        target = np.asarray(rows.target, np.float64)
        if rows.sigma is not None:
            target = target / np.asarray(rows.sigma, np.float64)
        return float(np.asarray(rows.weight, np.float64) @ target**2 / float(self._problem.total_weight))

    def forget(self) -> None:
        """Forget the points of an earlier search."""
        for kept in (self.points, self.curvatures, self.newton_steps, self.sensitivities):
            kept.clear()
        self.predictions = self.shaken = None

    def chunks_of(self, kernel: Kernel[..., Any], size: int) -> list[BoundKernel]:
        """Return a kernel of problem, ..., rows bound to each chunk of rows; `size` is how many parameters are free."""
        key = id(kernel), size
        if key not in self._bound:
            if self._problem.rows is None:
                raise AssertionError("least squares has rows")
            chunks = self._problem.rows.chunks(CHUNK)
            self._bound[key] = [kernel.bound(len(rows) * size, self._problem, rows) for rows in chunks]
        return self._bound[key]

    def searches(self, kernel: Kernel[..., Any], size: int) -> int:
        """Return how many searches of problems of this structure and shape began before, and count this one."""
        chunks = self.chunks_of(kernel, size)
        shape = () if self._problem.rows is None else (len(self._problem.rows), size)
        return SEARCHES.count((chunks[0].structure, *shape))


def remember(kept: OrderedDict[bytes, Any], key: bytes, value: Any) -> None:
    """Keep a value, and forget the oldest of too many."""
    kept[key] = value
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
