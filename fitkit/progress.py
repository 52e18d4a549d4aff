"""Progress: a live line on a terminal, a plain line every few seconds in a log, nothing for what ends at once."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, final

if TYPE_CHECKING:
    from rich.live import Live

QUIET_SECONDS = 0.5
"""Fits that end within this time show no progress."""
LIVE_SECONDS = 0.1
LOG_SECONDS = 5.0


@final
class Progress:
    """Shows the rows of a search while it runs.

    Args:
        stream: standard error.
        live: whether it is a terminal where a line can be replaced; plain lines are written otherwise.
    """

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._terminal = live
        self._began = time.monotonic()
        self._next = self._began + (QUIET_SECONDS if self._terminal else LOG_SECONDS)
        self._live: Live | None = None
        self._counted: tuple[float, int] | None = None
        """When groups were first counted, and how many had ended."""

    def show(self, row: Any) -> None:
        """Show a row of the history, if it is time to.

        Args:
            row: has step, loss, optimality and change.
        """
        if not self._is_time():
            return
        now = time.monotonic()
        slope = f"  slope {row.optimality:.1e}" if row.optimality == row.optimality else ""
        line = f"step {row.step}  loss {row.loss:.6g}{slope}  {now - self._began:.1f} s"
        self._say(line)

    def show_groups(self, far: Any) -> None:
        """Show how far many fits have come, if it is time to.

        Args:
            far: has done, total and alone.
        """
        now = time.monotonic()
        if self._counted is None:
            self._counted = (now, far.done)
        if not self._is_time():
            return
        began, before = self._counted
        line = f"{far.done:,} of {far.total:,} groups"
        if far.done > before and now > began:
            rate = (far.done - before) / (now - began)
            line += f"  {rate:,.0f} fits/s  {_span((far.total - far.done) / rate)} left"
        self._say(line + ("  (the last, one by one)" if far.alone else ""))

    def _is_time(self) -> bool:
        return time.monotonic() >= self._next

    def _say(self, line: str) -> None:
        """Put a line in place of the last on a terminal, below it in a log."""
        if self._terminal:
            self._next = time.monotonic() + LIVE_SECONDS
            self._update(line)
        else:
            self._next = time.monotonic() + LOG_SECONDS
            with suppress(OSError):  # that nobody listens any more is no reason to lose the fit
                print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the live line off the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _update(self, line: str) -> None:
        from rich.text import Text

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)


def _span(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
