"""A batch on a Dask cluster that exists: the same fits, through its `concurrent.futures` interface.

A task is a fit by its config's path, so the workers must see the same files under the same paths, as on one machine or a
shared file system. It can be made again without harm: a run is published whole and replaces an earlier one. So Dask may give
the fits of a worker that died to another, which it does three times before it gives one up.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, final

from fitkit.batch.entry import BatchEntry
from fitkit.batch.failures import killed, not_made
from fitkit.batch.fit import FitSettings, fit
from fitkit.batch.outcome import BatchOutcome
from fitkit.errors import Diagnostic, EnvironmentFault

LOOK: Final = 0.1
"""Seconds between looks at signals."""
TRIES: Final = 2
"""How often a fit that came to nothing, most often because its worker was killed, is tried alone."""
CONNECT: Final = 10
"""Seconds to wait for the scheduler."""
_ONE_AT_A_TIME: Final = threading.Lock()
"""Dask gives a worker's threads a task each; a fit uses all cores, and what it compiles is counted per process."""


def run_on_dask(
    entries: Sequence[BatchEntry], settings: FitSettings, scheduler: str, stop: Callable[[], int]
) -> Iterator[BatchOutcome]:
    """Yield the outcome of each fit as it ends.

    Args:
        entries: the fits.
        settings: for all of them.
        scheduler: the cluster's address, `tcp://127.0.0.1:8786`.
        stop: returns the number of the signal that asked to stop, or 0.

    Raises:
        EnvironmentFault: dask is not installed, or the scheduler does not answer.
    """
    with _client(scheduler) as client:
        cluster = _Cluster(client, client.get_executor(pure=False), settings, stop)
        try:
            troubled = yield from cluster.made(entries)
            for entry in troubled:  # one by one: a fit beside one that kills workers is blamed with it
                for _ in range(TRIES):
                    trouble = yield from cluster.made([entry])
                    if not trouble:
                        break
                else:
                    yield _given_up(entry, trouble[entry])
        finally:
            cluster.executor.shutdown(wait=False)


@final
@dataclass(frozen=True)
class _Cluster:
    """Where fits are submitted to, and what is the same for all of them."""

    client: Any
    executor: Any
    settings: FitSettings
    stop: Callable[[], int]

    def made(self, entries: Iterable[BatchEntry]) -> Generator[BatchOutcome, None, dict[BatchEntry, Exception]]:
        """Yield outcomes as the fits end, and return those that came to nothing, and why; a signal ends it before.

        Raises:
            EnvironmentFault: the cluster has gone away.
        """
        folder = os.getcwd()  # noqa: PTH109 - as text, for another machine
        waiting = {self.executor.submit(fit_task, entry, self.settings, folder): entry for entry in entries}
        troubled: dict[BatchEntry, Exception] = {}
        while waiting and not self.stop():
            for future in wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED).done:
                entry = waiting.pop(future)
                try:
                    outcome: BatchOutcome = future.result()
                except Exception as error:  # of Dask, or of workers with another installation: it is told in the end
                    if self.client.status != "running":
                        raise _gone() from None
                    troubled[entry] = error
                else:
                    yield outcome
        return troubled


def fit_task(entry: BatchEntry, settings: FitSettings, folder: str) -> BatchOutcome:
    """Return the outcome of a fit, made in the folder that the batch was started in, where its paths count from."""
    with _ONE_AT_A_TIME:
        before = os.getcwd()  # noqa: PTH109 - as above
        os.chdir(folder)
        try:
            return fit(entry, settings)
        finally:
            os.chdir(before)


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    """Connect to the cluster while the block runs; what goes wrong is told by us, not by dask's log."""
    if find_spec("distributed") is None:
        way_out = 'install it: pip install "fitkit[dask]"'
        message = "`--executor dask` needs dask and distributed, which are not installed"
        raise EnvironmentFault(Diagnostic(code="E703", message=message, help=way_out))
    from distributed import Client

    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        try:
            client = Client(scheduler, timeout=CONNECT, set_as_default=False)  # type: ignore[no-untyped-call]  # dask's
        except (OSError, ValueError, TimeoutError) as error:
            message = f"the scheduler at `{scheduler}` does not answer: {error}"
            way_out = "give the address that `dask scheduler` prints: `--scheduler tcp://127.0.0.1:8786`"
            raise EnvironmentFault(Diagnostic(code="E705", message=message, help=way_out)) from None
        with client:
            yield client
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _given_up(entry: BatchEntry, error: Exception) -> BatchOutcome:
    """Return the outcome of a fit that came to nothing even alone."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return killed(entry, "the system", TRIES, 0.0)
    return not_made(entry, f"the cluster cannot make this fit: {type(error).__name__}: {error}")


def _gone() -> EnvironmentFault:
    message, way_out = "the connection to the cluster is lost", "start it again, and add `--resume`"
    return EnvironmentFault(Diagnostic(code="E705", message=message, help=way_out))
