"""The rows of a problem: columns of the table as arrays of the device, checked against what the loss asks of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fitkit.backend import jax
from fitkit.config import Config
from fitkit.expressions import Expression, TextComparison
from fitkit.input_matrix import InputMatrix
from fitkit.losses import Loss
from fitkit.models import FormulaModel, Model
from fitkit.problem import RowData
from fitkit.readers import Table, row_weights, standard_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def read_rows(
    config: Config, table: Table, model: Model, loss: Loss, target: Vector, dtype: str, counts: Any = None
) -> tuple[RowData, Any]:
    """Return the rows that `counts` picks, by default those with a weight, on the device, and the sum of their weights."""
    import numpy as np

    data = config.data
    if data is None:
        raise AssertionError("rows come from a table")
    sigma, weight = standard_errors(data, table), weights_of(config, table)
    counts = counted_rows(weight) if counts is None else counts
    put = partial(_put, dtype=dtype, counts=counts)
    rows = RowData(
        inputs=_inputs(model, loss, table, put),
        target=put(target),
        sigma=None if sigma is None else put(sigma),
        weight=put(weight),
    )
    return rows, np.asarray(weight[counts].sum(), dtype)


def host_rows(
    config: Config, table: Table, model: Model, loss: Loss, target: Vector, dtype: str, index: Any
) -> RowData:
    """Return the rows at `index` (a slice, or row numbers in any order) as arrays of numpy."""
    import numpy as np

    data = config.data
    if data is None:
        raise AssertionError("rows come from a table")

    def put(column: Any) -> Any:
        return np.ascontiguousarray(np.asarray(column, dtype)[index])

    sigma = standard_errors(data, table)
    return RowData(
        inputs=_inputs(model, loss, table, put),
        target=put(target),
        sigma=None if sigma is None else put(sigma),
        weight=put(weights_of(config, table)),
    )


def counted_rows(weight: Vector) -> Any:
    """Return what picks the rows that have a part in the fit: all, or those with a weight above zero."""
    return slice(None) if (weight > 0).all() else weight > 0


def weights_of(config: Config, table: Table) -> Vector:
    """Return the weight of each row, shape (rows,): one where the config names no column."""
    import numpy as np

    weight = None if config.data is None else row_weights(config.data, table)
    return np.ones(len(table)) if weight is None else weight


def _inputs(model: Model, loss: Loss, table: Table, put: Callable[[Any], Any]) -> InputMatrix | dict[Any, Any]:
    """Return what model and loss compute with: side by side, or by name where a formula has columns of its own."""
    import numpy as np

    formulas = [model.formula.prediction] if isinstance(model, FormulaModel) else []
    formulas += [] if loss.formula is None else [loss.formula[1]]
    places = model.places(table)
    if places is not None:
        return {name: put(column) for name, column in places.items()}
    coded = model.design(table)
    own = frozenset() if coded is not None else frozenset(model.inputs_used or ())
    computed = own.union(*(formula.names for formula in formulas))
    inputs: dict[str | TextComparison, Any] = {}
    inputs.update({name: table.numeric(name) for name in table.names if name in computed})
    inputs.update(text_columns(formulas, table))
    if coded is not None:
        names, matrix = coded
        if not inputs:
            return InputMatrix(names, put(matrix))
        inputs |= dict(zip(names, matrix.T, strict=True))
    elif model.as_matrix and all(isinstance(name, str) for name in inputs):
        return InputMatrix(tuple(map(str, inputs)), put(np.stack(list(inputs.values()), axis=1)))
    return {name: put(column) for name, column in inputs.items()}


def _put(column: Any, *, dtype: str, counts: Any) -> jax.Array:
    """Return the rows that count as an array of the device.

    Rows of weight zero are left out: whatever stands in them, infinite slopes included, must not reach a sum.
    """
    import numpy as np

    whole = np.issubdtype(column.dtype, np.integer)  # places, which float32 cannot count
    put: jax.Array = jax.device_put(np.asarray(column[counts], column.dtype if whole else dtype))
    return put


def text_columns(formulas: list[Expression], table: Table) -> dict[str | TextComparison, Any]:
    """Return 1 where a text column equals (or, for !=, differs from) its text and 0 elsewhere, shape (rows,) each."""
    import numpy as np

    found: dict[str | TextComparison, Any] = {}
    for comparison in (c for formula in formulas for c in formula.text_comparisons):
        same = np.asarray([entry == comparison.value for entry in table.text(comparison.column)], bool)
        found[comparison] = np.asarray(same if comparison.operator == "==" else ~same, np.float64)
    return found
