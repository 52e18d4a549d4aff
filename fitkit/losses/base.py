"""What a loss is: a cost for each row, or, for the residual losses, a function of the squared residual."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from fitkit.backend import jnp
from fitkit.component import Component
from fitkit.expressions import Expression
from fitkit.types import Inputs, Outputs, Rows, Scalar, Values


@final
@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a loss may look at: predictions beside observations, row by row."""

    prediction: Outputs
    target: Rows
    sigma: Rows | None
    """The standard error of each target, where the data give one."""
    values: Values
    inputs: Inputs


@final
@dataclass(frozen=True, kw_only=True)
class TargetRule:
    """What a loss asks of its targets; both bounds are inclusive."""

    minimum: float
    maximum: float
    words: str
    """The rule as a person reads it: `counts, zero or above`."""


class Loss(Component):
    """Abstract: a cost per row. The objective is the weighted mean of the costs plus the penalties."""

    smooth: ClassVar[bool] = True
    """Whether the cost has a continuous first derivative in the prediction."""
    likelihood: ClassVar[bool] = False
    """Whether the cost is a negative log-likelihood up to a constant, so that its curvature is an information."""
    deviance: ClassVar[bool] = False
    """Whether the cost is twice a negative log-likelihood, as u² is for a normal error; a prior is then counted so too."""
    canonical: ClassVar[bool] = False
    """Whether observed and expected information agree for a linear predictor."""
    target_rule: ClassVar[TargetRule | None] = None
    classifies: ClassVar[bool] = False
    """Whether the target may be a class, which is then coded by its place among the `classes`."""

    classes: tuple[str, ...] = ()
    """The classes of the target, sorted, once they are known."""
    scatter: ClassVar[Literal["known", "by_sigma", "unknown"]] = "unknown"
    """Whether `variance` says how new targets scatter: always, where the data give sigma, or never."""

    @property
    def names(self) -> frozenset[str]:
        """Columns and parameters that the loss itself uses."""
        return frozenset()

    @property
    def formula(self) -> tuple[str, Expression] | None:
        """The key and the formula that the loss evaluates row by row, if it has one."""
        return None

    def with_classes(self, classes: tuple[str, ...]) -> Loss:
        """Return the loss of these classes."""
        found = copy(self)
        object.__setattr__(found, "classes", classes)  # frozen for users; this is construction
        return found

    @property
    def width(self) -> tuple[int, ...]:
        """The shape of one row's prediction: () for a number, (classes,) where each class has one."""
        return ()

    @abstractmethod
    def cost(self, fitted: Fitted) -> Rows:
        """Return the cost of each row, shape (rows,)."""

    def mean(self, prediction: Outputs) -> Outputs:
        """Return what the model predicts on the scale of the target, shape (rows,): the inverse of the link."""
        return prediction

    def variance(self, fitted: Fitted) -> Rows:
        """Return the variance of a target of weight one about its prediction, shape (rows,), in units of s² for squares.

        NaN where the loss does not say how new targets scatter; see `scatter`.
        """
        return jnp.full_like(fitted.target, jnp.nan)


class ResidualLoss(Loss):
    """Abstract: a loss of a residual, which Levenberg-Marquardt can minimise: cost = residual²."""

    @abstractmethod
    def residual(self, fitted: Fitted) -> Rows:
        """Return the signed square root of each row's cost, shape (rows,)."""

    @final
    def cost(self, fitted: Fitted) -> Rows:
        """Return the square of the residual, shape (rows,)."""
        return self.residual(fitted) ** 2


class DistanceLoss(ResidualLoss):
    """Abstract: rho of the squared distance s = ((prediction - target) / sigma)².

    A subclass writes only `rho`; its residual is the signed root u sqrt(rho(u²) / u²), so least-squares machinery sees
    rho exactly, with no reweighting, and automatic differentiation gives every derivative.
    """

    scatter: ClassVar[Literal["known", "by_sigma", "unknown"]] = "by_sigma"

    @abstractmethod
    def rho(self, squared: Rows) -> Rows:
        """Return the cost for the squared distance, shape (rows,): zero at zero, with a slope, and no cancellation there."""

    @final
    def distance(self, fitted: Fitted) -> Rows:
        """Return u = (prediction - target) / sigma, in units of the target where there is no sigma, shape (rows,)."""
        difference = fitted.prediction - fitted.target
        return difference if fitted.sigma is None else difference / fitted.sigma

    def variance(self, fitted: Fitted) -> Rows:
        """Return sigma², or one where there is none, shape (rows,)."""
        return jnp.ones_like(fitted.target) if fitted.sigma is None else fitted.sigma**2

    def residual(self, fitted: Fitted) -> Rows:
        """Return u sqrt(rho(u²) / u²), shape (rows,)."""
        distance = self.distance(fitted)
        # At u = 0 the ratio is 0/0. rho is linear there, so a tiny s stands in: tiny, but its cube, which second
        # derivatives of the ratio divide by, must not underflow.
        squared = jnp.maximum(distance**2, 1e-100 if distance.dtype == jnp.float64 else 1e-12)
        return distance * jnp.sqrt(self.rho(squared) / squared)


class KinkedLoss(Loss):
    """Abstract: proportional to the distance u = (prediction - target) / sigma on either side of zero, with a kink there."""

    smooth: ClassVar[bool] = False

    @property
    @abstractmethod
    def slopes(self) -> tuple[Scalar | float, Scalar | float]:
        """The slopes of the cost for u above zero and, as a positive number, for u below."""

    @final
    def distance(self, fitted: Fitted) -> Rows:
        """Return u, shape (rows,)."""
        difference = fitted.prediction - fitted.target
        return difference if fitted.sigma is None else difference / fitted.sigma

    @final
    def cost(self, fitted: Fitted) -> Rows:
        """Return up max(u, 0) + down max(-u, 0), shape (rows,); its derivative at zero is the mean of both sides'."""
        up, down = self.slopes
        distance = self.distance(fitted)
        return up * jnp.maximum(distance, 0.0) + down * jnp.maximum(-distance, 0.0)

    @final
    def smoothed_residual(self, fitted: Fitted, width: Scalar) -> Rows:
        """Return the signed root of a smooth cost that nears this one as `width` vanishes, shape (rows,).

        The cost is a (sqrt(u² + width²) - width), with a the slope of the side that u is on.
        """
        up, down = self.slopes
        distance = self.distance(fitted)
        return rounded_root(distance, width) * jnp.sqrt(jnp.where(distance > 0, up, down))


def rounded_root(distance: Rows, width: Scalar) -> Rows:
    """Return the signed root of sqrt(u² + width²) - width, which is |u| with its kink rounded, shape (rows,)."""
    return distance / jnp.sqrt(jnp.sqrt(distance**2 + width**2) + width)
