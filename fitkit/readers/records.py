"""The records of a text file, one after the other, each with the physical line on which it begins.

This is the precise reading of a text, by Python's csv rules or by runs of blanks: every comment, blank line and newline
within quotes counts, so that a mistake can be shown where an editor shows it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.data import Data
from fitkit.readers.encoding import survey
from fitkit.readers.source import Source

_WORD: Final = re.compile(r"[^ \t\r\n]+")
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')


@final
@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How lines are cut into fields; `delimiter` None is any run of blanks, `comment` None no comments."""

    delimiter: str | None
    decimal: str
    comment: str | None
    skip: int


@final
@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one record, the line it begins on, and its text with its line ends."""

    line: int
    fields: list[str]
    text: str


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: line and column from 1, the width of its text, and the line itself; None where unknown."""

    line: int | None = None
    column: int | None = None
    length: int = 1
    source: str | None = None


def dialect_of(data: Data, format_: str) -> Dialect:
    """Return how a file of this format (`.csv`, `.tsv`, `.txt`, `.dat`) is cut, as `data` says.

    Raises:
        DataError: the delimiter cannot be one.
    """
    delimiter = data.delimiter if data.delimiter is not None else {".csv": ",", ".tsv": "\t"}.get(format_, " ")
    if len(delimiter) != 1 or delimiter in '"\r\n' or delimiter in {data.decimal, data.comment} or delimiter.isalnum():
        why = (
            "it is the decimal mark too"
            if delimiter == data.decimal
            else "it is a single character, such as , ; or a tab"
        )
        hint = 'write another `delimiter`, such as ";" or "\\t"'
        raise DataError(
            Diagnostic(code="E300", message=f"`{delimiter}` cannot be the delimiter: {why}", file=data.path, help=hint)
        )
    return Dialect(
        delimiter=None if delimiter == " " else delimiter,
        decimal=data.decimal,
        comment=data.comment or None,
        skip=data.skip,
    )


@final
class Records:
    """An iterator over the records, the header among them, without comments, blank lines and the lines to skip.

    `comment` is the latest comment that was passed over. Advancing raises `DataError` where the bytes are not text or a
    quote is not closed.
    """

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self._lines = _Lines(source, dialect)
        self._records = (
            _by_blanks(self._lines, dialect.comment)
            if dialect.delimiter is None
            else _by_delimiter(self._lines, dialect.delimiter, source)
        )

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def __next__(self) -> Record:
        return next(self._records)

    @property
    def comment(self) -> str:
        """The latest comment."""
        return self._lines.comment


@final
class _Lines:
    """The physical lines that matter. Within a record (`begin` was called, a line was taken) every line matters."""

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self._lines = _physical_lines(source)
        self._comment = dialect.comment
        self._skip = dialect.skip
        self._blanks = " \r\n" if dialect.delimiter == "\t" else " \t\r\n"  # a tab may be a row of two empty fields
        self._number = 0
        self.comment = ""  # the latest comment: it may hold the names of the columns
        self.begin()

    def begin(self) -> None:
        """Start a new record."""
        self.line = self._number + 1
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self._number += 1
            if not self.taken:
                if self._number <= self._skip or not (start := line.strip(self._blanks)):
                    continue
                if self._comment is not None and start.startswith(self._comment):
                    self.comment = start.removeprefix(self._comment).strip()
                    continue
                self.line = self._number
            self.taken.append(line)
            return line
        raise StopIteration


def _physical_lines(source: Source) -> Iterator[str]:
    r"""Yield the lines with their ends; `\n`, `\r\n` and `\r` end one, and a form feed does not."""
    with io.TextIOWrapper(source.open(), encoding="utf-8-sig", newline="") as text, source.told():
        try:
            for line in text:
                if "\0" in line:
                    survey(source)
                yield line
        except UnicodeDecodeError:
            survey(source)  # raises, with the place
            raise


def _by_blanks(lines: _Lines, comment: str | None) -> Iterator[Record]:
    """Cut lines at runs of blanks; what follows a comment sign is left out."""
    for line in lines:
        kept = line if comment is None else line.split(comment, 1)[0]
        yield Record(lines.line, _WORD.findall(kept), line)
        lines.begin()


def _by_delimiter(lines: _Lines, delimiter: str, source: Source) -> Iterator[Record]:
    """Cut records by the rules of csv, with quotes."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                _bad_quotes(Record(lines.line, [], "".join(lines.taken)), delimiter, str(error), source.shown)
            ) from None
        yield Record(lines.line, fields, "".join(lines.taken))


def _bad_quotes(record: Record, delimiter: str, error: str, file: str) -> Diagnostic:
    """Say which field's quotes are at fault: the first that is not quoted as a whole, or the one that is not closed."""
    spans = _spans(record.text, delimiter)
    start, _ = spans[-1]
    if "expected after" in error:
        torn = (
            begin
            for begin, end in spans
            if record.text.startswith('"', begin) and not _QUOTED.fullmatch(record.text, begin, end)
        )
        start = next(torn, start)
        message, hint = "text follows a closing quote", 'write a quote within a quoted field twice: "a ""b"" c"'
    else:
        message, hint = "a quote is opened here and never closed", "close it, or remove it"
    place = _at(record, start, 1)
    return Diagnostic(
        code="E309", message=message, file=file, line=place.line, column=place.column, source=place.source, help=hint
    )


def place_of(record: Record, index: int, delimiter: str | None) -> Place:
    """Return where field `index` of the record stands; beyond the last field, the end of the record."""
    spans = [m.span() for m in _WORD.finditer(record.text)] if delimiter is None else _spans(record.text, delimiter)
    if index >= len(spans):
        return _at(record, len(record.text.rstrip("\r\n")), 1)
    start, end = spans[index]
    entry = record.text[start:end]
    lead = len(entry) - len(entry.lstrip(" "))
    start += lead if entry.strip(" ") else 0
    return _at(record, start, max(1, len(record.text[start:end].rstrip())))


def _at(record: Record, offset: int, length: int) -> Place:
    """Return the line and column of an offset into a record's text."""
    before = record.text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    lines = re.split(r"\r\n|\r|\n", record.text)
    number = before.count("\n")
    return Place(record.line + number, len(before) - (before.rfind("\n") + 1) + 1, length, lines[number])


def _spans(text: str, delimiter: str) -> list[tuple[int, int]]:
    """Return begin and end of each field of a record's text, quotes included, by the state machine of csv."""
    spans: list[tuple[int, int]] = []
    begin = position = 0
    text = text.rstrip("\r\n") if text.count('"') % 2 == 0 else text
    while True:
        if text.startswith('"', begin):
            position = begin + 1
            while (closing := text.find('"', position)) >= 0 and text.startswith('"', closing + 1):
                position = closing + 2
            if closing < 0:
                return [*spans, (begin, len(text))]
            position = closing + 1
        end = text.find(delimiter, position)
        if end < 0:
            return [*spans, (begin, len(text))]
        spans.append((begin, end))
        begin = position = end + 1
