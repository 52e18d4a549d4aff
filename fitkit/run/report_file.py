"""A report that the command line asks for in a file."""

from __future__ import annotations

import os
from pathlib import Path

from fitkit.run.folder import told


def write_report(path: str, text: str) -> None:
    """Write a text under a temporary name and give it its own.

    Raises:
        FileSystemFault: the disk refuses.
    """
    file = Path(path)
    with told(file):
        partial = file.with_name(f".{file.name}.partial")
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
