"""A batch held against a baseline: what is read before the first fit, judged after the last one, and written anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from fitkit.batch.baseline_verdict import BaselineVerdict
from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.batch.summary import BatchSummary
from fitkit.comparison import Baseline, FitRecord, Tolerance, compared, record_of, updated
from fitkit.comparison.baseline import check_writable, config_of, covers, name_in, read_baseline
from fitkit.errors import ExitCode

_COMPARABLE = (int(ExitCode.SUCCESS), int(ExitCode.CHECK_FAILED))
"""A fit that does not do what is expected has numbers all the same; any other failure says why by its own exit code."""


@final
@dataclass(frozen=True, kw_only=True)
class BaselineUpdate:
    """What was written."""

    path: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    """Fits that failed, and keep what the baseline had of them."""
    missing: tuple[str, ...]
    """Fits that failed, and are not in the baseline."""
    removed: tuple[str, ...]


@final
@dataclass(frozen=True, kw_only=True)
class BaselineGate:
    """What the command line says of baselines.

    A fit is called by the path of its config from the folder of the baseline, and by its combination of the matrix. A fit
    is gone if the baseline has it, the files, folders and globs of the batch mean its config, and the batch has no such
    fit; `filtered` batches do not look for what is gone.
    """

    against: Path | None
    """The baseline to compare with."""
    update: Path | None
    """The baseline to write."""
    before: Baseline
    """What `against` holds."""
    old: Baseline
    """What `update` holds; an empty one where there is no such file."""
    tolerance: Tolerance
    asked: tuple[str, ...]
    """The paths of the batch."""
    filtered: bool

    @classmethod
    def prepare(
        cls,
        *,
        against: str | None,
        update: str | None,
        rtol: float | None,
        atol: float | None,
        within: str | None,
        asked: tuple[str, ...],
        filtered: bool,
    ) -> BaselineGate:
        """Return the gate: files are read, and places looked for, before the work begins.

        A tolerance that the command line does not give is that of the file; `rtol` or `atol` given without `within` compare
        numbers, whatever the file has.

        Raises:
            SavedRunFault: a baseline cannot be used.
            FileSystemFault: none can be written there.
        """
        before = Baseline() if against is None else read_baseline(Path(against))
        old = Baseline()
        if update is not None:
            check_writable(Path(update))
            old = read_baseline(Path(update)) if Path(update).exists() else old
        stored = old.tolerance if against is None else before.tolerance
        numerical = within is None and (rtol is not None or atol is not None)
        tolerance = Tolerance(
            rtol=stored.rtol if rtol is None else rtol,
            atol=stored.atol if atol is None else atol,
            within=None if numerical else stored.within if within is None else within,
        )
        return cls(
            against=None if against is None else Path(against),
            update=None if update is None else Path(update),
            before=before,
            old=old,
            tolerance=tolerance,
            asked=asked,
            filtered=filtered,
        )

    def judge(self, summary: BatchSummary) -> BaselineVerdict | None:
        """Return what the baseline says of a batch; None where there is none."""
        if self.against is None:
            return None
        folder = self.against.parent
        names = {outcome.name: _name(outcome.entry, folder) for outcome in summary.ordered}
        return BaselineVerdict(
            shown=str(self.against),
            found=compared(
                self.before.fits, _records(summary, folder), self._gone(self.before, summary, folder), self.tolerance
            ),
            names={outcome.name: names[outcome.name] for outcome in summary.ordered if _comparable(outcome)},
            left_out=tuple(names[outcome.name] for outcome in summary.ordered if not _comparable(outcome)),
        )

    def write(self, summary: BatchSummary) -> BaselineUpdate | None:
        """Write the baseline anew with every fit that passed; None where none is to be written, or the batch was stopped.

        Raises:
            FileSystemFault: the disk refuses; the old file is whole.
        """
        if self.update is None or summary.signal:
            return None
        folder = self.update.parent
        good = _records(summary, folder, passed=True)
        removed = self._gone(self.old, summary, folder)
        failed = [_name(outcome.entry, folder) for outcome in summary.ordered if not outcome.passed]
        updated(self.old, good, removed, self.tolerance).write(self.update)
        return BaselineUpdate(
            path=self.update,
            written=tuple(good),
            kept=tuple(name for name in failed if name in self.old.fits),
            missing=tuple(name for name in failed if name not in self.old.fits),
            removed=removed,
        )

    def _gone(self, baseline: Baseline, summary: BatchSummary, folder: Path) -> tuple[str, ...]:
        """Return what the baseline has, the batch means to run, and does not have."""
        if self.filtered:
            return ()
        there = {_name(entry, folder) for entry in summary.planned}
        # a config that cannot be read does not tell its matrix: none of its fits is gone
        broken = {name_in(folder, outcome.path) for outcome in summary.outcomes if not _comparable(outcome)}
        return tuple(
            name
            for name in baseline.fits
            if name not in there and config_of(name) not in broken and covers(folder, self.asked, name)
        )


def _comparable(outcome: BatchOutcome) -> bool:
    return outcome.exit_code in _COMPARABLE


def _records(summary: BatchSummary, folder: Path, *, passed: bool = False) -> Mapping[str, FitRecord]:
    """Return the records of the fits that can be compared, or of those that passed, by their names in a baseline."""
    return {
        _name(outcome.entry, folder): record_of(outcome.document)
        for outcome in summary.ordered
        if (outcome.passed if passed else _comparable(outcome))
    }


def _name(entry: BatchEntry, folder: Path) -> str:
    return name_in(folder, entry.path, entry.label)
