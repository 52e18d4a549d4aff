"""The minimum of least squares to the last digit, where doubles lose too many: refinement of the augmented system.

At a minimum the residual rho and theta solve r(theta) = rho, J' rho = 0 together. Residuals, Jacobian and both misfits

    f = r(theta) - rho,    g = J' rho

are computed in double-double; the correction of the pair comes from the QR factorization in doubles and, whitened as in
`exact_newton`, from B = I + R^-T S R^-1:

    t = -B^-1 (R^-T g + Q'f),    theta += R^-1 t,    rho += f + Q t.

Each round gains the digits that the condition number of J, not its square, leaves over, however large the residual is
against the signal: the normal equations would lose the digits of the ill-conditioned problems, and gradients in doubles
those of the large residuals. What then remains is the rounding of the data themselves.

References: Å. Björck, Iterative refinement of linear least squares solutions I, BIT 7 (1967); Å. Björck, Numerical Methods
for Least Squares Problems, SIAM 1996, section 2.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.backend import jax
from fitkit.double_double import DoubleDouble, UnknownOperation, evaluate
from fitkit.optimizers.bound_rows import BoundRows
from fitkit.optimizers.exact_newton import EPSILON
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.row_kernels import expand, expand_penalties

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

MOST_NUMBERS = 2**21
"""Numbers of a Jacobian up to which it is refined: in double-double each takes twenty times the work."""
MOST_ROUNDS = 12


@final
@dataclass(frozen=True, kw_only=True)
class Refined:
    """The minimum, and how well it is known."""

    theta: DoubleDouble
    """Shape (free,)."""
    error: Vector
    """The last correction, which bounds what is left of them, shape (free,)."""

    def step_from(self, theta: Vector) -> Vector:
        """Return how far the minimum is from theta, shape (free,)."""
        return (self.theta - DoubleDouble.of(theta)).rounded()


def refine(squares: LeastSquares, theta: Vector, curvature: Matrix, movable: Mask) -> Refined | None:
    """Return the minimum near theta, shape (free,), to the last digit; None where it cannot be had.

    Args:
        squares: the problem, in float64.
        theta: within the reach of Newton steps.
        curvature: S = sum_i r_i Hess r_i, shape (free, free).
        movable: parameters that are not held at a bound.
    """
    import numpy as np

    if squares.problem.single or len(squares.rows) * len(theta) > MOST_NUMBERS or not movable.any():
        return None
    here = DoubleDouble.of(theta)
    with np.errstate(all="ignore"):
        try:
            columns = precise_columns(squares, here)
            found = _rounds(squares, here, columns, curvature, movable)
        except (UnknownOperation, np.linalg.LinAlgError):
            return None
    if found is None or not _inside(squares, found.theta.rounded(), movable):
        return None
    return found


def _rounds(
    squares: LeastSquares, theta: DoubleDouble, columns: DoubleDouble, curvature: Matrix, movable: Mask
) -> Refined | None:
    """Correct the pair until its corrections are below rounding; None where they do not get there, as at singular minima."""
    import numpy as np

    pair = _Pair(theta, columns[-1])
    orthogonal, factor, whitened, norms = _factored(columns.rounded(), curvature, movable)
    # What a parameter moves the residuals by, in sum, is the scale of one that ends at zero.
    own = np.linalg.norm(theta.high @ columns.high[:-1]) / np.where(
        movable, np.linalg.norm(columns.high[:-1], axis=1), 1
    )
    before = np.inf
    for _ in range(MOST_ROUNDS):
        jacobian, misfit = columns[:-1], columns[-1] - pair.residual
        slope = (jacobian * pair.residual[None]).sum(1).rounded()[movable] / norms
        reach = np.linalg.solve(factor.T, slope) + orthogonal.T @ misfit.rounded()
        turn = -np.linalg.solve(whitened, reach)
        length = float(np.linalg.norm(turn))
        if not length <= 0.5 * before:
            return None
        move = np.zeros(len(movable))
        move[movable] = np.linalg.solve(factor, turn) / norms
        pair = _Pair(pair.theta + DoubleDouble.of(move), pair.residual + misfit + DoubleDouble.of(orthogonal @ turn))
        if (np.abs(move) <= np.maximum(1e-3 * EPSILON * np.abs(pair.theta.high), 1e-20 * own)).all():
            return Refined(theta=pair.theta, error=np.abs(move))
        before, columns = length, precise_columns(squares, pair.theta)
    return None


@final
@dataclass(frozen=True)
class _Pair:
    """The unknowns of the augmented system."""

    theta: DoubleDouble
    residual: DoubleDouble


def _factored(columns: Matrix, curvature: Matrix, movable: Mask) -> tuple[Matrix, Matrix, Matrix, Vector]:
    """Return Q, R of the Jacobian with columns scaled to length one, B, and the lengths."""
    import numpy as np

    jacobian = columns[:-1][movable].T
    norms = np.linalg.norm(jacobian, axis=0)
    norms = np.where(norms > 0, norms, 1.0)
    orthogonal, factor = np.linalg.qr(jacobian / norms)
    bent = curvature[np.ix_(movable, movable)] / norms[:, None] / norms
    whitened = np.eye(len(norms)) + np.linalg.solve(factor.T, np.linalg.solve(factor.T, bent).T).T
    return orthogonal, factor, whitened, norms


def _inside(squares: LeastSquares, theta: Vector, movable: Mask) -> bool:
    import numpy as np

    lower, upper = np.asarray(squares.problem.lower), np.asarray(squares.problem.upper)
    return bool(((theta >= lower) & (theta <= upper))[movable].all())


def precise_columns(squares: LeastSquares, theta: DoubleDouble) -> DoubleDouble:
    """Return the columns of [J r] with twice the digits, shape (free + 1, rows + penalties).

    Raises:
        UnknownOperation: the model has an operation that is not known in double-double.
    """
    import numpy as np

    problem = squares.problem
    parts: list[DoubleDouble] = [
        evaluate(bound.program(theta.high), [*bound.leaves, theta])[1]
        for bound in BoundRows.of(problem).chunks_of(expand, len(theta.high))
    ]
    if squares.has_penalties:
        program = expand_penalties.light.trace(problem, theta.high).jaxpr  # type: ignore[attr-defined]  # of jax.jit
        parts.append(evaluate(program, [*jax.tree.leaves(problem), theta])[0])
    if len(parts) == 1:
        return parts[0]
    return DoubleDouble(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("high", "low")))
