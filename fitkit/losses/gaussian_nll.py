"""The normal likelihood with a standard deviation that is fitted too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from fitkit.backend import jnp
from fitkit.expressions import Expression
from fitkit.losses.base import Fitted, Loss
from fitkit.losses.formulas import ROLES, evaluate
from fitkit.types import Rows


@final
@dataclass(frozen=True, kw_only=True)
class GaussianLikelihood(Loss):
    """Normal negative log-likelihood, (log sigma² + (u / sigma)²) / 2 without its constant (torch's `GaussianNLLLoss`).

    Sigma is a formula of its own, so that the scatter is fitted with the curve.
    """

    kind: Literal["gaussian_nll"] = "gaussian_nll"
    sigma: Expression
    """The standard deviation of a row: a formula of columns, parameters and `prediction`: `s0 + s1 * t`."""
    likelihood: ClassVar[bool] = True
    scatter: ClassVar[Literal["known", "by_sigma", "unknown"]] = "known"

    @property
    def names(self) -> frozenset[str]:
        """Columns and parameters in the formula of sigma."""
        return self.sigma.names - ROLES

    @property
    def formula(self) -> tuple[str, Expression]:
        """The formula of sigma."""
        return "sigma", self.sigma

    def cost(self, fitted: Fitted) -> Rows:
        """Return log sigma + ((prediction - target) / sigma)² / 2, shape (rows,); infinite where sigma is not positive."""
        sigma = evaluate(self.sigma, fitted)
        positive = sigma > 0
        safe = jnp.where(positive, sigma, 1.0)
        cost = jnp.log(safe) + ((fitted.prediction - fitted.target) / safe) ** 2 / 2
        return jnp.where(positive, cost, jnp.inf)

    def variance(self, fitted: Fitted) -> Rows:
        """Return sigma², shape (rows,)."""
        return evaluate(self.sigma, fitted) ** 2
