"""The predictions of many fits: each row by the parameters of its group, all in one compiled program."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

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

AT_ONCE = 2**15
"""Rows that are predicted together."""


@kernel()
def _predictions(problem: Problem, theta: Any, held: dict[str, Any], rows: RowData) -> Rows:
    """Return predictions on the scale of the target, shape (rows,); theta, held numbers and rows have an entry for each."""

    def of_row(theta: Any, held: dict[str, Any], row: RowData) -> Any:
        fitted = replace(problem, held={**problem.held, **held}).fitted(theta, row)
        return fitted.prediction[0] if problem.loss is None else problem.loss.mean(fitted.prediction)[0]

    each = jax.tree.map(lambda column: column[:, None], rows)  # a table of one row for each
    found: Rows = jax.vmap(of_row)(theta, held, each)
    return found


def predictions_of_groups(assembled: AssembledGroups, fit: GroupedFit) -> Vector:
    """Return the predictions of the rows that have a part in a fit, in their order, shape (rows,); NaN where it has no end."""
    import numpy as np

    groups, problem = assembled.groups, assembled.problem
    count, dtype = len(groups.rows), problem.lower.dtype
    found = np.empty(count)
    group_of_row = np.repeat(np.arange(len(groups)), groups.lengths)
    size = min(AT_ONCE, max(1, count))
    lean = replace(problem, rows=None)
    for first in range(0, count, size):
        index = np.minimum(np.arange(first, first + size), count - 1)
        group = group_of_row[index]
        held = {name: array(numbers[group], dtype) for name, numbers in groups.held.items()}
        told = _predictions.light(lean, array(fit.theta[group], dtype), held, groups.rows.take(index))
        found[first : first + size] = np.asarray(told, np.float64)[: count - first]
    unknown = np.isnan(fit.values).any(axis=1).repeat(groups.lengths)
    return np.where(unknown, np.nan, found)


def prediction_frame(assembled: AssembledGroups, fit: GroupedFit) -> pl.DataFrame:
    """Return the table of predictions, group after group: what tells groups apart, inputs, target, prediction and residual."""
    import numpy as np
    import polars as pl

    groups, table = assembled.groups, assembled.table
    group_of_row = np.repeat(np.arange(len(groups)), groups.lengths)
    keys = assembled.grouping.keys
    columns: dict[str, Any] = {name: pl.Series(entries).gather(group_of_row) for name, entries in keys.items()}
    for name in assembled.inputs:
        if name not in keys:
            entries = pl.Series(table.text(name)) if table.is_text(name) else pl.Series(table.numeric(name))
            columns[name] = entries if isinstance(assembled.rows, slice) else entries.gather(assembled.rows)
    target, predictions = np.asarray(groups.rows.target, np.float64), predictions_of_groups(assembled, fit)
    columns[(assembled.target or "target").strip()] = target
    columns["prediction"] = pl.Series(predictions).fill_nan(None)
    columns["residual"] = pl.Series(target - predictions).fill_nan(None)
    return pl.DataFrame(columns)
