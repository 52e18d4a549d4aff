"""The mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from fitkit.backend import jnp
from fitkit.losses.base import Fitted, Loss
from fitkit.types import Rows


@final
@dataclass(frozen=True, kw_only=True)
class MeanAbsoluteError(Loss):
    """Mean absolute error, |u| (torch's `L1Loss`): fits the median, and is not smooth where a residual is zero."""

    kind: Literal["mae"] = "mae"
    smooth: ClassVar[bool] = False

    def cost(self, fitted: Fitted) -> Rows:
        """Return |prediction - target|, divided by sigma where there is one; the subgradient at zero is zero."""
        difference = jnp.abs(fitted.prediction - fitted.target)
        return difference if fitted.sigma is None else difference / fitted.sigma
