"""How far a point may be from a minimum of a smooth objective, free or along constraints, and how far rounding hides it.

The conditions of a minimum, g + A'm = 0 and c = 0 of the constraints that press, are solved for what rounding in g and c does:

    dtheta = -P dg - Q dc,    P = Z (Z'HZ)^-1 Z',    Q = (I - P H) A^+,

with H the Hessian of the Lagrangian and Z a basis of the directions that keep the constraints. The terms that cancel in g_j
are about as large as H_jk theta_k and m_i A_ij, those in c_i as A_ik theta_k and its two sides; their last places, and the
noise that is seen beside the point by moving theta within its last places, are what rounding makes of g and c.

Reference: J. Nocedal and S. J. Wright, Numerical Optimization, 2nd edition, Springer 2006, section 16.1, for the inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fitkit.optimizers.exact_newton import EPSILON

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MOVES = (1, -1, 2, -2)
"""By how many last places parameters are moved to see the noise of what is computed from them."""
SINGLE = 2.0**-23


def measured_noise(function: Callable[[Vector], Vector], theta: Vector, here: Vector, slopes: Matrix) -> Vector:
    """Return the noise of a function of theta, one standard deviation: what moves within last places leave over, (values,).

    Args:
        function: of theta, shape (free,), to shape (values,).
        theta: the point.
        here: the function there, shape (values,).
        slopes: its Jacobian there, shape (values, free).
    """
    import numpy as np

    moves, total = np.array(MOVES), np.zeros(len(here))
    for trial in range(len(MOVES)):
        moved = theta + moves[(np.arange(len(theta)) + trial) % len(MOVES)] * np.spacing(np.abs(theta))
        total += (function(moved) - here - slopes @ (moved - theta)) ** 2
    return np.sqrt(total / len(MOVES))


def rounding_of_terms(theta: Vector, slopes: Matrix, others: Vector, *, single: bool = False) -> Vector:
    """Return the rounding of sums of the terms slopes_ik theta_k and of one as large as `others` (values,), (values,)."""
    import numpy as np

    return (SINGLE if single else EPSILON) * np.sqrt(slopes**2 @ theta**2 + others**2)


def distance_to_minimum(theta: Vector, left: Vector, inverse: Matrix, noise: Vector) -> Vector:
    """Return how far each parameter may be from the minimum, shape (free,).

    Args:
        theta: the point.
        left: the Newton step that is left there, shape (free,).
        inverse: by what parameters move with each number that is noisy, shape (free, numbers).
        noise: of these numbers, one standard deviation, shape (numbers,).
    """
    import numpy as np

    hidden = np.sqrt(inverse**2 @ noise**2)
    return np.hypot(left, hidden) + EPSILON / 2 * np.abs(theta)
