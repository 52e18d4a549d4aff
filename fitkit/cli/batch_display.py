"""What a person sees while a batch runs: a line for each fit as it ends, and on a terminal what is under way below them."""

from __future__ import annotations

import os
import stat
import sys
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TextIO, final

from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary
from fitkit.batch.text import one_line
from fitkit.cli.terminal import is_terminal, say, tell

if TYPE_CHECKING:
    from rich.text import Text

    from fitkit.minimize import HistoryRow

MOST_SHOWN: Final = 8
"""Fits under way that a terminal shows."""
REFRESHES: Final = 5
"""A second."""
LOG_SECONDS: Final = 5.0
"""Between lines of progress in a log."""


class BatchDisplay(ABC):
    """Abstract: shows what is under way, and prints what has ended."""

    def __init__(self, summary: BatchSummary) -> None:
        self._summary = summary

    @abstractmethod
    def show(self, entry: BatchEntry, row: HistoryRow | None) -> None:
        """Take note of a fit that begins, or of a row of its history."""

    @abstractmethod
    def ended(self, outcome: BatchOutcome) -> None:
        """Take note of a fit that has ended."""

    @abstractmethod
    def print(self, text: str, *, good: bool | None = None) -> None:
        """Print a part of the result; `good` tells how it may be coloured."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Leave the terminal as it was."""

    def _counts(self) -> str:
        summary = self._summary
        done, failed = len(summary.outcomes), sum(not outcome.passed for outcome in summary.outcomes)
        return f"{done} of {len(summary.planned)} done{f', {failed} failed' if failed else ''}"


@final
class LogDisplay(BatchDisplay):
    """Plain lines: the result on standard output, progress of fits that take long on standard error."""

    def __init__(self, summary: BatchSummary, *, silent: bool = False) -> None:
        super().__init__(summary)
        self._silent, self._next = silent, time.monotonic() + LOG_SECONDS

    def show(self, entry: BatchEntry, row: HistoryRow | None) -> None:
        """Tell of a long fit now and then."""
        now = time.monotonic()
        if not self._silent and now >= self._next and row is not None:
            self._next = now + LOG_SECONDS
            tell(f"{self._counts()}; {one_line(entry.name)}: step {row.step}  loss {row.loss:.6g}")

    def ended(self, outcome: BatchOutcome) -> None:
        """Nothing more need be told for a while: the line of the fit is progress too."""
        del outcome
        self._next = time.monotonic() + LOG_SECONDS

    def print(self, text: str, *, good: bool | None = None) -> None:
        """Print to standard output."""
        del good
        say(text)


@final
class LiveDisplay(BatchDisplay):
    """A terminal: lines of results scroll, and below them stands what is under way."""

    def __init__(self, summary: BatchSummary, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(summary)
        self._began, self._running = time.monotonic(), dict[str, tuple[float, Any]]()
        self._live = Live(
            console=Console(file=stream),
            refresh_per_second=REFRESHES,
            transient=True,
            get_renderable=self._picture,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, entry: BatchEntry, row: HistoryRow | None) -> None:
        """Keep the newest row of each fit under way."""
        began = self._running.get(entry.name, (time.monotonic(), None))[0]
        self._running[entry.name] = (began, row)

    def ended(self, outcome: BatchOutcome) -> None:
        """Show the fit no more."""
        self._running.pop(outcome.name, None)

    def print(self, text: str, *, good: bool | None = None) -> None:
        """Print above what is under way; to standard output too where that is a file."""
        from rich.text import Text

        if not is_terminal(sys.stdout):
            say(text)
            return
        style = "" if good is None else "green" if good else "red"
        self._live.console.print(Text(text, style=style), soft_wrap=True)

    def close(self) -> None:
        """Take what is under way off the screen."""
        self._live.stop()

    def _picture(self) -> Text:
        from rich.text import Text

        now = time.monotonic()
        lines = [f"{self._counts()}  {now - self._began:.0f} s"]
        for name, (began, row) in list(self._running.items())[:MOST_SHOWN]:
            where = "" if row is None else f"  step {row.step}  loss {row.loss:.6g}"
            lines.append(f"  {one_line(name)}{where}  {now - began:.1f} s")
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis", style="dim")


def display_for(summary: BatchSummary, *, quiet: bool) -> BatchDisplay:
    """Return the display that suits where the output goes.

    What is under way can be shown only where nothing else writes to the same screen: not where standard output is a pipe,
    whose other end may be `tee`.
    """
    if quiet:
        return LogDisplay(summary, silent=True)
    if sys.stderr is not None and is_terminal(sys.stderr) and not _is_pipe(sys.stdout):
        return LiveDisplay(summary, sys.stderr)
    return LogDisplay(summary)


def _is_pipe(stream: TextIO | None) -> bool:
    try:
        return stream is None or stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return True
