"""The pinball loss of a quantile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.losses.base import KinkedLoss
from fitkit.types import Level, Scalar


@final
@dataclass(frozen=True, kw_only=True)
class Quantile(KinkedLoss):
    """Pinball loss of a quantile q: q (target - prediction) above the fit, (1 - q) (prediction - target) below it.

    The fit has a share q of the targets below it. Reference: R. Koenker and G. Bassett, Regression Quantiles, Econometrica
    46 (1978).
    """

    kind: Literal["quantile"] = "quantile"
    quantile: Level = 0.5
    """The share of targets below the fit: 0.5 is the median."""

    @property
    def slopes(self) -> tuple[Scalar | float, Scalar | float]:
        """1 - q where the prediction is too high, q where it is too low."""
        return 1.0 - self.quantile, self.quantile
