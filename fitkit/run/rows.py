"""The rows of a problem: columns of the table as arrays of the device, checked against what the loss asks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fitkit.backend import jax
from fitkit.config import Config, Roles
from fitkit.errors import DataError, Diagnostic
from fitkit.expressions import Expression, TextComparison, to_numpy
from fitkit.expressions.tree import Name
from fitkit.input_matrix import InputMatrix
from fitkit.losses import Loss
from fitkit.models import FormulaModel, Model
from fitkit.problem import RowData
from fitkit.readers import Table, row_weights, standard_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def read_rows(config: Config, table: Table, roles: Roles, model: Model, loss: Loss, dtype: str) -> tuple[RowData, Any]:
    """Return the rows on the device, and the sum of their weights."""
    import numpy as np

    data = config.data
    if data is None:
        raise AssertionError("rows come from a table")
    formulas = [model.formula.prediction] if isinstance(model, FormulaModel) else []
    formulas += [] if loss.formula is None else [loss.formula[1]]
    computed = frozenset(model.inputs_used or ()).union(*(formula.names for formula in formulas))
    inputs: dict[str | TextComparison, Any] = {name: table.numeric(name) for name in roles.inputs if name in computed}
    inputs.update(text_columns(formulas, table))
    target = _target(model, table)
    _check_target(loss, target, table, model)
    sigma, weight = standard_errors(data, table), row_weights(data, table)
    weight = np.ones(len(table)) if weight is None else weight
    counts = slice(None) if (weight > 0).all() else weight > 0
    put = partial(_put, dtype=dtype, counts=counts)
    rows = RowData(
        inputs=_as_matrix(inputs, put) if model.as_matrix else {name: put(column) for name, column in inputs.items()},
        target=put(target),
        sigma=None if sigma is None else put(sigma),
        weight=put(weight),
    )
    return rows, np.asarray(weight.sum(), dtype)


def _as_matrix(
    inputs: dict[str | TextComparison, Any], put: Callable[[Any], jax.Array]
) -> InputMatrix | dict[Any, Any]:
    """Return the columns side by side; by name where one is no number of its own (a comparison of texts)."""
    import numpy as np

    names = tuple(name for name in inputs if isinstance(name, str))
    if len(names) < len(inputs):
        return {name: put(column) for name, column in inputs.items()}
    return InputMatrix(names, put(np.stack([inputs[name] for name in names], axis=1)))


def _put(column: Any, *, dtype: str, counts: Any) -> jax.Array:
    """Return the rows that count as an array of the device.

    Rows of weight zero are left out: whatever stands in them, infinite slopes included, must not reach a sum.
    """
    import numpy as np

    put: jax.Array = jax.device_put(np.asarray(column[counts], dtype))
    return put


def text_columns(formulas: list[Expression], table: Table) -> dict[str | TextComparison, Any]:
    """Return 1 where a text column equals (or, for !=, differs from) its text and 0 elsewhere, shape (rows,) each."""
    import numpy as np

    found: dict[str | TextComparison, Any] = {}
    for comparison in (c for formula in formulas for c in formula.text_comparisons):
        same = np.asarray([entry == comparison.value for entry in table.text(comparison.column)], bool)
        found[comparison] = np.asarray(same if comparison.operator == "==" else ~same, np.float64)
    return found


def _target(model: Model, table: Table) -> Vector:
    """Return the target, shape (rows,): a column, or a formula's left side."""
    import numpy as np

    if model.target_used is not None:
        return table.numeric(model.target_used)
    if not isinstance(model, FormulaModel):
        raise TypeError(f"{model.kind} neither names its target column nor is a formula")
    left: Expression = model.formula.target
    names = sorted(left.names & set(table.names))
    environment: dict[Any, Any] = {name: table.numeric(name) for name in names} | text_columns([left], table)
    target = np.broadcast_to(np.asarray(to_numpy(left)(environment), np.float64), (len(table),))
    bad = np.flatnonzero(~np.isfinite(target))
    if len(bad):
        row = int(bad[0])
        values = ", ".join(f"{name} = {environment[name][row]:g}" for name in names)
        shown = left.source.strip()
        message = f"`{shown}` is not a finite number in {len(bad)} of {len(target)} rows, first with {values}"
        way_out = "leave such rows out with `data.where`, or change the left side of the formula"
        raise DataError(_told_at(table, row, names[0] if names else None, "E320", message, way_out))
    return target


def _check_target(loss: Loss, target: Vector, table: Table, model: Model) -> None:
    """Refuse targets that the loss has no cost for."""
    import numpy as np

    rule = loss.target_rule
    if rule is None:
        return
    bad = np.flatnonzero((target < rule.minimum) | (target > rule.maximum))
    if len(bad) == 0:
        return
    name = model.target_used
    if isinstance(model, FormulaModel) and isinstance(model.formula.target.root, Name):
        name = model.formula.target.root.name
    more = f" ({len(bad)} such rows)" if len(bad) > 1 else ""
    message = f"the {loss.kind} loss takes {rule.words}, but the target is {target[bad[0]]:g}{more}"
    way_out = "choose another loss, or leave such rows out with `data.where`"
    raise DataError(_told_at(table, int(bad[0]), name, "E321", message, way_out))


def _told_at(table: Table, row: int, column: str | None, code: str, message: str, way_out: str) -> Diagnostic:
    """Return a mistake at an entry of the table, or of the table where no single column is at fault."""
    if column is None:
        return Diagnostic(code=code, message=message, file=table.file, help=way_out)
    return replace(table.diagnostics(column, [row], code, str, lambda _: way_out)[0], message=message)
