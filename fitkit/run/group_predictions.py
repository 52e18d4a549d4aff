"""The predictions of many fits: each row by the parameters of its group, all in one compiled program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from fitkit.backend import array, jax, kernel
from fitkit.grouped import GroupedFit
from fitkit.problem import Problem, RowData
from fitkit.run.grouped_assembly import AssembledGroups
from fitkit.types import Rows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Index = NDArray[np.intp]

AT_ONCE = 2**15
"""Rows that are predicted together."""
PIECE = 32 * AT_ONCE
"""Rows that are written together."""


@kernel()
def _predictions(problem: Problem, theta: Any, held: dict[str, Any], rows: RowData) -> Rows:
    """Return predictions on the scale of the target, shape (rows,); theta, held numbers and rows have an entry for each."""

    def of_row(theta: Any, held: dict[str, Any], row: RowData) -> Any:
        fitted = replace(problem, held={**problem.held, **held}).fitted(theta, row)
        return fitted.prediction[0] if problem.loss is None else problem.loss.mean(fitted.prediction)[0]

    each = jax.tree.map(lambda column: column[:, None], rows)  # a table of one row for each
    found: Rows = jax.vmap(of_row)(theta, held, each)
    return found


def write_predictions(stream: BinaryIO, assembled: AssembledGroups, fit: GroupedFit) -> None:
    """Write the table of predictions, group after group, in pieces: it may be larger than what fits into memory."""
    import numpy as np

    count, table = len(assembled.groups.rows), assembled.table
    inputs = {
        name: np.array(table.text(name), dtype=object) if table.is_text(name) else table.numeric(name)
        for name in assembled.inputs
        if name not in assembled.grouping.keys
    }
    for first in range(0, count, PIECE):
        piece = slice(first, min(first + PIECE, count))
        prediction_frame(assembled, fit, inputs, piece).write_csv(stream, include_header=first == 0)


def prediction_frame(
    assembled: AssembledGroups, fit: GroupedFit, inputs: Mapping[str, Any], piece: slice
) -> pl.DataFrame:
    """Return some rows of that table: what tells groups apart, inputs, target, prediction and residual."""
    import numpy as np
    import polars as pl

    groups = assembled.groups
    group_of_row = np.searchsorted(groups.offsets, np.arange(piece.start, piece.stop), side="right") - 1
    keys = assembled.grouping.keys
    columns: dict[str, Any] = {name: pl.Series(entries).gather(group_of_row) for name, entries in keys.items()}
    places = piece if isinstance(assembled.rows, slice) else assembled.rows[piece]
    columns |= {name: column[places] for name, column in inputs.items()}
    target = np.asarray(groups.rows.target[piece], np.float64)
    predictions = predictions_of_rows(assembled, fit, piece, group_of_row)
    columns[(assembled.target or "target").strip()] = target
    columns["prediction"] = pl.Series(predictions).fill_nan(None)
    columns["residual"] = pl.Series(target - predictions).fill_nan(None)
    return pl.DataFrame(columns)


def predictions_of_rows(assembled: AssembledGroups, fit: GroupedFit, piece: slice, group_of_row: Index) -> Vector:
    """Return the predictions of some rows, shape (rows,); NaN of groups whose fit has no end."""
    import numpy as np

    groups = assembled.groups
    found = predictions_by_group(
        assembled.problem, fit.theta, groups.held, lambda index: groups.rows.take(piece.start + index), group_of_row
    )
    unknown = np.isnan(fit.values).any(axis=1)
    return np.where(np.take(unknown, group_of_row), np.nan, found)


def predictions_by_group(
    problem: Problem,
    theta: Matrix,
    held: Mapping[str, Vector],
    rows: Callable[[Index], RowData],
    group_of_row: Index,
) -> Vector:
    """Return predictions on the scale of the target, each by the numbers of its group, shape (rows,).

    Args:
        problem: what the groups have in common.
        theta: shape (groups, free).
        held: held numbers that differ between groups, shape (groups,) each.
        rows: gives the rows of these numbers.
        group_of_row: shape (rows,).
    """
    import numpy as np

    count, dtype = len(group_of_row), problem.lower.dtype
    found = np.empty(count)
    size = min(AT_ONCE, count)
    for first in range(0, count, size or 1):
        index = np.minimum(np.arange(first, first + size), count - 1)
        group = group_of_row[index]
        own = {name: array(numbers[group], dtype) for name, numbers in held.items()}
        told = _predictions.light(replace(problem, rows=None), array(theta[group], dtype), own, rows(index))
        found[first : first + size] = np.asarray(told, np.float64)[: count - first]
    return found
