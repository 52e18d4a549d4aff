"""A batch on a Dask cluster that exists: the same fits, through its `concurrent.futures` interface.

A task is a fit by its config's path, so the workers must see the same files under the same paths, as on one machine or a
shared file system. It can be made again without harm: a run is published whole and replaces an earlier one. So Dask may give
the fits of a worker that died to another, which it does three times before it gives one up.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from fitkit.batch.entry import BatchEntry
from fitkit.batch.failures import killed, not_made
from fitkit.batch.fit import FitSettings, fit
from fitkit.batch.outcome import BatchOutcome
from fitkit.errors import Diagnostic, EnvironmentFault

LOOK: Final = 0.1
"""Seconds between looks at signals."""
TRIES: Final = 2
"""How often a fit is given to Dask, the second time alone."""
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
        executor = client.get_executor(pure=False)
        folder = os.getcwd()  # noqa: PTH109 - as text, for another machine
        suspects: list[BatchEntry] = []

        def made(chosen: Sequence[BatchEntry]) -> Iterator[BatchOutcome | BatchEntry]:
            """Yield outcomes, and the entries of fits under way when workers were killed."""
            waiting = {executor.submit(fit_task, entry, settings, folder): entry for entry in chosen}
            while waiting and not stop():
                for future in wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED).done:
                    yield _outcome(waiting.pop(future), future, scheduler)

        try:
            for found in made(entries):
                if isinstance(found, BatchOutcome):
                    yield found
                else:
                    suspects.append(found)
            for entry in suspects:  # one by one: a fit beside one that kills workers is blamed with it
                for found in made([entry]):
                    yield found if isinstance(found, BatchOutcome) else killed(entry, "the system", TRIES, 0.0)
        finally:
            executor.shutdown(wait=False)


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

    logger = logging.getLogger("distributed")
    level = logger.level
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
        logger.setLevel(level)


def _outcome(entry: BatchEntry, future: Future[BatchOutcome], scheduler: str) -> BatchOutcome | BatchEntry:
    """Return what a task returned, or that it could not; the entry itself where the workers that had it were killed.

    Raises:
        EnvironmentFault: the cluster is gone.
    """
    try:
        return future.result()
    except CancelledError:
        message = f"the scheduler at `{scheduler}` has gone away"
        raise EnvironmentFault(Diagnostic(code="E705", message=message, help="start it, and add `--resume`")) from None
    except Exception as error:  # whatever a worker of another installation may raise
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return entry
        return not_made(entry, f"a worker of the cluster cannot make this fit: {type(error).__name__}: {error}")
