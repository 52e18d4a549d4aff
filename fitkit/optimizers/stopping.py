"""When to stop: one rule, in one place, for numbers on the host and numbers in a compiled loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fitkit.component import Component
from fitkit.types import Count, NonNegative, Positive, PositiveCount


@final
@dataclass(frozen=True, kw_only=True)
class Stopping(Component):
    """When the search ends. Tolerances left out take the optimizer's defaults."""

    max_steps: Count | None = None
    """The most steps; 0 evaluates at the start."""
    gtol: NonNegative | None = None
    """Stop when the scale-free slope is at most this: the largest cosine between the residual and a column of its
    Jacobian, or, for other losses, the square root of the decrease still to be had relative to the objective."""
    ftol: NonNegative | None = None
    """Stop when the loss can fall by at most this share."""
    xtol: NonNegative | None = None
    """Stop when no parameter moves by more than this share of itself."""
    time_limit: Positive | None = None
    """The most seconds of searching."""
    patience: PositiveCount | None = None
    """Stop after so many steps without a new lowest loss, and return to the lowest."""
    allow_flat: bool = False
    """Accept a minimum with a flat direction, along which parameters are not identified."""
