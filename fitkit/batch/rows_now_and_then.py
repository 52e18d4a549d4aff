"""Rows of a history on their way to who shows them, no more often than an eye can follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, final

from fitkit.minimize import HistoryRow

ROW_SECONDS: Final = 0.1
"""Rows are sent no more often than this."""


@final
class RowsNowAndThen:
    """Sends rows of a history, now and then."""

    def __init__(self, send: Callable[[HistoryRow], object]) -> None:
        self._send, self._next = send, 0.0

    def show(self, row: HistoryRow) -> None:
        """Send the row, if it is time to."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + ROW_SECONDS
            self._send(row)
