"""An objective with kinks near a point: a smooth part, and what is proportional to |k| on either side of zero.

    objective(theta) = rest(theta) + sum_m (up_m max(k_m(theta), 0) + down_m max(-k_m(theta), 0))

The k_m are the distances of the rows (mae, quantile), the parameters under an l1 penalty, and the rooms to the bounds, whose
slope below zero is infinite. A point is stationary if zero lies in the subdifferential:

    0 = grad rest + sum_m a_m grad k_m,   a_m = up_m for k_m > 0, -down_m for k_m < 0, between them for k_m = 0.

Reference: M. R. Osborne, Finite Algorithms in Optimization and Data Analysis, Wiley 1985.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

from fitkit.backend import array, jax, jnp, kernel
from fitkit.losses import KinkedLoss
from fitkit.problem import Problem
from fitkit.types import Rows, Scalar, Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

EPSILON = 2.0**-52
KINKS_UP_TO = 1000
"""Free parameters up to which the kinks are resolved one by one."""


@kernel()
def _kinks(problem: Problem, theta: Theta) -> tuple[Rows, jax.Array]:
    """Return the distances of the rows and the penalized weights, shape (kinks,), with their Jacobian (kinks, free)."""

    def both(t: Theta) -> tuple[Rows, Rows]:
        k = _distances_and_weights(problem, t)
        return k, k

    jacobian, values = jax.jacfwd(both, has_aux=True)(theta)
    return values, jacobian


@kernel()
def _lagrangian(problem: Problem, theta: Theta, slopes: Rows) -> tuple[Scalar, Theta, jax.Array]:
    """Return value, gradient and Hessian of rest + sum_m slopes_m k_m."""

    def value(t: Theta) -> Scalar:
        kinks = jnp.where(
            slopes != 0, _distances_and_weights(problem, t), 0.0
        )  # a row of weight zero may hold anything
        return _rest(problem, t) + jnp.vdot(slopes, kinks)

    height, gradient = jax.value_and_grad(value)(theta)
    return height, gradient, jax.hessian(value)(theta)


@kernel()
def objective_at(problem: Problem, theta: Theta) -> Scalar:
    """Return the objective."""
    return problem.objective(theta)


def _distances_and_weights(problem: Problem, theta: Theta) -> Rows:
    parts = []
    if isinstance(problem.loss, KinkedLoss) and problem.rows is not None:
        parts.append(problem.loss.distance(problem.fitted(theta, problem.rows)))
    return jnp.concatenate([*parts, problem.weights(theta)])


def _rest(problem: Problem, theta: Theta) -> Scalar:
    """Return the objective without what has kinks."""
    rows = problem.rows
    if rows is None or not isinstance(problem.loss, KinkedLoss):
        return problem.smooth_objective(theta, rows, problem.total_weight)
    return problem.smooth_penalties(theta)


@final
@dataclass(frozen=True, kw_only=True)
class Kinks:
    """The kinks near a point; those of the bounds come last."""

    problem: Problem
    theta: Vector
    values: Vector
    """k, shape (kinks,)."""
    jacobian: Matrix
    """Shape (kinks, free)."""
    up: Vector
    """The slopes above zero, shape (kinks,)."""
    down: Vector
    """The slopes below, as positive numbers; infinite for the bounds."""
    rows: int
    """How many are of rows; they come first."""
    smooth: int
    """How many are not of the bounds."""
    rounding: Vector
    """What of |k| may be rounding, shape (kinks,)."""

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        import numpy as np

        return bool(np.isfinite(self.values).all() and np.isfinite(self.jacobian).all())

    def sides(self) -> Vector:
        """Return a_m of the side that each kink is on, shape (kinks,); at zero, what lies between nearest to zero slope."""
        import numpy as np

        below = np.where(np.isfinite(self.down), self.down, 0.0)
        return np.where(self.values > 0, self.up, np.where(self.values < 0, -below, np.clip(0.0, -below, self.up)))

    def expand(self, slopes: Vector) -> tuple[float, Vector, Matrix]:
        """Return value, gradient and Hessian of rest + sum_m slopes_m k_m."""
        import numpy as np

        dtype = self.problem.lower.dtype
        work = len(self.theta) ** 2 * max(1, self.smooth)
        parts = _lagrangian.for_work(work)(self.problem, array(self.theta, dtype), array(slopes[: self.smooth], dtype))
        value, gradient, hessian = (np.asarray(part, np.float64) for part in parts)
        bounds = slopes[self.smooth :]
        return float(value), gradient + bounds @ self.jacobian[self.smooth :], hessian

    @cached_property
    def _pulls(self) -> Vector:
        import numpy as np

        steep = np.maximum(self.up, np.where(np.isfinite(self.down), self.down, 0.0))
        pulls: Vector = steep @ np.abs(self.jacobian)
        return pulls

    @property
    def pulled(self) -> Mask:
        """Which parameters the kinks pull at, shape (free,)."""
        return self._pulls > 0

    @property
    def scale(self) -> Vector:
        """The total slope by which the kinks pull at each parameter, either way, shape (free,); one where none does."""
        import numpy as np

        return np.where(self._pulls > 0, self._pulls, 1.0)


def kinks_at(problem: Problem, theta: Vector) -> Kinks:
    """Return the kinks near theta, shape (free,)."""
    import numpy as np

    work = len(theta) * (1 if problem.rows is None else len(problem.rows))
    values, jacobian = (
        np.asarray(part, np.float64) for part in _kinks.for_work(work)(problem, array(theta, problem.lower.dtype))
    )
    up, down = _slopes(problem, len(values))
    silent = (up == 0) & (down == 0)
    values, jacobian = np.where(silent, 1.0, values), np.where(silent[:, None], 0.0, jacobian)
    lower, upper = np.asarray(problem.lower, np.float64), np.asarray(problem.upper, np.float64)
    low, high, unit = np.isfinite(lower), np.isfinite(upper), np.eye(len(theta))
    bounds = int(low.sum() + high.sum())
    rows = problem.rows if isinstance(problem.loss, KinkedLoss) else None
    count = 0 if rows is None else len(rows)
    rounding = np.zeros(len(values))
    if rows is not None:
        sigma = 1.0 if rows.sigma is None else np.asarray(rows.sigma, np.float64)
        magnitude = np.abs(np.asarray(rows.target, np.float64)) / sigma + np.abs(jacobian[:count]) @ np.abs(theta)
        rounding[:count] = 8 * EPSILON * magnitude
    return Kinks(
        problem=problem,
        theta=theta,
        values=np.concatenate([values, (theta - lower)[low], (upper - theta)[high]]),
        jacobian=np.vstack([jacobian.reshape(len(values), len(theta)), unit[low], -unit[high]]),
        up=np.concatenate([up, np.zeros(bounds)]),
        down=np.concatenate([down, np.full(bounds, np.inf)]),
        rows=count,
        smooth=len(values),
        rounding=np.concatenate([rounding, np.zeros(bounds)]),
    )


def _slopes(problem: Problem, count: int) -> tuple[Vector, Vector]:
    """Return the slopes of rows and penalized weights above and below zero, shape (count,) each."""
    import numpy as np

    up, down = np.full(count, float(problem.regularization.l1)), np.full(count, float(problem.regularization.l1))
    if isinstance(problem.loss, KinkedLoss) and problem.rows is not None:
        share = np.asarray(problem.rows.weight, np.float64) / float(problem.total_weight)
        above, below = (float(slope) for slope in problem.loss.slopes)
        up[: len(share)], down[: len(share)] = above * share, below * share
    return up, down
