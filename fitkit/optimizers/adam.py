"""Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

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
