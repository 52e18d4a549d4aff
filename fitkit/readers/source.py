"""Where a table's bytes come from: a file, a compressed file or standard input, opened kindly and hashed."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast, final

from fitkit.errors import DataError, Diagnostic, did_you_mean

CHUNK: Final = 1 << 22
MOST_DECOMPRESSED: Final = 4 << 30
"""Bytes a compressed file may unfold to; more is a bomb or a mistake."""
TEXT_FORMATS: Final = (".csv", ".tsv", ".txt", ".dat")
BINARY_FORMATS: Final = (".parquet", ".npz", ".npy")
_LATER_FORMATS: Final = (".json", ".ndjson", ".arrow")


@final
@dataclass(frozen=True)
class Source:
    """The bytes of one table.

    `shown` is the name users see, `format` the extension without `.gz`; `contents` are the bytes where they had to be
    held (standard input), else `path` is read.
    """

    shown: str
    format: str
    path: Path | None = None
    contents: bytes | None = None
    compressed: bool = False

    def open(self) -> BinaryIO:
        """Return the bytes, decompressed, as a stream from their beginning.

        Raises:
            DataError: the file is not there, is a folder or may not be read.
        """
        if self.path is None:
            return io.BytesIO(self.contents or b"")
        try:
            return cast("BinaryIO", gzip.open(self.path)) if self.compressed else self.path.open("rb")
        except OSError as error:
            raise DataError(_not_opened(error, self.path, self.shown)) from None

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes in pieces.

        Raises:
            DataError: the compression is broken, or unfolds to more than 4 GiB.
        """
        total = 0
        with self.open() as stream, self.told():
            while chunk := stream.read(CHUNK):
                total += len(chunk)
                if self.compressed and total > MOST_DECOMPRESSED:
                    raise DataError(
                        Diagnostic(
                            code="E303",
                            message=f"more than {MOST_DECOMPRESSED >> 30} GiB when decompressed",
                            file=self.shown,
                            help="decompress it and name the plain file",
                        )
                    )
                yield chunk

    def told(self) -> _Told:
        """Return a context in which faults of reading become data errors."""
        return _Told(self)

    def sha256(self) -> str:
        """Return the SHA-256 of the file as it lies there, compressed or not, in hexadecimal."""
        if self.path is None:
            return hashlib.sha256(self.contents or b"").hexdigest()
        with self.path.open("rb") as stream, self.told():
            return hashlib.file_digest(stream, "sha256").hexdigest()


@final
class _Told:
    """Turns what the operating system and gzip raise while a source is read into a data error."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        source = self._source
        if source.compressed and isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
            what = "ends in the middle" if isinstance(error, EOFError) else f"is not sound gzip: {error}"
            raise DataError(
                Diagnostic(
                    code="E303",
                    message=f"the compressed file {what}",
                    file=source.shown,
                    help="compress or download it again; a plain file must not be called .gz",
                )
            ) from None
        if isinstance(error, OSError):
            raise DataError(_not_opened(error, source.path or Path(source.shown), source.shown)) from None


def locate(path: str, base: Path, stdin: BinaryIO | None) -> Source:
    """Return the source that `path` in a config in folder `base` means; `-` is standard input, as CSV.

    Raises:
        DataError: a URL, or a format that cannot be read.
    """
    if path == "-":
        if stdin is None:
            import sys

            stdin = sys.stdin.buffer
        return Source(shown="-", format=".csv", contents=stdin.read())
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        raise DataError(
            Diagnostic(
                code="E302",
                message=f"`{path}` is a URL, and fitkit opens no connections",
                help="download the file and name it here",
            )
        )
    full = base / path
    shown = _shown(full)
    suffixes = [suffix.lower() for suffix in full.suffixes[-2:]]
    compressed = suffixes[-1:] == [".gz"]
    found = "".join(suffixes[-2:-1] if compressed else suffixes[-1:])
    if found in TEXT_FORMATS or (found in BINARY_FORMATS and not compressed):
        return Source(shown=shown, format=found, path=full, compressed=compressed)
    raise DataError(_unknown_format(shown, full, found, compressed=compressed))


def _shown(path: Path) -> str:
    """Return the path as the user would type it: relative to the current folder where it lies below."""
    whole, here = os.path.abspath(path), os.getcwd()  # noqa: PTH100, PTH109 - links are left as they were written
    return os.path.relpath(whole, here) if whole.startswith(here.rstrip(os.sep) + os.sep) else os.path.normpath(path)


def _unknown_format(shown: str, path: Path, found: str, *, compressed: bool) -> Diagnostic:
    """Say which formats there are."""
    there_are = "there are " + ", ".join((*TEXT_FORMATS, *BINARY_FORMATS)) + "; text also with .gz"
    if path.is_dir():
        return _not_opened(IsADirectoryError(errno.EISDIR, ""), path, shown)
    if found in _LATER_FORMATS and not compressed:
        return Diagnostic(code="E302", message=f"the format `{found}` is not available yet", file=shown, help=there_are)
    if found in BINARY_FORMATS:
        return Diagnostic(
            code="E302", message=f"`{found}` is not read compressed", file=shown, help=f"decompress it; {there_are}"
        )
    message = f"the format `{found}` is not known" if found else "the file's name has no extension to say its format"
    return Diagnostic(code="E302", message=message, file=shown, help=there_are)


def _not_opened(error: OSError, path: Path, shown: str) -> Diagnostic:
    """Say why the file cannot be opened, and which was perhaps meant."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        try:
            beside = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
        except OSError:
            return Diagnostic(
                code="E301", message=f"there is no folder `{Path(shown).parent}`", file=shown, help=_RELATIVE
            )
        return Diagnostic(
            code="E301", message="there is no such file", file=shown, help=did_you_mean(path.name, beside) or _RELATIVE
        )
    if isinstance(error, IsADirectoryError):
        return Diagnostic(code="E301", message="this is a folder, not a file", file=shown, help="name a file in it")
    if isinstance(error, PermissionError):
        return Diagnostic(
            code="E301", message="no permission to read the file", file=shown, help="check its owner and mode"
        )
    reason = error.strerror or str(error)
    return Diagnostic(code="E301", message=f"the file cannot be read: {reason}", file=shown)


_RELATIVE: Final = "a path in a config is relative to the config's folder"
