"""The table of a config, read with its mistakes told at their place in the config where they stand there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from fitkit.config.source import ConfigSource
from fitkit.errors import DataError, Diagnostic
from fitkit.readers import Data, Table, read_header, read_table
from fitkit.readers.inline import Written
from fitkit.readers.records import Place


def header_of(source: ConfigSource) -> tuple[str, ...] | None:
    """Return the short names of the columns, None where they cannot be had cheaply or the config has no data.

    Raises:
        DataError: the table is not there, or its top is not that of a table.
    """
    data = source.config.data
    if data is None:
        return None
    with _placed(source, data):
        return read_header(data, source.base, _written(source, data))


def table_of(
    source: ConfigSource, used: Callable[[tuple[str, ...]], Collection[str]], stdin: BinaryIO | None = None
) -> Table:
    """Return the table of a config that has one; see `fitkit.readers.read_table`.

    Raises:
        DataError: anything at all is wrong with the table.
    """
    data = source.config.data
    if data is None:
        raise AssertionError("a pure objective has no table")
    with _placed(source, data):
        return read_table(data, source.base, used, source.where, stdin, _written(source, data))


def _written(source: ConfigSource, data: Data) -> Written | None:
    """Return where the table stands in the config, if it does."""
    if data.values is None:
        return None

    def place(*path: str | int) -> Place:
        found = source.tree.entry(("data", "values", *path)).node.place
        if found.text.shown != source.shown:
            return Place()  # set on the command line, or in a parent
        return Place(found.line, found.column, found.length, found.text.lines[found.line - 1])

    return Written(file=source.shown, whole=place, entry=place)


@contextmanager
def _placed(source: ConfigSource, data: Data) -> Iterator[None]:
    """Point at the entry of `columns` where it names a column that is not in the file."""
    try:
        yield
    except DataError as error:
        renamed = data.columns if isinstance(data.columns, dict) else {}
        raise DataError(*(_in_columns(source, renamed, found) for found in error.diagnostics)) from None


def _in_columns(source: ConfigSource, renamed: dict[str, str], found: Diagnostic) -> Diagnostic:
    for short, name in renamed.items():
        if found.code == "E308" and found.message == f"there is no column `{name}`" and found.line is None:
            message = f"there is no column `{name}` in {found.file}"
            return source.diagnostic(("data", "columns", short), "E308", message, found.help, value=True)
    return found
