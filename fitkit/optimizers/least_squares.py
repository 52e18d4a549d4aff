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
from typing import TYPE_CHECKING, Any, final

from fitkit.backend import BoundKernel, Kernel, array
from fitkit.optimizers.affordable import ALWAYS_UP_TO
from fitkit.optimizers.bound_rows import CHUNK, REMEMBERED_UP_TO, BoundRows, remember
from fitkit.optimizers.curved_parameters import curved_parameters, directions, polarization
from fitkit.optimizers.linearization import Linearization, lengths, triangular_factor
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

KEPT = 2**25
"""Numbers of a Jacobian that are kept for a second look, 256 MB; a larger one is computed again."""


POLARIZED_UP_TO = 24
"""Parameters up to which S is put together from second derivatives along pairs of them."""


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

    @property
    def lower(self) -> Vector:
        """The lower bounds as numbers of the host, shape (free,)."""
        return BoundRows.of(self.problem).lower

    @property
    def upper(self) -> Vector:
        """The upper bounds as numbers of the host, shape (free,)."""
        return BoundRows.of(self.problem).upper

    @property
    def bounded(self) -> bool:
        """Whether any parameter has a bound."""
        return BoundRows.of(self.problem).bounded

    def chunks(self) -> tuple[RowData, ...]:
        """Return the rows in pieces of one shape each, the last filled up with rows of weight zero."""
        return self.rows.chunks(CHUNK)

    def _bound(self, row_kernel: Kernel[..., Any]) -> list[BoundKernel]:
        """Return a kernel bound to every chunk of rows."""
        return BoundRows.of(self.problem).chunks_of(row_kernel, len(self.problem.lower))

    def _moving(self, numbers: Vector) -> Vector:
        """Return numbers of the host as the kernels take them."""
        return numbers.astype(self.problem.lower.dtype, copy=False)

    def expansions(self, theta: Vector) -> Iterator[Expansion]:
        """Yield the expansion of every chunk; the next one is under way while the last is used."""
        point = self._moving(theta)
        ahead = None
        for expanded in self._bound(expand):
            following = Expansion(*expanded(point))
            if ahead is not None:
                yield ahead
            ahead = following
        if ahead is not None:
            yield ahead

    def predictions(self, theta: Vector) -> Vector:
        """Return predictions on the scale of the target at theta, shape (rows,)."""
        import numpy as np

        known = BoundRows.of(self.problem).predictions
        if known is not None and known[0] == theta.tobytes():
            return known[1]
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
        """Return the linearization at theta, shape (free,); of the last points it is remembered."""
        kept, key = BoundRows.of(self.problem).points, theta.tobytes()
        found = kept.get(key)
        if found is None:
            found = self._linearize(theta)
            if len(self.rows) * len(theta) <= REMEMBERED_UP_TO:
                remember(kept, key, found)
        return found

    def sum_of_squares(self, theta: Vector) -> float:
        """Return the sum of the squared residuals at theta, shape (free,); of many parameters without the triangle."""
        import numpy as np

        if len(theta) <= ALWAYS_UP_TO:
            return self.linearize(theta).sum_of_squares
        with np.errstate(all="ignore"):
            return float(sum(columns[-1] @ columns[-1] for columns in self.columns(theta)))

    def _linearize(self, theta: Vector) -> Linearization:
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
                column_norms=lengths(padded[:, :size]),
                columns=tuple(kept) if keep else None,
            )

    def bend(self, theta: Vector, velocity: Vector, at_theta: Linearization) -> Vector:
        """Return J'a, shape (free,), where a is the second derivative of the residuals along `velocity`."""
        import numpy as np

        point, direction = self._moving(theta), self._moving(velocity)
        total = np.zeros(len(theta))
        with np.errstate(all="ignore"):
            for along, columns in zip(
                self._bound(second_derivative), self.known_columns(theta, at_theta), strict=False
            ):
                second = along(point, direction)
                total += columns[: len(theta)] @ np.asarray(second, np.float64)
            if self.has_curved_penalties:
                total += np.asarray(
                    bend_penalties.light(self.problem, *(array(each, point.dtype) for each in (point, direction))),
                    np.float64,
                )
        return total

    def known_columns(self, theta: Vector, at_theta: Linearization) -> Iterable[Matrix]:
        """Return the columns of [J r] at theta, kept or computed again, (free + 1, rows) for every chunk and the penalties."""
        return self.columns(theta) if at_theta.columns is None else at_theta.columns

    def curvature(self, theta: Vector, at_theta: Linearization) -> Matrix:
        """Return S = sum_i r_i Hess r_i, shape (free, free): what Gauss-Newton leaves out of the Hessian.

        For few parameters by polarization, S_ij = (s(i + j) - s(i) - s(j)) / 2 from second derivatives along single
        parameters and pairs, whose program is much smaller than that of a Hessian. Of the last points it is remembered.
        """
        bound, key = BoundRows.of(self.problem), theta.tobytes()
        found = bound.curvatures.get(key)
        if found is None:
            found = None if bound.compiled_curvature is None else bound.compiled_curvature(theta)
            found = self._curvature(theta, at_theta) if found is None else found
            remember(bound.curvatures, key, found)
        return found

    def _curvature(self, theta: Vector, at_theta: Linearization) -> Matrix:
        import numpy as np

        point = self._moving(theta)
        with np.errstate(all="ignore"):
            total = np.zeros((len(theta), len(theta)))
            if self.has_curved_penalties:
                total += np.asarray(penalty_curvature.light(self.problem, array(point, point.dtype)), np.float64)
            if len(theta) <= POLARIZED_UP_TO:
                return total + self._polarized(point, at_theta, theta)
            for part, columns in zip(
                self._bound(residual_curvature), self.known_columns(theta, at_theta), strict=False
            ):
                total += np.asarray(part(point, self._moving(columns[-1])), np.float64)
            return total

    def _polarized(self, point: Vector, at_theta: Linearization, theta: Vector) -> Matrix:
        import numpy as np

        size = len(theta)
        scale = np.where(at_theta.column_norms > 0, at_theta.column_norms, 1.0)
        pairs = curved_parameters(self.problem)
        # Of like effect on the residuals, so that neither is lost in a sum of two.
        moves = self._moving(directions(pairs, size) / scale)
        along = np.zeros(len(pairs))
        # One call a direction of the program that bends steps: a program for all of them at once would take longer to compile
        # than all these calls in the few points of a fit where S is wanted.
        for bend, columns in zip(self._bound(second_derivative), self.known_columns(theta, at_theta), strict=False):
            seconds = [bend(point, move) for move in moves]
            along += np.array([columns[-1] @ np.asarray(second, np.float64) for second in seconds])
        curvature: Matrix = (polarization(pairs, size) @ along) * np.outer(scale, scale)
        return curvature
