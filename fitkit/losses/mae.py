"""The mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.losses.base import KinkedLoss
from fitkit.types import Scalar


@final
@dataclass(frozen=True, kw_only=True)
class MeanAbsoluteError(KinkedLoss):
    """Mean absolute error, |u| (torch's `L1Loss`): fits the median, and is not smooth where a residual is zero."""

    kind: Literal["mae"] = "mae"

    @property
    def slopes(self) -> tuple[Scalar | float, Scalar | float]:
        """One on either side."""
        return 1.0, 1.0
