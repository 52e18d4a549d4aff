"""Gradient checks as a JUnit document: a suite for each config, a case for each point and direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

from fitkit.gradient_check import Severity
from fitkit.reports import junit
from fitkit.reports.gradient_outcome import GradientOutcome
from fitkit.reports.junit import Case, Suite


@final
@dataclass(frozen=True)
class _Finding:
    name: str
    severity: Severity
    verdict: str
    text: str


def render(outcomes: Iterable[GradientOutcome]) -> str:
    """Return the document; a verdict that fails is a `failure` of its type, an inconclusive one is `skipped`."""
    return junit.render("fitkit check-grad", map(_suite, outcomes))


def _suite(outcome: GradientOutcome) -> Suite:
    findings = list(_findings(outcome))
    cases = [_case(finding, fails=outcome.inconclusive_fails) for finding in findings]
    errors = [_error(outcome)] if outcome.error_code is not None else []
    warned = [f"{one.name}: {one.verdict}: {one.text}" for one in findings if one.severity is Severity.WARN]
    return Suite(name=outcome.path, cases=[*cases, *errors], seconds=outcome.seconds, output="\n".join(warned))


def _findings(outcome: GradientOutcome) -> Iterator[_Finding]:
    report = outcome.report
    for check in report.checks:
        text = (
            f"autodiff {check.autodiff!r}, numerical {check.numerical!r} +- {check.error_estimate:.1e}, "
            f"tolerance {check.tolerance:.1e}"
        )
        whom = f" in {check.parameter}" if check.parameter not in (None, check.direction) else ""
        note = f"; {check.note}" if check.note else ""
        severity = report.severity(check.verdict)
        yield _Finding(f"{check.point}: {check.direction}", severity, str(check.verdict), f"{text}{whom}{note}")
    for number, rule in enumerate(report.rules, 1):
        place = f"{rule.file}:{rule.line}: " if rule.file else ""
        yield _Finding(
            f"rule {number}: {rule.name}", report.severity(rule.verdict), str(rule.verdict), f"{place}{rule.note}"
        )
    for number, finding in enumerate(report.findings, 1):
        whom = f"{finding.parameter}: " if finding.parameter else ""
        yield _Finding(
            f"finding {number}: {finding.verdict}",
            report.severity(finding.verdict), str(finding.verdict), f"{whom}{finding.message}",
        )  # fmt: skip
    for claim in report.claims:
        yield _Finding(f"claim: {claim.name}", claim.severity, str(claim.verdict), claim.note)


def _case(finding: _Finding, *, fails: bool) -> Case:
    if finding.severity is Severity.FAIL or (finding.severity is Severity.INCONCLUSIVE and fails):
        return Case(name=finding.name, verdict="failure", kind=finding.verdict, text=finding.text)
    if finding.severity is Severity.INCONCLUSIVE:
        return Case(name=finding.name, verdict="skipped", text=finding.text)
    return Case(name=finding.name)


def _error(outcome: GradientOutcome) -> Case:
    text = "\n\n".join(diagnostic.render() for diagnostic in outcome.errors) or outcome.message
    kind = outcome.reason or "internal"
    return Case(name="config", verdict="error", kind=kind, message=outcome.message, text=text)
