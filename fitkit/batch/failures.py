"""Results of fits that could not tell what became of them: stopped from outside, out of time, or killed."""

from __future__ import annotations

from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.errors import Diagnostic, ExitCode
from fitkit.reports.json_document import plain_document
from fitkit.result import Result, Status


def interrupted(entry: BatchEntry, number: int, seconds: float) -> BatchOutcome:
    """Return the outcome of a fit that was under way when signal `number` stopped the batch."""
    code = ExitCode.TERMINATED if number == 15 else ExitCode.INTERRUPTED
    return _ended(entry, Status.INTERRUPTED, code, "interrupted", "Interrupted before it could be saved.", seconds)


def out_of_time(entry: BatchEntry, limit: float, seconds: float) -> BatchOutcome:
    """Return the outcome of a fit that did not answer within `limit` seconds, and whose worker was ended for it."""
    message = f"Not converged within the {limit:g} s of --timeout; it did not answer, and its worker process was ended."
    return _ended(entry, Status.NOT_CONVERGED, ExitCode.NOT_CONVERGED, "time_limit", message, seconds)


def killed(entry: BatchEntry, how: str, times: int, seconds: float) -> BatchOutcome:
    """Return the outcome of a fit whose worker process was killed each time.

    Args:
        entry: the fit.
        how: what ended the worker: `signal 9 (SIGKILL)`.
        times: how often it was tried.
        seconds: the time of the last try.
    """
    tried = {1: "", 2: " twice"}.get(times, f" {times} times")
    way_out = "most often the machine ran out of memory: use fewer rows or fewer workers"
    return not_made(entry, f"the worker process of this fit was ended by {how}{tried}", way_out, seconds)


def not_made(entry: BatchEntry, message: str, way_out: str | None = None, seconds: float = 0.0) -> BatchOutcome:
    """Return the outcome of a fit that its environment kept from being made."""
    diagnostic = Diagnostic(code="E704", message=message, file=entry.path, help=way_out)
    return _ended(entry, Status.FAILED, ExitCode.ENVIRONMENT, "environment", message, seconds, diagnostic)


def _ended(
    entry: BatchEntry,
    status: Status,
    code: ExitCode,
    reason: str,
    message: str,
    seconds: float,
    *errors: Diagnostic,
) -> BatchOutcome:
    result = Result(
        name=entry.name,
        path=entry.path,
        status=status,
        exit_code=int(code),
        reason=reason,
        message=message,
        errors=errors,
    )
    return BatchOutcome(entry=entry, document=plain_document(result), seconds=seconds)
