"""A table that stands in the config itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, final

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.columns import Column, NumberColumn, WrittenColumn, shortest
from fitkit.readers.contents import MOST_TOLD, Contents, nowhere
from fitkit.readers.data import Data
from fitkit.readers.header import told_at
from fitkit.readers.names import short_names
from fitkit.readers.records import Place

SHOWN: Final = "<values>"


@final
@dataclass(frozen=True, kw_only=True)
class Written:
    """Where a table that stands in a config was written: the file, the whole, and the entry of a column in a row from 0."""

    file: str
    whole: Callable[[], Place]
    entry: Callable[[str, int], Place]


def inline_names(data: Data, written: Written | None = None) -> tuple[str, ...]:
    """Return the short names of the columns in `values`.

    Raises:
        DataError: there are none, or `columns` renames what is not there.
    """
    if not data.values:
        raise _fault(
            "`values` is empty", "a table has at least one column, as in `values: {x: [1, 2], y: [3, 4]}`", written
        )
    return short_names(tuple(data.values), data, SHOWN if written is None else written.file)


def read_inline(
    data: Data, needed: Callable[[tuple[str, ...]], Collection[str]], written: Written | None = None
) -> Contents:
    """Return the table that stands in the config.

    Raises:
        DataError: the columns have different lengths or no entries, or an entry is neither number nor text nor null.
    """
    import numpy as np

    names = inline_names(data, written)
    values = data.values or {}
    lengths = {name: len(entries) for name, entries in values.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        raise _fault(
            f"the columns in `values` have different lengths: {told}",
            "give every column one entry for each row",
            written,
        )
    faults = [
        _fault(
            f"entry {index + 1} of `{name}` is {_kind(entry)}", "an entry is a number, a text or null", written
        ).diagnostics[0]
        for name, entries in values.items()
        for index, entry in enumerate(entries)
        if not _is_entry(entry)
    ]
    if faults:
        raise DataError(*faults[:MOST_TOLD])
    asked = set(needed(names))
    columns: dict[str, Column] = {}
    for name, entries in zip(names, values.values(), strict=True):
        if name not in asked:
            continue
        if any(isinstance(entry, str) for entry in entries):
            columns[name] = WrittenColumn([_written(entry) for entry in entries], ".")
        else:
            columns[name] = NumberColumn(np.array([_double(entry) for entry in entries], dtype=np.float64))
    length = next(iter(lengths.values()))
    own = tuple(values)
    return Contents(
        file=SHOWN if written is None else written.file,
        names=names,
        columns=columns,
        length=length,
        sha256=_hash(values),
        places=nowhere if written is None else lambda rows, index: [written.entry(own[index], row) for row in rows],
    )


def _is_entry(entry: object) -> bool:
    """Return whether an entry is a number, a text or null; true and false are none."""
    return not isinstance(entry, bool) and isinstance(entry, int | float | str | None)


def _double(entry: float | str | None) -> float:
    """Return a number or null as a double; a whole number too large for one is infinite."""
    if entry is None:
        return float("nan")
    try:
        return float(entry)
    except OverflowError:
        return float("inf")


def _written(entry: float | str | None) -> str:
    """Return an entry as text."""
    return "" if entry is None else entry if isinstance(entry, str) else shortest(_double(entry))


def _kind(entry: object) -> str:
    """Say what an entry is that is none."""
    return f"`{str(entry).lower()}`" if isinstance(entry, bool) else f"a {type(entry).__name__}"


def _hash(values: dict[str, list[float | str | None]]) -> str:
    """Return the SHA-256 of the values."""
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()


def _fault(message: str, hint: str, written: Written | None) -> DataError:
    """Return an error in the values."""
    if written is None:
        return DataError(Diagnostic(code="E316", message=message, file=SHOWN, help=hint))
    return DataError(told_at(written.whole(), written.file, "E316", message, hint))
