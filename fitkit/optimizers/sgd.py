"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

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
