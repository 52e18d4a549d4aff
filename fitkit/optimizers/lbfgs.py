"""Limited-memory BFGS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.optimizers.base import Optimizer
from fitkit.types import PositiveCount


@final
@dataclass(frozen=True, kw_only=True)
class LimitedMemoryBFGS(Optimizer):
    """L-BFGS with bounds by projection: for smooth objectives of any kind and many parameters."""

    kind: Literal["lbfgs"] = "lbfgs"
    memory: PositiveCount = 10
    """How many past steps shape the approximate curvature."""
