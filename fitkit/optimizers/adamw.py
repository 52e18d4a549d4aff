"""Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import optax
from fitkit.optimizers.adam import scale_by_moment
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, NonNegative, Positive


@final
@dataclass(frozen=True, kw_only=True)
class AdamW(FirstOrder):
    """Adam with decoupled weight decay: all free parameters shrink by learning rate times decay (torch's `AdamW`).

    Reference: I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, ICLR 2019, arXiv:1711.05101.
    """

    kind: Literal["adamw"] = "adamw"
    learning_rate: Positive = 1e-3
    """About the most that a parameter moves in a step."""
    beta1: Fraction = 0.9
    """The memory of the mean gradient."""
    beta2: Fraction = 0.999
    """The memory of the mean squared gradient."""
    epsilon: Positive = 1e-8
    """Added to the root of the mean squared gradient, against division by zero."""
    weight_decay: NonNegative = 0.01
    """The share by which parameters shrink per update and unit of learning rate."""

    def direction(self) -> Any:
        """Return Adam's direction and weight_decay times theta."""
        adam = optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)
        return optax.chain(adam, optax.add_decayed_weights(self.weight_decay))

    def scale(self, memory: Any) -> Any:
        """Return 1 / (sqrt(v) + epsilon)."""
        return scale_by_moment(memory[0].nu, self.beta2, memory[0].count, self.epsilon)
