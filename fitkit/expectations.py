"""What a config expects of its fit: the section `expect:`, whose numbers are compared with those of the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from fitkit.component import Component
from fitkit.types import NonNegative, Share, Sigmas


class Tolerated(Component):
    """Abstract: an interval for a number, around a value, between two ends, or both."""

    value: float | None
    atol: NonNegative | None
    rtol: NonNegative | None
    min: float | None
    max: float | None

    @property
    def tolerance(self) -> float:
        """How far from `value` a number may be, atol + rtol |value|; 0 where neither is given."""
        return (self.atol or 0.0) + (self.rtol or 0.0) * abs(self.value or 0.0)

    @property
    def wording(self) -> str:
        """The interval in the words of a report: `0.69 +- 0.02, >= 0`."""
        parts = []
        if self.value is not None:
            parts.append(f"{self.value:.10g} +- {self._around()}")
        if self.min is not None and self.max is not None:
            parts.append(f"{self.min:.10g} .. {self.max:.10g}")
        elif self.min is not None:
            parts.append(f">= {self.min:.10g}")
        elif self.max is not None:
            parts.append(f"<= {self.max:.10g}")
        return ", ".join(parts)

    def _around(self) -> str:
        return f"{self.tolerance:.5g}"

    def between(self, found: float) -> bool:
        """Return whether `found` lies between `min` and `max`, the ends included; NaN never does."""
        low = -math.inf if self.min is None else self.min
        return low <= found <= (math.inf if self.max is None else self.max)

    def near(self, found: float, half: float) -> bool:
        """Return whether `found` lies within `half` of `value`, the ends included as they are written.

        0.71 is within 0.02 of 0.69, though the difference of the doubles is 0.020000000000000018: the ends are value - half
        and value + half as doubles.
        """
        if self.value is None:
            return True
        return self.value - half <= found <= self.value + half


@final
@dataclass(frozen=True, kw_only=True)
class ExpectedNumber(Tolerated):
    """What a number of the result must be: between `min` and `max`, or at most `atol` + `rtol` |value| from `value`."""

    value: float | None = None
    """The middle of the interval; needs `atol` or `rtol`."""
    atol: NonNegative | None = None
    """The absolute tolerance, in the units of the number."""
    rtol: NonNegative | None = None
    """The tolerance relative to `value`."""
    min: float | None = None
    """The smallest number that passes."""
    max: float | None = None
    """The largest number that passes."""


@final
@dataclass(frozen=True, kw_only=True)
class ExpectedParameter(Tolerated):
    """What a parameter must be: a number as any other, or within so many of its standard errors of `value`."""

    value: float | None = None
    """The middle of the interval; needs `atol`, `rtol` or `within`."""
    atol: NonNegative | None = None
    """The absolute tolerance, in the units of the parameter."""
    rtol: NonNegative | None = None
    """The tolerance relative to `value`."""
    within: Sigmas | None = None
    """Instead of `atol` and `rtol`: how many standard errors of the fit the parameter may be from `value`, which is taken
    as exact: `2sigma`. Without a standard error the expectation is not met."""
    min: float | None = None
    """The smallest value that passes."""
    max: float | None = None
    """The largest value that passes."""

    def _around(self) -> str:
        return super()._around() if self.within is None else self.within


@final
@dataclass(frozen=True, kw_only=True)
class ExpectedMetrics(Component):
    """What the metrics of the result must be, by their names there: accuracy, log_loss, roc_auc; rmse, mae, r_squared."""

    train: Mapping[str, ExpectedNumber] = field(default_factory=dict)
    """On the rows of the fit."""
    validation: Mapping[str, ExpectedNumber] = field(default_factory=dict)
    """On the rows held out."""


@final
@dataclass(frozen=True, kw_only=True)
class Expect(Component):
    """What must hold of the result: where it does not, the exit code is 6, unless a graver one holds."""

    converged: bool | Share | None = None
    """`true`: the fit must have converged, where epochs done (status completed) do not suffice. A share above 0, as 0.99:
    so many of the fits of `group_by` must have."""
    parameters: Mapping[str, ExpectedParameter] = field(default_factory=dict)
    """By parameter: `{value: 0.69, atol: 0.02}`, `{min: 2, max: 4}`, `{value: 0.69, within: 2sigma}`."""
    loss: ExpectedNumber | None = None
    """The loss at the end."""
    reduced_chi_square: ExpectedNumber | None = None
    """Chi-square by its degrees of freedom, of data with `sigma`."""
    r_squared: ExpectedNumber | None = None
    """The share of the target's variance that the fit explains."""
    metrics: ExpectedMetrics | None = None
    """How well the fit predicts, on its own rows and on those held out."""
    steps: ExpectedNumber | None = None
    """How many steps the search made."""
    seconds: ExpectedNumber | None = None
    """The time of the whole fit, compiling included."""


def standard_errors(within: str) -> float:
    """Return the number in `2sigma`."""
    return float(within.removesuffix("sigma"))
