"""The names of the columns of a text file, and whether it is cut into columns as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.data import Data
from fitkit.readers.entries import is_number
from fitkit.readers.names import refuse_doubled, short_names
from fitkit.readers.records import Dialect, Place, Record, Records, place_of
from fitkit.readers.source import Source

_SHOWN: Final = {",": '","', ";": '";"', "|": '"|"', "\t": '"\\t"', None: '" "'}


@final
@dataclass(frozen=True, kw_only=True)
class Header:
    """The short names in file order, and where the rows begin.

    `line` is the physical line of the first row, `in_file` whether the names stand in the file.
    """

    names: tuple[str, ...]
    line: int
    in_file: bool


def read_text_header(source: Source, data: Data, dialect: Dialect) -> Header:
    """Read the top of a text file, up to its first row.

    Raises:
        DataError: no header, no rows, a wrong delimiter, or names that are doubled or not there.
    """
    stream = Records(source, dialect)
    first = next(stream, None)
    if first is None:
        empty = not next(source.chunks(), b"").strip()
        message = "the file is empty" if empty else "the file holds nothing but comments, blank lines and lines to skip"
        hint = "a table has a header and at least one row"
        raise DataError(Diagnostic(code="E304", message=message, file=source.shown, line=1, help=hint))
    comment = stream.comment
    if isinstance(data.columns, list):
        refuse_doubled(data.columns, source.shown)
        _check_width(first, len(data.columns), source, dialect)
        return Header(names=tuple(data.columns), line=first.line, in_file=False)
    second = next(stream, None)
    _check_delimiter(first, second, source, dialect)
    if all(is_number(field, dialect.decimal) for field in first.fields):
        raise DataError(_no_header(first, comment, source, dialect))
    _check_doubled(first, source, dialect)
    in_file = tuple(field.strip() or f"column_{index}" for index, field in enumerate(first.fields, 1))
    names = short_names(in_file, data, source.shown)
    if second is None:
        hint = "a table has at least one row"
        raise DataError(_at(first, 0, dialect, source, "E304", "the file has a header and no rows", hint))
    return Header(names=names, line=second.line, in_file=True)


def _at(record: Record, index: int, dialect: Dialect, source: Source, code: str, message: str, hint: str) -> Diagnostic:
    """Return a diagnostic at field `index` of a record."""
    return told_at(place_of(record, index, dialect.delimiter), source.shown, code, message, hint)


def told_at(place: Place, file: str, code: str, message: str, hint: str | None) -> Diagnostic:
    """Return a diagnostic at a place."""
    return Diagnostic(
        code=code,
        message=message,
        file=file,
        line=place.line,
        column=place.column,
        length=place.length,
        source=place.source,
        help=hint,
    )


def _check_width(first: Record, width: int, source: Source, dialect: Dialect) -> None:
    """Refuse a list of names that is longer or shorter than the first row."""
    if len(first.fields) == width:
        return
    message = f"`columns` lists {width} names, the first row has {len(first.fields)} fields"
    meant = [cut for cut in _other_cuts(dialect) if len(_cut(first.text, cut)) == width > 1]
    hint = (
        f"did you mean `delimiter: {_SHOWN[meant[0]]}`?" if meant else "list one name for each column, in their order"
    )
    index = min(width, len(first.fields)) if len(first.fields) > width else len(first.fields)
    raise DataError(_at(first, index, dialect, source, "E307", message, hint))


def _check_delimiter(first: Record, second: Record | None, source: Source, dialect: Dialect) -> None:
    """Refuse a header that another delimiter cuts into as many fields as the first row, and this one does not."""
    for cut in _other_cuts(dialect):
        names = _cut(first.text, cut)
        rows = names if second is None else _cut(second.text, cut)
        mark = cut or " "
        if len(first.fields) == 1:
            wrong = len(names) == len(rows) > 1
        else:
            # `x, y` in blank-separated text: every field but the last carries the comma along
            wrong = (
                dialect.delimiter is None
                and cut is not None
                and all(field.endswith(mark) for field in first.fields[:-1])
            )
        if wrong:
            seen = {"\t": "tabs", " ": "blanks"}.get(mark, f"`{mark}`")
            message = (
                f"the header is cut into {len(first.fields)} field{'s'[: len(first.fields) - 1]}, but holds {seen}"
            )
            place = place_of(first, 0, dialect.delimiter)
            text = place.source or ""
            column = (text.find(mark) if cut else len(text) - len(text.lstrip()) + len(names[0])) + 1
            at = Place(place.line, column, 1, text)
            raise DataError(told_at(at, source.shown, "E306", message, f"did you mean `delimiter: {_SHOWN[cut]}`?"))


def _other_cuts(dialect: Dialect) -> Iterator[str | None]:
    """Yield the delimiters that are not this one, the likeliest first."""
    return (cut for cut in (";", "\t", ",", "|", None) if cut != dialect.delimiter)


def _cut(text: str, delimiter: str | None) -> list[str]:
    """Cut a line roughly."""
    return text.split() if delimiter is None else text.strip("\r\n").split(delimiter)


def _no_header(first: Record, comment: str, source: Source, dialect: Dialect) -> Diagnostic:
    """Say that the first line holds numbers; a comment above it may have the names."""
    above = _cut(comment, dialect.delimiter)
    if len(above) == len(first.fields) and all(name.strip().isidentifier() for name in above):
        names = [name.strip() for name in above]
    else:
        names = ["x", "y", "z"][: len(first.fields)] if len(first.fields) <= 3 else ["a", "b", "c", "..."]
    return _at(
        first,
        0,
        dialect,
        source,
        "E307",
        "the file has no header: its first line holds only numbers",
        f"name its {len(first.fields)} columns in their order, as in `columns: [{', '.join(names)}]`",
    )


def _check_doubled(first: Record, source: Source, dialect: Dialect) -> None:
    """Refuse a header in which a name stands twice."""
    counts = Counter(field.strip() for field in first.fields if field.strip())
    seen: set[str] = set()
    told: list[Diagnostic] = []
    for index, field in enumerate(first.fields):
        name = field.strip()
        if name in seen:
            message = f"the column name `{name}` stands {counts[name]} times in the header"
            told.append(_at(first, index, dialect, source, "E307", message, "give every column a name of its own"))
        seen.add(name) if name else None
    if told:
        raise DataError(*told)
