"""Penalties on the size of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fitkit.component import Component
from fitkit.types import NonNegative


@final
@dataclass(frozen=True, kw_only=True)
class Regularization(Component):
    """Penalties added to the objective: l2/2 sum w² + l1 sum |w| over the weights (all free parameters of a formula)."""

    l2: NonNegative = 0.0
    """The weight of half the sum of squares."""
    l1: NonNegative = 0.0
    """The weight of the sum of absolute values."""

    def is_zero(self, name: str) -> bool:
        """Return whether a penalty is the number zero, and not one that is traced and may have any value."""
        value = getattr(self, name)
        return isinstance(value, float | int) and value == 0
