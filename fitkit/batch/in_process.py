"""A batch in this process, where fits of one structure share what is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fitkit.batch.entry import BatchEntry
from fitkit.batch.fit import FitSettings, fit
from fitkit.batch.lanes import lanes_for, run_in_lanes
from fitkit.batch.outcome import BatchOutcome
from fitkit.minimize import HistoryRow


def run_in_process(
    entries: Sequence[BatchEntry],
    settings: FitSettings,
    interrupted: Callable[[], int],
    show: Callable[[BatchEntry, HistoryRow | None], None],
) -> Iterator[BatchOutcome]:
    """Yield the outcome of each fit as it ends; none is begun once a signal has asked to stop.

    Fits of several configs are made side by side in threads. Those that run code of the user's come after them, one after
    another: while they run, what is printed and where modules are found is theirs.

    Args:
        entries: the fits.
        settings: for all of them.
        interrupted: returns the number of the signal that asked to stop, or 0.
        show: is shown each fit when it begins, and the rows of its history.
    """
    together = [entry for entry in entries if not entry.runs_code]
    lanes = lanes_for(together)
    if lanes < 2:
        together = []
    else:
        yield from run_in_lanes(together, settings, lanes, interrupted, show)
    for entry in entries:
        if interrupted():
            return
        if entry.runs_code or not together:
            show(entry, None)
            yield fit(entry, settings, interrupted, lambda row, entry=entry: show(entry, row))  # type: ignore[misc]  # mypy cannot infer a default's type
