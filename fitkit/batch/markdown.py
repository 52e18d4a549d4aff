"""A batch as Markdown, for a merge request, a wiki or the summary of a step: what failed comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary
from fitkit.batch.text import totals, why
from fitkit.reports.baseline_text import drift_line

MOST_ROWS: Final = 1_000
"""Of a table; more are counted."""
_LONGEST_CELL: Final = 500
"""Characters of a cell: a table is for a glance, and the other reports have everything."""


def render(summary: BatchSummary, exit_code: int) -> str:
    """Return the page."""
    verdict = "passed" if exit_code == 0 else f"failed (exit {exit_code})"
    lines = [f"### fitkit batch: {verdict}", "", f"{cell(totals(summary))}", ""]
    failed = summary.failed
    if failed:
        lines += ["| failed | config | exit | why |", "|---|---|--:|---|", *_limited(failed, _failed_row), ""]
    unmet = [(o, one) for o in summary.ordered for one in o.expectations if not one["passed"]]
    if unmet:
        lines += ["| expectation | expected | found |", "|---|---|---|"]
        rows = ((f"{o.name}: {one['what']}", str(one["expected"]), str(one["found"])) for o, one in unmet[:MOST_ROWS])
        lines += [f"| {cell(what)} | {cell(expected)} | {cell(found)} |" for what, expected, found in rows]
        lines += [""]
    lines += _against_baseline(summary)
    passed = [outcome for outcome in summary.ordered if outcome.passed]
    if passed:
        lines += ["<details><summary>fits that passed</summary>", ""]
        lines += ["| fit | status | loss | steps | seconds |", "|---|---|--:|--:|--:|", *_limited(passed, _passed_row)]
        lines += ["", "</details>", ""]
    return "\n".join(lines)


def _against_baseline(summary: BatchSummary) -> Iterator[str]:
    """Yield the table of what is not as in the baseline."""
    if summary.baseline is None or summary.baseline.found.passed:
        return
    found = summary.baseline.found
    rows = [(name, drift.what, drift_line(drift)) for name, drifts in found.drifted.items() for drift in drifts]
    rows += [(name, "", "the baseline has it, and the batch does not") for name in found.gone]
    yield from ("| not as in the baseline | number | what became of it |", "|---|---|---|")
    yield from (f"| {cell(name)} | {cell(what)} | {cell(change)} |" for name, what, change in rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        yield f"| and {len(rows) - MOST_ROWS} more | | |"
    yield ""


def _limited(outcomes: Sequence[BatchOutcome], row: Callable[[BatchOutcome], str]) -> Iterator[str]:
    yield from (row(outcome) for outcome in outcomes[:MOST_ROWS])
    if len(outcomes) > MOST_ROWS:
        yield f"| and {len(outcomes) - MOST_ROWS} more | | | | |"


def _failed_row(outcome: BatchOutcome) -> str:
    return f"| {cell(outcome.name)} | {cell(outcome.path)} | {outcome.exit_code} | {cell(why(outcome))} |"


def _passed_row(outcome: BatchOutcome) -> str:
    loss = (outcome.document["loss"] or {}).get("final")
    status = f"{outcome.status}, unchanged" if outcome.resumed else outcome.status
    cells = ("" if loss is None else f"{loss:.6g}", outcome.document["steps"] or 0, f"{outcome.seconds:.2f}")
    return f"| {cell(outcome.name)} | {status} | {cells[0]} | {cells[1]} | {cells[2]} |"


def cell(text: str) -> str:
    """Return text that Markdown shows as it is written, on one line."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = line if len(line) <= _LONGEST_CELL else f"{line[: _LONGEST_CELL - 3]}..."
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#|~!&$" else c for c in line)
