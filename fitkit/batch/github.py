"""What GitHub Actions shows of a batch: annotations at the configs' lines, and the summary of the step.

The form is GitHub's "workflow commands for GitHub Actions": `::error file=...,line=...,col=...,title=...::message`, with `%`,
line breaks and, in properties, `:` and `,` escaped. A step shows ten annotations of each kind and drops the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary
from fitkit.reports.baseline_text import drift_line

MOST_ANNOTATIONS: Final = 10
"""Of one kind that a step shows."""
MOST_SUMMARY_BYTES: Final = 512 * 1024
"""Of a page; GitHub refuses a step's summary beyond twice that whole, and others may write to it too."""


def annotation_lines(summary: BatchSummary, environment: Mapping[str, str]) -> list[str]:
    """Return an annotation for each failed fit and for each warning, at most ten of a kind; the tenth counts the rest."""
    root = environment.get("GITHUB_WORKSPACE")
    errors = [line for outcome in summary.failed for line in _errors(outcome, root)]
    errors += [line for outcome in summary.ordered for line in _drifts(summary, outcome, root)]
    errors += _gone(summary, root)
    warnings = [
        _command("warning", warning, outcome.path, None, None, outcome.name, root)
        for outcome in summary.ordered
        for warning in outcome.document["warnings"]
    ]
    return [*_limited("error", errors), *_limited("warning", warnings)]


def _errors(outcome: BatchOutcome, root: str | None) -> Iterator[str]:
    if outcome.speaks_for_itself:
        yield _command("error", outcome.message, outcome.path, None, None, outcome.name, root)
    for error in outcome.errors:
        message = error["message"] if error["help"] is None else f"{error['message']}\nhelp: {error['help']}"
        file = error["file"] if error["line"] is not None else None  # a table's row, else the config itself
        yield _command("error", message, file or outcome.path, error["line"], error["column"], outcome.name, root)


def _drifts(summary: BatchSummary, outcome: BatchOutcome, root: str | None) -> Iterator[str]:
    """Yield an annotation for a fit that is not what its baseline has."""
    drifts = None if summary.baseline is None else summary.baseline.drifts_of(outcome.name)
    if drifts:
        message = "\n".join(f"{drift.what}: {drift_line(drift)}" for drift in drifts)
        title = f"{outcome.name}: not as in the baseline"
        yield _command("error", message, outcome.path, None, None, title, root)


def _gone(summary: BatchSummary, root: str | None) -> Iterator[str]:
    """Yield an annotation, at the baseline, for each of its fits that the batch does not have any more."""
    if summary.baseline is not None:
        for name in summary.baseline.found.gone:
            message = "the baseline has it, and the batch does not"
            yield _command("error", message, summary.baseline.shown, None, None, f"{name}: gone", root)


def _command(
    kind: str, message: str, file: str, line: int | None, column: int | None, title: str, root: str | None
) -> str:
    properties = {"file": _from_root(file, root), "line": line or 1, "col": column, "title": title}
    told = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in properties.items() if value is not None)
    return f"::{kind} {told}::{_escaped(message)}"


def _from_root(file: str, root: str | None) -> str:
    """Return a path as the repository has it, which is what GitHub looks for."""
    whole, top = Path(os.path.realpath(file)), Path(os.path.realpath(root or os.sep))
    return str(whole.relative_to(top)) if root and whole.is_relative_to(top) else file


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return "".join(c if c.isprintable() else " " for c in text)


def _limited(kind: str, lines: list[str]) -> list[str]:
    if len(lines) <= MOST_ANNOTATIONS:
        return lines
    shown = lines[: MOST_ANNOTATIONS - 1]
    return [*shown, f"::{kind}::and {len(lines) - len(shown)} more; the summary of the step has all"]


def step_summary(page: str) -> str:
    """Return a page that fits into the summary of a step."""
    if len(page.encode()) <= MOST_SUMMARY_BYTES:
        return page
    return page.encode()[:MOST_SUMMARY_BYTES].decode(errors="ignore") + "\n\n(cut here)\n"
