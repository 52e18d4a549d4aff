"""What a gradient check says: one verdict for each line, rule, claim and finding, and the verdict of them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, final

from fitkit.gradient_check.verdict import LOWERED, Severity, Verdict

__all__ = [
    "LOWERED",
    "Check",
    "ClaimStatus",
    "ClaimVerdict",
    "Cost",
    "Finding",
    "GradientReport",
    "Overall",
    "Rule",
    "Severity",
    "Verdict",
]

NAN = float("nan")
Overall = Literal["pass", "fail", "inconclusive"]
"""The verdict of a whole check."""


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """One line test: the gradient g at a point against the derivative along a direction d, in float64.

    Numbers that do not exist are NaN. `autodiff` is <g, d>; where one entry alone moves, it is its partial derivative.
    """

    point: str
    """start, jitter 1, jitter 2, wide, solution, or random n."""
    direction: str
    """random n, or the name of the one parameter that moves."""
    parameter: str | None
    """The parameter, or entry of an array parameter, that a failure was traced to."""
    autodiff: float
    numerical: float
    error_estimate: float
    """The bar of `numerical`: what truncation and rounding may have done to it."""
    tolerance: float
    """The difference that the numbers cannot resolve; derived, never chosen."""
    verdict: Verdict
    note: str = ""
    digits: float = NAN
    """Decimal digits to which both agree, at most `resolvable_digits`."""
    resolvable_digits: float = NAN
    """Decimal digits that the tolerance leaves: an error in a later digit would not be seen."""
    slope: float = NAN
    """The order at which the Taylor remainder shrinks: 2 where the gradient is right, 1 where it is wrong."""
    step: float = NAN
    """The step that the numerical derivative rests on, along the direction."""
    noise: float = NAN
    """The noise of the function's values."""
    left: float = NAN
    """The slope on the left of a kink."""
    right: float = NAN
    """The slope on the right of a kink."""


@final
@dataclass(frozen=True, kw_only=True)
class Rule:
    """A hand-written derivative rule, or a stopped gradient, found in the program and what stripping it showed."""

    file: str | None
    """Where the rule's function is defined; None where the program does not say."""
    line: int | None
    name: str
    """The function's name, or `stop_gradient`."""
    verdict: Verdict
    note: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something a careful colleague would say of the whole function, or of one parameter."""

    verdict: Verdict
    parameter: str | None
    message: str


@final
class ClaimStatus(StrEnum):
    """What became of a claimed derivative."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@final
@dataclass(frozen=True, kw_only=True)
class ClaimVerdict:
    """One derivation by hand and what became of it."""

    name: str
    """The parameter whose derivative is claimed."""
    verdict: ClaimStatus
    expected: bool
    """Whether this verdict is the one that the config expects."""
    note: str = ""

    @property
    def severity(self) -> Severity:
        """What this claim does to the whole check."""
        if self.expected:
            return Severity.PASS
        return Severity.INCONCLUSIVE if self.verdict is ClaimStatus.UNDECIDED else Severity.FAIL


@final
@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of one compiled call each, the smallest of a few."""

    value: float
    gradient: float
    """Of value and gradient together."""

    @property
    def ratio(self) -> float:
        """Gradient to value; reverse mode needs at most about 5 (Baur and Strassen 1983)."""
        return self.gradient / self.value if self.value > 0 else NAN


@final
@dataclass(frozen=True, kw_only=True)
class GradientReport:
    """Everything that a check found, in the order in which it is told."""

    checks: tuple[Check, ...] = ()
    rules: tuple[Rule, ...] = ()
    findings: tuple[Finding, ...] = ()
    claims: tuple[ClaimVerdict, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out or done otherwise, policies that were used among them, a sentence each."""
    cost: Cost | None = None
    lowered: frozenset[Verdict] = frozenset()
    """Failures that the settings turn into warnings."""

    def severity(self, verdict: Verdict) -> Severity:
        """Return what `verdict` does to this check, `--warn` considered."""
        return Severity.WARN if verdict in self.lowered else verdict.severity

    @property
    def verdict(self) -> Overall:
        """Fail where anything fails; else inconclusive where anything is, or nothing was shown; else pass.

        A line whose numbers resolve nothing counts only where its direction is resolved at no other point.
        """
        resolved = {check.direction for check in self.checks if check.verdict is not Verdict.INCONCLUSIVE}
        told = [
            item.verdict
            for item in self.checks
            if item.verdict is not Verdict.INCONCLUSIVE or item.direction not in resolved
        ]
        told += [item.verdict for item in self.rules] + [item.verdict for item in self.findings]
        found = {self.severity(verdict) for verdict in told} | {claim.severity for claim in self.claims}
        if Severity.FAIL in found:
            return "fail"
        nothing = not self.checks and not self.claims
        return "inconclusive" if nothing or Severity.INCONCLUSIVE in found else "pass"

    @property
    def points(self) -> tuple[str, ...]:
        """The points at which lines were tested, in order."""
        return tuple(dict.fromkeys(check.point for check in self.checks))

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions in which lines were tested, in order."""
        return tuple(dict.fromkeys(check.direction for check in self.checks))

    @property
    def digits(self) -> float:
        """The fewest digits to which a line that passed agrees; NaN where none did."""
        import math

        passed = [c.digits for c in self.checks if c.verdict is Verdict.PASS and not math.isnan(c.digits)]
        return min(passed, default=NAN)

    def joined(
        self,
        *,
        checks: Iterable[Check] = (),
        findings: Iterable[Finding] = (),
        claims: Iterable[ClaimVerdict] = (),
        notes: Iterable[str] = (),
    ) -> GradientReport:
        """Return this report with more in it: claims, and what independent oracles say."""
        return replace(
            self,
            checks=(*self.checks, *checks),
            findings=(*self.findings, *findings),
            claims=(*self.claims, *claims),
            notes=(*self.notes, *notes),
        )
