"""The residuals near a point, r(theta + v) = r + J v, as the triangular factor of [J r]."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]


def triangular_factor(matrix: Matrix) -> Matrix:
    """Return R of the QR factorization, shape (min(rows, columns), columns)."""
    import numpy as np

    factor: Matrix = np.asarray(np.linalg.qr(matrix, mode="r"))
    return factor


def lengths(matrix: Matrix) -> Vector:
    """Return the lengths of the columns; squares of a column that nearly vanishes must not underflow to nothing."""
    import numpy as np

    squares: Vector = np.einsum("ij,ij->j", matrix, matrix)
    if all(1e-200 < square < 1e200 for square in squares.tolist()):  # few numbers, for which numpy is the longer way
        roots: Vector = np.sqrt(squares)
        return roots
    largest = np.max(np.abs(matrix), axis=0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    scaled: Vector = largest * np.linalg.norm(matrix / unit, axis=0)
    return scaled


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

    @cached_property
    def spectrum(self) -> tuple[Vector, Matrix, Vector, Matrix]:
        """The lengths of the columns of J, ones for those that vanish, and U, s, V' of R with columns of length one."""
        import numpy as np

        scale = np.where(self.column_norms > 0, self.column_norms, 1.0)
        # A column whose norm has underflowed is without effect, whatever the factor has kept of it.
        columns = np.where(self.column_norms > 0, self.factor / scale, 0.0)
        return scale, *np.linalg.svd(columns, full_matrices=False)

    def spectrum_of(self, free: NDArray[np.bool_]) -> tuple[Vector, Matrix, Vector, Matrix]:
        """Return `spectrum` for the `free` parameters alone."""
        if free.all():
            return self.spectrum
        return Linearization(
            factor=self.factor[:, free],
            projected=self.projected,
            sum_of_squares=self.sum_of_squares,
            column_norms=self.column_norms[free],
        ).spectrum

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
