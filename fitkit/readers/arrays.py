"""A table from numpy's files: each array of an .npz is a column, and each column or field of an .npy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.columns import Column, NumberColumn, WrittenColumn
from fitkit.readers.contents import Contents
from fitkit.readers.data import Data
from fitkit.readers.names import short_names
from fitkit.readers.source import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_arrays(source: Source, data: Data, needed: Callable[[tuple[str, ...]], Collection[str]]) -> Contents:
    """Read the columns that `needed` picks from the names.

    Raises:
        DataError: the file is not numpy's, holds Python objects, or its arrays are not columns of one length.
    """
    arrays = _load(source)
    length = _common_length(arrays, source)
    names = short_names(tuple(arrays), data, source.shown)
    asked = set(needed(names))
    columns: dict[str, Column] = {}
    for name, (own, array) in zip(names, arrays.items(), strict=True):
        if name in asked:
            column = _column(array)
            if column is None:
                message = f"the array `{own}` holds values of the type `{array.dtype}`"
                raise _fault(source, message, "store real numbers or text")
            columns[name] = column
    return Contents(file=source.shown, names=names, columns=columns, length=length, sha256=source.sha256())


def _load(source: Source) -> dict[str, NDArray[Any]]:
    """Return the arrays by name. What would run code when loaded is refused."""
    import numpy as np

    with source.open() as stream:
        try:
            loaded = np.load(stream, allow_pickle=False)
            arrays = dict(loaded) if isinstance(loaded, Mapping) else _split(loaded)
        except Exception as error:  # numpy's and zipfile's parsers leak a dozen kinds on bytes that are not sound
            if "Object arrays" in str(error):
                hint = "store numbers or text: `array.astype(float)`"
                raise _fault(source, "the file holds Python objects, which could run code when loaded", hint) from None
            message = f"this is not a sound {source.format} file: {error}"
            raise _fault(source, message, "write it with `numpy.save` or `numpy.savez`") from None
    if arrays is None:
        hint = "store a structured array, or one with two dimensions, rows and columns"
        raise _fault(source, "the array is not a table", hint)
    return arrays


def _common_length(arrays: Mapping[str, NDArray[Any]], source: Source) -> int:
    """Return the number of rows, if every array is a column of as many."""
    for name, array in arrays.items():
        if not hasattr(array, "ndim"):  # numpy gives the bytes of a member that is no array
            raise _fault(source, f"`{name}` in the file is not an array", "write it with `numpy.savez`")
        if array.ndim != 1:
            message = f"the array `{name}` has {array.ndim} dimensions, and a column has one"
            raise _fault(source, message, "store one array for each column")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        message = f"the arrays have different lengths: {told}" if lengths else "the file holds no arrays"
        raise _fault(source, message, "store arrays of one length, an entry for each row")
    return next(iter(lengths.values()))


def _fault(source: Source, message: str, hint: str) -> DataError:
    """Return an error in the file."""
    return DataError(Diagnostic(code="E317", message=message, file=source.shown, help=hint))


def _split(array: NDArray[Any]) -> dict[str, NDArray[Any]] | None:
    """Return the columns of an array by name, None where it is not a table."""
    if array.dtype.names is not None:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim != 2 or array.shape[1] == 0:
        return None
    names = [f"column_{index}" for index in range(1, array.shape[1] + 1)]
    return {name: array[:, index] for index, name in enumerate(names)}


def _column(array: NDArray[Any]) -> Column | None:
    """Return numbers and booleans as numbers and text as text, None for other types."""
    import numpy as np

    if array.dtype.kind in "iu":
        return NumberColumn(array.astype(np.float64), lambda: [str(value) for value in array.tolist()])
    if array.dtype.kind in "bf":
        return NumberColumn(array.astype(np.float64))
    if array.dtype.kind == "U":
        return WrittenColumn(array.tolist(), ".")
    if array.dtype.kind == "S":
        return WrittenColumn([value.decode("utf-8", "replace") for value in array.tolist()], ".")
    return None
