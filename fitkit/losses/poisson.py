"""The Poisson likelihood of counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from fitkit.backend import jnp
from fitkit.losses.base import Fitted, Loss, TargetRule
from fitkit.types import Rows


@final
@dataclass(frozen=True, kw_only=True)
class Poisson(Loss):
    """Poisson negative log-likelihood without its constant: rate - target log(rate) (torch's `PoissonNLLLoss`)."""

    kind: Literal["poisson"] = "poisson"
    link: Literal["identity", "log"] | None = None
    """What the model predicts: the rate (identity) or its logarithm (log). By default the rate from a formula or a
    python model, the log rate from the others."""
    likelihood: ClassVar[bool] = True
    canonical: ClassVar[bool] = True
    scatter: ClassVar[Literal["known", "by_sigma", "unknown"]] = "known"
    target_rule: ClassVar[TargetRule | None] = TargetRule(minimum=0, maximum=math.inf, words="counts, zero or above")

    def cost(self, fitted: Fitted) -> Rows:
        """Return exp(p) - target p for a log rate p, or p - target log(p) for a rate p, shape (rows,)."""
        prediction, target = fitted.prediction, fitted.target
        if self.link == "log":
            return jnp.exp(prediction) - target * prediction
        # A row without counts has no logarithm: 0 log(0) is 0 there, and its slope is that of the rate alone.
        counted = target > 0
        surprise = jnp.where(counted, target * jnp.log(jnp.where(counted, prediction, 1.0)), 0.0)
        return jnp.where(prediction >= 0, prediction - surprise, jnp.inf)

    def mean(self, prediction: Rows) -> Rows:
        """Return the rate, shape (rows,)."""
        return jnp.exp(prediction) if self.link == "log" else prediction

    def variance(self, fitted: Fitted) -> Rows:
        """Return the rate, shape (rows,)."""
        return self.mean(fitted.prediction)
