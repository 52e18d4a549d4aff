"""Limited-memory BFGS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, NamedTuple, final

from fitkit.backend import jax, jnp
from fitkit.optimizers.base import Solver
from fitkit.optimizers.compact_curvature import (
    CompactCurvature,
    inverse_product,
    measured_for,
    with_pair,
    without_pairs,
)
from fitkit.optimizers.line_search import LinePoint, search, sums
from fitkit.optimizers.row_blocks import value_and_gradient
from fitkit.optimizers.stopping import Measures
from fitkit.problem import Problem
from fitkit.types import FreeMask, PositiveCount, Scalar, Theta, Truth, WholeScalar

EXACT_START = 64
"""Parameters up to which the exact Hessian at the start is worth its price as the first metric."""


class CurvatureState(NamedTuple):
    """A point of the search and the curvature learned on the way."""

    theta: Theta
    gradient: Theta
    measures: Measures
    evaluations: WholeScalar
    curvature: CompactCurvature
    direction: Theta
    """Where the next search goes: -H g over the parameters that can move, or -g where that does not descend, shape (free,)."""
    slope: Scalar
    """g' times the direction."""
    metric: jax.Array
    """The inverse curvature before any pair, shape (free, free) or (free,)."""
    largest: Theta
    """The largest |theta_j| so far."""
    doubt: WholeScalar
    """How much curvature was given up after failed searches: 0 none, 1 the pairs, 2 the first metric too."""


@final
@dataclass(frozen=True, kw_only=True)
class LimitedMemoryBFGS(Solver):
    """L-BFGS with bounds by projection: for smooth objectives of any kind and many parameters.

    The first metric is the exact Hessian, made positive, for up to 64 parameters; beyond, a multiple of the identity.
    Reference: J. Nocedal and S. J. Wright, Numerical Optimization, 2nd ed., Springer 2006, algorithm 7.4.
    """

    kind: Literal["lbfgs"] = "lbfgs"
    memory: PositiveCount = 10
    """How many past steps shape the approximate curvature."""
    default_gtol: ClassVar[float] = 1e-8
    default_max_steps: ClassVar[int] = 5000

    def init(self, problem: Problem, theta: Theta, seed: int | WholeScalar) -> CurvatureState:
        """Return the state at theta, shape (free,)."""
        del seed
        theta = jnp.clip(theta, problem.lower, problem.upper)
        value, gradient = value_and_gradient(problem, theta)
        unknown = jnp.asarray(jnp.nan, theta.dtype)
        no = jnp.asarray(False)  # noqa: FBT003 - a traced truth value
        begun = CurvatureState(
            theta=theta,
            gradient=gradient,
            measures=Measures(value, unknown, unknown, unknown, no, no, no, no),
            evaluations=jnp.asarray(1),
            curvature=without_pairs(self.memory, theta),
            direction=jnp.zeros_like(theta),
            slope=jnp.zeros_like(value),
            metric=_first_metric(problem, theta),
            largest=jnp.abs(theta),
            doubt=jnp.asarray(0),
        )
        return _measured(problem, begun, LinePoint(theta, value, gradient), no)

    def step(self, problem: Problem, state: CurvatureState) -> CurvatureState:
        """Return the state after one line search; where it fails, curvature is given up piece by piece, then it is stalled."""

        def project(theta: Theta) -> Theta:
            return jnp.clip(theta, problem.lower, problem.upper)

        start = LinePoint(state.theta, state.measures.value, state.gradient)
        evaluate = partial(value_and_gradient, problem)
        point, moved, trials = search(evaluate, project, start, state.direction, state.slope, _first_length(state))
        found = _measured(problem, state, point, moved)
        stalled = ~moved & (state.doubt >= 2)
        measures = found.measures._replace(stalled=stalled)
        return found._replace(evaluations=state.evaluations + trials, measures=measures)


def _first_metric(problem: Problem, theta: Theta) -> jax.Array:
    """Return |H|^-1 at theta for few parameters, with eigenvalues of the scaled Hessian made positive; else ones."""
    size = theta.size
    if size > EXACT_START or size == 0:
        return jnp.ones(size, theta.dtype)
    hessian = jax.hessian(problem.objective)(theta)
    diagonal = jnp.abs(jnp.diagonal(hessian))
    scale = jnp.sqrt(jnp.where(diagonal > 0, diagonal, jnp.max(diagonal, initial=0.0) + (jnp.max(diagonal) == 0)))
    values, vectors = jnp.linalg.eigh(hessian / jnp.outer(scale, scale))
    # An indefinite Hessian still knows the scales: its magnitude is a metric. Tiny eigenvalues are rounding.
    positive = jnp.maximum(jnp.abs(values), 1e-12 * jnp.max(jnp.abs(values)))
    half = vectors / jnp.sqrt(positive) / scale[:, None]
    metric = half @ half.T
    return jnp.where(jnp.all(jnp.isfinite(metric)), metric, jnp.eye(size, dtype=theta.dtype))


