"""What became of a whole batch: its outcomes, what was not run, and the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

from fitkit.batch.baseline_verdict import BaselineVerdict
from fitkit.batch.entry import BatchEntry
from fitkit.batch.outcome import BatchOutcome
from fitkit.errors import ExitCode


@final
@dataclass(kw_only=True)
class BatchSummary:
    """Filled while the batch runs, so that it tells the truth whenever it is asked."""

    planned: tuple[BatchEntry, ...] = ()
    passed_over: tuple[str, ...] = ()
    """Configs for check-grad alone."""
    outcomes: list[BatchOutcome] = field(default_factory=list)
    """In the order in which the fits ended."""
    signal: int = 0
    """That stopped the batch; 0 if none did."""
    seconds: float = 0.0
    baseline: BaselineVerdict | None = None
    """What a baseline says of the outcomes, once there are all."""

    @property
    def ordered(self) -> list[BatchOutcome]:
        """The outcomes in the order of the plan."""
        place = {entry.name: number for number, entry in enumerate(self.planned)}
        return sorted(self.outcomes, key=lambda outcome: place[outcome.name])

    @property
    def not_run(self) -> list[BatchEntry]:
        """The fits that a signal or `--fail-fast` left out."""
        done = {outcome.name for outcome in self.outcomes}
        return [entry for entry in self.planned if entry.name not in done]

    @property
    def failed(self) -> list[BatchOutcome]:
        """The outcomes that are not as they should be, in the order of the plan."""
        return [outcome for outcome in self.ordered if not outcome.passed]

    def exit_code(self, more: Iterable[int] = ()) -> int:
        """Return what the process returns.

        Args:
            more: codes of what else went wrong, such as a report that could not be written.
        """
        if self.signal:
            return 128 + self.signal
        drifted = self.baseline is not None and not self.baseline.found.passed
        checks = (int(ExitCode.CHECK_FAILED),) if drifted else ()
        return batch_exit_code((*(outcome.exit_code for outcome in self.outcomes), *checks, *more))


def batch_exit_code(codes: Iterable[int]) -> int:
    """Return 0 where nothing failed, the one code of failures for one reason, and 10 for several reasons."""
    failures = {code for code in codes if code != 0}
    return failures.pop() if len(failures) == 1 else int(ExitCode.SEVERAL if failures else ExitCode.SUCCESS)
