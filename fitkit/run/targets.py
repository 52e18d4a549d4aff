"""The target: a column, a formula's left side, or classes; checked against what the loss asks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from fitkit.errors import DataError, Diagnostic
from fitkit.expressions import Expression, to_numpy
from fitkit.expressions.tree import Name
from fitkit.losses import Loss
from fitkit.losses.cross_entropy import CrossEntropy
from fitkit.models import FormulaModel, Model
from fitkit.models.coding import Levels, levels_of
from fitkit.readers import Table
from fitkit.readers.entries import is_number
from fitkit.run.rows import text_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Mask = NDArray[np.bool_]


def read_target(model: Model, loss: Loss, table: Table) -> tuple[Vector, Loss]:
    """Return the target, shape (rows,), classes as their places, and the loss, which then knows the classes.

    Raises:
        DataError: a target that the loss has no cost for.
    """
    column = _column(model)
    levels = levels_of(table, column) if loss.classifies and column is not None else None
    if levels is not None and _are_classes(loss, levels):
        target, found = _classes(loss, levels, table, column or "")
        return target, found
    target = _formula_or_column(model, table)
    _check_range(loss, target, table, model)
    if loss.classifies and set(target.tolist()) <= {0.0, 1.0}:
        if len(set(target.tolist())) == 1:
            raise DataError(_single(f"{target[0]:g}", table))
        loss = loss.with_classes(("0", "1"))
    return target, loss


@final
@dataclass(frozen=True, kw_only=True)
class Faults:
    """Rows whose target the loss has no cost for."""

    rows: Mask
    """Which, shape (rows,)."""
    words: str
    """What is wrong with them, after `the target`."""


def target_with_faults(model: Model, loss: Loss, table: Table) -> tuple[Vector, Loss, tuple[Faults, ...]]:
    """Return the target of a table of groups and the loss that knows the classes, as `read_target` does, with what it refuses.

    Of many groups, those with a faulty target fail by themselves.

    Raises:
        DataError: classes that cannot be told from one another.
    """
    import numpy as np

    column = _column(model)
    if loss.classifies and column is not None and _are_classes(loss, levels_of(table, column)):
        return (*read_target(model, loss, table), ())
    target = _evaluated(model, table)[0]
    faults = [Faults(rows=~np.isfinite(target), words="is not a finite number")]
    rule = loss.target_rule
    if rule is not None:
        outside = (target < rule.minimum) | (target > rule.maximum)
        faults.append(Faults(rows=outside, words=f"is none that the {loss.kind} loss takes, which are {rule.words}"))
    return target, loss, tuple(fault for fault in faults if fault.rows.any())


def numbers_of_target(model: Model, loss: Loss, table: Table) -> Vector:
    """Return the target of a table that is predicted, shape (rows,): classes as their places, -1 for one that is new."""
    import numpy as np

    column = _column(model)
    if loss.classes and column is not None:
        numbers = None
        if all(is_number(name) for name in loss.classes):
            numbers = tuple(map(float, loss.classes))
        return np.asarray(Levels(names=loss.classes, numbers=numbers).codes(table, column), np.float64)
    return _formula_or_column(model, table)


def _column(model: Model) -> str | None:
    """Return the column that is the target, None where it is computed."""
    if isinstance(model, FormulaModel):
        return model.formula.target.root.name if isinstance(model.formula.target.root, Name) else None
    return model.target_used


def _are_classes(loss: Loss, levels: Levels) -> bool:
    """Return whether a target is made of classes, not of numbers between 0 and 1."""
    if isinstance(loss, CrossEntropy) or levels.numbers is None:
        return True
    outside = any(number < 0 or number > 1 for number in levels.numbers)
    return outside and len(levels.names) == 2 and all(number.is_integer() for number in levels.numbers)


def _classes(loss: Loss, levels: Levels, table: Table, column: str) -> tuple[Vector, Loss]:
    import numpy as np

    if levels.numbers is not None and not all(number.is_integer() for number in levels.numbers):
        codes = levels.codes(table, column)
        broken = np.flatnonzero([not levels.numbers[code].is_integer() for code in codes]).tolist()
        way_out = "take `mse` for a target that is measured"
        raise DataError(*table.diagnostics(column, broken, "E321", _no_class, lambda _: way_out))
    if len(levels.names) == 1:
        raise DataError(_single(levels.names[0], table))
    if not isinstance(loss, CrossEntropy) and len(levels.names) > 2:
        shown = ", ".join(f"`{name}`" for name in levels.names[:5]) + (", ..." if len(levels.names) > 5 else "")
        message = f"the {loss.kind} loss takes two classes, and `{column}` has {len(levels.names)}: {shown}"
        way_out = "take `cross_entropy`, or compare: `target == 'a'` in a formula"
        raise DataError(Diagnostic(code="E321", message=message, file=table.file, help=way_out))
    return np.asarray(levels.codes(table, column), np.float64), loss.with_classes(levels.names)


def _no_class(entry: str) -> str:
    return f"`{entry}` is no class: classes are texts or whole numbers"


def _single(name: str, table: Table) -> Diagnostic:
    message = f"every row of the target is of one class, `{name}`: there is nothing to tell it from"
    way_out = "look at `data.where`, or fit rows of at least two classes"
    return Diagnostic(code="E323", message=message, file=table.file, help=way_out)


def _evaluated(model: Model, table: Table) -> tuple[Vector, dict[Any, Any]]:
    """Return the target, shape (rows,), finite or not, and the columns that it is computed from."""
    import numpy as np

    if model.target_used is not None:
        return table.numeric(model.target_used), {}
    if not isinstance(model, FormulaModel):
        raise TypeError(f"{model.kind} neither names its target column nor is a formula")
    left: Expression = model.formula.target
    names = sorted(left.names & set(table.names))
    environment: dict[Any, Any] = {name: table.numeric(name) for name in names} | text_columns([left], table)
    return np.broadcast_to(np.asarray(to_numpy(left)(environment), np.float64), (len(table),)), environment


def _formula_or_column(model: Model, table: Table) -> Vector:
    """Return the target, shape (rows,): a column, or a formula's left side."""
    import numpy as np

    target, environment = _evaluated(model, table)
    bad = np.flatnonzero(~np.isfinite(target))
    if len(bad) and isinstance(model, FormulaModel):
        row = int(bad[0])
        names = [name for name in environment if isinstance(name, str)]
        values = ", ".join(f"{name} = {environment[name][row]:g}" for name in names)
        shown = model.formula.target.source.strip()
        message = f"`{shown}` is not a finite number in {len(bad)} of {len(target)} rows, first with {values}"
        way_out = "leave such rows out with `data.where`, or change the left side of the formula"
        raise DataError(_told_at(table, row, names[0] if names else None, "E320", message, way_out))
    return target


def _check_range(loss: Loss, target: Vector, table: Table, model: Model) -> None:
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
    several = loss.classifies and bool((target % 1 == 0).all())
    other = "`cross_entropy`, which takes any number of classes" if several else "another loss"
    way_out = f"choose {other}, or leave such rows out with `data.where`"
    raise DataError(_told_at(table, int(bad[0]), name, "E321", message, way_out))


def _told_at(table: Table, row: int, column: str | None, code: str, message: str, way_out: str) -> Diagnostic:
    """Return a mistake at an entry of the table, or of the table where no single column is at fault."""
    if column is None:
        return Diagnostic(code=code, message=message, file=table.file, help=way_out)
    return replace(table.diagnostics(column, [row], code, str, lambda _: way_out)[0], message=message)
