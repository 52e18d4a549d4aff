"""Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.backend import jnp
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, Positive, Theta, WholeScalar


@final
@dataclass(frozen=True, kw_only=True)
class Adam(FirstOrder):
    """Adam: gradient descent scaled by running moments of the gradient (torch's `Adam`).

    Reference: D. P. Kingma and J. Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, arXiv:1412.6980.
    """

    kind: Literal["adam"] = "adam"
    learning_rate: Positive = 1e-3
    """About the most that a parameter moves in a step."""
    beta1: Fraction = 0.9
    """The memory of the mean gradient."""
    beta2: Fraction = 0.999
    """The memory of the mean squared gradient."""
    epsilon: Positive = 1e-8
    """Added to the root of the mean squared gradient, against division by zero."""

    def memory(self, theta: Theta) -> tuple[Theta, Theta]:
        """Return the running moments, zero, shape (free,) each."""
        return jnp.zeros_like(theta), jnp.zeros_like(theta)

    def update(
        self, gradient: Theta, memory: tuple[Theta, Theta], count: WholeScalar
    ) -> tuple[Theta, Theta, tuple[Theta, Theta]]:
        """Return -rate m / (sqrt(v) + epsilon) with the moments corrected for their start at zero."""
        mean, square = memory
        mean = self.beta1 * mean + (1 - self.beta1) * gradient
        square = self.beta2 * square + (1 - self.beta2) * gradient**2
        power = (count + 1).astype(gradient.dtype)
        root = jnp.sqrt(square) / jnp.sqrt(1 - self.beta2**power) + self.epsilon
        rate = self.learning_rate / (1 - self.beta1**power) / root
        return -rate * mean, rate, (mean, square)
