"""Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import jnp, optax
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, Positive, Theta


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

    def direction(self) -> Any:
        """Return m / (sqrt(v) + epsilon) with the moments corrected for their start at zero."""
        return optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)

    def scale(self, memory: Any) -> Theta:
        """Return 1 / (sqrt(v) + epsilon), shape (free,)."""
        return scale_by_moment(memory.nu, self.beta2, memory.count, self.epsilon)


def scale_by_moment(square: Theta, memory: Any, count: Any, epsilon: Any) -> Theta:
    """Return 1 / (sqrt(v / (1 - memory^count)) + epsilon) for a running mean v of squares, shape (free,)."""
    scale: Theta = 1 / (jnp.sqrt(square / (1 - memory ** count.astype(square.dtype))) + epsilon)
    return scale
