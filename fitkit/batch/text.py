"""A batch as text: a line for each fit as it ends, and what a person needs to see in one glance at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary

_WIDEST_NAME = 32
"""So that the table has 80 columns at most, where names are no longer."""
_MOST_MISTAKES = 3
"""Of one config on its line."""
_LONGEST_REASON = 400
"""Characters of a line that says why; the reports for machines have everything."""


def name_width(entries: Sequence[BatchEntry]) -> int:
    """Return the columns for names."""
    return min(_WIDEST_NAME, max((len(one_line(entry.name)) for entry in entries), default=0))


def header(width: int) -> str:
    """Return the line above the table."""
    return f"{'fit':<{width}}  {'status':<15}  {'loss':>12}  {'steps':>6}  {'seconds':>7}"


def line(outcome: BatchOutcome, width: int) -> str:
    """Return the line of a fit; one that failed has a second one that says why."""
    loss = (outcome.document["loss"] or {}).get("final")
    steps = outcome.document["steps"]
    cells = f"{'' if loss is None else f'{loss:.6g}':>12}  {'' if steps is None else steps:>6}"
    row = f"{one_line(outcome.name):<{width}}  {_status(outcome):<15}  {cells}  {outcome.seconds:>7.2f}"
    return row if outcome.passed else f"{row}\n    {why(outcome)}"


def _status(outcome: BatchOutcome) -> str:
    """Return in a word or two what became of a fit."""
    if outcome.only_unexpected:
        return "not as expected"
    return "unchanged" if outcome.resumed else outcome.status.replace("_", " ")


def why(outcome: BatchOutcome) -> str:
    """Return on one line why a fit is not as it should be."""
    told = [f"{place(error)}{error['message']}" for error in outcome.errors[:_MOST_MISTAKES]]
    more = len(outcome.errors) - len(told)
    rest = f" (and {more} more)" if more else ""
    reason = "not as expected" if outcome.only_unexpected else outcome.reason.replace("_", " ")
    message = [outcome.message] if outcome.speaks_for_itself else []
    return one_line(f"{reason}: {'; '.join([*message, *told])}{rest}")


def _ways_out(outcome: BatchOutcome) -> list[str]:
    """Return what the mistakes that are shown say of a way out, each once."""
    return [*dict.fromkeys(error["help"] for error in outcome.errors[:_MOST_MISTAKES] if error["help"])]


def one_line(text: str) -> str:
    """Return a text on one line that is not too long, without what a terminal obeys."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."


def place(error: dict[str, Any]) -> str:
    """Return where a mistake stands, to stand before its message: `fit.yaml:3:1: `; empty where it has no place."""
    parts = [str(error[key]) for key in ("file", "line", "column") if error[key] is not None]
    return f"{':'.join(parts)}: " if parts else ""


def tail(summary: BatchSummary, exit_code: int, *, saved: bool = True) -> str:
    """Return the lines below the table; what is `saved` can be resumed."""
    lines = []
    failed = summary.failed
    if failed:
        width = name_width([outcome.entry for outcome in failed])
        lines += ["", "failed:"]
        for outcome in failed:
            lines.append(f"  {one_line(outcome.name):<{width}}  exit {outcome.exit_code}  {why(outcome)}")
            lines += [f"    help: {one_line(way_out)}" for way_out in _ways_out(outcome)]
    programs = sum(outcome.compilations for outcome in summary.outcomes)
    lines += ["", totals(summary), f"{_counted(programs, 'program')} compiled; exit {exit_code}"]
    if summary.signal:
        lines.append(f"stopped by a signal{'; the same command with --resume goes on from here' if saved else ''}")
    if summary.passed_over:
        lines.append(f"passed over, for check-grad alone: {_counted(len(summary.passed_over), 'config')}")
    return "\n".join(lines)


def totals(summary: BatchSummary) -> str:
    """Return one line of counts."""
    fits = _counted(len(summary.planned), "fit")
    counts = Counter(_status(outcome) for outcome in summary.outcomes)
    parts = [f"{count} {status}" for status, count in counts.most_common()]
    parts += [f"{len(summary.not_run)} not run"] if summary.not_run else []
    return f"{fits} in {summary.seconds:.1f} s: {', '.join(parts)}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def parameter_lines(outcome: BatchOutcome) -> list[str]:
    """Return a line for each parameter of a fit."""
    lines = []
    for name, one in outcome.document["parameters"].items():
        value = "an array" if one["value"] is None else f"{one['value']:.10g}"
        error = "" if one["error"] is None else f" +- {one['error']:.3g}"
        notes = f"  ({', '.join(one['flags'])})" if one["flags"] else ""
        lines.append(f"    {name} = {value}{error}{notes}")
    return lines
