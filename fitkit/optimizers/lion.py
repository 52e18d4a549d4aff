"""Lion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import optax
from fitkit.optimizers.first_order import FirstOrder
from fitkit.types import Fraction, NonNegative, Positive


@final
@dataclass(frozen=True, kw_only=True)
class Lion(FirstOrder):
    """Steps of one length in every parameter, in the direction of the sign of a mean gradient.

    Reference: X. Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023, arXiv:2302.06675, algorithm 2.
    """

    kind: Literal["lion"] = "lion"
    learning_rate: Positive = 1e-4
    """How far every parameter moves in a step."""
    beta1: Fraction = 0.9
    """The memory of the mean gradient whose sign is taken."""
    beta2: Fraction = 0.99
    """The memory of the mean gradient that is kept."""
    weight_decay: NonNegative = 0.0
    """The share by which parameters shrink per update and unit of learning rate."""

    def direction(self) -> Any:
        """Return sign(beta1 m + (1 - beta1) g) and weight_decay times theta."""
        return optax.chain(optax.scale_by_lion(self.beta1, self.beta2), optax.add_decayed_weights(self.weight_decay))
