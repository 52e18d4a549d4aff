"""A batch over worker processes: a worker that is killed, or hangs, loses no fit but its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection as connections
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final, final

from fitkit.batch.entry import BatchEntry
from fitkit.batch.failures import interrupted, killed, out_of_time
from fitkit.batch.fit import FitSettings
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.worker import READY, STOP, entry_sent, work
from fitkit.errors import Diagnostic, EnvironmentFault, FitkitError
from fitkit.minimize import HistoryRow
from fitkit.run.folder import RunFolder

GRACE: Final = 2.0
"""Seconds beyond its time limit that a fit has to answer by itself, with what it has reached."""
FAREWELL: Final = 1.0
"""Seconds that fits under way have to end after a signal."""
TRIES: Final = 2
"""How often a fit is tried whose worker is killed."""
LOOK: Final = 0.1
"""Seconds between looks at the clock and at signals."""

Show = Callable[[BatchEntry, HistoryRow | None], None]


def run_in_workers(
    entries: Sequence[BatchEntry],
    settings: FitSettings,
    jobs: int,
    stop: Callable[[], int],
    show: Show,
) -> Iterator[BatchOutcome]:
    """Yield the outcome of each fit as it ends.

    Args:
        entries: the fits.
        settings: for all of them.
        jobs: how many worker processes there are.
        stop: returns the number of the signal that asked to stop, or 0.
        show: is shown each fit when it begins, and rows of its history.

    Raises:
        EnvironmentFault: worker processes cannot be started.
    """
    crew = _Crew(entries, settings, min(jobs, len(entries)), show)
    try:
        while crew.busy:
            if number := stop():
                yield from crew.farewell(number)
                return
            yield from crew.look()
    finally:
        crew.dismiss()


@final
class _Worker:
    """A process and what it is doing."""

    def __init__(self, settings: FitSettings) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy JAX's threads in whatever state they are
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=work, args=(theirs, settings), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False
        self.entry: BatchEntry | None = None
        self.last_path = ""
        """Of the config whose programs it has."""
        self.began = time.monotonic()

    def take(self, entry: BatchEntry) -> bool:
        """Begin a fit; return whether the worker is still there to do so."""
        self.entry, self.last_path, self.began = entry, entry.path, time.monotonic()
        return entry_sent(self.connection, entry)

    def ask_to_stop(self, number: int) -> None:
        """Ask a fit under way to end, as signal `number` does."""
        if self.entry is not None and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, STOP[signal.Signals(number)])

    def received(self) -> list[Any]:
        """Return what it has sent; EOFError, as the last, tells that it has ended."""
        found: list[Any] = []
        try:
            while self.connection.poll():
                found.append(self.connection.recv())
        except (EOFError, OSError):
            found.append(EOFError)
        return found

    def end(self) -> str:
        """End the process, and return what had ended it, or does now."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"itself, with exit code {code}"
        try:
            return f"signal {-code} ({signal.Signals(-code).name})"
        except ValueError:
            return f"signal {-code}"


