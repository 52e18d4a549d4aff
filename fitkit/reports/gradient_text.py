"""A gradient check as text for a person: the verdict, the table, what was found, and what was accepted on the user's word."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fitkit.gradient_check import GradientReport, Severity
from fitkit.reports.gradient_outcome import GradientOutcome
from fitkit.reports.gradient_sentence import counted
from fitkit.reports.gradient_table import Row, table, wrapped

if TYPE_CHECKING:
    from fitkit.reports.text import TextStyle

_STYLES = {
    Severity.PASS: None,
    Severity.WARN: "yellow",
    Severity.INCONCLUSIVE: "yellow",
    Severity.FAIL: "bold red",
}
_VERDICTS = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}


def verdict_line(outcome: GradientOutcome) -> str:
    """Return the verdict of one config in one line."""
    return f"{outcome.path}: {outcome.verdict}: {outcome.message}"


def render(outcome: GradientOutcome, style: TextStyle, *, brief: bool = False) -> str:
    """Return the report, lines of at most `style.width` columns unless it is verbose.

    Args:
        outcome: the check.
        style: how it may look.
        brief: leave the table out where everything passed: the config is one of several.
    """
    rows = [*_headline(outcome, style)]
    report = outcome.report
    plain = brief and not style.verbose
    if not (plain and outcome.verdict == "pass"):
        lines = table(report, None if style.verbose else style.width, unicode=style.unicode)
        if plain:
            lines = lines[:1] + [row for row in lines[1:] if row.severity not in (None, Severity.PASS)]
        if len(lines) > 1:
            rows += [(Row("", None), None), *((row, _style(row)) for row in lines)]
    rows += _details(report, style, plain=plain)
    if style.verbose:
        rows += _costs(outcome)
    return _printed(rows, style)


def _style(row: Row) -> str | None:
    return None if row.severity is None else _STYLES[row.severity]


def _headline(outcome: GradientOutcome, style: TextStyle) -> list[tuple[Row, str | None]]:
    lines = wrapped(verdict_line(outcome), style.width, "")
    return [(Row(line, None), _VERDICTS[outcome.verdict]) for line in lines]


def _details(report: GradientReport, style: TextStyle, *, plain: bool) -> list[tuple[Row, str | None]]:
    """Return rules, findings, claims and notes, each after its label; a brief report leaves out what passed."""
    told: list[tuple[str, str, Severity]] = []
    for rule in report.rules:
        place = f"{rule.file}:{rule.line}: " if rule.file else ""
        note = f": {rule.note}" if rule.note else ""
        told.append(("rule", f"{place}{rule.name}: {rule.verdict}{note}", report.severity(rule.verdict)))
    for finding in report.findings:
        whom = f"{finding.parameter}: " if finding.parameter and finding.parameter not in finding.message else ""
        told.append(("finding", f"{finding.verdict}: {whom}{finding.message}", report.severity(finding.verdict)))
    for claim in report.claims:
        expected = "" if claim.expected == (claim.verdict == "confirmed") else (
            " as expected" if claim.expected else " against expectation"
        )  # fmt: skip
        note = f": {claim.note}" if claim.note else ""
        told.append(("claim", f"{claim.name}: {claim.verdict}{expected}{note}", claim.severity))
    told += [("note", note, Severity.WARN if "not compared" in note else Severity.PASS) for note in report.notes]
    if plain:
        told = [entry for entry in told if entry[2] is not Severity.PASS]
    rows: list[tuple[Row, str | None]] = [(Row("", None), None)] if told and not plain else []
    for label, text, severity in told:
        first, *later = wrapped(text, None if style.verbose else style.width - 9, "")
        rows.append((Row(f"{label:<9}{first}", severity), _STYLES[severity]))
        rows += [(Row(f"{'':9}{line}", severity), _STYLES[severity]) for line in later]
    return rows


def _costs(outcome: GradientOutcome) -> list[tuple[Row, str | None]]:
    cost = outcome.report.cost
    rows = [f"time     {outcome.seconds:.2f} s"]
    if cost is not None and math.isfinite(cost.ratio):
        rows.append(
            f"cost     value {cost.value:.3g} s, value and gradient {cost.gradient:.3g} s, ratio {cost.ratio:.2g}"
        )
    return [(Row(text, None), "dim") for text in ("", f"seed     {outcome.seed}", *rows)]


def _printed(rows: list[tuple[Row, str | None]], style: TextStyle) -> str:
    if not style.color:
        return "\n".join(row.text for row, _ in rows)
    import io

    from rich.console import Console
    from rich.text import Text

    buffer = io.StringIO()
    console = Console(file=buffer, width=10_000, force_terminal=True, color_system="standard", highlight=False)
    for row, look in rows:
        console.print(Text(row.text, style=look or ""), soft_wrap=True)
    return buffer.getvalue().rstrip("\n")


def summary(outcomes: list[GradientOutcome]) -> str:
    """Return how many of several configs passed."""
    words = {"pass": "passed", "fail": "failed", "inconclusive": "inconclusive"}
    counts = [(sum(outcome.verdict == verdict for outcome in outcomes), word) for verdict, word in words.items()]
    return f"{counted(len(outcomes), 'config')}: " + ", ".join(f"{count} {word}" for count, word in counts if count)
