"""The folder that a run leaves behind: claimed before the work, written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, final

from fitkit.errors import Diagnostic, FileSystemFault

RESULT = "result.json"
FILES = (RESULT, "config.yaml", "history.csv", "predictions.csv", "parameters.npz")
"""Everything that a run writes; `result.json` is written last, so a folder that has it is whole."""
LOCK = ".lock"


@final
class RunFolder:
    """A folder that belongs to this run until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: BinaryIO | None = None

    @classmethod
    def claim(cls, out: str | None, name: str, *, overwrite: bool) -> RunFolder:
        """Return the folder, created and locked: `out`, or `runs/<name>/<UTC time>` under the current folder.

        Raises:
            FileSystemFault: it cannot be created or written, is used by another run, or holds something else.
        """
        if out is None:
            return _fresh(cls, name)
        folder = cls(Path(out))
        with told(folder.path):
            folder._check(overwrite=overwrite)
            folder.path.mkdir(parents=True, exist_ok=True)
            folder._take_lock()
        return folder

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Write one file under a temporary name, sync it, and give it its name.

        Raises:
            FileSystemFault: the disk refuses.
        """
        temporary = self.path / f".{name}.partial"
        with told(self.path / name):
            try:
                with temporary.open("wb") as stream:
                    write(stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.replace(self.path / name)
            finally:
                temporary.unlink(missing_ok=True)

    def begin(self) -> None:
        """Remove what an earlier run left, `result.json` first, so that the folder never mixes two runs."""
        with told(self.path):
            for name in FILES:
                (self.path / name).unlink(missing_ok=True)

    def release(self) -> None:
        """Give the folder up; one that nothing was written to is removed."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            (self.path / LOCK).unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _check(self, *, overwrite: bool) -> None:
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise _fault(self.path, "is a file, not a folder", "choose another `--out`")
        found = {entry.name for entry in self.path.iterdir()} - {LOCK}
        if not found:
            return
        if RESULT not in found or not found <= {*FILES, "groups.csv"}:
            raise _fault(
                self.path, "holds something that is not a fitkit run", "choose another `--out`; nothing was touched"
            )
        if not overwrite:
            raise _fault(
                self.path, "holds an earlier run", "add `--overwrite` to replace it, or choose another `--out`"
            )

    def _take_lock(self) -> None:
        import fcntl

        self._lock = (self.path / LOCK).open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the system however the process ends
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise _fault(self.path, "is in use by another run", "wait for it, or choose another `--out`") from None


def _fresh(cls: type[RunFolder], name: str) -> RunFolder:
    """Create runs/<name>/<UTC time>, with -2, -3, ... where that second is taken."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".") or "run"
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    parent, number = Path("runs") / safe, 1
    with told(parent):
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            path = parent / (stamp if number == 1 else f"{stamp}-{number}")
            try:
                path.mkdir()  # of two runs that begin in the same second only one makes the folder
            except FileExistsError:
                number += 1
            else:
                return cls(path)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn an OSError into a FileSystemFault that names the path."""
    try:
        yield
    except OSError as error:
        raise _fault(path, f"cannot be written: {error.strerror or error}", "choose another `--out`") from None


def _fault(path: Path, reason: str, help_line: str) -> FileSystemFault:
    return FileSystemFault(Diagnostic(code="E801", message=f"`{path}` {reason}", file=str(path), help=help_line))
