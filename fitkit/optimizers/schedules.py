"""How the learning rate changes while a first-order optimizer runs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, final

from fitkit.backend import jnp
from fitkit.component import Component
from fitkit.types import Count, Fraction, PositiveCount, Scalar


@dataclass(frozen=True, kw_only=True)
class Schedule(Component):
    """Abstract: the share of the learning rate that is used, update by update, after a warm-up."""

    warmup: Count = 0
    """Epochs over which the rate grows from (nearly) zero, update by update, before the schedule begins."""

    def share(self, update: Any, per_epoch: int, epochs: Any) -> Scalar:
        """Return the share of the learning rate.

        Args:
            update: how many updates were made before, a whole number.
            per_epoch: updates in an epoch.
            epochs: how many there will be.
        """
        warm, total = self.warmup * per_epoch, epochs * per_epoch
        growing = (update + 1) / jnp.maximum(warm, 1)
        after = self.after_warmup(update - warm, per_epoch, total - warm)
        return jnp.where(update < warm, growing, after)

    @abstractmethod
    def after_warmup(self, update: Any, per_epoch: int, total: Any) -> Any:
        """Return the share at an update counted from the end of the warm-up, of `total` that there will be from there."""


@final
@dataclass(frozen=True, kw_only=True)
class ConstantSchedule(Schedule):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"

    def after_warmup(self, update: Any, per_epoch: int, total: Any) -> Any:
        """Return one."""
        del update, per_epoch, total
        return 1.0


@final
@dataclass(frozen=True, kw_only=True)
class CosineSchedule(Schedule):
    """The learning rate falls along half a cosine, from all of it at the first epoch to `floor` of it after the last.

    Reference: I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017, equation 5.
    """

    kind: Literal["cosine"] = "cosine"
    floor: Fraction = 0.0
    """The share of the learning rate that it ends at."""

    def after_warmup(self, update: Any, per_epoch: int, total: Any) -> Any:
        """Return floor + (1 - floor) (1 + cos(pi update / total)) / 2."""
        del per_epoch
        part = jnp.clip(update / jnp.maximum(total, 1), 0.0, 1.0)
        return self.floor + (1 - self.floor) * (1 + jnp.cos(jnp.pi * part)) / 2


@final
@dataclass(frozen=True, kw_only=True)
class StepSchedule(Schedule):
    """The learning rate is multiplied by `factor` every so many epochs."""

    kind: Literal["step"] = "step"
    every: PositiveCount
    """How many epochs there are between two drops."""
    factor: Fraction = 0.1
    """What the rate is multiplied by."""

    def after_warmup(self, update: Any, per_epoch: int, total: Any) -> Any:
        """Return factor^(epochs so far // every)."""
        del total
        drops = jnp.maximum(update, 0) // (self.every * per_epoch)
        return jnp.asarray(self.factor) ** drops


SCHEDULES: tuple[type[Schedule], ...] = (ConstantSchedule, CosineSchedule, StepSchedule)
