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

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import array, jax, jnp
from fitkit.double_double import DoubleDouble, UnknownOperation, evaluate
from fitkit.optimizers.exact_newton import EPSILON
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.row_kernels import expand, expand_penalties
from fitkit.problem import RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

LOST = 1e-11
"""Where rounding may move a parameter by more than this share of it, the minimum is refined."""
MOST_NUMBERS = 2**21
"""Numbers of a Jacobian up to which it is refined: in double-double each takes twenty times the work."""
MOST_ROUNDS = 12
EXACT_BITS = 10
"""A number whose last bits, so many, are zero was not rounded when it was read: one in a thousand would have them by chance."""


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


def loses_digits(uncertainty: Vector, theta: Vector, largest: Vector, movable: Mask) -> bool:
    """Return whether so much is uncertain of a parameter, shape (free,) each, that the minimum is to be refined."""
    import numpy as np

    size = np.maximum(np.abs(theta), 1e-3 * largest)
    return bool((uncertainty > LOST * size)[movable].any())


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
    """Correct the pair until its corrections are below rounding, or shrink no more."""
    import numpy as np

    pair = _Pair(theta, columns[-1])
    orthogonal, factor, whitened, norms = _factored(columns.rounded(), curvature, movable)
    before, error = np.inf, np.full(len(norms), np.inf)
    for _ in range(MOST_ROUNDS):
        jacobian, misfit = columns[:-1], columns[-1] - pair.residual
        slope = (jacobian * pair.residual[None]).sum(1).rounded()[movable] / norms
        reach = np.linalg.solve(factor.T, slope) + orthogonal.T @ misfit.rounded()
        turn = -np.linalg.solve(whitened, reach)
        length = float(np.linalg.norm(turn))
        if not np.isfinite(length):
            return None
        if length > 0.5 * before:
            break
        move = np.zeros(len(movable))
        move[movable] = np.linalg.solve(factor, turn) / norms
        pair = _Pair(
            pair.theta + DoubleDouble.of(move),
            pair.residual + misfit + DoubleDouble.of(orthogonal @ turn),
        )
        before, error = length, np.abs(move)
        if (error <= 1e-3 * EPSILON * np.abs(pair.theta.high)).all():
            break
        columns = precise_columns(squares, pair.theta)
    return Refined(theta=pair.theta, error=error) if np.isfinite(error).all() else None


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
    point = array(theta.high, problem.lower.dtype)
    parts: list[DoubleDouble] = []
    for rows in squares.chunks():
        program = expand.program(len(rows) * len(theta.high), problem, point, rows)
        parts.append(evaluate(program, [*jax.tree.leaves(problem), theta, *jax.tree.leaves(rows)])[1])
    if squares.has_penalties:
        program = expand_penalties.program(0, problem, point)
        parts.append(evaluate(program, [*jax.tree.leaves(problem), theta])[0])
    if len(parts) == 1:
        return parts[0]
    return DoubleDouble(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("high", "low")))


def rounding_of_data(squares: LeastSquares, theta: Vector, inverse: Matrix) -> Vector:
    """Return how far the rounding of the data alone moves the minimum, one standard deviation, shape (free,).

    noise_j² = eps² [ sum_i (H^-1 J')_ji² mag_i² + sum_k (H^-1)_jk² sum_i (J_ik r_i)² ],

    as `exact_newton.rounding_of_minimum`, but of the numbers that were rounded: mag_i = |target_i| + sum_j |J_ij theta_j|, and
    J_ik, where their bits in the units of the data show that they were; small whole numbers, for one, were not.

    Raises:
        UnknownOperation: the model has an operation that is not known in double-double.
    """
    import numpy as np

    here = DoubleDouble.of(theta)
    columns = precise_columns(squares, here).rounded()
    jacobian, residual = columns[:-1], columns[-1]
    bare = precise_columns(LeastSquares(_without_scales(squares)), here)
    rounded = ~(_exact(bare.high) & (bare.low == 0))[:-1]
    targets = np.zeros(len(residual))
    scales = np.ones(len(residual), bool)
    sizes, unsure = _data(squares)
    targets[: len(sizes)], scales[: len(sizes)] = sizes, unsure
    magnitude = targets + np.abs(theta) @ np.where(rounded, np.abs(jacobian), 0.0)
    products = np.where(rounded | scales, jacobian * residual, 0.0)
    total = ((inverse @ jacobian) ** 2) @ magnitude**2 + inverse**2 @ np.sum(products**2, axis=1)
    noise: Vector = EPSILON * np.sqrt(total)
    return noise


def _without_scales(squares: LeastSquares) -> Any:
    """Return the problem whose residuals are prediction minus target, without weights and standard errors."""
    problem, rows = squares.problem, squares.rows
    ones = jnp.ones_like(rows.weight)
    bare = RowData(
        inputs=rows.inputs,
        target=rows.target,
        sigma=None if rows.sigma is None else ones,
        weight=jnp.where(rows.weight > 0, ones, rows.weight),
    )
    return replace(problem, rows=bare, total_weight=jnp.ones_like(jnp.asarray(problem.total_weight)))


def _data(squares: LeastSquares) -> tuple[Vector, Mask]:
    """Return |target| in the units of the residuals where it was rounded, and whether the scale of each row was, (rows,)."""
    import numpy as np

    from fitkit.optimizers.exact_newton import targets_of

    rows = squares.rows
    sizes = np.concatenate(targets_of(squares))[: len(rows)]
    scales = ~_exact(np.asarray(rows.weight))
    if rows.sigma is not None:
        scales |= ~_exact(np.asarray(rows.sigma))
    return np.where(_exact(np.asarray(rows.target)), 0.0, sizes), scales


def _exact(numbers: Any) -> Mask:
    """Return which doubles end in zeros, so that no rounding made them."""
    import numpy as np

    bits = np.ascontiguousarray(numbers, np.float64).view(np.int64)
    exact: Mask = (bits & (2**EXACT_BITS - 1)) == 0
    return exact
