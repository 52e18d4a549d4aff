"""What became of one fit of a batch: a value that every report of a batch is a function of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from fitkit.batch.entry import BatchEntry
from fitkit.errors import ExitCode


@final
@dataclass(frozen=True, kw_only=True)
class BatchOutcome:
    """A fit and its result as `train --json` prints it, plain values that travel between processes and machines."""

    entry: BatchEntry
    document: dict[str, Any]
    """`fitkit.result/1`."""
    seconds: float
    """From the first look at the config to the end, saving included."""
    key: str | None = None
    """The hash of everything that the result depends on; None where there is none, as for a config that is wrong."""
    resumed: bool = False
    """Whether this is the result of an earlier batch that still holds."""

    @property
    def name(self) -> str:
        """The name of the fit."""
        return self.entry.name

    @property
    def path(self) -> str:
        """The config's path."""
        return self.entry.path

    @property
    def exit_code(self) -> int:
        """What `train` would have returned."""
        return int(self.document["exit_code"])

    @property
    def passed(self) -> bool:
        """Whether the fit is as it should be."""
        return self.exit_code == 0

    @property
    def status(self) -> str:
        """How it ended, as the result spells it: `not_converged`."""
        return str(self.document["status"])

    @property
    def reason(self) -> str:
        """Why it ended: `max_steps`."""
        return str(self.document["reason"])

    @property
    def message(self) -> str:
        """One sentence."""
        return str(self.document["message"])

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The mistakes that kept it from being made: code, message, file, line, column, help."""
        return list(self.document["errors"])

    @property
    def expectations(self) -> list[dict[str, Any]]:
        """What the config expects of the fit: what, expected, found, passed."""
        return list(self.document["expectations"])

    @property
    def only_unexpected(self) -> bool:
        """Whether nothing is wrong but what the config expects."""
        return self.exit_code == ExitCode.CHECK_FAILED

    @property
    def speaks_for_itself(self) -> bool:
        """Whether the message says more than the errors do: of a fit that was made, and ended badly."""
        return not self.errors or not (self.status == "failed" or self.only_unexpected)

    @property
    def line(self) -> dict[str, Any]:
        """The document as a line of `--json` and `--results` has it."""
        return {**self.document, "compilations": self.compilations, "resumed": self.resumed}

    @property
    def compilations(self) -> int:
        """How many programs were compiled for it."""
        return 0 if self.resumed else int(self.document["compilations"] or 0)
