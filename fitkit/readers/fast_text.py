"""Large text files, read by polars straight into columns of doubles.

Polars is less strict than we are: it fills short rows, keeps blank lines as rows of nulls, and knows comments only at
the start of a line. So a file is read this way only if a count of its bytes shows that it has none of those, and
anything unexpected in what comes back means None: then the precise reading finds the mistake, or that there is none.
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fitkit.readers.blanks import squeezed
from fitkit.readers.columns import Column, NumberColumn, SeriesColumn
from fitkit.readers.encoding import Survey
from fitkit.readers.entries import is_missing, is_number
from fitkit.readers.header import Header
from fitkit.readers.records import Dialect, Records
from fitkit.readers.source import Source

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

_SAMPLE: Final = 200
"""Rows that tell which columns are text and how missing entries are written."""
_BOM: Final = codecs.BOM_UTF8


def counted(dialect: Dialect) -> tuple[bytes, ...]:
    """Return the byte strings whose numbers tell whether a text is simple."""
    words = {b"\n", b"\r", b"\r\n", b'"', _BOM, b"." if dialect.decimal == "," else b"\n"}
    words |= {word.encode() for word in (dialect.delimiter, dialect.comment) if word}
    return tuple(sorted(words))


def read_fast(
    source: Source,
    dialect: Dialect,
    header: Header,
    found: Survey,
    wanted: Sequence[str],
    labels: Collection[str] = (),
) -> dict[str, Column] | None:
    """Return the wanted columns, or None where the file is not simple or not sound.

    Args:
        source: the file.
        dialect: how it is cut.
        header: its names, and the line of its first row.
        found: the counts of `counted(dialect)`.
        wanted: short names.
        labels: those whose entries are to be kept as they are written, numbers or not.
    """
    rows = _rows_if_simple(source, dialect, header, found)
    if rows is None or not wanted:
        return None
    contents: bytes | Path = _contents(source, dialect, header)
    skip = header.line - 1 if dialect.delimiter is not None else 0
    if (
        dialect.delimiter is None
        and isinstance(contents, bytes)
        and contents.count(b" ") != rows * (len(header.names) - 1)
    ):
        return None

    def read(names: Sequence[str], texts: Sequence[str], nulls: Sequence[str]) -> pl.DataFrame | None:
        return _polars(contents, skip, dialect, header, names, texts, nulls)

    texts, nulls = _sample(source, dialect, header, wanted)
    texts = [name for name in wanted if name in texts or name in labels]
    frame = read(wanted, texts, nulls)
    if frame is None or len(frame) != rows:
        return None
    if len(header.names) == 1 and _has_blank(frame.to_series()):
        return None  # a blank line is no row, and polars does not tell it from a missing entry
    return _columns(frame, texts, dialect, lambda name: read([name], [name], []))


def _has_blank(series: pl.Series) -> bool:
    """Return whether an entry is empty, or of blanks alone."""
    import polars as pl

    return bool(
        series.is_null().any() or (series.dtype == pl.String() and (series.str.strip_chars(" \t\r") == "").any())
    )


def _columns(
    frame: pl.DataFrame, texts: Sequence[str], dialect: Dialect, again: Callable[[str], pl.DataFrame | None]
) -> dict[str, Column] | None:
    """Return the columns of a frame, or None if a number is not finite."""
    columns: dict[str, Column] = {}
    for series in frame:
        if series.name in texts:
            columns[series.name] = SeriesColumn(series, dialect.decimal)
        elif series.is_finite().all():
            columns[series.name] = NumberColumn(_doubles(series), _written(series.name, again))
        else:
            return None
    return columns


def _doubles(series: pl.Series) -> NDArray[np.float64]:
    """Return the numbers, NaN where null."""
    import numpy as np

    return np.ascontiguousarray(series.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _written(name: str, again: Callable[[str], pl.DataFrame | None]) -> Callable[[], list[str]]:
    """Return what reads a column of numbers once more, as it was written."""

    def read() -> list[str]:
        frame = again(name)
        entries: list[str] = [] if frame is None else frame[name].fill_null("").to_list()
        return entries

    return read


def _rows_if_simple(source: Source, dialect: Dialect, header: Header, found: Survey) -> int | None:
    """Return the number of rows, or None where polars would not read what we read."""
    head = _head(source, header.line)
    if head is None or not (dialect.delimiter or " ").isascii():
        return None
    body = {word: count - head.count(word) for word, count in found.counts.items()}
    quoted = dialect.delimiter is not None and body[b'"']
    commented = dialect.comment is not None and body[dialect.comment.encode()]
    lone = found.counts[b"\r"] != found.counts[b"\r\n"]
    points = dialect.decimal == "," and body[b"."]  # polars takes the point for a decimal mark as well
    if quoted or commented or lone or points or body[_BOM]:
        return None
    rows = body[b"\n"] + (found.tail != b"\n")
    if dialect.delimiter is not None and body[dialect.delimiter.encode()] != rows * (len(header.names) - 1):
        return None
    return rows


def _head(source: Source, line: int) -> bytes | None:
    """Return the lines before `line`; None where there is more than a chunk of them."""
    chunk = next(source.chunks(), b"")
    end = 0
    for _ in range(line - 1):
        end = chunk.find(b"\n", end) + 1
        if end == 0:
            return None
    return chunk[:end]


def _sample(source: Source, dialect: Dialect, header: Header, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which columns hold text, and how missing entries are written, from the first rows."""
    sought = set(wanted)
    texts: set[str] = set()
    nulls: set[str] = set()
    stream = itertools.islice(Records(source, dialect), int(header.in_file), _SAMPLE)
    for record in stream:
        for name, entry in zip(header.names, record.fields, strict=False):
            if name not in sought or is_number(entry, dialect.decimal):
                continue
            if is_missing(entry):
                nulls.add(entry)
            else:
                texts.add(name)
    return [name for name in wanted if name in texts], sorted(nulls - {""})


def _contents(source: Source, dialect: Dialect, header: Header) -> bytes | Path:
    """Return what polars reads: the file itself where it can, else its bytes from the first row on."""
    if dialect.delimiter is None:
        return squeezed(source, skip=len(_head(source, header.line) or b""))
    if source.path is not None and not source.compressed:
        return source.path
    return b"".join(source.chunks())


def _polars(
    contents: bytes | Path,
    skip: int,
    dialect: Dialect,
    header: Header,
    names: Sequence[str],
    texts: Sequence[str],
    nulls: Sequence[str],
) -> pl.DataFrame | None:
    """Read some columns, those in `texts` as text; None where polars refuses."""
    import polars as pl
    from polars.exceptions import PolarsError

    positions = {name: index for index, name in enumerate(header.names)}
    schema = dict.fromkeys(header.names, pl.Float64()) | dict.fromkeys(texts, pl.String())
    try:
        frame = pl.read_csv(
            contents,
            has_header=False,
            skip_lines=skip,
            schema=schema,
            columns=[positions[name] for name in names],
            separator=dialect.delimiter or " ",
            quote_char=None,
            null_values=list(nulls) or None,
            decimal_comma=dialect.decimal == ",",
            glob=False,
        )
    except PolarsError:
        return None
    return frame.select(names)
