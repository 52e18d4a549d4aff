"""A table from a text file: fast where it is large and simple, precise where it is small or has a mistake."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Final

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.columns import Column, WrittenColumn
from fitkit.readers.contents import MOST_TOLD, Contents
from fitkit.readers.data import Data
from fitkit.readers.encoding import survey
from fitkit.readers.fast_text import counted, read_fast
from fitkit.readers.header import Header, read_text_header, told_at
from fitkit.readers.records import Dialect, Place, Record, Records, dialect_of, place_of
from fitkit.readers.source import Source

LARGE: Final = 1 << 20
"""Bytes from which a text file is read by polars, which takes longer to import than a smaller one to read."""


def read_text(
    source: Source, data: Data, needed: Callable[[tuple[str, ...]], Collection[str]], large: int = LARGE
) -> Contents:
    """Read the columns that `needed` picks from the names.

    Raises:
        DataError: the file is not text, is not cut into columns, or has rows of another length than its header.
    """
    dialect = dialect_of(data, source.format)
    header = read_text_header(source, data, dialect)
    asked = set(needed(header.names))
    wanted = [name for name in header.names if name in asked]
    found = survey(source, counted(dialect))
    simple = read_fast(source, dialect, header, found, wanted, data.group_columns) if found.size >= large else None
    if simple is None:
        columns, length = _read_precisely(source, dialect, header, wanted)
    else:
        columns, length = simple, len(next(iter(simple.values())))

    def places(rows: Sequence[int], index: int) -> list[Place]:
        find = _places if simple is None else _places_by_line
        return find(source, dialect, header, rows, index)

    return Contents(
        file=source.shown,
        names=header.names,
        columns=columns,
        length=length,
        sha256=source.sha256(),
        places=places,
        delimiter=dialect.delimiter,
        decimal=dialect.decimal,
        in_file=header.in_file,
    )


def _rows(source: Source, dialect: Dialect, header: Header) -> Records:
    """Return the records at the first row."""
    stream = Records(source, dialect)
    if header.in_file:
        next(stream)
    return stream


def _read_precisely(
    source: Source, dialect: Dialect, header: Header, wanted: Sequence[str]
) -> tuple[dict[str, Column], int]:
    """Read record by record, and explain what is wrong."""
    width = len(header.names)
    positions = {name: index for index, name in enumerate(header.names)}
    picked = [(positions[name], list[str]()) for name in wanted]
    told: list[Diagnostic] = []
    row = -1
    for row, record in enumerate(_rows(source, dialect, header)):
        if len(record.fields) != width:
            told.append(_ragged(record, row, header, source, dialect))
            if len(told) == MOST_TOLD:
                break
            continue
        for index, entries in picked:
            entries.append(record.fields[index])
    if told:
        raise DataError(*told)
    columns: dict[str, Column] = {
        name: WrittenColumn(entries, dialect.decimal) for name, (_, entries) in zip(wanted, picked, strict=True)
    }
    return columns, row + 1


def _ragged(record: Record, row: int, header: Header, source: Source, dialect: Dialect) -> Diagnostic:
    """Say that a row is longer or shorter than the header."""
    found, width = len(record.fields), len(header.names)
    fields = f"{found} field" + "s" * (found != 1)
    message = f"row {row + 1} has {fields}, where {'the header' if header.in_file else '`columns`'} has {width}"
    if found > width:
        hint = "remove what is too much, or quote a field that holds the delimiter"
        if dialect.delimiter == "," and dialect.decimal == "." and found == 2 * width:
            hint = 'if the comma is the decimal mark, write `decimal: ","` and another `delimiter`'
        if dialect.delimiter is None:
            hint = "remove what is too much; a text with blanks in it needs a `delimiter`"
    else:
        hint = "add what is missing; an entry that is not known is written NA"
    return told_at(place_of(record, min(found, width), dialect.delimiter), source.shown, "E305", message, hint)


def _places(source: Source, dialect: Dialect, header: Header, rows: Sequence[int], index: int) -> list[Place]:
    """Find entries again: where a file has no mistakes, nobody pays for keeping the places of all of them."""
    sought = dict.fromkeys(rows, Place())
    last = max(rows)
    for row, record in enumerate(_rows(source, dialect, header)):
        if row in sought:
            sought[row] = place_of(record, index, dialect.delimiter)
        if row == last:
            break
    return [sought[row] for row in rows]


def _places_by_line(source: Source, dialect: Dialect, header: Header, rows: Sequence[int], index: int) -> list[Place]:
    """Find entries again in a file that was read fast: there each row is one line, and no line is anything else."""
    found: dict[int, Place] = {}
    with source.open() as stream:
        passed = 0
        for row in sorted(set(rows)):
            skipped = header.line - 1 + row - passed
            line = next(itertools.islice(stream, skipped, None)).decode()
            passed += skipped + 1
            found[row] = place_of(Record(header.line + row, [], line), index, dialect.delimiter)
    return [found[row] for row in rows]
