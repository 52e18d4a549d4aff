"""The Bernoulli likelihood of a two-valued target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

from fitkit.backend import jax, jnp
from fitkit.losses.base import Fitted, Loss, TargetRule
from fitkit.types import Rows


@final
@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(Loss):
    """Binary cross entropy of a logit p (torch's `BCEWithLogitsLoss`): log(1 + exp(p)) - target p."""

    kind: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    link: Literal["logit", "identity"] = "logit"
    """What the model predicts: the logit of the probability (logit) or the probability itself (identity)."""
    classes: tuple[str, ...] = field(default=(), init=False)
    """The two, sorted: a probability is that of the second."""
    classifies: ClassVar[bool] = True
    likelihood: ClassVar[bool] = True
    canonical: ClassVar[bool] = True
    target_rule: ClassVar[TargetRule | None] = TargetRule(minimum=0, maximum=1, words="0, 1, or a share between them")

    def cost(self, fitted: Fitted) -> Rows:
        """Return the negative log-likelihood of each row in nats, shape (rows,)."""
        prediction, target = fitted.prediction, fitted.target
        if self.link == "logit":
            return jax.nn.softplus(prediction) - target * prediction
        # 0 log(0) is 0: the branch that the target does not ask for must not reach the logarithm.
        yes, no = target > 0, target < 1
        hit = jnp.where(yes, target * jnp.log(jnp.where(yes, prediction, 0.5)), 0.0)
        miss = jnp.where(no, (1 - target) * jnp.log1p(-jnp.where(no, prediction, 0.5)), 0.0)
        return -(hit + miss)

    def mean(self, prediction: Rows) -> Rows:
        """Return the probability, shape (rows,)."""
        return jax.nn.sigmoid(prediction) if self.link == "logit" else prediction
