"""Mistakes and how they are told: a place, a reason, a way out, and an exit code.

Statuses of a fit (converged, diverged, ...) are values and live in `fitkit.result`; only mistakes are exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, final


@final
class ExitCode(IntEnum):
    """What the process tells the shell. The numbers are frozen: pipelines are written against them."""

    SUCCESS = 0
    INTERNAL = 1
    CONFIG = 2
    DATA = 3
    NOT_CONVERGED = 4
    DIVERGED = 5
    CHECK_FAILED = 6
    ENVIRONMENT = 7
    FILE_SYSTEM = 8
    CHECKPOINT = 9
    SEVERAL = 10
    INTERRUPTED = 130
    TERMINATED = 143


_WORST_FIRST = (1, 2, 3, 7, 8, 9, 5, 4, 6)


def worst_exit_code(codes: Iterable[int]) -> int:
    """Return the exit code of several things done together: the gravest of theirs, 0 where there is none."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), max(found, default=0))


@final
@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One mistake at one place.

    `line` and `column` count from 1 and are None where a file has no such place; `source` is the text of that line, shown
    above the caret; `length` is the number of columns the caret underlines.
    """

    code: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    length: int = 1
    source: str | None = None
    help: str | None = None

    def render(self) -> str:
        """Return the diagnostic as several lines of text, in the shape of a compiler's message, without colour."""
        lines = [f"error[{self.code}]: {self.message}"]
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        if place:
            lines.append(f" --> {place}")
        margin = " " * (len(str(self.line)) if self.line is not None else 1)
        if self.source is not None and self.column is not None:
            source, column, length = _window(self.source, self.column, self.length)
            lines.append(f"{margin}  |")
            lines.append(f"{self.line if self.line is not None else margin}  | {source}")
            lines.append(f"{margin}  | {' ' * (column - 1)}{'^' * length}")
        if self.help is not None:
            lines.append(f"{margin}  = help: {self.help}")
        return "\n".join(lines)


_WINDOW = 100


def _window(source: str, column: int, length: int) -> tuple[str, int, int]:
    """Cut a long line to the part around the caret, so that a one-line file of a megabyte is still readable."""
    source = "".join(
        c if c.isprintable() else " " for c in source
    )  # a tab is one column, so that the caret stays under it
    start = max(0, column - 1 - _WINDOW // 2) if len(source) > _WINDOW else 0
    head = "..." if start else ""
    tail = "..." if start + _WINDOW < len(source) else ""
    cut = source[start : start + _WINDOW]
    column = column - start + len(head)
    return head + cut + tail, column, max(1, min(length, len(head) + len(cut) + 1 - column))


class FitkitError(Exception):
    """Abstract: a mistake that ends the run, with the diagnostics that explain it.

    Args:
        diagnostics: at least one; the first is the headline.
    """

    exit_code: ClassVar[ExitCode]
    reason: ClassVar[str]

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n".join(d.message for d in diagnostics))
        self.diagnostics: tuple[Diagnostic, ...] = diagnostics

    def render(self) -> str:
        """Return every diagnostic, at most twenty, separated by blank lines."""
        shown = [d.render() for d in self.diagnostics[:20]]
        if len(self.diagnostics) > 20:
            shown.append(f"... and {len(self.diagnostics) - 20} more")
        return "\n\n".join(shown)


@final
class ConfigError(FitkitError):
    """The config, a formula in it, or the command line cannot be understood."""

    exit_code = ExitCode.CONFIG
    reason = "config"


@final
class DataError(FitkitError):
    """The data cannot be read, or cannot be fitted as the config asks."""

    exit_code = ExitCode.DATA
    reason = "data"


@final
class EnvironmentFault(FitkitError):  # noqa: N818 - EnvironmentError is a builtin
    """The machine lacks what the config asks for: a device, memory, an optional package."""

    exit_code = ExitCode.ENVIRONMENT
    reason = "environment"


@final
class FileSystemFault(FitkitError):  # noqa: N818 - in the manner of its sibling
    """A file or folder cannot be written, or is in use."""

    exit_code = ExitCode.FILE_SYSTEM
    reason = "file_system"


@final
class SavedRunFault(FitkitError):  # noqa: N818 - in the manner of its sibling
    """A checkpoint or saved run cannot be used."""

    exit_code = ExitCode.CHECKPOINT
    reason = "checkpoint"


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """Return the help line that names the closest of `choices`, or None when nothing is close.

    Closeness is `difflib`'s ratio of matching characters, ignoring case, at least 0.6.
    """
    import difflib

    by_folded = {choice.casefold(): choice for choice in sorted(choices, reverse=True)}
    matches = difflib.get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f"did you mean `{by_folded[matches[0]]}`?" if matches else None


def one_of(choices: Iterable[str]) -> str:
    """Return the help line that lists all `choices`."""
    return "one of " + ", ".join(f"`{choice}`" for choice in choices)
