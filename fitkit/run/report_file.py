"""A report that the command line asks for in a file."""

from __future__ import annotations

import os
from pathlib import Path

from fitkit.errors import Diagnostic, FileSystemFault
from fitkit.run.folder import told

_WAY_OUT = "name a file in a folder of yours"


def check_report(path: str) -> None:
    """Refuse a place where no report can be written, before the work is done.

    Raises:
        FileSystemFault: it is a folder or a config, or its folder is missing or read-only.
    """
    file = Path(path)
    reason = None
    if file.is_dir():
        reason = "is a folder"
    elif not file.parent.is_dir():
        reason = f"cannot be written: there is no folder `{file.parent}`"
    elif not os.access(file.parent, os.W_OK):
        reason = f"cannot be written: the folder `{file.parent}` may not be written"
    elif file.exists() and file.suffix in {
        ".yaml",
        ".yml",
    }:  # `--junit fits/*.yaml`, and the shell has the first of many
        reason = "is a config, and a report is not written over it"
    if reason is not None:
        raise FileSystemFault(Diagnostic(code="E801", message=f"`{path}` {reason}", file=path, help=_WAY_OUT))


def write_report(path: str, text: str) -> None:
    """Write a text under a temporary name and give it its own.

    Raises:
        FileSystemFault: the disk refuses.
    """
    file = Path(path)
    with told(file, _WAY_OUT):
        partial = file.with_name(f".{file.name}.partial")
        try:
            with partial.open("w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
