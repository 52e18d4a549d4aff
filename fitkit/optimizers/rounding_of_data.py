"""How far the rounding of the data moves the minimum of least squares: what no arithmetic can mend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitkit.double_double import DoubleDouble
from fitkit.optimizers.exact_newton import EPSILON
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.refinement import precise_columns
from fitkit.problem import RowData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

EXACT_BITS = 10
"""A number whose last bits, so many, are zero was not rounded when it was read: one in a thousand would have them by chance."""
MOST_COLUMNS = 6
"""Columns that are moved one at a time; of more, all are moved at once, with signs at random, so many times."""


def rounding_of_data(squares: LeastSquares, theta: Vector, inverse: Matrix) -> Vector:
    """Return how far the rounding of the data moves the minimum, one standard deviation, shape (free,).

    Each number of the table that reading has rounded is moved by eps of itself, and with it the term J_i' r_i of its row in
    the gradient, by v_i. With H^-1 at the minimum,

        noise_j² = sum_i (H^-1 v_i)_j².

    An input moves residual and Jacobian together: rounding x shifts a polynomial along itself, and costs far fewer digits
    than powers of x that are rounded each for itself.

    Args:
        squares: the problem, in float64.
        theta: the minimum, shape (free,).
        inverse: H^-1 there, shape (free, free).

    Raises:
        UnknownOperation: the model has an operation that is not known in double-double.
    """
    import numpy as np

    here = DoubleDouble.of(theta)
    before = _slopes(squares, here)
    total = np.zeros(len(theta))
    moved, each = _moved(squares.rows)
    for rows in moved:
        after = _slopes(LeastSquares(squares.problem.with_rows(rows)), here)
        total += np.sum((inverse @ (after - before).rounded()) ** 2, axis=1) * each
    noise: Vector = np.sqrt(total)
    return noise


def _slopes(squares: LeastSquares, theta: DoubleDouble) -> DoubleDouble:
    """Return J_ij r_i, the terms of the gradient, shape (free, rows + penalties)."""
    columns = precise_columns(squares, theta)
    return columns[:-1] * columns[-1][None]


def _moved(rows: RowData) -> tuple[Iterator[RowData], float]:
    """Return tables with rounded numbers moved, and how much each of them counts."""
    import numpy as np

    random = np.random.default_rng(0)
    moves = {key: move for key, column in _columns(rows).items() if (move := _last_place(column)).any()}
    if len(moves) <= MOST_COLUMNS:
        return (_plus(rows, {key: move}) for key, move in moves.items()), 1.0
    # The mean square over signs is the sum of the squares.
    signed = (
        {key: move * random.choice([-1.0, 1.0], len(move)) for key, move in moves.items()} for _ in range(MOST_COLUMNS)
    )
    return (_plus(rows, each) for each in signed), 1.0 / MOST_COLUMNS


def _columns(rows: RowData) -> dict[Any, Vector]:
    """Return the columns of numbers by the name of their field, or the key of their input."""
    import numpy as np

    found: dict[Any, Any] = {("input", key): np.asarray(column) for key, column in rows.inputs.items()}
    found |= {(name, None): np.asarray(getattr(rows, name)) for name in ("target", "weight")}
    if rows.sigma is not None:
        found["sigma", None] = np.asarray(rows.sigma)
    return {key: column for key, column in found.items() if column.dtype == np.float64}


def _plus(rows: RowData, moves: dict[Any, Vector]) -> RowData:
    """Return the rows with each move added to its column."""
    import numpy as np

    def plus(key: Any, column: Any) -> Any:
        return np.asarray(column) + moves[key] if key in moves else column

    return replace(
        rows,
        inputs={key: plus(("input", key), column) for key, column in rows.inputs.items()},
        target=plus(("target", None), rows.target),
        weight=plus(("weight", None), rows.weight),
        sigma=plus(("sigma", None), rows.sigma),
    )


def _last_place(numbers: Vector) -> Vector:
    """Return eps of each number that was rounded, and zero for those whose bits show that they were not, shape (rows,)."""
    import numpy as np

    bits = np.ascontiguousarray(numbers).view(np.int64)
    return np.where((bits & (2**EXACT_BITS - 1)) == 0, 0.0, EPSILON * numbers)
