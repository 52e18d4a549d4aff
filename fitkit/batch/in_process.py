"""A batch in this process, one fit after another, so that fits of one structure share what is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fitkit.batch.entry import BatchEntry
from fitkit.batch.fit import FitSettings, fit
from fitkit.batch.outcome import BatchOutcome
from fitkit.minimize import HistoryRow


def run_in_process(
    entries: Iterable[BatchEntry],
    settings: FitSettings,
    interrupted: Callable[[], int],
    show: Callable[[BatchEntry, HistoryRow | None], None],
) -> Iterator[BatchOutcome]:
    """Yield the outcome of each fit as it ends; none is begun once a signal has asked to stop.

    Args:
        entries: the fits.
        settings: for all of them.
        interrupted: returns the number of the signal that asked to stop, or 0.
        show: is shown each fit when it begins, and the rows of its history.
    """
    for entry in entries:
        if interrupted():
            return
        show(entry, None)
        yield fit(entry, settings, interrupted, lambda row, entry=entry: show(entry, row))  # type: ignore[misc]  # mypy cannot infer a default's type
