"""A batch from the first fit to the exit code, told once whatever ends it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NoReturn, final

from fitkit.batch.entry import BatchEntry
from fitkit.batch.failures import interrupted
from fitkit.batch.gate import BaselineGate
from fitkit.batch.ledger import Ledger
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary
from fitkit.batch.text import header, line, name_width, parameter_lines, tail
from fitkit.cli.batch_baseline import settle
from fitkit.cli.batch_display import BatchDisplay
from fitkit.cli.batch_reports import BatchReports
from fitkit.cli.terminal import say, speaks_unicode, tell
from fitkit.errors import FitkitError

if TYPE_CHECKING:
    from fitkit.minimize import HistoryRow

PATIENCE: Final = 1.5
"""Seconds that a fit under way has to stop after a signal."""


@final
class BatchSession:
    """Takes outcomes as they come, and ends the batch: in order, or from a thread where a fit does not stop.

    Args:
        summary: is filled.
        display: for a person.
        reports: for machines.
        ledger: of what has been done, if runs are saved.
        style: `table`, `verbose`, `quiet` or `json`: what standard output carries.
        started: `time.perf_counter()` at the start of the process.
        gate: what outcomes are held against, and written to.
    """

    def __init__(
        self,
        summary: BatchSummary,
        display: BatchDisplay,
        reports: BatchReports,
        ledger: Ledger | None,
        style: str,
        started: float,
        gate: BaselineGate | None = None,
    ) -> None:
        self._summary, self._display, self._reports, self._ledger = summary, display, reports, ledger
        self._style, self._started, self._gate = style, started, gate
        self._output, self._broken = sys.stdout, list[int]()
        self._width = name_width(summary.planned)
        self._under_way: dict[str, tuple[BatchEntry, float]] = {}
        self._lock = threading.RLock()

    def run(self, outcomes: Iterator[BatchOutcome], *, fail_fast: bool) -> None:
        """Take outcomes until there are no more, the first that failed, or the machine or the disk ends it all.

        Args:
            outcomes: as they come.
            fail_fast: whether the first that failed is the last.
        """
        if self._style in {"table", "verbose"}:
            self._display.print(header(self._width))
        try:
            for outcome in outcomes:
                self._take(outcome)
                if fail_fast and not outcome.passed:
                    return
        except FitkitError as error:  # a full disk, a cluster that went away: what was done is reported all the same
            self._display.close()
            tell(error.render())
            self._broken.append(int(error.exit_code))

    def show(self, entry: BatchEntry, row: HistoryRow | None) -> None:
        """Show a fit that begins, or a row of its history."""
        if row is None:
            self._under_way[entry.name] = (entry, time.perf_counter())
        self._display.show(entry, row)

    def _take(self, outcome: BatchOutcome) -> None:
        with self._lock:
            self._under_way.pop(outcome.name, None)
            self._summary.outcomes.append(outcome)
            if self._ledger is not None:
                self._ledger.add(outcome)
            self._reports.add(outcome)
            self._display.ended(outcome)
            self._print(outcome)

    def _print(self, outcome: BatchOutcome) -> None:
        if self._style == "json":
            say(json.dumps(outcome.line, allow_nan=False, ensure_ascii=not speaks_unicode(sys.stdout)))
        elif self._style != "quiet":
            self._display.print(line(outcome, self._width), good=outcome.passed)
            if self._style == "verbose":
                self._display.print("\n".join(parameter_lines(outcome)))

    def finish(self, signal: int) -> int:
        """Write the reports, print the totals, and return the exit code.

        Args:
            signal: that stopped the batch, or 0.
        """
        with self._lock:
            summary = self._summary
            summary.signal, summary.seconds = signal, time.perf_counter() - self._started
            self._display.close()
            speak = tell if self._style == "json" else say
            codes = [*self._broken, *([] if self._gate is None else settle(self._gate, summary, speak))]
            code = summary.exit_code([*codes, *self._reports.finish(summary, summary.exit_code(codes))])
            speak(tail(summary, code, saved=self._ledger is not None))
            if self._ledger is not None:
                self._ledger.release()
            return code

    def overdue(self, signal: int) -> NoReturn:
        """End the process from another thread: the main one is deep in compiled code and does not hear signals."""
        from fitkit.run.folder import release_all

        with self._lock:
            sys.stdout = self._output  # what a python model prints is led elsewhere while it is under way
            release_all()
            now = time.perf_counter()
            for entry, began in tuple(self._under_way.values()):
                self._take(interrupted(entry, signal, now - began))
            os._exit(self.finish(signal))
