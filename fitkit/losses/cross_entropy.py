"""The likelihood of classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

from fitkit.backend import jax, jnp
from fitkit.losses.base import Fitted, Loss
from fitkit.types import Outputs, Rows


@final
@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """Cross entropy of a logit for each class (torch's `CrossEntropyLoss`): log(sum_k exp(p_k)) - p_target."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    classes: tuple[str, ...] = field(default=(), init=False)
    """Sorted; the target holds their places."""
    likelihood: ClassVar[bool] = True
    canonical: ClassVar[bool] = True
    classifies: ClassVar[bool] = True

    @property
    def width(self) -> tuple[int, ...]:
        """A logit for each class."""
        return (len(self.classes),)

    def cost(self, fitted: Fitted) -> Rows:
        """Return the negative log-likelihood of each row in nats, shape (rows,)."""
        logits = fitted.prediction
        chosen = jnp.take_along_axis(logits, fitted.target.astype(int)[:, None], axis=1)[:, 0]
        return jax.nn.logsumexp(logits, axis=1) - chosen

    def mean(self, prediction: Outputs) -> Outputs:
        """Return the probability of each class, shape (rows, classes)."""
        return jax.nn.softmax(prediction, axis=1)
