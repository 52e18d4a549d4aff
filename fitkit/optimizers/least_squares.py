"""The kernels of least squares: from rows to things of the size of theta.

A point is linearized chunk by chunk: each chunk's residuals r and Jacobian J, from one compiled kernel, are folded into
the triangular factor of [J r] by Householder QR, so memory does not grow with the rows, and the algorithms above see only

    R (free, free), q = Q'r (free,), the sum of squares, and the norms of the Jacobian's columns.

QR keeps twice the digits of the normal equations. Reference: Å. Björck, Numerical Methods for Least Squares Problems,
SIAM 1996, sections 2.4 and 6.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.backend import array, jax
from fitkit.optimizers.row_kernels import (
    Expansion,
    bend_penalties,
    expand,
    expand_penalties,
    penalty_curvature,
    residual_curvature,
    second_derivative,
)
from fitkit.problem import Problem, RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

CHUNK = 65_536
"""Rows linearized at a time: with ten parameters 5 MB, within the cache of the last level."""


KEPT = 2**25
"""Numbers of a Jacobian that are kept for a second look, 256 MB; a larger one is computed again."""


POLARIZED_UP_TO = 24
"""Parameters up to which S is put together from second derivatives along pairs of them."""


def triangular_factor(matrix: Matrix) -> Matrix:
    """Return R of the QR factorization, shape (min(rows, columns), columns)."""
    import numpy as np

    factor: Matrix = np.asarray(np.linalg.qr(matrix, mode="r"))
    return factor


def _lengths(matrix: Matrix) -> Vector:
    """Return the lengths of the columns; squares of a column that nearly vanishes must not underflow to nothing."""
    import numpy as np

    largest = np.max(np.abs(matrix), axis=0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    lengths: Vector = largest * np.linalg.norm(matrix / unit, axis=0)
    return lengths


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
    columns: tuple[Matrix, ...] | None = None
    """The columns of [J r], (free + 1, rows) for each chunk of rows and the penalties, where they fit into memory."""

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

    def chunks(self) -> tuple[RowData, ...]:
        """Return the rows in pieces of one shape each, the last filled up with rows of weight zero."""
        return self.rows.chunks(CHUNK)

    def expansions(self, theta: Vector) -> Iterator[Expansion]:
        """Yield the expansion of every chunk; the next one is under way while the last is used."""
        point = array(theta, self.problem.lower.dtype)
        ahead = None
        for rows in self.chunks():
            following = expand.for_work(len(rows) * len(theta))(self.problem, point, rows)
            if ahead is not None:
                yield ahead
            ahead = following
        if ahead is not None:
            yield ahead

    def predictions(self, theta: Vector) -> Vector:
        """Return predictions on the scale of the target at theta, shape (rows,)."""
        import numpy as np

        parts = [np.asarray(expansion.predictions, np.float64) for expansion in self.expansions(theta)]
        return np.concatenate(parts)[: len(self.rows)]

    def columns(self, theta: Vector) -> Iterator[Matrix]:
        """Yield the columns of [J r], (free + 1, rows) for every chunk and for the penalties, as float64."""
        import numpy as np

        for expansion in self.expansions(theta):
            yield np.asarray(expansion.columns, np.float64)
        if self.has_penalties:
            yield np.asarray(expand_penalties.light(self.problem, array(theta, self.problem.lower.dtype)), np.float64)

    @property
    def has_penalties(self) -> bool:
        """Whether regularization or priors add residuals."""
        shrinks = self.problem.regularization.l2 > 0 or self._rounds_weights
        augmented = self.problem.augmentation is not None
        return augmented or bool(self.problem.priors) or (shrinks and bool(self.problem.penalized))

    @property
    def _rounds_weights(self) -> bool:
        return self.problem.smoothing is not None and self.problem.regularization.l1 > 0

    @property
    def has_curved_penalties(self) -> bool:
        """Whether those residuals are not linear in theta."""
        layout = self.problem.layout
        curved = layout.logarithmic or layout.tied or self._rounds_weights or self.problem.augmentation is not None
        return self.has_penalties and bool(curved)

    def linearize(self, theta: Vector) -> Linearization:
        """Return the linearization at theta, shape (free,)."""
        import numpy as np

        size = len(theta)
        triangle = np.zeros((0, size + 1))
        kept: list[Matrix] = []
        keep = len(self.rows) * size <= KEPT
        with np.errstate(all="ignore"):  # an overflow shows as a linearization that is not finite, and is handled there
            for columns in self.columns(theta):
                if not np.isfinite(columns.sum()) and not np.isfinite(columns).all():
                    nothing = np.full((size, size), np.nan)
                    return Linearization(
                        factor=nothing, projected=nothing[:, 0], sum_of_squares=np.nan, column_norms=nothing[:, 0]
                    )
                tall = columns.T if len(triangle) == 0 else np.vstack([triangle, columns.T])
                triangle = triangular_factor(tall)
                kept += [columns] if keep else []
            padded = np.zeros((size + 1, size + 1))
            padded[: len(triangle)] = triangle
            return Linearization(
                factor=padded[:size, :size],
                projected=padded[:size, size],
                # Q keeps lengths: those of the factor's columns are those of J and r.
                sum_of_squares=float(padded[:, size] @ padded[:, size]),
                column_norms=_lengths(padded[:, :size]),
                columns=tuple(kept) if keep else None,
            )

    def bend(self, theta: Vector, velocity: Vector, at_theta: Linearization) -> Vector:
        """Return J'a, shape (free,), where a is the second derivative of the residuals along `velocity`."""
        import numpy as np

        dtype = self.problem.lower.dtype
        point, direction = array(theta, dtype), array(velocity, dtype)
        total = np.zeros(len(theta))
        with np.errstate(all="ignore"):
            for rows, columns in zip(self.chunks(), self.known_columns(theta, at_theta), strict=False):
                work = len(rows) * len(theta)
                second = second_derivative.for_work(work)(self.problem, point, direction, rows)
                total += columns[: len(theta)] @ np.asarray(second, np.float64)
            if self.has_curved_penalties:
                total += np.asarray(bend_penalties.light(self.problem, point, direction), np.float64)
        return total

    def known_columns(self, theta: Vector, at_theta: Linearization) -> Iterable[Matrix]:
        """Return the columns of [J r] at theta, kept or computed again, (free + 1, rows) for every chunk and the penalties."""
        return self.columns(theta) if at_theta.columns is None else at_theta.columns

    def curvature(self, theta: Vector, at_theta: Linearization) -> Matrix:
        """Return S = sum_i r_i Hess r_i, shape (free, free): what Gauss-Newton leaves out of the Hessian.

        For few parameters by polarization, so that the program which bends the steps serves here too and nothing new is
        compiled. Penalties have residuals linear in theta unless a parameter is tied or searched in its logarithm, or l1 is
        smoothed.
        """
        import numpy as np

        dtype = self.problem.lower.dtype
        point = array(theta, dtype)
        with np.errstate(all="ignore"):
            total = np.zeros((len(theta), len(theta)))
            if self.has_curved_penalties:
                total += np.asarray(penalty_curvature.light(self.problem, point), np.float64)
            if len(theta) <= POLARIZED_UP_TO:
                return total + self._polarized(point, at_theta, theta)
            for rows, columns in zip(self.chunks(), self.known_columns(theta, at_theta), strict=False):
                part = residual_curvature.full(self.problem, point, array(columns[-1], dtype), rows)
                total += np.asarray(part, np.float64)
            return total

    def _polarized(self, point: jax.Array, at_theta: Linearization, theta: Vector) -> Matrix:
        """Return S from second derivatives along single parameters and pairs: S_ij = (s(i + j) - s(i) - s(j)) / 2."""
        import numpy as np

        size, dtype = len(theta), self.problem.lower.dtype
        scale = np.where(at_theta.column_norms > 0, at_theta.column_norms, 1.0)
        units = np.eye(size) / scale  # of like effect on the residuals, so that neither is lost in a sum of two
        along = np.zeros((size, size))
        for rows, columns in zip(self.chunks(), self.known_columns(theta, at_theta), strict=False):
            second = second_derivative.for_work(len(rows) * size)
            for i in range(size):
                for j in range(i + 1):
                    direction = array(units[i] if i == j else units[i] + units[j], dtype)
                    along[i, j] += columns[-1] @ np.asarray(second(self.problem, point, direction, rows), np.float64)
        single = np.diag(along)
        lower = np.tril(along - single[:, None] - single[None, :], -1) / 2
        scaled: Matrix = lower + lower.T + np.diag(single)
        curvature: Matrix = scaled * np.outer(scale, scale)
        return curvature
