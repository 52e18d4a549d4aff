"""A line search along a projected path, for compiled loops.

It brackets by bisection and secants until the weak Wolfe conditions hold, which needs no assumption of smoothness, and
accepts by the slope alone where differences of the objective have sunk into rounding.

References: A. S. Lewis and M. L. Overton, Nonsmooth optimization via quasi-Newton methods, Mathematical Programming 141
(2013); W. W. Hager and H. Zhang, A new conjugate gradient method with guaranteed descent and an efficient line search,
SIAM Journal on Optimization 16 (2005), the approximate Wolfe conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fitkit.backend import jax, jnp, lax
from fitkit.types import Scalar, Theta, Truth, WholeScalar

SUFFICIENT = 1e-4
"""The share of the decrease foretold by the slope that is enough."""
FLATTER = 0.9
"""The share of the slope at the start that may be left at the end."""
MOST_TRIALS = 80


class LinePoint(NamedTuple):
    """A point of the path: where, how high, and the gradient there."""

    theta: Theta
    value: Scalar
    gradient: Theta


class _Bracket(NamedTuple):
    length: Scalar
    low: Scalar
    low_slope: Scalar
    high: Scalar
    best: LinePoint
    """Where both conditions hold, or the lowest point so far that fell enough."""
    left: Truth
    """Whether that is another point than the start."""
    done: Truth
    trials: WholeScalar


def search(
    evaluate: Callable[[Theta], tuple[Scalar, Theta]],
    project: Callable[[Theta], Theta],
    start: LinePoint,
    direction: Theta,
    slope: Scalar,
    first_length: Scalar,
) -> tuple[LinePoint, Truth, WholeScalar]:
    """Return the accepted point, whether it is another than `start`, and the number of evaluations.

    Args:
        evaluate: gives value and gradient at theta.
        project: clips theta into the box; the path is project(theta + t direction).
        start: the point the path leaves.
        direction: of descent, shape (free,).
        slope: of the objective along it.
        first_length: the t tried first.
    """
    # The noise of a sum of rows: two values closer than this cannot be told apart.
    unit = jnp.finfo(start.value.dtype).eps  # type: ignore[no-untyped-call]  # JAX leaves it unannotated
    noise = 10 * unit * jnp.abs(start.value)

    def trial(bracket: _Bracket) -> _Bracket:
        theta = project(start.theta + bracket.length * direction)
        value, gradient = evaluate(theta)
        point = LinePoint(theta, value, gradient)
        # On the wall the path no longer follows the direction: its slope is that of the components still moving.
        moving = theta == start.theta + bracket.length * direction
        along = jnp.where(moving, direction, 0.0)
        foretold, here, following, unlike, unknown = sums(
            start.gradient * (theta - start.theta),
            gradient * along,
            jnp.where(along != 0, 1.0, 0.0),
            jnp.where(theta != start.theta, 1.0, 0.0),
            0.0 * gradient,
        )
        finite = jnp.isfinite(value) & (unknown == 0)
        falls = finite & (value <= start.value + SUFFICIENT * foretold)
        level = finite & (value <= start.value + noise) & (here <= (2 * SUFFICIENT - 1) * slope) & (foretold <= 0)
        enough = falls | level
        flat = here >= FLATTER * slope
        low = jnp.where(enough & ~flat, bracket.length, bracket.low)
        low_slope = jnp.where(enough & ~flat, here, bracket.low_slope)
        high = jnp.where(enough, bracket.high, bracket.length)
        secant = low + (high - low) * low_slope / (low_slope - here)
        inside = jnp.isfinite(secant) & (secant > low + 0.1 * (high - low)) & (secant < high - 0.1 * (high - low))
        usable = inside & finite & ~enough & (here > 0)
        within = jnp.where(usable, secant, 0.5 * (low + high))
        wall = enough & ~flat & (following == 0)
        length = jnp.where(jnp.isinf(high), 4 * bracket.length, within)
        done = (enough & flat) | wall
        better = done | (enough & (value < bracket.best.value + noise))
        best = LinePoint(*(jnp.where(better, new, old) for new, old in zip(point, bracket.best, strict=True)))
        left = jnp.where(better, unlike > 0, bracket.left)
        return _Bracket(length, low, low_slope, high, best, left, done, bracket.trials + 1)

    def unfinished(bracket: _Bracket) -> Truth:
        narrow = jnp.isfinite(bracket.high) & (bracket.high - bracket.low <= 1e-16 * bracket.high)
        return ~bracket.done & (bracket.trials < MOST_TRIALS) & ~narrow

    zero, infinity = jnp.zeros_like(first_length), jnp.full_like(first_length, jnp.inf)
    no = jnp.asarray(False)  # noqa: FBT003 - a traced truth value
    opening = _Bracket(first_length, zero, slope, infinity, start, no, no, jnp.asarray(0))
    final = lax.while_loop(unfinished, trial, opening)
    # Without both conditions the lowest point that fell enough is still progress.
    return final.best, final.left, final.trials


def sums(*terms: Theta) -> jax.Array:
    """Return the sum of each of several vectors: one product costs less than several reductions, a kernel or three each."""
    return jnp.stack(terms) @ jnp.ones_like(terms[0])
