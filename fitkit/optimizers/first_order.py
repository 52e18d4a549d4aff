"""What the first-order optimizers share: the learning rate, batches, clipping, proximal steps and projection."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from fitkit.backend import jax, jnp
from fitkit.optimizers.base import Optimizer
from fitkit.optimizers.pieces import Pieces, cut
from fitkit.optimizers.schedules import ConstantSchedule, Schedule
from fitkit.problem import Problem
from fitkit.types import Positive, PositiveCount, Scalar, Theta

CLIP_EPSILON = 1e-6
"""What torch's `clip_grad_norm_` adds to the norm."""


class Parts(NamedTuple):
    """What an update consists of beside its direction; known before compilation, so that nobody pays for what is absent."""

    proximal: bool
    """Whether there is an l1 penalty."""
    bounded: bool
    """Whether a parameter has a bound."""


@dataclass(frozen=True, kw_only=True)
class FirstOrder(Optimizer):
    """Abstract: a step is one pass over the data, as one full-batch update or one update for each batch.

    A subclass writes `direction`, and `scale` where its steps have a length of their own for each parameter. An l1 penalty is
    a proximal step after each update; bounds are a projection.
    """

    learning_rate: Positive
    batch_size: PositiveCount | None = None
    """Rows per update, in a new random order each pass; by default all of them."""
    epochs: PositiveCount | None = None
    """How many passes to make; without it the run ends by tolerance or `max_steps`."""
    schedule: Schedule = field(default_factory=ConstantSchedule, metadata={"traced": True})
    """How the learning rate changes: `{kind: cosine, warmup: 5}`; by default not at all."""
    clip: Positive | None = None
    """The largest norm of a gradient over all parameters; longer ones are shortened to it."""
    default_gtol: ClassVar[float] = 1e-8
    default_max_steps: ClassVar[int] = 10_000

    @abstractmethod
    def direction(self) -> Any:
        """Return optax's transformation of a gradient, shape (free,), to the direction that is followed downhill."""

    def scale(self, memory: Any) -> Any:
        """Return what the direction's gradients were multiplied by, for each number of theta; None for one.

        Args:
            memory: the transformation's.
        """
        del memory

    def memory(self, theta: Theta | Pieces) -> Any:
        """Return what is remembered before the first update."""
        return self.direction().init(theta)

    def move(
        self,
        problem: Problem,
        parts: Parts,
        theta: Theta | Pieces,
        gradient: Theta | Pieces,
        memory: Any,
        share: Scalar | float,
    ) -> tuple[Any, Any]:
        """Return theta after one update, and the new memory.

        Args:
            problem: has the penalties and bounds.
            parts: what there is of them.
            theta: the point, shape (free,), as `cut` gives it.
            gradient: of the smooth part of the objective there.
            memory: as the last update left it.
            share: of the learning rate.
        """
        rate = jnp.asarray(self.learning_rate * share, theta.dtype)
        if self.clip is not None:
            norm = jnp.sqrt(sum(jnp.sum(part**2) for part in jax.tree.leaves(gradient)))
            shorter = jnp.minimum(1.0, self.clip / (norm + CLIP_EPSILON))
            gradient = jax.tree.map(lambda part: part * shorter, gradient)
        direction, memory = self.direction().update(gradient, memory, theta)
        theta = jax.tree.map(lambda part, move: part - rate * move, theta, direction)
        if parts.proximal:
            theta = self._shrunk(problem, theta, rate, memory)
        if parts.bounded:
            theta = jax.tree.map(
                jnp.clip, theta, cut(problem.lower, problem.layout), cut(problem.upper, problem.layout)
            )
        return theta, memory

    def _shrunk(self, problem: Problem, theta: Any, rate: Any, memory: Any) -> Any:
        """Return theta after the proximal step of the l1 penalty: weights nearer to zero, but not beyond."""

        def shrink(part: Any, penalized: Any, scale: Any) -> Any:
            threshold = jnp.where(penalized, rate * scale * problem.regularization.l1, 0.0)
            return jnp.sign(part) * jnp.maximum(jnp.abs(part) - threshold, 0.0)

        scale = self.scale(memory)
        scale = jax.tree.map(jnp.ones_like, theta) if scale is None else scale
        return jax.tree.map(shrink, theta, cut(jnp.asarray(problem.penalized_coordinates), problem.layout), scale)

    def share(self, update: Any, per_epoch: int, epochs: Any) -> Scalar | float:
        """Return the share of the learning rate at an update, of `per_epoch` in each of `epochs`."""
        if isinstance(self.schedule, ConstantSchedule) and self.schedule.warmup == 0:
            return 1.0
        return self.schedule.share(update, per_epoch, epochs)
