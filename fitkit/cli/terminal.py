"""What the terminal can show, and how text reaches it: whatever becomes of the streams, the exit code stays the command's."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from fitkit.errors import Diagnostic, FileSystemFault

if TYPE_CHECKING:
    from fitkit.reports.text import TextStyle

ASCII_SPELLINGS = {"→": "->", "²": "^2"}
"""How signs of our own texts are written where there is only ASCII; others become escapes."""


def text_style(*, verbose: bool = False) -> TextStyle:
    """Return how text on standard output may look: colour only on a terminal that wants it, 80 columns in a pipe."""
    import shutil

    from fitkit.reports.text import TextStyle

    stream = sys.stdout
    terminal = is_terminal(stream)
    return TextStyle(
        width=max(40, min(120, shutil.get_terminal_size((80, 24)).columns)) if terminal else 80,
        color=terminal and "NO_COLOR" not in os.environ,
        unicode=speaks_unicode(stream),
        verbose=verbose,
    )


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether the stream is a terminal that can move its cursor; a closed stream is None."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def speaks_unicode(stream: TextIO | None) -> bool:
    """Return whether more than ASCII may be written.

    Python writes UTF-8 under `LC_ALL=C` of its own accord, where a terminal may show something else: a locale that is
    asked for by name is believed.
    """
    locale = next((value for key in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(key))), "")
    encoding = (getattr(stream, "encoding", None) or "ascii").lower()
    return encoding.startswith("utf") and locale not in {"C", "POSIX"}


def say(text: str) -> None:
    """Write the result, or a part of it, and a line's end to standard output.

    Raises:
        FileSystemFault: standard output cannot be written, for another reason than that its reader has enough.
    """
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        _abandon(sys.stdout)  # a pipe into `head` is no mistake, and the verdict stays what it was
    except OSError as error:
        _abandon(sys.stdout)
        reason = f"standard output cannot be written: {error.strerror or error}"
        raise FileSystemFault(Diagnostic(code="E802", message=reason, help="write it elsewhere")) from None


def tell(text: str) -> None:
    """Write a message and a line's end to standard error; where nobody can hear it, it is lost."""
    try:
        _write(sys.stderr, text)
    except OSError:
        _abandon(sys.stderr)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    encoding = "utf-8" if speaks_unicode(stream) else "ascii"
    if encoding == "ascii":
        for sign, spelling in ASCII_SPELLINGS.items():
            text = text.replace(sign, spelling)
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _abandon(stream: TextIO) -> None:
    """Lead the stream nowhere: Python flushes it again at its end, and would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
