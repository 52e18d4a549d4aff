"""What the first-order optimizers share: passes over the data, batches, proximal steps and projection."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from fitkit.backend import jax, jnp, lax
from fitkit.optimizers.base import Optimizer
from fitkit.optimizers.stopping import Measures
from fitkit.problem import Problem, RowData
from fitkit.types import Positive, PositiveCount, Scalar, Theta, WholeScalar


class FirstOrderState(NamedTuple):
    """A point of the search and what the update rule remembers."""

    theta: Theta
    gradient: Theta
    """Of the smooth objective over all rows; not used, and zero, with batches."""
    measures: Measures
    evaluations: WholeScalar
    memory: Any
    """The update rule's own state."""
    updates: WholeScalar
    """How many updates were made."""
    key: Any
    """The random key of the next pass."""


@dataclass(frozen=True, kw_only=True)
class FirstOrder(Optimizer):
    """Abstract: a step is one pass over the data, as one full-batch update or one update for each batch.

    A subclass writes `memory` and `update`. An l1 penalty is a proximal step after each update; bounds are a projection.
    """

    learning_rate: Positive
    batch_size: PositiveCount | None = None
    """Rows per update, in a new random order each pass; by default all of them."""
    epochs: PositiveCount | None = None
    """How many passes to make; without it the run ends by tolerance or `max_steps`."""
    default_gtol: ClassVar[float] = 1e-8
    default_max_steps: ClassVar[int] = 10_000

    @abstractmethod
    def memory(self, theta: Theta) -> Any:
        """Return what the rule remembers before the first update."""

    @abstractmethod
    def update(self, gradient: Theta, memory: Any, count: WholeScalar) -> tuple[Theta, Theta, Any]:
        """Return the move, the learning rate of each parameter, and the new memory.

        Args:
            gradient: shape (free,).
            memory: as the last update left it.
            count: how many updates were made before.
        """

    def init(self, problem: Problem, theta: Theta, seed: int | WholeScalar) -> FirstOrderState:
        """Return the state at theta, shape (free,)."""
        theta = jnp.clip(theta, problem.lower, problem.upper)
        value, gradient = self._evaluate(problem, theta)
        unknown = jnp.asarray(jnp.nan, theta.dtype)
        no = jnp.asarray(False)  # noqa: FBT003 - a traced truth value
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        measures = Measures(value, unknown, unknown, unknown, no, no, no, finite)
        zero = jnp.asarray(0)
        return FirstOrderState(theta, gradient, measures, zero + 1, self.memory(theta), zero, jax.random.key(seed))

    def step(self, problem: Problem, state: FirstOrderState) -> FirstOrderState:
        """Return the state after one pass over the data."""
        if self._batches(problem) == 1:
            theta, memory = self._move(problem, state.theta, state.gradient, state.memory, state.updates)
            following = state._replace(theta=theta, memory=memory, updates=state.updates + 1)
        else:
            following = self._pass(problem, state)
        value, gradient = self._evaluate(problem, following.theta)
        before = state.measures.value
        moves = jnp.abs(following.theta - state.theta)
        size = jnp.where(following.theta != 0, jnp.abs(following.theta), moves + (moves == 0))
        measures = state.measures._replace(
            value=value,
            value_change=jnp.abs(before - value) / jnp.where(before != 0, jnp.abs(before), 1.0),
            theta_change=jnp.max(moves / size, initial=0.0),
            moved=jnp.any(moves > 0),
            finite=jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient)) & jnp.all(jnp.isfinite(following.theta)),
        )
        return following._replace(gradient=gradient, measures=measures, evaluations=state.evaluations + 1)

    def _batches(self, problem: Problem) -> int:
        if self.batch_size is None or problem.rows is None:
            return 1
        return -(-len(problem.rows) // self.batch_size)

    def _evaluate(self, problem: Problem, theta: Theta) -> tuple[Scalar, Theta]:
        """Return the whole objective, and the gradient of its smooth part unless batches take its place."""
        absolute = problem.objective(theta) - problem.smooth_objective(theta, problem.rows, problem.total_weight)
        if self._batches(problem) > 1:
            return problem.objective(theta), jnp.zeros_like(theta)
        smooth = lambda t: problem.smooth_objective(t, problem.rows, problem.total_weight)  # noqa: E731 - an argument
        value, gradient = jax.value_and_grad(smooth)(theta)
        return value + absolute, gradient

    def _move(
        self, problem: Problem, theta: Theta, gradient: Theta, memory: Any, count: WholeScalar
    ) -> tuple[Theta, Any]:
        """Return theta after one update, the l1 proximal step and the projection."""
        move, rate, memory = self.update(gradient, memory, count)
        theta = theta + move
        penalized = jnp.asarray(problem.penalized_coordinates, bool)
        threshold = jnp.where(penalized, rate * problem.regularization.l1, 0.0)
        theta = jnp.sign(theta) * jnp.maximum(jnp.abs(theta) - threshold, 0.0)
        return jnp.clip(theta, problem.lower, problem.upper), memory

    def _pass(self, problem: Problem, state: FirstOrderState) -> FirstOrderState:
        """Return the state after an update for each batch, in a fresh random order; the last batch may be smaller."""
        rows, count = _rows(problem), self._batches(problem)
        size = self.batch_size or len(rows)
        key, shuffle = jax.random.split(state.key)
        order = jax.random.permutation(shuffle, len(rows))
        order = jnp.concatenate([order, order[: count * size - len(rows)]])
        padding = jnp.arange(count * size) >= len(rows)

        def update(
            carry: tuple[Theta, Any, WholeScalar], batch: tuple[Any, Any]
        ) -> tuple[tuple[Theta, Any, WholeScalar], None]:
            theta, memory, updates = carry
            index, padded = batch
            some = rows.take(index)
            weight = jnp.where(padded, 0.0, some.weight)
            some = RowData(inputs=some.inputs, target=some.target, sigma=some.sigma, weight=weight)
            total = jnp.sum(weight)
            gradient = jax.grad(lambda t: problem.smooth_objective(t, some, jnp.where(total > 0, total, 1.0)))(theta)
            theta, memory = self._move(problem, theta, gradient, memory, updates)
            return (theta, memory, updates + 1), None

        batches = (order.reshape(count, size), padding.reshape(count, size))
        (theta, memory, updates), _ = lax.scan(update, (state.theta, state.memory, state.updates), batches)
        return state._replace(theta=theta, memory=memory, updates=updates, key=key)


def _rows(problem: Problem) -> RowData:
    if problem.rows is None:
        raise AssertionError("batches need rows")
    return problem.rows
