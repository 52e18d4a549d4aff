"""The kernels of least squares: from rows to things of the size of theta.

A point is linearized chunk by chunk: each chunk's residuals r and Jacobian J, from one compiled kernel, are folded into
the triangular factor of [J r] by Householder QR, so memory does not grow with the rows, and the algorithms above see only

    R (free, free), q = Q'r (free,), the sum of squares, and the norms of the Jacobian's columns.

QR keeps twice the digits of the normal equations. Reference: Å. Björck, Numerical Methods for Least Squares Problems,
SIAM 1996, sections 2.4 and 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, final

from fitkit.backend import array, jax, jnp, kernel
from fitkit.problem import Problem, RowData
from fitkit.types import Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

CHUNK = 65_536
"""Rows linearized at a time: with ten parameters 5 MB, within the cache of the last level."""


class Expansion(NamedTuple):
    """The rows near a point, as one compiled kernel gives them."""

    predictions: jax.Array
    """On the scale of the target, shape (rows,); none for penalties."""
    residuals: jax.Array
    """Shape (rows,)."""
    jacobian: jax.Array
    """Shape (rows, free)."""


@kernel()
def _expand(problem: Problem, theta: Theta, rows: RowData) -> Expansion:
    """Return predictions, residuals, and their Jacobian by forward mode, one tangent per parameter.

    Predictions ride along, so that a report needs no program of its own.
    """

    def along(tangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        both: tuple[jax.Array, jax.Array, jax.Array] = jax.jvp(
            lambda t: problem.residuals_and_predictions(t, rows), (theta,), (tangent,), has_aux=True
        )
        return both

    residuals, jacobian, predictions = jax.vmap(along, out_axes=(None, 1, None))(
        jnp.eye(theta.shape[0], dtype=theta.dtype)
    )
    return Expansion(predictions, residuals, jacobian)


@kernel()
def _second_derivative(problem: Problem, theta: Theta, velocity: Theta, rows: RowData) -> jax.Array:
    """Return the second derivative of r along `velocity`, shape (rows,)."""

    def slope(t: jax.Array) -> jax.Array:
        first: jax.Array = jax.jvp(lambda u: problem.row_residuals(u, rows), (t,), (velocity,))[1]
        return first

    second: jax.Array = jax.jvp(slope, (theta,), (velocity,))[1]
    return second


@kernel()
def _penalties_and_jacobian(problem: Problem, theta: Theta) -> tuple[jax.Array, jax.Array]:
    return problem.penalty_residuals(theta), jax.jacfwd(problem.penalty_residuals)(theta)


def triangular_factor(matrix: Matrix) -> Matrix:
    """Return R of the QR factorization, shape (min(rows, columns), columns)."""
    import numpy as np

    factor: Matrix = np.asarray(np.linalg.qr(matrix, mode="r"))
    return factor


@final
@dataclass(frozen=True, kw_only=True)
class Linearization:
    """The residuals near a point: r(theta + v) = r + J v, as the triangular factor of [J r]."""

    factor: Matrix
    """R, shape (free, free): J'J = R'R."""
    projected: Vector
    """q = Q'r, shape (free,): the part of the residual within reach of a linear step."""
    sum_of_squares: float
    """|r|², which is the objective."""
    column_norms: Vector
    """|J_j|, shape (free,)."""
    jacobian: Matrix | None = None
    """J itself, shape (rows, free), where the rows fit into one chunk."""

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        import numpy as np

        return bool(np.isfinite(self.sum_of_squares) and np.isfinite(self.factor).all())

    @property
    def gradient(self) -> Vector:
        """J'r, half the gradient of the objective, shape (free,)."""
        return self.factor.T @ self.projected

    def cosines(self, free: NDArray[np.bool_]) -> float:
        """Return the largest cosine between r and a column of J among the `free` ones, in [0, 1]; MINPACK's gnorm."""
        import numpy as np

        norm = float(np.sqrt(self.sum_of_squares))
        if norm == 0.0 or not free.any():
            return 0.0
        columns = np.where(self.column_norms > 0, self.column_norms, 1.0)
        return float(np.max(np.abs(self.gradient / columns)[free], initial=0.0) / norm)


