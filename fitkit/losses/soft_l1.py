"""The smooth approximation of the absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.backend import jnp
from fitkit.losses.base import DistanceLoss
from fitkit.types import Positive, Rows


@final
@dataclass(frozen=True, kw_only=True)
class SoftL1(DistanceLoss):
    """Soft absolute error, scale² (sqrt(1 + (u/scale)²) - 1): scipy's `soft_l1` with its half and `f_scale`."""

    kind: Literal["soft_l1"] = "soft_l1"
    scale: Positive = 1.0
    """The residual at which squares turn into absolute values (scipy's `f_scale`)."""

    def rho(self, squared: Rows) -> Rows:
        """Return s / (1 + sqrt(1 + s/scale²)), which equals scale² (sqrt(1 + s/scale²) - 1) without its cancellation."""
        return squared / (1 + jnp.sqrt(1 + squared / self.scale**2))
