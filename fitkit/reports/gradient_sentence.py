"""The verdict of a gradient check in one sentence, which claims what was shown and nothing more."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fitkit.gradient_check import Check, ClaimStatus, GradientReport, Severity, Verdict

RANDOM = "random "
"""How the names of random directions begin."""
SECOND = ", second order"
"""How the directions of second derivatives end."""
ORACLE = "against "
"""How the directions of independent oracles begin."""


def sentence(report: GradientReport) -> str:
    """Return the verdict with its evidence: "agrees to 11 digits at 4 points in 8 directions"."""
    if report.verdict == "fail":
        return "; ".join(_first(_failures(report), 2))
    if report.verdict == "inconclusive":
        return "; ".join(_first(_doubts(report), 2))
    return "; ".join([*_agreement(report), *_oracles(report), *_warnings(report), *_claims(report)])


def _first(told: Iterator[str], most: int) -> list[str]:
    every = list(dict.fromkeys(told))
    more = [f"and {len(every) - most} more"] if len(every) > most else []
    return [*every[:most], *more]


# -- what was shown ---------------------------------------------------------------------------------------------------------


def lines(report: GradientReport) -> tuple[Check, ...]:
    """Return the line tests, without the comparisons with oracles."""
    return tuple(check for check in report.checks if not check.direction.startswith(ORACLE))


def _agreement(report: GradientReport) -> Iterator[str]:
    passed = [check for check in lines(report) if check.verdict is Verdict.PASS]
    first = [check for check in passed if not check.direction.endswith(SECOND)]
    if first:
        points = counted(len({check.point for check in first}), "point")
        names = {check.direction for check in first}
        drawn = sum(name.startswith(RANDOM) for name in names)
        along = len(names) - drawn
        where = [f"in {counted(drawn, 'direction')}"] if drawn else []
        where += [f"along {counted(along, 'parameter')}"] if along else []
        yield f"agrees{_to_digits(first)} at {points} {' and '.join(where)}"
    second = [check for check in passed if check.direction.endswith(SECOND)]
    if second:
        yield f"second derivatives{_to_digits(second)} in {counted(len(second), 'line')}"


def _to_digits(checks: list[Check]) -> str:
    """Return to how many digits all agree, with a blank before it, or nothing where no digits can be told."""
    known = [check.digits for check in checks if not math.isnan(check.digits)]
    return f" to {counted(int(min(known)), 'digit')}" if known else ""


def _oracles(report: GradientReport) -> Iterator[str]:
    against: dict[str, list[Check]] = {}
    for check in report.checks:
        if check.direction.startswith(ORACLE) and check.verdict is Verdict.PASS:
            against.setdefault(check.direction, []).append(check)
    for oracle, checks in against.items():
        digits = min((check.digits for check in checks if not math.isnan(check.digits)), default=math.nan)
        how_well = "" if math.isnan(digits) else f"to {counted(int(digits), 'digit')} "
        yield f"{how_well}{oracle} at {counted(len(checks), 'point')}"


def _warnings(report: GradientReport) -> Iterator[str]:
    found = [finding.verdict for finding in report.findings]
    told = [rule.verdict for rule in report.rules] + found
    told += [check.verdict for check in report.checks if check.verdict not in found]  # a finding sums lines up
    warned = [verdict for verdict in told if report.severity(verdict) is Severity.WARN]
    for verdict in dict.fromkeys(warned):
        yield f"{warned.count(verdict)} {verdict}"


def _claims(report: GradientReport) -> Iterator[str]:
    for status in ClaimStatus:
        count = sum(claim.verdict is status and claim.expected for claim in report.claims)
        if count:
            wanted = " as expected" if status is ClaimStatus.REFUTED else ""
            yield f"{counted(count, 'claim')} {status}{wanted}"


# -- what is wrong, and what is in doubt ------------------------------------------------------------------------------------


def _failures(report: GradientReport) -> Iterator[str]:
    for rule in report.rules:
        if report.severity(rule.verdict) is Severity.FAIL:
            place = f" at {rule.file}:{rule.line}" if rule.file else ""
            yield (
                f"the rule of `{rule.name}`{place} is wrong"
                if rule.name != "stop_gradient"
                else (f"a stopped gradient{place} hides a dependence")
            )
    for finding in report.findings:
        if report.severity(finding.verdict) is Severity.FAIL:
            yield finding.message.rstrip(".")
    for claim in report.claims:
        if claim.severity is Severity.FAIL:
            expected = ", which it was not expected to be" if claim.verdict is ClaimStatus.CONFIRMED else ""
            yield f"the claim for `{claim.name}` is {claim.verdict}{expected}: {claim.note}".rstrip(": ")
    wrong = [check for check in report.checks if report.severity(check.verdict) is Severity.FAIL]
    if wrong:
        others = f", and {counted(len(wrong) - 1, 'other line')}" if len(wrong) > 1 else ""
        yield _wrong_line(wrong[0]) + others


def _wrong_line(check: Check) -> str:
    where = f"at {check.point} along {check.direction}" if not check.direction.startswith((RANDOM, ORACLE)) else (
        f"at {check.point} in direction {check.direction}" if check.direction.startswith(RANDOM)
        else f"at {check.point} {check.direction}"
    )  # fmt: skip
    whom = f" (in `{check.parameter}`)" if check.parameter not in (None, check.direction) else ""
    if math.isnan(check.numerical):
        return f"{check.verdict} {where}{whom}: {check.note}".rstrip(": ")
    bar = "" if math.isnan(check.error_estimate) else f" ± {check.error_estimate:.0e}"
    return f"{check.verdict} {where}{whom}: autodiff {check.autodiff:.7g}, numerical {check.numerical:.7g}{bar}"


def _doubts(report: GradientReport) -> Iterator[str]:
    if not report.checks and not report.claims:
        yield "nothing could be shown"
    unsure = [check for check in report.checks if check.verdict is Verdict.INCONCLUSIVE]
    if unsure:
        note = f" ({unsure[0].note})" if unsure[0].note else ""
        yield f"{len(unsure)} of {counted(len(report.checks), 'line')} cannot be resolved{note}"
    for claim in report.claims:
        if claim.severity is Severity.INCONCLUSIVE:
            yield f"the claim for `{claim.name}` is undecided: {claim.note}"
    for item in (*report.findings,):
        if report.severity(item.verdict) is Severity.INCONCLUSIVE:
            yield item.message


def counted(number: int, word: str) -> str:
    """Return a number with its noun: 1 digit, 2 digits."""
    return f"{number} {word}{'' if number == 1 else 's'}"
