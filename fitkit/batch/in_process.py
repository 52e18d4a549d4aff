"""A batch in this process, where fits of one structure share what is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from fitkit.batch.entry import BatchEntry
from fitkit.batch.fit import FitSettings, fit
from fitkit.batch.lanes import lanes_for, run_in_lanes
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.workers import run_in_workers
from fitkit.minimize import HistoryRow


def run_in_process(
    entries: Sequence[BatchEntry],
    settings: FitSettings,
    interrupted: Callable[[], int],
    show: Callable[[BatchEntry, HistoryRow | None], None],
) -> Iterator[BatchOutcome]:
    """Yield the outcomes of fits in order, but as they end where one takes long; a signal that asks to stop ends it.

    Neighbours of several configs are made side by side in threads. A fit that runs code of the user's is made alone: while
    it does, what is printed and where modules are found is its own. With a time limit it is made in a worker process, as
    nothing else can end code that hangs.

    Args:
        entries: the fits.
        settings: for all of them.
        interrupted: returns the number of the signal that asked to stop, or 0.
        show: is shown each fit when it begins, and the rows of its history.
    """
    for runs_code, group in groupby(entries, lambda entry: entry.runs_code):
        neighbours = list(group)
        if runs_code and settings.time_limit is not None:
            yield from run_in_workers(neighbours, settings, 1, interrupted, show)
            continue
        lanes = 1 if runs_code or not settings.side_by_side else lanes_for(neighbours)
        if lanes > 1:
            yield from run_in_lanes(neighbours, settings, lanes, interrupted, show)
            continue
        for entry in neighbours:
            if interrupted():
                return
            show(entry, None)
            yield fit(entry, settings, interrupted, lambda row, entry=entry: show(entry, row))  # type: ignore[misc]  # mypy cannot infer a default's type
