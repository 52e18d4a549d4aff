"""Levenberg-Marquardt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.optimizers.base import Optimizer
from fitkit.types import Positive


@final
@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardt(Optimizer):
    """Levenberg-Marquardt with geodesic acceleration: the choice for every loss of residuals."""

    kind: Literal["lm"] = "lm"
    damping: Positive = 1e-3
    """The damping of the first step, relative to the squared column norms of the Jacobian."""
