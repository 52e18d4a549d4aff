"""Limited-memory BFGS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, final

from fitkit.backend import jax, jnp, lax
from fitkit.optimizers.base import Solver
from fitkit.optimizers.line_search import LinePoint, search
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
    steps: jax.Array
    """The last moves s, shape (memory, free), in a ring; zero where there is none yet."""
    slopes: jax.Array
    """The changes of gradient y along them, shape (memory, free)."""
    curvatures: jax.Array
    """s'y of each pair, shape (memory,); zero marks an empty place."""
    following: WholeScalar
    """The place of the next pair; the newest stands before it."""
    newton: Theta
    """H g over the parameters that can move, shape (free,)."""
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
        value, gradient = jax.value_and_grad(problem.objective)(theta)
        empty, no_pairs = jnp.zeros((self.memory, theta.size), theta.dtype), jnp.zeros(self.memory, theta.dtype)
        metric = _first_metric(problem, theta)
        unknown = jnp.asarray(jnp.nan, theta.dtype)
        no = jnp.asarray(False)  # noqa: FBT003 - a traced truth value
        measures = Measures(value, unknown, unknown, unknown, no, no, no, _finite(value, gradient))
        state = CurvatureState(
            theta=theta,
            gradient=gradient,
            measures=measures,
            evaluations=jnp.asarray(1),
            steps=empty,
            slopes=empty,
            curvatures=no_pairs,
            following=jnp.asarray(0),
            newton=jnp.zeros_like(theta),
            metric=metric,
            largest=jnp.abs(theta),
            doubt=jnp.asarray(1),
        )
        return _measured(problem, state, moved=no, before=value, last=jnp.zeros_like(theta))

    def step(self, problem: Problem, state: CurvatureState) -> CurvatureState:
        """Return the state after one line search; where it fails, curvature is given up piece by piece, then it is stalled."""
        movable = _movable(problem, state.theta, state.gradient)
        direction = -state.newton
        descends = jnp.vdot(state.gradient, direction) < 0
        direction = jnp.where(descends, direction, -jnp.where(movable, state.gradient, 0.0))

        def project(theta: Theta) -> Theta:
            return jnp.clip(theta, problem.lower, problem.upper)

        start = LinePoint(state.theta, state.measures.value, state.gradient)
        first = _first_length(state, direction)
        point, better, trials = search(jax.value_and_grad(problem.objective), project, start, direction, first)
        moved = better & jnp.any(point.theta != state.theta)
        following = _after(state, point, moved)._replace(evaluations=state.evaluations + trials)
        measured = _measured(
            problem, following, moved=moved, before=state.measures.value, last=following.theta - state.theta
        )
        final_failure = ~moved & (state.doubt >= 2)
        return measured._replace(measures=measured.measures._replace(stalled=final_failure))


def _finite(value: Scalar, gradient: Theta) -> Truth:
    return jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))


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


def _inverse_curvature(state: CurvatureState, movable: FreeMask) -> Theta:
    """Return H g over the movable parameters, by the two-loop recursion from the newest pair to the oldest and back.

    Pairs are read where they stand: a copy of them all would cost more than the recursion.
    """
    memory = state.curvatures.shape[0]
    newest_first = (state.following - 1 - jnp.arange(memory)) % memory

    def downwards(q: Theta, place: WholeScalar) -> tuple[Theta, tuple[Scalar, Scalar]]:
        step, slope, weight = _pair(state, place, movable)
        alpha = weight * jnp.vdot(step, q)
        return q - alpha * slope, (alpha, weight)

    q, (alphas, weights) = lax.scan(downwards, jnp.where(movable, state.gradient, 0.0), newest_first)
    r = _apply_metric(state.metric, q, movable) * _metric_scale(state, movable)

    def upwards(r: Theta, pair: tuple[WholeScalar, Scalar, Scalar]) -> tuple[Theta, None]:
        place, alpha, weight = pair
        step, slope = (jnp.where(movable, part[place], 0.0) for part in (state.steps, state.slopes))
        return r + step * (alpha - weight * jnp.vdot(slope, r)), None

    return lax.scan(upwards, r, (newest_first, alphas, weights), reverse=True)[0]


def _pair(state: CurvatureState, place: WholeScalar, movable: FreeMask) -> tuple[Theta, Theta, Scalar]:
    """Return s and y over the movable parameters, and 1 / s'y, or zero where the pair is of no use.

    Cutting a pair down may cost it its positive curvature: such a pair is passed over.
    """
    step, slope = (jnp.where(movable, part[place], 0.0) for part in (state.steps, state.slopes))
    product, curvature = jnp.vdot(step, slope), state.curvatures[place]
    usable = (curvature > 0) & (product > 1e-14 * jnp.abs(curvature))
    return step, slope, jnp.where(usable, 1.0 / jnp.where(usable, product, 1.0), 0.0)


