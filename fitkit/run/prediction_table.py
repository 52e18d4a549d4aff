"""Predictions as a table: inputs, what is predicted, and, where the target is there, how far that is from it.

Of more than 100 inputs the table has the number of each row in their place: of images it would be a copy of the data, as
decimals and a hundred times as large as what is predicted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fitkit.readers import Table
from fitkit.run.assemble import Assembled
from fitkit.uncertainty.bands import Bands

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_INPUTS = 100
"""Inputs up to which they stand beside what is predicted from them."""


def prediction_table(
    assembled: Assembled, predictions: NDArray[np.float64], bands: Bands | None, *, with_target: bool = True
) -> dict[str, Any]:
    """Return the columns of the table, numbers or texts, in order.

    Args:
        assembled: with the rows that were predicted.
        predictions: on the scale of the target, shape (rows,), or the probability of each class, (rows, classes).
        bands: of the rows, where there are any.
        with_target: whether the table has the target.
    """
    import numpy as np

    problem, table = assembled.problem, assembled.table
    if table is None or problem.rows is None or problem.loss is None:
        raise AssertionError("predictions come from rows")
    found = _what_row(table, assembled.inputs, assembled.counts)
    target, classes = np.asarray(problem.rows.target, np.float64), problem.loss.classes
    name = (assembled.target or "target").strip()
    if classes:
        names = np.array(classes, dtype=object)
        shares = predictions if predictions.ndim == 2 else np.stack([1 - predictions, predictions], axis=1)
        told = np.append(names, "")  # a class that the model has not seen is told by nothing
        found |= {name: told[target.astype(int)]} if with_target else {}
        found["prediction"] = names[np.argmax(shares, axis=1)]
        found |= {f"probability_{level}": shares[:, place] for place, level in enumerate(classes)}
    else:
        found |= {name: target} if with_target else {}
        found["prediction"] = predictions
        found |= {"residual": target - predictions} if with_target else {}
    return found | ({} if bands is None else bands.ends)


def _what_row(table: Table, inputs: tuple[str, ...], counts: Any) -> dict[str, Any]:
    """Return the columns that tell which row it is: its inputs or, of many, its number in the file, from 1."""
    if len(inputs) > MOST_INPUTS:
        return {"row": table.rows_of_source()[counts]}
    return {name: column_of(table, name)[counts] for name in inputs}


def column_of(table: Table, name: str) -> Any:
    """Return a column as numbers, or, where it has texts, as they were written."""
    import numpy as np

    return np.array(table.text(name), dtype=object) if table.is_text(name) else table.numeric(name)


def as_csv(columns: Mapping[str, Any]) -> str:
    """Return the table as CSV, numbers in the shortest decimals that read back as the same."""
    return written(tuple(columns), zip(*(map(cell, column.tolist()) for column in columns.values()), strict=True))


def cell(value: Any) -> str:
    """Return the shortest text that reads back as the same number, empty where it is not known; a text as it is."""
    if isinstance(value, str):
        return value
    return "" if value != value else str(value) if isinstance(value, int) else repr(float(value))


def written(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Return rows as CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
