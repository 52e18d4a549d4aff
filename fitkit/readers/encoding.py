"""What the bytes of a text file are made of, found in one pass: is it UTF-8, and is it simple enough to read fast?"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Final, final

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.source import Source

_BOM: Final = codecs.BOM_UTF8
_WIDE_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


@final
@dataclass
class Survey:
    """How many bytes the text has, how often each of the `counted` byte strings occurs, and its last byte."""

    counted: tuple[bytes, ...]
    size: int = 0
    counts: dict[bytes, int] = field(default_factory=dict)
    last: bytes = b""
    tail: bytes = b""


def survey(source: Source, counted: tuple[bytes, ...] = ()) -> Survey:
    """Read the whole text once in bounded memory, and return what it is made of.

    Raises:
        DataError: it is not UTF-8, or holds NUL bytes; with the line and the column.
    """
    found = Survey(counted, counts=dict.fromkeys(counted, 0))
    decoder = codecs.getincrementaldecoder("utf-8")()
    pending = b""  # the start of a character that the next chunk ends
    overlap = max((len(word) for word in counted), default=1) - 1
    for chunk in source.chunks():
        if found.size == 0:
            _refuse_wide(chunk, source)
        try:
            if pending or not chunk.isascii():
                decoder.decode(chunk)
                pending = decoder.getstate()[0]
        except UnicodeDecodeError as error:
            raise DataError(_place(source, found.size - len(pending) + error.start, _undecodable(error))) from None
        if (zero := chunk.find(b"\0")) >= 0:
            raise DataError(
                _place(
                    source,
                    found.size + zero,
                    ("a NUL byte", "this is no plain text (UTF-16?), or it was damaged; save it again as UTF-8 text"),
                )
            )
        _count(found, chunk, overlap)
    if pending:
        raise DataError(_place(source, found.size - len(pending), ("an incomplete UTF-8 character", _REENCODE)))
    return found


def _count(found: Survey, chunk: bytes, overlap: int) -> None:
    """Add a chunk's counts, those of words that straddle its beginning included."""
    found.size += len(chunk)
    found.tail = chunk[-1:]
    for word in found.counted:
        if len(word) == 1 or word[:1] in chunk:  # to look for one byte is ten times faster than for two
            found.counts[word] += chunk.count(word)
        if len(word) > 1:
            seam = found.last[-(len(word) - 1) :] + chunk[: len(word) - 1]
            found.counts[word] += seam.count(word)
    found.last = (found.last + chunk[-overlap:])[-overlap:] if overlap > 0 else b""


_REENCODE: Final = "save the file as UTF-8, for example `iconv -f latin1 -t utf-8 old.csv > new.csv`"


def _undecodable(error: UnicodeDecodeError) -> tuple[str, str]:
    byte = error.object[error.start]
    return f"the byte 0x{byte:02x} is not UTF-8", _REENCODE


def _refuse_wide(chunk: bytes, source: Source) -> None:
    """Refuse text in two or four bytes a character, by its mark."""
    for mark, name in _WIDE_MARKS:
        if chunk.startswith(mark):
            raise DataError(
                Diagnostic(
                    code="E303",
                    message=f"the file is {name} text",
                    file=source.shown,
                    line=1,
                    help=f"save it as UTF-8, for example `iconv -f {name.lower()} -t utf-8 old.csv > new.csv`",
                )
            )


def _place(source: Source, offset: int, told: tuple[str, str]) -> Diagnostic:
    """Return the diagnostic for the byte at `offset` of the decompressed text."""
    head = b"".join(_upto(source, offset + 400))
    before = head[:offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    begin = max(head.rfind(b"\n", 0, offset), head.rfind(b"\r", 0, offset)) + 1
    line = head[begin:].splitlines()[0] if head[begin:] else b""
    prefix = head[begin:offset].decode("utf-8", "replace").removeprefix("\ufeff")
    return Diagnostic(
        code="E303",
        message=told[0],
        file=source.shown,
        line=before.count(b"\n") + 1,
        column=len(prefix) + 1,
        source=line.decode("utf-8", "replace").removeprefix("\ufeff"),
        help=told[1],
    )


def _upto(source: Source, end: int) -> list[bytes]:
    """Return the first `end` bytes."""
    kept: list[bytes] = []
    for chunk in source.chunks():
        kept.append(chunk[:end])
        end -= len(chunk)
        if end <= 0:
            break
    return kept
