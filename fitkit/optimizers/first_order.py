"""What the first-order optimizers share: epochs, batches and a gradient step."""

from __future__ import annotations

from fitkit.optimizers.base import Optimizer
from fitkit.types import Positive, PositiveCount
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FirstOrder(Optimizer):
    """Abstract: a step is one pass over the data, as one full-batch update or one update for each batch."""

    learning_rate: Positive
    batch_size: PositiveCount | None = None
    """Rows per update, in a new random order each pass; by default all of them."""
    epochs: PositiveCount | None = None
    """How many passes to make; without it the run ends by tolerance or `max_steps`."""
