"""What each row counts: its standard error, or its weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.data import Data
from fitkit.readers.table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def standard_errors(data: Data, table: Table, rows: NDArray[np.intp] | None = None) -> NDArray[np.float64] | None:
    """Return the standard error of each row's target, above zero, shape (rows,); None where `sigma` is not given.

    Args:
        data: the section of the config.
        table: the table that it describes.
        rows: the rows of the table to look at; all by default.

    Raises:
        DataError: a standard error is not a number above zero, with its place.
    """
    import numpy as np

    if data.sigma is None:
        return None
    if isinstance(data.sigma, str):
        return _column(
            table, data.sigma, rows, "E313", lambda values: ~(values > 0), "a standard error must be above zero"
        )
    if not (math.isfinite(data.sigma) and data.sigma > 0):
        message = f"`sigma: {data.sigma}` is no standard error"
        raise DataError(Diagnostic(code="E313", message=message, help="write a column, or a number above zero"))
    return np.full(len(table) if rows is None else len(rows), float(data.sigma))


def row_weights(data: Data, table: Table, rows: NDArray[np.intp] | None = None) -> NDArray[np.float64] | None:
    """Return the relative weight of each row, zero or above, shape (rows,); None where `weights` is not given.

    Args:
        data: the section of the config.
        table: the table that it describes.
        rows: the rows of the table to look at; all by default.

    Raises:
        DataError: a weight is negative or no number, with its place, or all are zero.
    """
    if data.weights is None:
        return None
    weights = _column(table, data.weights, rows, "E314", lambda values: ~(values >= 0), "a weight must not be negative")
    if not weights.any():
        message = f"all weights in column `{data.weights}` are zero"
        raise DataError(Diagnostic(code="E314", message=message, file=table.file, help="at least one row must count"))
    return weights


def _column(
    table: Table,
    name: str,
    rows: NDArray[np.intp] | None,
    code: str,
    wrong: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    rule: str,
) -> NDArray[np.float64]:
    """Return a column's numbers, if none is wrong."""
    import numpy as np

    values = table.numeric(name)
    chosen = np.arange(len(values)) if rows is None else rows
    faults = chosen[wrong(values[chosen])].tolist()
    if faults:
        hint = "correct it, or leave out such rows with `where`"
        raise DataError(*table.diagnostics(name, faults, code, lambda entry: f"`{entry}`, but {rule}", lambda _: hint))
    return values[chosen]
