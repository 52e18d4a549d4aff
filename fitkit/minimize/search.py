"""What a search is: where it ended, why, and how it went there; and what the outside world says meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, final

from fitkit.optimizers import Stopping
from fitkit.optimizers.stopping import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ROWS = 50_000
"""Rows of history that are kept at most: longer ones are thinned evenly, so that ten million epochs fit into memory."""


class HistoryRow(NamedTuple):
    """One line of the history: the state after `step` steps."""

    step: int
    loss: float
    optimality: float
    change: float
    """The largest relative move of a parameter by the step."""
    validation: float = float("nan")
    """The mean loss of the rows held out."""


@final
class History:
    """The rows of a search; every row of a short one, evenly spaced rows and the last of a long one."""

    def __init__(self) -> None:
        self._rows: list[HistoryRow] = []
        self._stride = 1
        self._last: HistoryRow | None = None

    def add(self, rows: Iterable[HistoryRow]) -> None:
        """Append rows in the order of their steps."""
        for row in rows:
            self._last = row
            if row.step % self._stride == 0:
                self._rows.append(row)
        while len(self._rows) > MOST_ROWS:
            self._stride *= 2
            self._rows = [row for row in self._rows if row.step % self._stride == 0]

    def rows(self) -> tuple[HistoryRow, ...]:
        """Return the rows kept, the last one included."""
        beyond = self._last is not None and (not self._rows or self._rows[-1].step < self._last.step)
        return (*self._rows, self._last) if beyond and self._last is not None else tuple(self._rows)


@final
@dataclass(kw_only=True)
class Watch:
    """What the outside world says while a search runs, and what it is shown."""

    interrupted: Callable[[], bool] = lambda: False
    show: Callable[[HistoryRow], None] = lambda _: None
    time_limit: float | None = None
    """The most seconds, whatever the config allows."""
    started: float = field(default_factory=time.perf_counter)
    cut_short: bool = False
    """Whether the time ran out after the search."""

    def seconds(self) -> float:
        """Return the seconds since the watch was started."""
        return time.perf_counter() - self.started

    def too_late(self, stopping: Stopping) -> bool:
        """Return whether the time is over that the config, or who watches, allows."""
        limits = [limit for limit in (stopping.time_limit, self.time_limit) if limit is not None]
        return bool(limits) and self.seconds() > min(limits)

    def must_end(self) -> bool:
        """Return whether what follows a search must end too: for a signal, or for the time that who watches allows.

        The config's own limit is for the search.
        """
        if self.time_limit is not None and self.seconds() > self.time_limit:
            self.cut_short = True
        return self.cut_short or self.interrupted()


@final
@dataclass(frozen=True, kw_only=True)
class Search:
    """Where a search ended, why, and how it went there."""

    theta: NDArray[np.float64]
    largest: NDArray[np.float64]
    """The largest |theta_j| on the way, shape (free,)."""
    reason: Reason
    history: tuple[HistoryRow, ...]
    final: HistoryRow
    """The row of the point returned: the lowest one where patience ended the search, else the last."""
    steps: int
    evaluations: int
    smaller_rate: float | None = None
    """Of a first-order search that diverged: a learning rate with which the loss falls."""


def outside(stopping: Stopping, watch: Watch, step: int) -> Reason:
    """Return the reason to stop that comes from outside the search, or RUNNING.

    The clock counts once there was a step: a limit shorter than compilation would otherwise show nothing.
    """
    if watch.interrupted():
        return Reason.INTERRUPTED
    if step > 0 and watch.too_late(stopping):
        return Reason.TIME_LIMIT
    return Reason.RUNNING
