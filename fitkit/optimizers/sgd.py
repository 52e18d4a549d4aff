"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.backend import jnp
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, Positive, Theta, WholeScalar


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

    def memory(self, theta: Theta) -> Theta:
        """Return the velocity, zero, shape (free,)."""
        return jnp.zeros_like(theta)

    def update(self, gradient: Theta, memory: Theta, count: WholeScalar) -> tuple[Theta, Theta, Theta]:
        """Return -rate v with v <- momentum v + g, looked at one step ahead with nesterov."""
        del count
        velocity = self.momentum * memory + gradient
        ahead = gradient + self.momentum * velocity if self.nesterov else velocity
        rate = jnp.full_like(gradient, self.learning_rate)
        return -rate * ahead, rate, velocity
