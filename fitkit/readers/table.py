"""The table that a fit works on: strict, in memory, and able to say where each entry came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, final

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.contents import Contents
from fitkit.readers.data import Data
from fitkit.readers.header import read_text_header
from fitkit.readers.inline import SHOWN, Written, inline_names, read_inline
from fitkit.readers.names import missing_column
from fitkit.readers.records import dialect_of
from fitkit.readers.source import TEXT_FORMATS, Source, locate
from fitkit.readers.text import read_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fitkit.expressions import Expression
    from fitkit.readers.grouping import Grouping

Used: TypeAlias = Collection[str] | Callable[[tuple[str, ...]], Collection[str]]
"""The columns that a fit uses, or what picks them once the names are known."""


@final
class Table:
    """The rows that a fit uses, with the columns that it uses; each entry knows where it came from.

    Attributes:
        file: the file's name as users see it, `-` for standard input; for a table in a config the config's, or
            `<values>` where that is unknown.
        names: all short names, in file order.
        dropped: rows left out for a missing entry.
        sha256: of the file's bytes, or of the values.
        grouping: which rows belong together, None where the config has one fit of all rows.
    """

    def __init__(self, contents: Contents, dropped: int, grouping: Grouping | None = None) -> None:
        self._contents = contents
        self.file: str = contents.file
        self.names: tuple[str, ...] = contents.names
        self.dropped: int = dropped
        self.sha256: str = contents.sha256
        self.grouping: Grouping | None = grouping

    def __len__(self) -> int:
        return self._contents.length

    def of_group(self, group: int) -> Table:
        """Return the rows of one group as a table of their own."""
        if self.grouping is None:
            raise AssertionError("a table without groups")
        return Table(self._contents.take(self.grouping.rows(group)), self.dropped)

    def numeric(self, name: str) -> NDArray[np.float64]:
        """Return the column's numbers, shape (rows,).

        Raises:
            DataError: an entry is text, missing or not finite; with its place.
            KeyError: the column was not among those in use when the table was read.
        """
        from fitkit.readers.selection import numeric, refuse_missing

        refuse_missing(self._contents, [name], self._all())
        return numeric(self._contents, name, self._all())

    def text(self, name: str) -> list[str]:
        """Return the column's entries as they were written.

        Raises:
            KeyError: the column was not among those in use when the table was read.
        """
        return self._contents.columns[name].texts()

    def is_text(self, name: str) -> bool:
        """Return whether an entry of the column is neither a number nor a missing token.

        Raises:
            KeyError: the column was not among those in use when the table was read.
        """
        from fitkit.readers.selection import text_rows

        return bool(text_rows(self._contents, name, self._all()).any())

    def place(self, row: int, name: str) -> tuple[str, int | None, int | None]:
        """Return the file, and the line and column in it where the format has them, of an entry; `row` is from 0."""
        place = self._contents.place(row, name)
        return self.file, place.line, place.column

    def diagnostics(
        self, name: str, rows: Sequence[int], code: str, tell: Callable[[str], str], hint: Callable[[str], str | None]
    ) -> list[Diagnostic]:
        """Return one diagnostic for each of the first rows at fault, as `Contents.diagnostics` does."""
        return self._contents.diagnostics(name, rows, code, tell, hint)

    def rows_of_source(self) -> NDArray[np.intp]:
        """Return which row of the file each row is, counted from 1 below the header, shape (rows,)."""
        import numpy as np

        chosen = self._contents.chosen
        return (np.arange(len(self)) if chosen is None else chosen) + 1

    def _all(self) -> NDArray[np.bool_]:
        import numpy as np

        return np.ones(len(self), dtype=np.bool_)


def read_header(data: Data, base: Path, written: Written | None = None) -> tuple[str, ...] | None:
    """Return the short names of the columns without reading the rest, and without numpy or polars.

    None for formats without a text header, and for standard input, which can be read only once.

    Raises:
        DataError: the file cannot be opened, or its top is not that of a table.
    """
    _check_given(data)
    if data.path is None:
        return inline_names(data, written)
    if data.path == "-":
        return None
    source = locate(data.path, base, None)
    if source.format not in TEXT_FORMATS:
        source.open().close()
        return None
    names = read_text_header(source, data, dialect_of(data, source.format)).names
    _refuse_absent(data, names, source.shown)
    return names


def read_table(
    data: Data,
    base: Path,
    used: Used | None = None,
    where: Expression | None = None,
    stdin: BinaryIO | None = None,
    written: Written | None = None,
) -> Table:
    """Read the rows and columns that a fit uses.

    Args:
        data: the section of the config.
        base: the folder of the config.
        used: short names of the columns in use, or what picks them from all names; all by default. Those of `sigma`,
            `weights` and `where` are added. Other columns may hold anything and are not kept.
        where: the parsed condition of the same name; its columns, and `pi`.
        stdin: what `path: "-"` reads; standard input by default.
        written: where `values` stand in the config, for mistakes in them.

    Raises:
        DataError: anything at all is wrong with the table; with file, line, column and a way out.
    """
    from fitkit.readers.selection import select

    _check_given(data)
    in_use: list[str] = []

    def needed(names: tuple[str, ...]) -> Collection[str]:
        """Return the columns to read; remember those in use."""
        if not in_use:
            in_use.extend(_in_use(data, names, used, shown))
            conditions = _of_where(where, names, shown)
            asked.update(in_use, conditions)
        return asked

    asked: set[str] = set()
    source = None if data.path is None else locate(data.path, base, stdin)
    shown = source.shown if source is not None else SHOWN if written is None else written.file
    contents = read_inline(data, needed, written) if source is None else _read(source, data, needed)
    if contents.length == 0:
        raise DataError(
            Diagnostic(code="E304", message="the table has no rows", file=shown, help="a table has at least one row")
        )
    rows, dropped = select(contents, data, in_use, where)
    grouping = None
    if data.group_by is not None:
        from fitkit.readers.grouping import group_rows

        grouping = group_rows(contents, data.group_columns, rows, where)
    return Table(contents if rows is None else contents.take(rows), dropped, grouping)


def _of_where(where: Expression | None, names: tuple[str, ...], file: str) -> set[str]:
    """Return the columns of the condition, and `pi` where it stands in it."""
    if where is None:
        return set()
    asked = where.names | {text.column for text in where.text_comparisons}
    absent = sorted(asked - {*names, "pi"})
    if absent:
        raise DataError(*(missing_column(name, names, file, ", which `where` asks for") for name in absent))
    return set(asked)


def _in_use(data: Data, names: tuple[str, ...], used: Used | None, file: str) -> list[str]:
    """Return the columns in use, in file order."""
    _refuse_absent(data, names, file)
    picked = names if used is None else used(names) if callable(used) else used
    known = set(names)
    absent = [missing_column(name, names, file) for name in picked if name not in known]
    absent += [
        missing_column(name, names, file, ", which `group_by` asks for")
        for name in data.group_columns
        if name not in known
    ]
    if absent:
        raise DataError(*absent)
    chosen = {*picked, *data.group_columns, *(name for name in (data.sigma, data.weights) if isinstance(name, str))}
    return [name for name in names if name in chosen]


def _read(source: Source, data: Data, needed: Callable[[tuple[str, ...]], Collection[str]]) -> Contents:
    """Read a file by its format."""
    if source.format in TEXT_FORMATS:
        return read_text(source, data, needed)
    if source.format == ".parquet":
        from fitkit.readers.parquet import read_parquet

        return read_parquet(source, data, needed)
    from fitkit.readers.arrays import read_arrays

    return read_arrays(source, data, needed)


def _check_given(data: Data) -> None:
    """Refuse a section with no table, or with two."""
    if (data.path is None) == (data.values is None):
        message = (
            "`data` has neither `path` nor `values`" if data.path is None else "`data` has both `path` and `values`"
        )
        raise DataError(Diagnostic(code="E300", message=message, help="write one of the two"))


def _refuse_absent(data: Data, names: tuple[str, ...], file: str) -> None:
    """Refuse `sigma` and `weights` that name no column."""
    asked = [
        (key, value) for key, value in (("sigma", data.sigma), ("weights", data.weights)) if isinstance(value, str)
    ]
    absent = [
        missing_column(name, names, file, f", which `{key}` asks for") for key, name in asked if name not in names
    ]
    if absent:
        raise DataError(*absent)
