"""What a gradient check says: one verdict for each line, rule, claim and finding, and the verdict of them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, final

NAN = float("nan")
Overall = Literal["pass", "fail", "inconclusive"]
"""The verdict of a whole check."""


@final
class Severity(StrEnum):
    """What a verdict does to the whole check."""

    PASS = "pass"  # noqa: S105 - a verdict
    WARN = "warn"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"


@final
class Verdict(StrEnum):
    """What one check found. The values are what the JSON document and JUnit print."""

    PASS = "pass"  # noqa: S105 - a verdict
    INCONCLUSIVE = "inconclusive"
    """The numbers cannot resolve whether the gradient is right."""

    FAIL = "fail"
    """The gradient differs from the derivative by more than the numbers can explain."""
    ZERO_GRAD = "zero_grad"
    """The gradient is zero and the derivative is not."""
    NAN_GRAD = "nan_grad"
    """The value is finite and the gradient is not."""
    NONFINITE_VALUE = "nonfinite_value"
    """The value at the start is not finite."""
    SHAPE = "shape"
    """A gradient of another shape than its parameter, or a loss that broadcast unequal shapes."""
    KINK_FAIL = "kink_fail"
    """At a kink, the gradient lies outside the interval between the slopes on both sides."""
    RULE = "rule"
    """A hand-written derivative rule, or a stopped gradient, is not the derivative of its function."""
    SYMMETRY = "symmetry"
    """The gradient is the gradient of no function, or two modes of differentiation disagree."""
    PRECISION_LOST = "precision_lost"
    """In float32 the gradient has another sign or scale than in float64."""
    STAIRCASE = "staircase"
    """The function is constant between steps: its derivative is zero and useless."""
    DISCONTINUOUS = "discontinuous"
    """The function jumps at the point."""
    NONDET = "nondet"
    """Two evaluations at one point differ."""
    REFUTED = "refuted"
    """A claimed derivative, or an independent oracle, disagrees."""

    KINK_OK = "kink_ok"
    """At a kink, the gradient lies between the slopes on both sides."""
    MULTISCALE = "multiscale"
    """The gradient is right at one scale of steps and another slope holds at another."""
    UNUSED = "unused"
    """A parameter without any effect on the value."""
    IDENT = "ident"
    """A direction in which the residuals do not change."""
    PRECISION = "precision"
    """More than half of float32's digits are lost."""
    STOPGRAD = "stopgrad"
    """A stopped gradient that the config declares."""
    SURROGATE = "surrogate"
    """A gradient that is meant to be another function's, as the config declares."""
    BROADCAST = "broadcast"
    """An operation in the function broadcasts two arrays of unequal shapes."""

    @property
    def severity(self) -> Severity:
        """What this verdict does to the whole check."""
        if self in _WARNINGS:
            return Severity.WARN
        if self is Verdict.PASS:
            return Severity.PASS
        return Severity.INCONCLUSIVE if self is Verdict.INCONCLUSIVE else Severity.FAIL


_WARNINGS = frozenset(
    {
        Verdict.KINK_OK,
        Verdict.MULTISCALE,
        Verdict.UNUSED,
        Verdict.IDENT,
        Verdict.PRECISION,
        Verdict.STOPGRAD,
        Verdict.SURROGATE,
        Verdict.BROADCAST,
    }
)
LOWERED = frozenset({Verdict.STAIRCASE, Verdict.DISCONTINUOUS, Verdict.NONDET})
"""The failures that `--warn` turns into warnings."""


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """One line test: the gradient g at a point against the derivative along a direction d, in float64.

    Numbers that do not exist are NaN. `autodiff` is <g, d> / |d| with |d| the scaled length, see `line`.
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
        """Fail where anything fails; else inconclusive where anything is, or nothing was shown; else pass."""
        told = [item.verdict for item in self.checks]
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
