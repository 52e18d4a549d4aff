"""The mean squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from fitkit.losses.base import DistanceLoss, Fitted
from fitkit.types import Rows


@final
@dataclass(frozen=True, kw_only=True)
class MeanSquaredError(DistanceLoss):
    """Mean squared error, u² without a half (torch's `MSELoss`): maximum likelihood for normal errors.

    With `data.sigma` u is divided by sigma, and rows times the loss is chi-square.
    """

    kind: Literal["mse"] = "mse"
    deviance: ClassVar[bool] = True
    scatter: ClassVar[Literal["known", "by_sigma", "unknown"]] = "known"

    def rho(self, squared: Rows) -> Rows:
        """Return s itself."""
        return squared

    def residual(self, fitted: Fitted) -> Rows:
        """Return u, without the detour over its square."""
        return self.distance(fitted)