@final
@dataclass(frozen=True)
class LeastSquares:
    """A least-squares problem seen from the host."""

    problem: Problem

    @property
    def rows(self) -> RowData:
        """All rows."""
        if self.problem.rows is None:
            raise AssertionError("least squares has rows")
        return self.problem.rows

    def chunks(self) -> Iterator[RowData]:
        """Yield the rows in pieces of one shape each, the last filled up with rows of weight zero."""
        import numpy as np

        rows = self.rows
        if len(rows) <= CHUNK:
            yield rows
            return
        for start in range(0, len(rows), CHUNK):
            index = np.arange(start, start + CHUNK)
            chunk = rows.take(np.minimum(index, len(rows) - 1))
            inside = index < len(rows)
            yield RowData(
                inputs=chunk.inputs, target=chunk.target, sigma=chunk.sigma, weight=jnp.where(inside, chunk.weight, 0.0)
            )

    def expansions(self, theta: Vector) -> Iterator[Expansion]:
        """Yield the expansion of every chunk."""
        point = array(theta, self.problem.lower.dtype)
        for rows in self.chunks():
            yield _expand.for_work(len(rows) * len(theta))(self.problem, point, rows)

    def predictions(self, theta: Vector) -> Vector:
        """Return predictions on the scale of the target at theta, shape (rows,)."""
        import numpy as np

        parts = [np.asarray(expansion.predictions, np.float64) for expansion in self.expansions(theta)]
        return np.concatenate(parts)[: len(self.rows)]

    def jacobians(self, theta: Vector) -> Iterator[tuple[Vector, Matrix]]:
        """Yield (r, J) of every chunk and of the penalties, as float64."""
        import numpy as np

        for expansion in self.expansions(theta):
            yield np.asarray(expansion.residuals, np.float64), np.asarray(expansion.jacobian, np.float64)
        if self.has_penalties:
            r, j = _penalties_and_jacobian.light(self.problem, array(theta, self.problem.lower.dtype))
            yield np.asarray(r, np.float64), np.asarray(j, np.float64)

    @property
    def has_penalties(self) -> bool:
        """Whether regularization adds residuals."""
        return self.problem.regularization.l2 > 0 and bool(self.problem.penalized)

    def linearize(self, theta: Vector) -> Linearization:
        """Return the linearization at theta, shape (free,)."""
        import numpy as np

        size = len(theta)
        triangle = np.zeros((0, size + 1))
        squares = 0.0
        column_squares = np.zeros(size)
        with np.errstate(all="ignore"):  # an overflow shows as a linearization that is not finite, and is handled there
            for r, j in self.jacobians(theta):
                squares += float(r @ r)
                column_squares += np.einsum("ij,ij->j", j, j)
                if not (np.isfinite(squares) and np.isfinite(column_squares).all()):
                    nothing = np.full((size, size), np.nan)
                    return Linearization(
                        factor=nothing,
                        projected=nothing[0],
                        sum_of_squares=squares,
                        column_norms=np.sqrt(column_squares),
                    )
                triangle = triangular_factor(np.vstack([triangle, np.column_stack([j, r])]))
        padded = np.zeros((size + 1, size + 1))
        padded[: len(triangle)] = triangle
        return Linearization(
            factor=padded[:size, :size],
            projected=padded[:size, size],
            sum_of_squares=squares,
            column_norms=np.sqrt(column_squares),
            jacobian=j if len(r) == len(self.rows) and not self.has_penalties else None,
        )

    def bend(self, theta: Vector, velocity: Vector, at_theta: Linearization) -> Vector:
        """Return J'a, shape (free,), where a is the second derivative of the rows' residuals along `velocity`."""
        import numpy as np

        dtype = self.problem.lower.dtype
        point, direction = array(theta, dtype), array(velocity, dtype)
        total = np.zeros(len(theta))
        with np.errstate(all="ignore"):
            known = None if at_theta.jacobian is None else iter([(None, at_theta.jacobian)])
            for rows, (_, j) in zip(self.chunks(), known or self.jacobians(theta), strict=False):
                work = len(rows) * len(theta)
                second = _second_derivative.for_work(work)(self.problem, point, direction, rows)
                total += j.T @ np.asarray(second, np.float64)
        return total
