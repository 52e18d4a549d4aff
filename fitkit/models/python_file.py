"""A function in a file of the user's: how it is read, and what surrounds it while it runs."""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, final

from fitkit.errors import ConfigError, Diagnostic, did_you_mean


@final
@dataclass(frozen=True)
class LoadedFunction:
    """A function read from a file; equal to another of the same bytes, so that programs compiled for it are found again."""

    name: str
    sha256: str
    """Of the file's bytes; where it imported modules beside it, of the file's and then theirs, by name."""
    call: Callable[..., Any] = field(compare=False, repr=False)
    file: Path = field(compare=False, repr=False)
    folder: Path = field(compare=False, repr=False)
    """Of the config; both are resolved."""


class PythonExitError(Exception):
    """A function tried to leave the process."""


def load_function(reference: str, folder: Path) -> LoadedFunction:
    """Run the file that `reference`, `models.py:damped`, names in `folder`, and return the function.

    Raises:
        ConfigError: the file lies outside `folder`, is missing, fails, or has no such function.
    """
    file_name, separator, function_name = reference.rpartition(":")
    if not separator or not file_name.endswith(".py") or not function_name.isidentifier():
        raise _refusal(f"`{reference}` does not name a function", "write the file and the function: `models.py:damped`")
    folder = folder.resolve()
    file = (folder / file_name).resolve()
    if not file.is_relative_to(folder):
        raise _refusal(f"`{file_name}` lies outside the config's folder", "put the file beside the config")
    try:
        source = file.read_bytes()
    except OSError as error:
        raise _refusal(f"cannot read `{file_name}`: {error.strerror}", "the file stands beside the config") from None
    namespace: dict[str, Any] = {"__name__": file.stem, "__file__": str(file)}
    with beside(file, folder) as imported:
        try:
            exec(compile(source, str(file), "exec"), namespace)  # noqa: S102 - asked for by --allow-python
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            message = f"`{file_name}` failed while it was read: {describe(error)}"
            place = place_of(error, file)
            raise _refusal(message, f"look{place}" if place else "run it with python to see where") from None
    call = namespace.get(function_name)
    if not callable(call):
        functions = [name for name, value in namespace.items() if callable(value) and not name.startswith("_")]
        raise _refusal(f"`{file_name}` has no function `{function_name}`", did_you_mean(function_name, functions))
    return LoadedFunction(name=reference, sha256=_hash(source, imported), call=call, file=file, folder=folder)


@contextmanager
def beside(file: Path, folder: Path) -> Iterator[dict[str, Path]]:
    """Let code import what stands beside `file` and in `folder`, and print to standard error; put everything back after.

    Yields a dictionary of the modules that were imported from there and their files, filled at the end. They are forgotten
    again, so that another run imports its own of the same name. Standard output belongs to the report.
    """
    folders, imported = (file.parent, folder), dict[str, Path]()
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = dict.fromkeys(map(str, folders))
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            yield imported
    finally:
        sys.path[:] = path
        for name in sorted(set(sys.modules) - before):
            top = name.partition(".")[0]
            if top not in before and _found_in(folders, top):
                source = _file_of(sys.modules[name])
                if source is not None:
                    imported[name] = source
        for name in imported:
            del sys.modules[name]


def _found_in(folders: tuple[Path, ...], name: str) -> bool:
    """Return whether a module stands in one of the folders; an environment below them is none of the user's code."""
    source = _file_of(sys.modules.get(name))
    return source is not None and any(
        source.parent in (folder, folder / name) or source == folder / name for folder in folders
    )


def _file_of(module: ModuleType | None) -> Path | None:
    """Return the file of a module, or the folder of a package that has none."""
    found = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return Path(found).resolve() if isinstance(found, str) else None


def _hash(source: bytes, imported: dict[str, Path]) -> str:
    digest = hashlib.sha256(source)
    for name, file in sorted(imported.items()):
        if file.is_file():
            digest.update(b"\0" + name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def place_of(error: BaseException, file: Path) -> str:
    """Return ` in line 3`, where in `file` an exception came from, or nothing."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f" in line {lines[-1]}" if lines else ""


def describe(error: BaseException) -> str:
    """Return an exception as its type and the first line of its message."""
    if isinstance(error, SystemExit | PythonExitError):
        return "it tried to leave the process (`sys.exit`)"
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _refusal(message: str, help_line: str | None) -> ConfigError:
    return ConfigError(Diagnostic(code="E160", message=message, help=help_line))
