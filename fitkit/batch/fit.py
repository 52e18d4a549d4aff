"""One fit of a batch, from its entry to its outcome, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from fitkit.batch.content import content_key
from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.config import ConfigSource, load
from fitkit.errors import FitkitError
from fitkit.minimize import HistoryRow
from fitkit.optimizers.bound_rows import SEARCHES
from fitkit.reports.json_document import plain_document
from fitkit.result import Result
from fitkit.run.failed import failed_result, write_bug


@final
@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """What the command line says for every fit."""

    allow_python: bool = False
    out: str | None = None
    """The folder under which runs are saved; None saves nothing."""
    time_limit: float | None = None
    """The most seconds for each fit."""
    side_by_side: bool = True
    """Whether several may be under way in this process: where the first that fails is the last, none is beside it."""


def fit(
    entry: BatchEntry,
    settings: FitSettings,
    interrupted: Callable[[], int] = lambda: 0,
    show: Callable[[HistoryRow], None] = lambda _: None,
) -> BatchOutcome:
    """Return the outcome of a fit; no mistake and no bug in it escapes.

    Args:
        entry: which fit.
        settings: for all fits.
        interrupted: returns the number of the signal that asked to stop, or 0.
        show: is shown the rows of the history.
    """
    began, key = time.perf_counter(), None
    try:
        source = load(entry.path, entry.overrides, combination=entry.combination)
        key = None if settings.out is None else content_key(source)
        with SEARCHES.counted_for(entry.path):
            result = _trained(source, entry, settings, interrupted, show, began)
    except FitkitError as error:
        result = failed_result(entry.path, error)
    except (Exception, SystemExit) as error:  # a python model may call `exit`
        failed = failed_result(entry.path, error)
        told = f"{failed.message} (a bug in fitkit, or in a python model; please report it with {write_bug(error)})"
        result = replace(failed, message=told)
    document = plain_document(replace(result, name=entry.name))
    return BatchOutcome(entry=entry, document=document, seconds=time.perf_counter() - began, key=key)


def _trained(
    source: ConfigSource,
    entry: BatchEntry,
    settings: FitSettings,
    interrupted: Callable[[], int],
    show: Callable[[HistoryRow], None],
    began: float,
) -> Result:
    from fitkit.run.train import TrainOptions, train

    limit = settings.time_limit
    options = TrainOptions(
        allow_python=settings.allow_python,
        out=None if settings.out is None else str(Path(settings.out) / entry.folder),
        overwrite=True,
        keep=settings.out is not None,
        name=entry.name,
        time_limit=None if limit is None else max(0.0, limit - (time.perf_counter() - began)),
        show=show,
        interrupted=interrupted,
    )
    return train(source, options, began)[0]
