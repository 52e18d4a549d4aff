"""Gradient checks as a JUnit document: a suite for each config, a case for each point and direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final
from xml.etree import ElementTree as ET

from fitkit.gradient_check import Severity
from fitkit.reports.gradient_outcome import GradientOutcome


@final
@dataclass(frozen=True)
class _Case:
    name: str
    severity: Severity
    verdict: str
    text: str


def render(outcomes: Iterable[GradientOutcome]) -> str:
    """Return the document; a verdict that fails is a `failure` of its type, an inconclusive one is `skipped`."""
    root = ET.Element("testsuites", name="fitkit check-grad")
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for outcome in outcomes:
        suite = _suite(outcome)
        root.append(suite)
        for key in totals:
            totals[key] += int(suite.get(key, "0"))
    root.attrib.update({key: str(count) for key, count in totals.items()})
    ET.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _suite(outcome: GradientOutcome) -> ET.Element:
    name = xml_text(outcome.path)
    suite = ET.Element("testsuite", name=name)
    cases = [_case(case, name, fails=outcome.inconclusive_fails) for case in _cases(outcome)]
    errors = [_error(outcome, name)] if outcome.error_code is not None else []
    suite.extend([*cases, *errors])
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(cases) + len(errors)))
    suite.set("time", f"{outcome.seconds:.3f}")
    return suite


def _cases(outcome: GradientOutcome) -> Iterator[_Case]:
    report = outcome.report
    for check in report.checks:
        text = (
            f"autodiff {check.autodiff!r}, numerical {check.numerical!r} +- {check.error_estimate:.1e}, "
            f"tolerance {check.tolerance:.1e}"
        )
        whom = f" in {check.parameter}" if check.parameter not in (None, check.direction) else ""
        note = f"; {check.note}" if check.note else ""
        severity = report.severity(check.verdict)
        yield _Case(f"{check.point}: {check.direction}", severity, str(check.verdict), f"{text}{whom}{note}")
    for number, rule in enumerate(report.rules, 1):
        place = f"{rule.file}:{rule.line}: " if rule.file else ""
        yield _Case(
            f"rule {number}: {rule.name}", report.severity(rule.verdict), str(rule.verdict), f"{place}{rule.note}"
        )
    for number, finding in enumerate(report.findings, 1):
        whom = f"{finding.parameter}: " if finding.parameter else ""
        yield _Case(
            f"finding {number}: {finding.verdict}",
            report.severity(finding.verdict), str(finding.verdict), f"{whom}{finding.message}",
        )  # fmt: skip
    for claim in report.claims:
        yield _Case(f"claim: {claim.name}", claim.severity, str(claim.verdict), claim.note)


def _case(case: _Case, suite: str, *, fails: bool) -> ET.Element:
    element = ET.Element("testcase", classname=suite, name=xml_text(case.name))
    text = xml_text(case.text)
    if case.severity is Severity.FAIL or (case.severity is Severity.INCONCLUSIVE and fails):
        ET.SubElement(element, "failure", type=case.verdict, message=text[:200]).text = text
    elif case.severity is Severity.INCONCLUSIVE:
        ET.SubElement(element, "skipped", message=text[:200])
    elif case.severity is Severity.WARN:
        ET.SubElement(element, "system-out").text = f"{case.verdict}: {text}"
    return element


def _error(outcome: GradientOutcome, suite: str) -> ET.Element:
    element = ET.Element("testcase", classname=suite, name="config")
    message = xml_text(outcome.message)
    error = ET.SubElement(element, "error", type=outcome.reason or "internal", message=message[:200])
    error.text = xml_text("\n\n".join(diagnostic.render() for diagnostic in outcome.errors) or outcome.message)
    return element


def xml_text(text: str) -> str:
    """Return text that XML 1.0 can hold: characters that it cannot are spelled as escapes."""
    return "".join(c if _allowed(ord(c)) else c.encode("unicode_escape").decode("ascii") for c in text)


def _allowed(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
