"""The quadratic program at a point: the best step by the second-order model that meets the constraints to first order.

    minimise  g'p + p'Hp / 2    with    c_i + a_i'p = 0 for equalities,    c_i + a_i'p <= 0 for inequalities

Equalities are eliminated by the null space of their rows; what is left is the point of a polyhedron that is nearest to the
unconstrained minimum in the metric of the curvature, which non-negative least squares find (Lawson and Hanson's least-distance
programming). With the working set known, the step is computed again by orthogonal decompositions alone. Rows that depend on
each other do no harm. Where H has negative curvature on the null space its absolute value stands in.

Reference: C. L. Lawson and R. J. Hanson, Solving Least Squares Problems, Prentice-Hall 1974, chapter 23.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

RANK = 1e-11
"""Singular values of rows of unit length below this share of the largest are none."""
FLAT = 1e-12
"""Eigenvalues of the reduced Hessian below this share of the largest are none."""
MET = 1e-9
"""How well a linear constraint is to be met, and a multiplier's sign kept, as a share of what there is to meet."""
FARTHEST = 1e3
"""Along a direction without curvature a step goes so many times as far as the parameters are large."""


@final
@dataclass(frozen=True)
class LinearRows:
    """Constraints to first order: c + A p."""

    values: Vector
    """c, shape (rows,)."""
    slopes: Matrix
    """A, shape (rows, free)."""
    equality: Mask
    """Shape (rows,)."""


@final
@dataclass(frozen=True, kw_only=True)
class QuadraticStep:
    """The solution of a quadratic program."""

    step: Vector
    """p, shape (free,)."""
    multipliers: Vector
    """m, shape (rows,): g + Hp + A'm = 0."""
    working: Mask
    """Rows that hold as equalities, shape (rows,)."""
    consistent: bool
    """Whether the linear constraints can be met together."""


@final
@dataclass(frozen=True)
class NullSpace:
    """The directions that keep rows as they are, and the shortest way to meet them, in scaled coordinates."""

    basis: Matrix
    """Orthonormal, in columns, shape (free, directions)."""
    rank: int
    left: Matrix
    """Orthonormal basis of the rows' span, in columns, shape (free, rank)."""
    inverse: Matrix
    """The pseudo-inverse of the rows, shape (free, rows)."""


def null_space(rows: Matrix) -> NullSpace:
    """Return the null space of rows, shape (rows, free), of about unit length each."""
    import numpy as np

    size = rows.shape[1]
    if len(rows) == 0:
        return NullSpace(np.eye(size), 0, np.zeros((size, 0)), np.zeros((size, 0)))
    left, singular, right = np.linalg.svd(rows.T, full_matrices=True)
    rank = int(np.sum(singular > RANK * max(float(singular[0]), 1e-300)))
    inverse = left[:, :rank] / singular[:rank] @ right[:rank]
    return NullSpace(left[:, rank:], rank, left[:, :rank], inverse)


def signed_combination(rows: Matrix, equality: Mask, target: Vector) -> Vector:
    """Return the m, shape (rows,), that minimises |rows'm - target| with m >= 0 where a row is no equality."""
    import numpy as np

    if len(rows) == 0:
        return np.zeros(0)
    found = np.linalg.lstsq(rows.T, target, rcond=RANK)[0]
    if (found[~equality] >= -MET * np.max(np.abs(found), initial=0.0)).all():
        return np.where(equality, found, np.maximum(found, 0.0))
    from scipy.optimize import nnls

    size = float(np.linalg.norm(target)) or 1.0
    columns = np.concatenate([rows, -rows[equality]]).T
    parts = nnls(columns, target / size)[0] * size
    found = parts[: len(rows)].copy()
    found[equality] -= parts[len(rows) :]
    return np.asarray(found, np.float64)


def solve_quadratic(gradient: Vector, hessian: Matrix, rows: LinearRows, scale: Vector, reach: float) -> QuadraticStep:
    """Return the step.

    Args:
        gradient: g, shape (free,).
        hessian: H, shape (free, free).
        rows: the linear constraints; those of which nothing moves are left out of account unless they are broken.
        scale: lengths of the parameters are measured by, shape (free,).
        reach: how large the parameters are in that measure.
    """
    import numpy as np

    slopes = rows.slopes / scale
    lengths = np.linalg.norm(slopes, axis=1)
    moving = lengths > 0
    broken = (~moving) & np.where(rows.equality, rows.values != 0, rows.values > 0)
    unit = np.where(moving, lengths, 1.0)
    scaled = LinearRows(rows.values / unit, slopes / unit[:, None], rows.equality)
    model = _Model(gradient / scale, hessian / np.outer(scale, scale), FARTHEST * (reach or 1.0))
    step, working, consistent = _nearest(model, scaled, moving)
    consistent = consistent and not broken.any()
    exact = _on_working_set(model, scaled, working)
    if consistent and _holds(model, scaled, exact, working, moving, step):
        step = exact
    wanted = -(model.gradient + model.hessian @ step)
    multipliers = np.zeros(len(unit))
    multipliers[working] = signed_combination(scaled.slopes[working], rows.equality[working], wanted)
    return QuadraticStep(
        step=step / scale, multipliers=multipliers / unit, working=working & moving, consistent=consistent
    )


