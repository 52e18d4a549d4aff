"""Huber's loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.backend import jnp
from fitkit.losses.base import DistanceLoss
from fitkit.types import Positive, Rows


@final
@dataclass(frozen=True, kw_only=True)
class Huber(DistanceLoss):
    """Huber's loss, u²/2 up to |u| = delta and delta (|u| - delta/2) beyond (torch's `HuberLoss`).

    Reference: P. J. Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35 (1964).
    """

    kind: Literal["huber"] = "huber"
    delta: Positive = 1.0
    """Where the parabola turns into a line, in units of the residual (of sigma, where the data give one)."""

    def rho(self, squared: Rows) -> Rows:
        """Return s/2 up to delta², and delta sqrt(s) - delta²/2 beyond."""
        inside = squared <= self.delta**2
        # sqrt at s = 0 has an infinite slope, which would reach the unused branch's derivative as 0 times infinity.
        distance = jnp.sqrt(jnp.where(inside, 1.0, squared))
        return jnp.where(inside, squared / 2, self.delta * (distance - self.delta / 2))
