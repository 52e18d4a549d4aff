"""A worker process: it makes one fit after another, and keeps what it has compiled for the next."""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from types import FrameType
from typing import Final, final

from fitkit.batch.entry import BatchEntry
from fitkit.batch.fit import FitSettings, fit
from fitkit.batch.rows_now_and_then import RowsNowAndThen

READY: Final = "ready"
"""What a worker sends first; then rows of a history and, at the end of each fit, its outcome."""
STOP: Final = {signal.SIGINT: signal.SIGUSR1, signal.SIGTERM: signal.SIGTERM}
"""What the parent sends a worker, by the signal that it got itself."""


def work(connection: Connection, settings: FitSettings) -> None:
    """Make the fits whose entries arrive, until None or the end of the parent."""
    import gc
    import warnings

    from fitkit.backend import jax

    stopped = _Stopped()
    gc.set_threshold(100_000, 50, 100)  # as the command itself
    warnings.simplefilter("ignore")
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    _ = jax.numpy  # imported before the clock of the first fit runs
    try:
        connection.send(READY)
        while (entry := connection.recv()) is not None:
            connection.send(fit(entry, settings, lambda: stopped.number, RowsNowAndThen(connection.send).show))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is there any more to be told


@final
class _Stopped:
    """Hears what the parent sends; Ctrl-C, which a terminal sends to all, is the parent's to hear."""

    def __init__(self) -> None:
        self.number = 0
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in STOP.values():
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.number = next(asked for asked, sent in STOP.items() if sent == number)


def _follow(parent: int) -> None:
    """End the process when its parent has: a fit that hangs must not outlive the batch."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def entry_sent(connection: Connection, entry: BatchEntry | None) -> bool:
    """Send an entry to a worker, and return whether it was there to take it."""
    try:
        connection.send(entry)
    except OSError:
        return False
    return True
