"""A bound of what is left to gain at a point of a convex fit to a large table, without the Hessian of all rows.

Where each row has a convex cost, the Hessian H is larger than the part H_s of it that some of the rows and the penalties make,
in the sense of quadratic forms, and its inverse smaller. So of a step x that is about the Newton step, with r = g + H x over
all rows, the error e = -H^-1 r has

    e'H e = r'H^-1 r <= r'H_s^-1 r,    |e_j| <= sqrt((H^-1)_jj r'H^-1 r) <= sqrt((H_s^-1)_jj r'H_s^-1 r),

where the second is Schwarz' inequality. Conjugate gradients with the metric H_s lead to x in a few products, each as dear as a
gradient. Reference: R. A. Horn and C. R. Johnson, Matrix Analysis, 2nd ed., Cambridge 2013, corollary 7.7.4; Y. Saad,
Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003, algorithm 9.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.evidence.evidence import CLOSE, EXACT_UP_TO, Evidence, pressed, relative_move, unknown
from fitkit.optimizers.row_blocks import OF_PRODUCTS, weighs_inputs
from fitkit.optimizers.smooth_kernels import expansion_at, product_at
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

EVERY = 8
"""One of so many blocks of rows is taken."""
CLEAR = 1e-6
"""A bound from below of the eigenvalues of H_s, scaled to unit diagonal: one over the sum of their inverses.

Beneath it there may be directions without curvature to speak of."""
MOST_PRODUCTS = 3
"""How often the Hessian of all rows is multiplied; a bound that is not enough then is left as it is."""


def assess_by_some_rows(problem: Problem, theta: Vector, seen: Vector, gtol: float) -> Evidence | None:
    """Return bounds of what a Newton step would still gain and move at theta, shape (free,), as evidence.

    None where the model is no weighted sum of the inputs of a table so large that it pays, a row bends downwards, or the part
    of the rows leaves a direction open: there the whole Hessian has to tell.

    Args:
        problem: a smooth objective without constraints.
        theta: the point.
        seen: the largest |theta_j| that the search has seen, shape (free,).
        gtol: the tolerance of the claim; the bounds are no sharper than confirms it.
    """
    import numpy as np

    if not (0 < len(theta) <= EXACT_UP_TO and problem.smooth and weighs_inputs(problem)) or problem.rows is None:
        return None
    if problem.single or problem.constrained or len(problem.rows) * len(theta) < EVERY * OF_PRODUCTS:
        return None
    found = expansion_at(problem, theta, EVERY)
    slope, part, value = (np.asarray(each, np.float64) for each in (found.gradient, found.hessian, found.value))
    finite = np.isfinite(value) and np.isfinite(slope).all() and np.isfinite(part).all()
    if not (finite and value and bool(found.convex)):
        return None
    held = pressed(problem, theta, slope)
    inside, diagonal = part[np.ix_(~held, ~held)], np.diag(part)[~held]
    if not (diagonal > 0).all():
        return None
    root = np.sqrt(diagonal)
    try:
        factor = np.linalg.inv(np.linalg.cholesky(inside / np.outer(root, root)))
    except np.linalg.LinAlgError:  # not positive
        return None
    if np.linalg.norm(factor) ** 2 >= 1 / CLEAR:
        return None
    factor /= root
    inverse = np.zeros_like(part)
    inverse[np.ix_(~held, ~held)] = factor.T @ factor

    def near(step: Vector) -> bool:
        return relative_move(step, theta, seen) <= max(CLOSE, 100 * gtol)

    longest, decrease = _newton_step(problem, theta, slope, inverse, near)
    moves, remaining = relative_move(longest, theta, seen), float(np.sqrt(decrease / 2 / abs(value)))
    return replace(
        unknown(len(theta)), optimality=min(remaining, moves), remaining=remaining, newton_step=moves, held=held
    )


def _newton_step(
    problem: Problem, theta: Vector, slope: Vector, inverse: Matrix, near: Callable[[Vector], bool]
) -> tuple[Vector, float]:
    """Return bounds of the Newton step in each parameter, shape (free,), and of g'H^-1 g.

    Args:
        problem: the objective.
        theta: the point, shape (free,).
        slope: g, shape (free,).
        inverse: H_s^-1 over the parameters that can move, zero elsewhere, shape (free, free).
        near: whether bounds of the step are small enough.
    """
    import numpy as np

    spread = np.diag(inverse)
    step, residual = np.zeros(len(theta)), np.where(spread > 0, slope, 0.0)
    nearer = inverse @ residual
    direction, squared = -nearer, float(residual @ nearer)
    longest = np.sqrt(spread * squared)
    for _ in range(MOST_PRODUCTS):
        if near(longest):
            break
        product = np.where(spread > 0, product_at(problem, theta, direction), 0.0)
        length = squared / float(direction @ product)
        step, residual = step + length * direction, residual + length * product
        nearer = inverse @ residual
        before, squared = squared, float(residual @ nearer)
        longest = np.abs(step) + np.sqrt(spread * squared)
        direction = squared / before * direction - nearer
    return longest, (np.sqrt(max(0.0, float(step @ (residual - slope)))) + np.sqrt(squared)) ** 2
