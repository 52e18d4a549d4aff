"""Variable projection: parameters that enter linearly are found, and solved for given the others.

With theta = (a, b), a entering linearly, the prediction is f(0, b) + Phi(b) a with Phi = df/da, so for every b the best a
is a linear least-squares problem, and only b is searched. Reference: G. H. Golub and V. Pereyra, The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate, SIAM J. Numer. Anal. 10 (1973) 413-432.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fitkit.backend import array, jax, jnp, kernel
from fitkit.problem import Problem
from fitkit.types import Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

SAME: Final = 1e-9
"""Relative change of a derivative below which it has not changed."""
_CUT: Final = 1e-11
"""Eigenvalues of the scaled normal equations below this share of the largest say that columns are collinear."""
_MOST: Final = 2_000_000
"""Numbers that one call of a program holds at a time."""


@kernel()
def _columns(problem: Problem, points: jax.Array, tangents: jax.Array) -> jax.Array:
    """Return derivatives of the prediction along `tangents`, and the residual target - prediction.

    Shape (points, tangents + 1, rows), for `points` (points, free) and `tangents` (tangents, free).
    """
    rows = problem.rows
    if rows is None:
        raise AssertionError("a formula has rows")

    def prediction(theta: Theta) -> jax.Array:
        fitted: jax.Array = problem.fitted(theta, rows).prediction
        return fitted

    def at(theta: jax.Array) -> jax.Array:
        value, linear = jax.linearize(prediction, theta)
        return jnp.concatenate([jax.vmap(linear)(tangents), (rows.target - value)[None]])

    columns: jax.Array = jax.vmap(at)(points)
    return columns


def columns_at(problem: Problem, points: Matrix, tangents: Matrix) -> Matrix:
    """Return derivatives and residuals at many points on the host, shape (points, tangents + 1, rows)."""
    import numpy as np

    rows = 0 if problem.rows is None else len(problem.rows)
    size = max(1, min(len(points), _MOST // ((len(tangents) + 1) * rows)))
    directions = array(tangents, np.float64)
    program = _columns.for_work(len(points) * rows)
    found = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        full = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])  # one shape, one compilation
        found.append(np.asarray(program(problem, array(full, np.float64), directions))[: len(part)])
    return np.concatenate(found)


def linear_parameters(problem: Problem, points: Matrix) -> NDArray[np.bool_]:
    """Return a set of parameters in which the prediction is jointly linear, shape (free,), as large as a greedy one gets.

    The derivative by a parameter of the set does not change, at any of the `points` (points, free), when a parameter of
    the set is changed by a finite amount and through zero: a second derivative of zero everywhere, which sees the two
    branches of `abs` and `where` too.
    """
    import numpy as np

    size = points.shape[1]
    moved = np.repeat(points[:, None, :], size + 1, axis=1)
    for index in range(size):
        moved[:, index + 1, index] *= -1.7
    jacobians = columns_at(problem, moved.reshape(-1, size), np.eye(size))[:, :size]
    jacobians = jacobians.reshape(len(points), size + 1, size, -1)
    usable = np.isfinite(jacobians[:, 0]).all(axis=(1, 2))
    base, changed = jacobians[usable, 0], jacobians[usable, 1:]
    if len(base) == 0:
        return np.zeros(size, bool)
    largest = np.abs(base).max(axis=2)
    with np.errstate(all="ignore"):
        difference = np.abs(changed - base[:, None]).max(axis=3)
        # depends[j, i]: the derivative by i changes with j, or is then no number.
        depends = ~(difference <= SAME * largest[:, None, :]).all(axis=0)
    depends |= depends.T
    matters = (largest > 0).any(axis=0)
    return _independent(depends, matters & ~np.diag(depends))


def _independent(depends: NDArray[np.bool_], able: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a set among the `able` no two of which depend on each other: those with few conflicts first."""
    import numpy as np

    chosen = np.zeros(len(able), bool)
    conflicts = (depends & able[None, :]).sum(axis=1)
    for index in sorted(np.flatnonzero(able), key=lambda i: (conflicts[i], i)):
        if not (depends[index] & chosen).any():
            chosen[index] = True
    return chosen


def project(problem: Problem, points: Matrix, linear: NDArray[np.bool_]) -> tuple[Matrix, Matrix]:
    """Return the points with their linear parameters solved for, and the sum of squared residuals at each.

    By scaled normal equations, cut off where columns are collinear: half the digits are enough to choose by. A point where
    the prediction is not finite has an infinite sum.

    Args:
        problem: with at least one row.
        points: shape (points, free).
        linear: which parameters enter linearly, shape (free,).
    """
    import numpy as np

    start = np.where(linear, 0.0, points)
    columns = columns_at(problem, start, np.eye(points.shape[1])[linear])
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(columns, axis=2)
        finite = np.isfinite(norms).all(axis=1)
        scale = np.where((norms > 0) & np.isfinite(norms), norms, 1.0)
        unit = np.where(finite[:, None, None], columns / scale[:, :, None], 0.0)
    gram = unit @ unit.transpose(0, 2, 1)
    count = int(linear.sum())
    eigenvalues, vectors = np.linalg.eigh(gram[:, :count, :count])
    kept = eigenvalues > _CUT * eigenvalues.max(axis=1, keepdims=True, initial=0.0)
    inverse = np.where(kept, 1 / np.where(kept, eigenvalues, 1.0), 0.0)
    along = np.einsum("kij,ki->kj", vectors, gram[:, :count, count])
    solution = np.einsum("kij,kj->ki", vectors, inverse * along)
    share = gram[:, count, count] - (inverse * along**2).sum(axis=1)
    with np.errstate(all="ignore"):
        squares = np.where(finite, np.maximum(share, 0.0) * norms[:, count] ** 2, np.inf)
        start[:, linear] = solution * scale[:, count, None] / scale[:, :count]
    squares[~np.isfinite(squares) | ~np.isfinite(start).all(axis=1)] = np.inf
    return start, squares