def _apply_metric(metric: jax.Array, vector: Theta, movable: FreeMask) -> Theta:
    product = metric @ vector if metric.ndim == 2 else metric * vector
    return jnp.where(movable, product, 0.0)


def _metric_scale(state: CurvatureState, movable: FreeMask) -> Scalar:
    """Return s'y / y'My of the newest pair, which scales the metric M to the curvature last seen; 1 before any."""
    _, slope, weight = _pair(state, (state.following - 1) % state.curvatures.shape[0], movable)
    length = jnp.vdot(slope, _apply_metric(state.metric, slope, movable))
    known = (weight > 0) & (length > 0)
    return jnp.where(known, 1.0 / jnp.where(known, weight * length, 1.0), 1.0)


def _first_length(state: CurvatureState, direction: Theta) -> Scalar:
    """Return 1, but a cautious length before any pair: one that does not foretell a fall below the objective's own size.

    A Hessian that is rounding, as far out on a slope without curvature, would otherwise send the first trial to infinity.
    """
    slope = jnp.abs(jnp.vdot(state.gradient, direction))
    size = jnp.abs(state.measures.value)
    cautious = jnp.where((size > 0) & (slope > 0), size / jnp.where(slope > 0, slope, 1.0), 1.0)
    return jnp.where(jnp.any(state.curvatures > 0), 1.0, jnp.minimum(1.0, cautious))


def _plain_metric(state: CurvatureState) -> jax.Array:
    """Return the squared sizes of the parameters as a metric: what is left when all curvature has misled."""
    size = jnp.where(state.largest > 0, state.largest, 1.0) ** 2
    return jnp.diag(size) if state.metric.ndim == 2 else size


def _after(state: CurvatureState, point: LinePoint, moved: Truth) -> CurvatureState:
    """Return the state at `point`, with the newest pair if its curvature is positive; or with less curvature, if not moved."""
    step, slope = point.theta - state.theta, point.gradient - state.gradient
    product, place = jnp.vdot(step, slope), state.following
    positive = moved & (product > 1e-16 * jnp.linalg.norm(step) * jnp.linalg.norm(slope))
    curvatures = state.curvatures.at[place].set(jnp.where(positive, product, state.curvatures[place]))
    value = jnp.where(moved, point.value, state.measures.value)
    return state._replace(
        theta=jnp.where(moved, point.theta, state.theta),
        gradient=jnp.where(moved, point.gradient, state.gradient),
        measures=state.measures._replace(value=value),
        steps=state.steps.at[place].set(jnp.where(positive, step, state.steps[place])),
        slopes=state.slopes.at[place].set(jnp.where(positive, slope, state.slopes[place])),
        curvatures=jnp.where(moved, curvatures, 0.0),
        following=jnp.where(positive, (place + 1) % curvatures.shape[0], place),
        metric=jnp.where(moved | (state.doubt < 1), state.metric, _plain_metric(state)),
        largest=jnp.where(moved, jnp.maximum(state.largest, jnp.abs(point.theta)), state.largest),
        doubt=jnp.where(moved, 0, state.doubt + 1),
    )


def _measured(problem: Problem, state: CurvatureState, *, moved: Truth, before: Scalar, last: Theta) -> CurvatureState:
    """Return the state with its measures.

    The slope is judged in the learned metric H: sqrt(g'Hg / 2 |f|), the root of the share of the objective that a Newton
    step would still remove, or the largest Newton step relative to its parameter, where the objective itself ends at zero.
    """
    value = state.measures.value
    movable = _movable(problem, state.theta, state.gradient)
    newton = _inverse_curvature(state, movable)
    decrease = jnp.maximum(jnp.vdot(jnp.where(movable, state.gradient, 0.0), newton), 0.0) / 2
    share = jnp.sqrt(decrease / jnp.where(value != 0, jnp.abs(value), jnp.inf))
    share = jnp.where(value != 0, share, jnp.where(decrease == 0, 0.0, jnp.inf))
    size = jnp.where(state.largest > 0, state.largest, 1.0)
    # Whether the step of a parameter that has always been zero is small, nobody knows.
    shares = jnp.where((newton != 0) & (state.largest == 0), jnp.inf, jnp.abs(newton) / size)
    remaining = jnp.max(shares, initial=0.0)
    change = jnp.max(jnp.abs(last) / jnp.where(state.theta != 0, jnp.abs(state.theta), size), initial=0.0)
    measures = state.measures._replace(
        optimality=jnp.minimum(share, remaining),
        value_change=jnp.where(moved, (before - value) / jnp.where(before != 0, jnp.abs(before), 1.0), jnp.nan),
        theta_change=jnp.where(moved, jnp.maximum(change, remaining), jnp.nan),
        moved=moved,
        at_rounding=jnp.minimum(share, remaining) <= (1e-6 if state.theta.dtype == jnp.float64 else 1e-3),
        finite=_finite(value, state.gradient),
    )
    return state._replace(measures=measures, newton=newton)
