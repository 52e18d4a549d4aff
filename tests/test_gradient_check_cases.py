"""The gradient check on wrong gradients, each caught by its kind, and on right ones that are hard to check."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gradient_cases import Case, mutations, tricky

from fitkit.gradient_check import GradientReport, Verdict, check_function

MILLION = "M15"
WARNED = {"M48", "M49"}
"""What is wrong here is not the gradient: a warning."""
_SMALL = [case for case in mutations() if case.id != MILLION]


def told(report: GradientReport) -> set[str]:
    verdicts = [check.verdict for check in report.checks] + [rule.verdict for rule in report.rules]
    return {str(verdict) for verdict in verdicts + [finding.verdict for finding in report.findings]}


@pytest.mark.parametrize("case", _SMALL, ids=lambda case: case.id)
def test_a_wrong_gradient_is_caught_by_its_kind(case: Case) -> None:
    report = check_function(case.subject(), replace(case.settings, measure=False))
    assert told(report) & case.expected, told(report)
    assert report.verdict == ("pass" if case.id in WARNED else "fail")


@pytest.mark.parametrize("case", tricky(), ids=lambda case: case.id)
def test_a_right_gradient_is_not_called_wrong(case: Case) -> None:
    report = check_function(case.subject(), replace(case.settings, measure=False))
    assert told(report) & case.expected, told(report)
    assert report.verdict != "fail", report


def test_one_wrong_entry_of_a_million_is_named() -> None:
    (case,) = (case for case in mutations() if case.id == MILLION)
    quick = replace(case.settings, points=("start",), directions=1, measure=False)  # a million entries take time
    report = check_function(case.subject(), quick)
    assert report.verdict == "fail"
    assert [finding.parameter for finding in report.findings if finding.verdict is Verdict.FAIL] == ["x[123456]"]
