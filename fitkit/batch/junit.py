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
        yield Suite(name=path, cases=cases, seconds=sum(outcome.seconds for outcome in made), output=_output(made))


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