@final
@dataclass(frozen=True)
class _Model:
    """The second-order model in scaled coordinates."""

    gradient: Vector
    hessian: Matrix
    farthest: float

    def curvature(self, basis: Matrix, slope: Vector) -> tuple[Vector, Matrix]:
        """Return the curvatures on a subspace made positive, and their directions, orthonormal in the subspace."""
        import numpy as np

        values, vectors = np.linalg.eigh(basis.T @ self.hessian @ basis)
        slopes = np.abs(vectors.T @ (basis.T @ slope))
        size = float(np.max(np.abs(values), initial=0.0))
        floor = np.maximum(FLAT * size, slopes / self.farthest)
        positive = np.maximum(np.abs(values), floor)
        return np.where(positive > 0, positive, 1.0), vectors


def _nearest(model: _Model, rows: LinearRows, moving: Mask) -> tuple[Vector, Mask, bool]:
    """Return the step by least-distance programming, the rows that it rests on, and whether all can be met."""
    import numpy as np
    from scipy.optimize import nnls

    equality, inequality = rows.equality & moving, ~rows.equality & moving
    plane = null_space(rows.slopes[equality])
    onto = -(plane.inverse @ rows.values[equality])
    left = rows.values[equality] + rows.slopes[equality] @ onto
    consistent = bool(np.max(np.abs(left), initial=0.0) <= MET * np.max(np.abs(rows.values[equality]), initial=0.0))
    slope = model.gradient + model.hessian @ onto
    values, vectors = model.curvature(plane.basis, slope)
    root = plane.basis @ vectors / np.sqrt(values)
    lowest = onto - root @ (root.T @ slope)
    against = -rows.slopes[inequality] @ root
    missing = rows.values[inequality] + rows.slopes[inequality] @ lowest
    lengths = np.linalg.norm(against, axis=1)
    bends = lengths > RANK * np.max(lengths, initial=0.0)
    tolerance = MET * max(1.0, float(np.linalg.norm(lowest)))
    consistent = consistent and not (missing[~bends] > tolerance).any()
    working = equality.copy()
    need = missing[bends] / lengths[bends]
    if not (need > 0).any():
        return lowest, working, consistent
    most = float(np.max(need))
    rows_of = against[bends] / lengths[bends][:, None]
    columns = np.vstack([rows_of.T, need / most])
    target = np.zeros(len(columns))
    target[-1] = 1.0
    try:
        pushes = nnls(columns, target, maxiter=50 * (len(need) + 1))[0]
    except RuntimeError:  # it went round in circles
        return lowest, working, False
    residual = columns @ pushes - target
    if -residual[-1] <= 1e-12:
        return lowest, working, False
    step = lowest + root @ (most * residual[:-1] / -residual[-1])
    indices = np.flatnonzero(inequality)[np.flatnonzero(bends)[pushes > 0]]
    working[indices] = True
    return step, working, consistent


def _on_working_set(model: _Model, rows: LinearRows, working: Mask) -> Vector:
    """Return the step that meets the working rows exactly and is the minimum along them, shape (free,)."""
    plane = null_space(rows.slopes[working])
    onto = -(plane.inverse @ rows.values[working])
    slope = model.gradient + model.hessian @ onto
    values, vectors = model.curvature(plane.basis, slope)
    directions = plane.basis @ vectors
    step: Vector = onto - directions @ ((directions.T @ slope) / values)
    return step


def _holds(model: _Model, rows: LinearRows, step: Vector, working: Mask, moving: Mask, other: Vector) -> bool:
    """Return whether a step meets all rows, with multipliers of the right sign."""
    import numpy as np

    size = max(float(np.linalg.norm(step)), float(np.linalg.norm(other)))
    off = rows.values + rows.slopes @ step
    most = MET * size
    if (off[moving & ~rows.equality] > most).any() or (np.abs(off[working]) > most).any():
        return False
    wanted = -(model.gradient + model.hessian @ step)
    found = signed_combination(rows.slopes[working], rows.equality[working], wanted)
    rest = wanted - rows.slopes[working].T @ found
    plane = null_space(rows.slopes[working])
    outside = plane.left.T @ rest  # along the rows: what multipliers of the right sign cannot balance
    return bool(np.linalg.norm(outside) <= 1e-6 * np.linalg.norm(wanted))