@final
class _Crew:
    """The workers, and the fits that are still to be made."""

    def __init__(self, entries: Sequence[BatchEntry], settings: FitSettings, jobs: int, show: Show) -> None:
        self._settings, self._jobs, self._show = settings, jobs, show
        self._waiting = deque(entries)
        self._tries: Counter[str] = Counter()
        self._stillborn = 0
        """Workers that ended before they were ready, in a row."""
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> bool:
        """Whether a fit is under way or waiting."""
        return bool(self._waiting) or any(worker.entry is not None for worker in self._workers)

    def look(self) -> Iterator[BatchOutcome]:
        """Wait a moment for news, and yield the outcomes among them."""
        self._hire()
        news = connections.wait([part for w in self._workers for part in (w.connection, w.process.sentinel)], LOOK)
        for worker in tuple(self._workers):
            if worker.connection in news or worker.process.sentinel in news:
                yield from self._hear(worker)
        limit = self._settings.time_limit
        for worker in tuple(self._workers):
            seconds = time.monotonic() - worker.began
            if worker.entry is not None and limit is not None and seconds > limit + GRACE:
                entry = worker.entry
                self._dismissed(worker)
                yield out_of_time(entry, limit, seconds)

    def _hire(self) -> None:
        """Start workers, as many as there is work for."""
        idle = sum(worker.entry is None for worker in self._workers)
        for _ in range(min(self._jobs - len(self._workers), len(self._waiting) - idle)):
            self._workers.append(_Worker(self._settings))

    def _hear(self, worker: _Worker) -> Iterator[BatchOutcome]:
        heard = worker.received() or [EOFError]  # the process has ended, and said nothing more
        for message in heard:
            if message is EOFError:
                yield from self._lost(worker)
            elif message == READY:
                worker.ready, self._stillborn = True, 0
            elif isinstance(message, BatchOutcome):
                worker.entry = None
                yield message
            elif worker.entry is not None:
                self._show(worker.entry, message)
        if worker in self._workers and worker.ready and worker.entry is None:
            self._employ(worker)

    def _employ(self, worker: _Worker) -> None:
        """Give the worker a fit, of the config that it knows already where one is waiting."""
        if not self._waiting:
            return
        entry = next((e for e in self._waiting if e.path == worker.last_path), self._waiting[0])
        self._waiting.remove(entry)
        self._show(entry, None)
        worker.take(entry)  # one that has ended meanwhile is heard of at the next look

    def _lost(self, worker: _Worker) -> Iterator[BatchOutcome]:
        """Do without a worker that has ended; its fit is tried again, the second time it has failed."""
        entry, seconds = worker.entry, time.monotonic() - worker.began
        self._stillborn += not worker.ready
        how = self._dismissed(worker)
        if self._stillborn > self._jobs:
            message = f"worker processes cannot be started: they are ended by {how}"
            raise EnvironmentFault(Diagnostic(code="E704", message=message, help="run the batch without `--jobs`"))
        if entry is None:
            return
        self._tries[entry.name] += 1
        if self._tries[entry.name] < TRIES:
            self._waiting.appendleft(entry)
        else:
            yield killed(entry, how, self._tries[entry.name], seconds)

    def _dismissed(self, worker: _Worker) -> str:
        """End a worker, tidy what its fit has begun to save, and return what had ended it."""
        self._workers.remove(worker)
        how = worker.end()
        if worker.entry is not None and self._settings.out is not None:
            folder = Path(self._settings.out) / worker.entry.folder
            with suppress(FitkitError, OSError):  # that it holds an earlier run, for one, which then stays
                RunFolder.claim(str(folder), worker.entry.name, overwrite=True).release()
                folder.rmdir()
        return how

    def farewell(self, number: int) -> Iterator[BatchOutcome]:
        """Ask fits under way to end, and yield what they say, or that they said nothing."""
        self._waiting.clear()
        for worker in self._workers:
            worker.ask_to_stop(number)
        last = time.monotonic() + FAREWELL
        left = [worker for worker in self._workers if worker.entry is not None]
        while left and (patience := last - time.monotonic()) > 0:
            connections.wait([worker.connection for worker in left], patience)
            for worker in tuple(left):
                for message in worker.received():
                    if isinstance(message, BatchOutcome):
                        worker.entry = None
                        left.remove(worker)
                        yield message
                        break
                    elif message is EOFError:
                        left.remove(worker)
                        break
        for worker in self._workers:
            if worker.entry is not None:
                yield interrupted(worker.entry, number, time.monotonic() - worker.began)

    def dismiss(self) -> None:
        """End every process; fits under way have a moment to leave nothing half done."""
        for worker in self._workers:
            worker.ask_to_stop(signal.SIGTERM)
        last = time.monotonic() + LOOK
        for worker in tuple(self._workers):
            if worker.entry is not None:
                worker.process.join(max(0.0, last - time.monotonic()))
            self._dismissed(worker)
