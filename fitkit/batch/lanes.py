"""Fits in threads of this process: while one compiles, which needs no lock of Python's, another is traced or runs."""

from __future__ import annotations

import importlib.util
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from enum import Enum, auto
from importlib.metadata import entry_points
from typing import Final, final

from fitkit.backend import jax
from fitkit.batch.entry import BatchEntry
from fitkit.batch.fit import FitSettings, fit
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.rows_now_and_then import RowsNowAndThen
from fitkit.minimize import HistoryRow

MOST_LANES: Final = 4
"""Tracing and all that Python does is for one thread at a time, so that more would only wait."""
LOOK: Final = 0.1
"""Seconds between looks at signals."""
TURN: Final = 0.02
"""Seconds that a thread keeps Python's lock while another waits: tracing slows down if the caches change hands more often."""
STACK: Final = 64 * 2**20
"""Bytes of a thread's stack: tracing calls itself deeply, and some systems give a thread far less than the process."""
HELD_BACK: Final = 1.0
"""Seconds that an outcome waits for that of an earlier fit."""
News = BatchOutcome | tuple[BatchEntry, HistoryRow | None]
"""A fit that has ended; one that begins (None), or a row of its history."""


@final
class Nothing(Enum):
    """That nothing happened for a moment."""

    NEW = auto()


def lanes_for(entries: Sequence[BatchEntry]) -> int:
    """Return how many threads pay for these fits: one for each processor, and one where there may be an accelerator.

    Which device is used is a setting of the whole process, and fits side by side would share the accelerator's memory.
    """
    if _may_have_accelerator():
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_LANES, len({entry.path for entry in entries}))


def run_in_lanes(
    entries: Sequence[BatchEntry],
    settings: FitSettings,
    lanes: int,
    interrupted: Callable[[], int],
    show: Callable[[BatchEntry, HistoryRow | None], None],
) -> Generator[BatchOutcome, None, None]:
    """Yield the outcomes of fits in order, but as they end where an earlier one takes long.

    No fit is begun once a signal has asked to stop.

    Args:
        entries: the fits; none may run code of the user's, which could change what all threads share.
        settings: for all of them.
        lanes: how many threads there are.
        interrupted: returns the number of the signal that asked to stop, or 0.
        show: is shown each fit when it begins, and rows of its history, in the thread of the caller.
    """
    road, before = _Road(entries, settings, interrupted), sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        road.open(lanes)
        queue_of_ended = _InOrder(entries)
        while (news := road.news()) is not None:
            if isinstance(news, BatchOutcome):
                queue_of_ended.add(news)
            elif isinstance(news, tuple):
                show(*news)
            yield from queue_of_ended.rest() if interrupted() else queue_of_ended.ready()
        yield from queue_of_ended.rest()
    finally:
        road.close()
        sys.setswitchinterval(before)


@final
class _Road:
    """The threads, and the fits that are still to be made."""

    def __init__(self, entries: Sequence[BatchEntry], settings: FitSettings, interrupted: Callable[[], int]) -> None:
        configs: dict[str, list[BatchEntry]] = {}
        for entry in entries:
            configs.setdefault(entry.path, []).append(entry)
        self._waiting = deque(configs.values())
        self._settings, self._interrupted = settings, interrupted
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closed = 0

    def open(self, lanes: int) -> None:
        """Start the threads."""
        _ = jax.numpy  # imported by one of them alone
        before = threading.stack_size(STACK)
        try:
            self._threads = [threading.Thread(target=self._drive, name=f"lane {k}") for k in range(lanes)]
            for thread in self._threads:
                thread.start()
        finally:
            threading.stack_size(before)

    def news(self) -> News | Nothing | None:
        """Wait a moment for what happens next; None when every thread has ended, and all that they did is told."""
        over = not any(thread.is_alive() for thread in self._threads)
        try:
            return self._news.get(timeout=0 if over else LOOK)
        except queue.Empty:
            return None if over else Nothing.NEW

    def close(self) -> None:
        """Have the fits under way end early, and wait for them."""
        self._closed = signal.SIGTERM
        for thread in self._threads:
            thread.join()

    def _stop(self) -> int:
        return self._interrupted() or self._closed

    def _drive(self) -> None:
        while not self._stop():
            try:
                config = self._waiting.popleft()
            except IndexError:
                return
            # In one thread and in order, so that they share programs and their last digits are the same each time.
            for entry in config:
                if self._stop():
                    return
                self._news.put((entry, None))
                self._news.put(fit(entry, self._settings, self._stop, self._rows_of(entry).show))

    def _rows_of(self, entry: BatchEntry) -> RowsNowAndThen:
        return RowsNowAndThen(lambda row: self._news.put((entry, row)))


@final
class _InOrder:
    """Outcomes that wait for those of earlier fits: what a batch says is the same each time, unless a fit takes long."""

    def __init__(self, entries: Sequence[BatchEntry]) -> None:
        self._place = {entry.name: place for place, entry in enumerate(entries)}
        self._held: dict[int, tuple[BatchOutcome, float]] = {}
        self._next = 0

    def add(self, outcome: BatchOutcome) -> None:
        """Take an outcome."""
        self._held[self._place[outcome.name]] = outcome, time.monotonic()

    def ready(self) -> Iterator[BatchOutcome]:
        """Yield what nothing earlier is missing of, and what has waited long enough."""
        now = time.monotonic()
        for place in sorted(self._held):
            outcome, since = self._held[place]
            if place <= self._next or now - since > HELD_BACK:
                del self._held[place]
                self._next = max(self._next, place + 1)
                yield outcome

    def rest(self) -> Iterator[BatchOutcome]:
        """Yield what is left."""
        for place in sorted(self._held):
            yield self._held.pop(place)[0]


def _may_have_accelerator() -> bool:
    """Return whether JAX may find another device than the CPU, without asking it: to ask claims the device's memory."""
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms is not None:
        return platforms != "cpu"
    return bool(entry_points(group="jax_plugins")) or any(
        importlib.util.find_spec(name) is not None for name in ("jax_plugins", "libtpu")
    )
