"""Adagrad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import jax, jnp, optax
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Positive


@final
@dataclass(frozen=True, kw_only=True)
class Adagrad(FirstOrder):
    """Gradient descent scaled by the root of the sum of all squared gradients so far (torch's `Adagrad`).

    Reference: J. Duchi, E. Hazan and Y. Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization, JMLR 12, 2011.
    """

    kind: Literal["adagrad"] = "adagrad"
    learning_rate: Positive = 1e-2
    """About the most that a parameter moves in the first step."""
    epsilon: Positive = 1e-10
    """Added to the root of the sum, against division by zero."""

    def direction(self) -> Any:
        """Return g / (sqrt(sum g²) + epsilon).

        Not optax's, which begins the sum at 0.1 and has epsilon under the root.
        """

        def update(gradient: Any, total: Any, theta: Any = None) -> tuple[Any, Any]:
            del theta
            total = jax.tree.map(lambda sum_of_squares, part: sum_of_squares + part**2, total, gradient)
            return jax.tree.map(lambda part, scale: part * scale, gradient, self.scale(total)), total

        return optax.GradientTransformation(lambda theta: jax.tree.map(jnp.zeros_like, theta), update)

    def scale(self, memory: Any) -> Any:
        """Return 1 / (sqrt(sum g²) + epsilon)."""
        return jax.tree.map(lambda sum_of_squares: 1 / (jnp.sqrt(sum_of_squares) + self.epsilon), memory)
