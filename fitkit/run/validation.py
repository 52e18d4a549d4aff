"""The rows that are held out: a seeded share of the table, or another table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.backend import array, jnp, kernel
from fitkit.config import ConfigSource, Roles
from fitkit.errors import DataError, Diagnostic
from fitkit.losses import Loss
from fitkit.models import Model
from fitkit.problem import Problem, RowData, weighted_mean
from fitkit.readers import Table, read_table
from fitkit.run.numbers import counted
from fitkit.run.rows import counted_rows, read_rows, weights_of
from fitkit.run.targets import numbers_of_target, read_target
from fitkit.types import Scalar, Theta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Vector = NDArray[np.float64]


def held_out(source: ConfigSource, table: Table) -> Mask | None:
    """Return which rows of the table are held out, shape (rows,); None where the config asks for no share.

    Of the rows with a weight above zero, the nearest whole number to the share, drawn by the seed.

    Raises:
        DataError: the share leaves nothing to fit, or nothing to hold out.
    """
    import numpy as np

    config = source.config
    share = None if config.data is None else config.data.validation
    if not isinstance(share, float):
        return None
    countable = np.flatnonzero(weights_of(config, table) > 0)
    count = round(share * len(countable))
    if count in (0, len(countable)):
        what = "no row to hold out" if count == 0 else "no row to fit"
        message = f"`validation: {share:g}` of {counted(len(countable), 'row')} leaves {what}"
        way_out = "choose another share, or give more rows"
        raise DataError(source.diagnostic(("data", "validation"), "E323", message, way_out, value=True))
    random = np.random.default_rng([config.seed, len(countable), 1])
    mask = np.zeros(len(table), bool)
    mask[random.permutation(countable)[:count]] = True
    return mask


@kernel()
def _mean_loss(problem: Problem, rows: RowData, theta: Theta) -> Scalar:
    return weighted_mean(problem.row_costs(theta, rows), rows.weight, jnp.sum(rows.weight))


def validation_loss(problem: Problem, rows: RowData | None, theta: Vector) -> float | None:
    """Return the mean loss of the rows held out at theta, without penalties; None where there are none."""
    if rows is None:
        return None
    work = len(rows) * max(1, len(theta))
    return float(_mean_loss.for_one_call(work)(problem, rows, array(theta, problem.lower.dtype)))


def other_table(
    source: ConfigSource, roles: Roles, model: Model, unread: Loss, loss: Loss, dtype: str
) -> RowData | None:
    """Return the rows of the table that `validation` names, read like the table of the fit; None where it names none.

    Args:
        source: the config.
        roles: of the columns.
        model: prepared for the table of the fit.
        unread: the loss before it knew that table.
        loss: the loss that knows it.
        dtype: of the numbers.

    Raises:
        DataError: that table cannot be read, or has other classes than the fit's.
    """
    config = source.config
    if config.data is None or not isinstance(config.data.validation, str):
        return None
    data = replace(config.data, path=config.data.validation, values=None, validation=None)
    table = read_table(data, source.base, lambda _: roles.table_columns, source.where, None, None)
    if not loss.classes:
        target = read_target(model, unread, table)[0]
    else:
        target = numbers_of_target(model, loss, table)
        if (target < 0).any():
            way_out = "every class must occur among the rows of the fit; or hold out a share: `validation: 0.2`"
            message = "the rows for validation have a class that those of the fit lack"
            raise DataError(Diagnostic(code="E323", message=message, file=table.file, help=way_out))
    return read_rows(config, table, model, loss, target, dtype, counted_rows(weights_of(config, table)))[0]
