"""The folder that a run leaves behind: claimed before the work, written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, final

from fitkit.errors import Diagnostic, FileSystemFault

RESULT = "result.json"
FILES = (
    *(RESULT, "config.yaml", "history.csv", "predictions.csv", "parameters.npz", "model.json", "model.npz"),
    *("groups.csv", "groups.parquet"),
)
"""Everything that a run writes; `result.json` gets its name last, so a folder that has it is whole."""
LOCK = ".lock"
_CLAIMED: list[RunFolder] = []
"""The folders that are claimed now, for `release_all`."""


@final
class RunFolder:
    """A folder that belongs to this run until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: BinaryIO | None = None
        self._made: tuple[Path, ...] = ()
        """The folders that this run created, innermost first."""
        self._written: list[str] = []

    @classmethod
    def claim(cls, out: str | None, name: str, *, overwrite: bool) -> RunFolder:
        """Return the folder, created and locked: `out`, or `runs/<name>/<UTC time>` under the current folder.

        Raises:
            FileSystemFault: it cannot be created or written, is used by another run, or holds something else.
        """
        if out is None:
            return cls._fresh(name)
        folder = cls(Path(out))
        with told(folder.path):
            folder._check(overwrite=overwrite)
            folder._made = _missing(folder.path)
            folder.path.mkdir(parents=True, exist_ok=True)
            folder._take_lock()
        if not overwrite and (folder.path / RESULT).exists():  # the run that held the lock has ended since the check
            folder.release()
            raise _earlier_run(folder.path)
        return folder

    @classmethod
    def _fresh(cls, name: str) -> RunFolder:
        """Create runs/<name>/<UTC time>, with -2, -3, ... where that second is taken."""
        safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".") or "run"
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        parent, number = Path("runs") / safe, 1
        made = _missing(parent)
        with told(parent):
            while True:
                folder = cls(parent / (stamp if number == 1 else f"{stamp}-{number}"))
                parent.mkdir(parents=True, exist_ok=True)
                try:
                    folder.path.mkdir()  # of two runs that begin in the same second only one makes the folder
                except FileExistsError:
                    number += 1
                except FileNotFoundError:
                    continue  # a run that failed has tidied its empty parent away
                else:
                    folder._made = (folder.path, *made)
                    folder._take_lock()
                    return folder

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Write one file under a temporary name and sync it; `publish` gives it its name.

        Raises:
            FileSystemFault: the disk refuses.
        """
        with told(self.path / name), _partial(self.path, name).open("wb") as stream:
            self._written.append(name)
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())

    def publish(self) -> None:
        """Give the files their names in place of an earlier run's, `result.json` last.

        Raises:
            FileSystemFault: the disk refuses; the folder then holds no run.
        """
        with told(self.path):
            try:
                for name in FILES:  # result.json goes first: the folder never passes for a run while it mixes two
                    (self.path / name).unlink(missing_ok=True)
                for name in sorted(self._written, key=lambda name: name == RESULT):
                    _partial(self.path, name).replace(self.path / name)
            except BaseException:
                for name in FILES:
                    (self.path / name).unlink(missing_ok=True)
                raise
        self._written.clear()

    def release(self) -> None:
        """Give the folder up; of a run that was not published nothing is left."""
        if self in _CLAIMED:
            _CLAIMED.remove(self)
        with suppress(OSError):  # a folder that went away meanwhile needs no tidying
            for name in self._written:
                _partial(self.path, name).unlink(missing_ok=True)
            if self._lock is not None:
                (self.path / LOCK).unlink(missing_ok=True)  # while it is held: afterwards it may be another run's
                self._lock.close()
                self._lock = None
            for folder in self._made:
                folder.rmdir()

    def _check(self, *, overwrite: bool) -> None:
        """Refuse a folder that holds anything but a fitkit run, or what one that was killed left."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise _fault(self.path, "is a file, not a folder", "choose another `--out`")
        found = {entry.name for entry in self.path.iterdir()}
        partials = {_partial(self.path, name).name for name in FILES}
        ours = {*FILES, LOCK, *partials}
        unfinished = not found or LOCK in found
        if not found <= ours or (RESULT not in found and not unfinished):
            raise _fault(
                self.path, "holds something that is not a fitkit run", "choose another `--out`; nothing was touched"
            )
        if RESULT in found and not overwrite:
            raise _earlier_run(self.path)

    def _take_lock(self) -> None:
        import fcntl

        while self._lock is None:
            lock = (self.path / LOCK).open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the system however the process ends
            except BlockingIOError:
                lock.close()
                raise _fault(self.path, "is in use by another run", "wait for it, or choose another `--out`") from None
            if _is_at(self.path / LOCK, lock):
                self._lock = lock
                _CLAIMED.append(self)
            else:  # its last holder has removed it between the two calls above
                lock.close()


def release_all() -> None:
    """Give up every folder that is claimed: for a process that stops at once."""
    for folder in tuple(_CLAIMED):
        folder.release()


def _is_at(path: Path, stream: BinaryIO) -> bool:
    return path.exists() and path.stat().st_ino == os.fstat(stream.fileno()).st_ino


def _partial(folder: Path, name: str) -> Path:
    return folder / f".{name}.partial"


def _missing(path: Path) -> tuple[Path, ...]:
    """Return what `mkdir` would have to create, innermost first."""
    return tuple(folder for folder in (path, *path.parents) if not folder.exists())


@contextmanager
def told(path: Path, way_out: str = "choose another `--out`") -> Iterator[None]:
    """Turn an OSError into a FileSystemFault that names the path and a way out."""
    try:
        yield
    except OSError as error:
        raise _fault(path, f"cannot be written: {error.strerror or error}", way_out) from None


def _fault(path: Path, reason: str, help_line: str) -> FileSystemFault:
    return FileSystemFault(Diagnostic(code="E801", message=f"`{path}` {reason}", file=str(path), help=help_line))


def _earlier_run(path: Path) -> FileSystemFault:
    return _fault(path, "holds an earlier run", "add `--overwrite` to replace it, or choose another `--out`")