def _movable(problem: Problem, theta: Theta, gradient: Theta) -> FreeMask:
    """Return which parameters are not pressed against a bound by the gradient, shape (free,)."""
    return ~(((theta <= problem.lower) & (gradient > 0)) | ((theta >= problem.upper) & (gradient < 0)))


def _first_length(state: CurvatureState) -> Scalar:
    """Return 1, but a cautious length before any pair: one that does not foretell a fall below the objective's own size.

    A Hessian that is rounding, as far out on a slope without curvature, would otherwise send the first trial to infinity.
    """
    slope, size = jnp.abs(state.slope), jnp.abs(state.measures.value)
    cautious = jnp.where((size > 0) & (slope > 0), size / jnp.where(slope > 0, slope, 1.0), 1.0)
    return jnp.where(jnp.any(state.curvature.products > 0), 1.0, jnp.minimum(1.0, cautious))


def _plain_metric(state: CurvatureState) -> jax.Array:
    """Return the squared sizes of the parameters as a metric: what is left when all curvature has misled."""
    size = jnp.where(state.largest > 0, state.largest, 1.0) ** 2
    return jnp.diag(size) if state.metric.ndim == 2 else size


def _measured(problem: Problem, state: CurvatureState, point: LinePoint, moved: Truth) -> CurvatureState:
    """Return the state at the point that a search from `state` has found, with its measures; or with less curvature.

    The slope is judged in the learned metric H: sqrt(g'Hg / 2 |f|), the root of the share of the objective that a Newton
    step would still remove, or the largest Newton step relative to its parameter, where the objective itself ends at zero.
    """
    theta, value, gradient = point
    movable = _movable(problem, theta, gradient)
    step, slope = theta - state.theta, gradient - state.gradient
    differs = jnp.where(movable == state.curvature.movable, 0.0, 1.0)
    along, of_step, of_slope, changed, unknown = sums(step * slope, step**2, slope**2, differs, 0.0 * gradient)
    positive = moved & (along > 1e-16 * jnp.sqrt(of_step) * jnp.sqrt(of_slope))
    metric = jnp.where(moved | (state.doubt < 1), state.metric, _plain_metric(state))
    learned = with_pair(state.curvature, step, slope, along, moved=moved, positive=positive)
    fresh = jnp.where(changed > 0, len(learned.products), jnp.where(positive, 1, 0))
    curvature = measured_for(learned, metric, movable, fresh)
    newton = inverse_product(curvature, metric, gradient)
    free = jnp.where(movable, gradient, 0.0)
    descent, steepest = sums(free * newton, free**2)
    decrease = jnp.maximum(descent, 0.0) / 2
    share = jnp.sqrt(decrease / jnp.where(value != 0, jnp.abs(value), jnp.inf))
    share = jnp.where(value != 0, share, jnp.where(decrease == 0, 0.0, jnp.inf))
    largest = jnp.fmax(state.largest, jnp.abs(theta))
    size = jnp.where(largest > 0, largest, 1.0)
    # Whether the step of a parameter that has always been zero is small, nobody knows.
    shares = jnp.where((newton != 0) & (largest == 0), jnp.inf, jnp.abs(newton) / size)
    changes = jnp.abs(step) / jnp.where(theta != 0, jnp.abs(theta), size)
    remaining, change = jnp.max(jnp.stack([shares, changes]), axis=1, initial=0.0)
    before = state.measures.value
    measures = state.measures._replace(
        value=value,
        optimality=jnp.minimum(share, remaining),
        value_change=jnp.where(moved, (before - value) / jnp.where(before != 0, jnp.abs(before), 1.0), jnp.nan),
        theta_change=jnp.where(moved, jnp.maximum(change, remaining), jnp.nan),
        moved=moved,
        at_rounding=jnp.minimum(share, remaining) <= (1e-6 if theta.dtype == jnp.float64 else 1e-3),
        finite=jnp.isfinite(value) & (unknown == 0),
    )
    return CurvatureState(
        theta=theta,
        gradient=gradient,
        measures=measures,
        evaluations=state.evaluations,
        curvature=curvature,
        direction=jnp.where(descent > 0, -newton, -free),
        slope=jnp.where(descent > 0, -descent, -steepest),
        metric=metric,
        largest=largest,
        doubt=jnp.where(moved, 0, state.doubt + 1),
    )
