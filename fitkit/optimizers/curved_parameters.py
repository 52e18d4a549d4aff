"""Which pairs of parameters have second derivatives of the residuals, and along which directions these are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.losses.mse import MeanSquaredError
from fitkit.models.formula import FormulaModel
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def curved_parameters(problem: Problem) -> tuple[tuple[int, int], ...]:
    """Return the pairs (i, j), j <= i, for which the second derivative of some residual may not vanish.

    Of a formula these are not all: in a sum of exponentials an amplitude bends nothing but together with its own rate.
    """
    size = len(problem.lower)
    every = tuple((i, j) for i in range(size) for j in range(i + 1))
    layout, model = problem.layout, problem.model
    if not (isinstance(model, FormulaModel) and isinstance(problem.loss, MeanSquaredError)) or layout.tied:
        return every
    from fitkit.expressions.curved_pairs import curved_pairs

    names, curved = layout.coordinates, curved_pairs(model.formula.prediction)
    return tuple((i, j) for i, j in every if (names[i], names[j]) in curved or (i == j and layout.logarithms[i]))


def directions(pairs: tuple[tuple[int, int], ...], size: int) -> Matrix:
    """Return the unit vectors of single parameters, and the sums of two, shape (pairs, size)."""
    import numpy as np

    found = np.zeros((len(pairs), size))
    for row, (i, j) in enumerate(pairs):
        found[row, [i, j]] = 1.0
    return found


def polarization(pairs: tuple[tuple[int, int], ...], size: int) -> Matrix:
    """Return how S follows from second derivatives s along `directions`, shape (size, size, pairs).

    S_ij = (s(i + j) - s(i) - s(j)) / 2, where s of a parameter whose own pair is missing is zero.
    """
    import numpy as np

    found = np.zeros((size, size, len(pairs)))
    number = {pair: k for k, pair in enumerate(pairs)}
    for (i, j), pair in number.items():
        for row, column in {(i, j), (j, i)}:
            found[row, column, pair] = 1.0 if i == j else 0.5
            if i != j:
                found[row, column, [number[k, k] for k in (i, j) if (k, k) in number]] = -0.5
    return found
