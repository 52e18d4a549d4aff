"""What a config may ask of the error bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.component import Component
from fitkit.types import Level, Resamples


class Uncertainty(Component):
    """Abstract: a way to put error bars on parameters."""


@final
@dataclass(frozen=True, kw_only=True)
class Covariance(Uncertainty):
    """Error bars from the curvature of the objective at the minimum."""

    kind: Literal["covariance"] = "covariance"
    level: Level = 0.95
    """The confidence of the intervals."""
    hessian: Literal["auto", "gauss_newton", "exact"] = "auto"
    """What the curvature is: J'J alone (gauss_newton), or with the second derivatives of the residuals (exact). `auto` is
    gauss_newton for squared residuals and exact for all else, for which it is the only choice."""
    sandwich: Literal["auto", "always"] = "auto"
    """Whether errors are A^-1 B A^-1, valid whatever the scatter of each row: `auto` for robust losses alone; `always` for
    squares and likelihoods too, where it is White's HC0."""


@final
@dataclass(frozen=True, kw_only=True)
class Profile(Uncertainty):
    """Intervals from likelihood profiles: how far a parameter can be moved, all others fitted anew.

    They are not symmetric where the objective is not, and do not depend on how a parameter is scaled. Errors are those of
    `covariance`.
    """

    kind: Literal["profile"] = "profile"
    level: Level = 0.95
    """The confidence of the intervals."""


@final
@dataclass(frozen=True, kw_only=True)
class Bootstrap(Uncertainty):
    """Error bars from the same fit to many resampled data sets: standard deviations and percentiles of their minima."""

    kind: Literal["bootstrap"] = "bootstrap"
    resamples: Resamples = 500
    """How many data sets are drawn."""
    method: Literal["case", "residual", "parametric"] = "case"
    """What is drawn: rows with replacement (case), residuals around the prediction (residual), or targets from the
    distribution that the loss stands for (parametric)."""
    level: Level = 0.95
    """The confidence of the intervals."""


@final
@dataclass(frozen=True, kw_only=True)
class NoUncertainty(Uncertainty):
    """No error bars."""

    kind: Literal["none"] = "none"
