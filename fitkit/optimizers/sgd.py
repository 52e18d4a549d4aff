"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import optax
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, Positive


@final
@dataclass(frozen=True, kw_only=True)
class StochasticGradientDescent(FirstOrder):
    """Gradient descent, full-batch or on minibatches, with momentum (torch's `SGD`)."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: Positive = 1e-3
    """The step per unit of gradient."""
    momentum: Fraction = 0.0
    """The share of the last velocity that is kept."""
    nesterov: bool = False
    """Whether the gradient is looked at ahead, where the velocity leads."""

    def direction(self) -> Any:
        """Return v with v <- momentum v + g, looked at one step ahead with nesterov."""
        return optax.trace(self.momentum, nesterov=self.nesterov)
