"""How far from stationary a point is, where there are too many parameters for a Hessian: two derivatives along the slope.

With the gradient g and H g, which is the derivative of the gradient along g, the best step along the slope, g'g / g'Hg, lowers
the quadratic model of the objective by

    ½ (g'g)² / g'Hg,

which is at most what a Newton step would, ½ g'H^-1 g, where H is positive. It is told as a share of |objective|, and is free of
the objective's units. Reference: J. Nocedal and S. J. Wright, Numerical Optimization, Springer 2006, section 4.1 (the Cauchy
point).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.backend import array, jax, jnp, kernel
from fitkit.problem import Problem
from fitkit.types import Scalar, Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@kernel()
def _along(problem: Problem, theta: Theta) -> tuple[Scalar, Scalar, Scalar]:
    """Return the objective, g'g and g'Hg for the slope g over parameters that no bound holds."""
    value, slope = jax.value_and_grad(problem.objective)(theta)
    held = ((theta <= problem.lower) & (slope > 0)) | ((theta >= problem.upper) & (slope < 0))
    way = jnp.where(held, 0.0, slope)
    length = jnp.sqrt(jnp.sum(way**2))
    unit = way / jnp.where(length > 0, length, 1.0)  # the square of a tiny slope would vanish
    curved = jax.jvp(jax.grad(problem.objective), (theta,), (unit,))[1]
    return value, length, unit @ curved


def gain_along_slope(problem: Problem, theta: Vector) -> float:
    """Return the share of the objective that the best step along the slope would remove; NaN where nothing says so.

    Infinite where the objective curves down along the slope, so that no step is the best.
    """
    import numpy as np

    work = max(1, len(theta)) * (1 if problem.rows is None else len(problem.rows))
    found = _along.for_one_call(work)(problem, array(theta, problem.lower.dtype))
    value, slope, curvature = (float(np.asarray(part, np.float64)) for part in found)
    if not np.isfinite([value, slope, curvature]).all() or value == 0:
        return float("nan")
    if slope == 0:
        return 0.0
    return slope**2 / (2 * curvature * abs(value)) if curvature > 0 else float("inf")
