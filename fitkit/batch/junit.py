"""A batch as a JUnit document: a suite for each config, in it a case for each fit and for each thing it expects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary
from fitkit.batch.text import place
from fitkit.errors import ExitCode
from fitkit.reports import junit
from fitkit.reports.baseline_text import drift_line
from fitkit.reports.junit import Case, Suite

_FAILURES: Final = {ExitCode.NOT_CONVERGED, ExitCode.DIVERGED, ExitCode.CHECK_FAILED}
"""A fit that was made and is not as it should be; any other kept it from being made, which is an error."""


def render(summary: BatchSummary) -> str:
    """Return the document; fits that were not run are skipped."""
    return junit.render("fitkit batch", _suites(summary))


def _suites(summary: BatchSummary) -> Iterator[Suite]:
    outcomes = {outcome.name: outcome for outcome in summary.outcomes}
    by_path: dict[str, list[BatchEntry]] = {}
    for entry in summary.planned:
        by_path.setdefault(entry.path, []).append(entry)
    for path, entries in by_path.items():
        made = [outcomes[entry.name] for entry in entries if entry.name in outcomes]
        cases = [case for entry in entries for case in _cases(entry, outcomes.get(entry.name))]
        cases += [case for entry in entries for case in _against_baseline(summary, entry)]
        yield Suite(name=path, cases=cases, seconds=sum(outcome.seconds for outcome in made), output=_output(made))
    if summary.baseline is not None and summary.baseline.found.gone:
        text = "the baseline has this fit, and the batch does not"
        gone = [Case(name=name, verdict="failure", kind="gone", text=text) for name in summary.baseline.found.gone]
        yield Suite(name=summary.baseline.shown, cases=gone, seconds=0.0)


def _against_baseline(summary: BatchSummary, entry: BatchEntry) -> Iterator[Case]:
    """Yield the case of a fit that a baseline has."""
    drifts = None if summary.baseline is None else summary.baseline.drifts_of(entry.name)
    if drifts is not None:
        text = "\n".join(f"{drift.what}: {drift_line(drift)}" for drift in drifts)
        yield Case(name=f"{entry.name}: baseline", verdict="failure" if drifts else "passed", kind="drift", text=text)


def _cases(entry: BatchEntry, outcome: BatchOutcome | None) -> Iterator[Case]:
    if outcome is None:
        yield Case(name=entry.name, verdict="skipped", message="not run: the batch was stopped before")
        return
    expected = outcome.expectations
    unmet = [one for one in expected if not one["passed"]]
    yield Case(
        name=outcome.name,
        verdict="passed"
        if outcome.passed or (unmet and outcome.exit_code == ExitCode.CHECK_FAILED)
        else _verdict(outcome),
        kind=outcome.reason,
        message=outcome.message,
        text=_told(outcome),
        seconds=outcome.seconds,
    )
    for one in expected:
        text = f"expected {one['expected']}, found {one['found']}"
        verdict: Literal["passed", "failure"] = "passed" if one["passed"] else "failure"
        yield Case(name=f"{outcome.name}: {one['what']}", verdict=verdict, kind="expectation", text=text)


def _verdict(outcome: BatchOutcome) -> Literal["failure", "error"]:
    return "failure" if outcome.exit_code in _FAILURES else "error"


def _told(outcome: BatchOutcome) -> str:
    """Return everything that is known of why a fit failed."""
    lines = [outcome.message, *map(_error, outcome.errors)]
    return "\n".join(dict.fromkeys(lines))


def _error(error: dict[str, Any]) -> str:
    way_out = f"\n  = help: {error['help']}" if error["help"] else ""
    return f"{place(error)}error[{error['code']}]: {error['message']}{way_out}"


def _output(outcomes: list[BatchOutcome]) -> str:
    """Return the warnings of the fits, by name."""
    return "\n".join(f"{outcome.name}: {warning}" for outcome in outcomes for warning in outcome.document["warnings"])
