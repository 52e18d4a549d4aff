"""Every verdict that a gradient check gives, and what each does to the whole check."""

from __future__ import annotations

from enum import StrEnum
from typing import final


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
    SHAPE_LINT = "shape_lint"
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
        Verdict.SHAPE_LINT,
    }
)
LOWERED = frozenset({Verdict.STAIRCASE, Verdict.DISCONTINUOUS, Verdict.NONDET})
"""The failures that `--warn` turns into warnings."""
