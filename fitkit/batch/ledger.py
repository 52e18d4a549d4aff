"""The folder of a batch: the runs of its fits, and a ledger of what became of each, from which `--resume` goes on."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, final

from fitkit.batch.content import content_key_of
from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.errors import Diagnostic, FileSystemFault
from fitkit.run.folder import RESULT, told

LEDGER: Final = "batch.jsonl"
"""A line for each fit that has ended, appended as they end: a batch that was killed can be resumed too."""
LOCK: Final = ".batch.lock"


@final
class Ledger:
    """The folder, claimed for this batch until `release`."""

    def __init__(self, folder: Path, lock: BinaryIO, records: dict[str, dict[str, Any]]) -> None:
        self._folder, self._lock = folder, lock
        self._records = records
        """What earlier batches wrote, by the fit's name."""
        self._stream: BinaryIO | None = None

    @classmethod
    def claim(cls, out: str) -> Ledger:
        """Return the ledger of the folder `out`, created if need be.

        Raises:
            FileSystemFault: it holds something else than a batch, is used by another, or cannot be written.
        """
        folder = Path(out)
        with told(folder):
            if folder.exists() and not folder.is_dir():
                raise _fault(folder, "is a file, not a folder", "choose another `--out`")
            if folder.is_dir() and not (folder / LEDGER).exists() and any(e.name != LOCK for e in folder.iterdir()):
                way_out = "choose another `--out`; nothing was touched"
                raise _fault(folder, "holds something that is not a fitkit batch", way_out)
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / LOCK).open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the system however the process ends
            except BlockingIOError:
                lock.close()
                way_out = "wait for it, or choose another `--out`"
                raise _fault(folder, "is in use by another batch", way_out) from None
            return cls(folder, lock, _read(folder / LEDGER))

    def finished(self, entries: Iterable[BatchEntry]) -> list[BatchOutcome]:
        """Return the outcomes of fits that an earlier batch has made, that are as they should be, and unchanged."""
        found = []
        for entry in entries:
            record = self._records.get(entry.name)
            if record is None or record["document"]["exit_code"] != 0 or record["key"] is None:
                continue
            if record["key"] == content_key_of(entry) and (self._folder / entry.folder / RESULT).exists():
                document = {**record["document"], "path": entry.path}
                found.append(
                    BatchOutcome(
                        entry=entry, document=document, seconds=record["seconds"], key=record["key"], resumed=True
                    )
                )
        return found

    def begin(self, entries: Iterable[BatchEntry], finished: Iterable[BatchOutcome]) -> None:
        """Forget what is known of the fits of this batch but those that are finished, and get ready for more.

        Raises:
            FileSystemFault: the disk refuses.
        """
        planned = {entry.name for entry in entries} - {outcome.name for outcome in finished}
        kept = [record for name, record in self._records.items() if name not in planned]
        file = self._folder / LEDGER
        partial = self._folder / f".{LEDGER}.partial"
        with told(file):
            with partial.open("wb") as stream:
                stream.writelines(map(_line, kept))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(file)
            self._stream = file.open("ab")

    def add(self, outcome: BatchOutcome) -> None:
        """Write down an outcome at once.

        Raises:
            FileSystemFault: the disk refuses.
        """
        if self._stream is None:
            raise AssertionError("the ledger was not begun")
        if not outcome.resumed:
            record = {
                "name": outcome.name, "key": outcome.key, "seconds": outcome.seconds, "document": outcome.document
            }  # fmt: skip
            with told(self._folder / LEDGER):
                self._stream.write(_line(record))
                self._stream.flush()

    def release(self) -> None:
        """Give the folder up."""
        if self._stream is not None:
            with suppress(OSError):  # of a full disk: `add` has told it of the line that is lost
                self._stream.close()
        self._lock.close()


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """Return the records by name, of several of one name the last; what a killed batch did not write whole is left out."""
    if not file.exists():
        return {}
    records = {}
    for line in file.read_bytes().splitlines():
        try:
            record = json.loads(line)
            records[str(record["name"])] = {
                "name": record["name"], "key": record["key"], "seconds": record["seconds"],
                "document": {**record["document"], "exit_code": int(record["document"]["exit_code"])},
            }  # fmt: skip
        except (ValueError, KeyError, TypeError):
            continue
    return records


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def _fault(path: Path, reason: str, help_line: str) -> FileSystemFault:
    return FileSystemFault(Diagnostic(code="E801", message=f"`{path}` {reason}", file=str(path), help=help_line))
