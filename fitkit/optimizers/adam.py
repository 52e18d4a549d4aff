"""Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import jax, jnp, optax
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, Positive


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

    def scale(self, memory: Any) -> Any:
        """Return 1 / (sqrt(v) + epsilon)."""
        return scale_by_moment(memory.nu, self.beta2, memory.count, self.epsilon)


def scale_by_moment(square: Any, memory: Any, count: Any, epsilon: Any) -> Any:
    """Return 1 / (sqrt(v / (1 - memory^count)) + epsilon) for a running mean v of squares."""

    def scale(v: Any) -> Any:
        return 1 / (jnp.sqrt(v / (1 - memory ** count.astype(v.dtype))) + epsilon)

    return jax.tree.map(scale, square)
