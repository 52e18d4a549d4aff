"""RMSprop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import jax, jnp, optax
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, Positive


@final
@dataclass(frozen=True, kw_only=True)
class RMSprop(FirstOrder):
    """Gradient descent scaled by the root of a running mean of squared gradients, with momentum (torch's `RMSprop`).

    Reference: T. Tieleman and G. Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012.
    """

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: Positive = 1e-2
    """About the most that a parameter moves in a step."""
    decay: Fraction = 0.99
    """The memory of the mean squared gradient (torch's `alpha`)."""
    epsilon: Positive = 1e-8
    """Added to the root of the mean squared gradient, against division by zero."""
    momentum: Fraction = 0.0
    """The share of the last velocity that is kept."""

    def direction(self) -> Any:
        """Return v with v <- momentum v + g / (sqrt(mean g²) + epsilon)."""
        root = optax.scale_by_rms(self.decay, self.epsilon, eps_in_sqrt=False)
        return optax.chain(root, optax.trace(self.momentum))

    def scale(self, memory: Any) -> Any:
        """Return 1 / (sqrt(mean g²) + epsilon)."""
        return jax.tree.map(lambda square: 1 / (jnp.sqrt(square) + self.epsilon), memory[0].nu)
