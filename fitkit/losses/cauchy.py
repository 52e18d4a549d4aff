"""The Cauchy (Lorentzian) loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.backend import jnp
from fitkit.losses.base import DistanceLoss
from fitkit.types import Positive, Rows


@final
@dataclass(frozen=True, kw_only=True)
class Cauchy(DistanceLoss):
    """Cauchy's loss, scale²/2 log(1 + (u/scale)²): scipy's `cauchy` with its half and `f_scale`.

    The influence of a row falls with its distance, so gross outliers are nearly ignored; the objective may have several minima.
    """

    kind: Literal["cauchy"] = "cauchy"
    scale: Positive = 1.0
    """The residual beyond which a row's influence falls (scipy's `f_scale`)."""

    def rho(self, squared: Rows) -> Rows:
        """Return scale²/2 log(1 + s/scale²)."""
        return self.scale**2 / 2 * jnp.log1p(squared / self.scale**2)
