"""Rows laid out so that a batch of them is a few copies of whole pieces, instead of one for each column."""

from __future__ import annotations

from typing import Any, NamedTuple

from fitkit.backend import jax
from fitkit.problem import RowData


class PackedRows(NamedTuple):
    """The numbers of `RowData`: columns side by side, and what has several numbers per row by itself."""

    columns: Any
    """Inputs, target, standard errors and weights with one number per row, shape (rows, columns)."""
    others: tuple[Any, ...]


def pack(rows: RowData) -> PackedRows:
    """Return a copy of the columns side by side; arrays with several numbers per row, or of whole numbers, are shared."""
    import numpy as np

    columns: list[Any] = []
    others: list[Any] = []
    for leaf in jax.tree.leaves(rows):
        (columns if _beside(leaf, rows) else others).append(leaf)
    # By numpy: JAX would compile programs for what is done once.
    return PackedRows(jax.device_put(np.stack([np.asarray(column) for column in columns], axis=1)), tuple(others))


def take(rows: RowData, packed: PackedRows, index: Any) -> RowData:
    """Return the rows at `index`, shape (batch,); `rows` only says where everything stands."""
    some = packed.columns.at[index].get(mode="promise_in_bounds")
    columns = iter([some[:, number] for number in range(some.shape[1])])
    others = iter([other.at[index].get(mode="promise_in_bounds") for other in packed.others])
    leaves, structure = jax.tree.flatten(rows)
    found = [next(columns if _beside(leaf, rows) else others) for leaf in leaves]
    batch: RowData = jax.tree.unflatten(structure, found)
    return batch


def _beside(leaf: Any, rows: RowData) -> bool:
    """Return whether an array can stand beside the target."""
    return bool(leaf.ndim == 1 and leaf.dtype == rows.weight.dtype)
