"""What became of the gradient check of one config: a value that the reports of `check-grad` are functions of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.errors import Diagnostic, ExitCode
from fitkit.gradient_check import GradientReport


@final
@dataclass(frozen=True, kw_only=True)
class GradientOutcome:
    """One config's check, or the mistakes that kept it from being made."""

    path: str
    name: str | None
    report: GradientReport
    message: str
    """One sentence."""
    seed: int = 0
    inconclusive_fails: bool = False
    """Whether the command line says `--inconclusive fail`."""
    errors: tuple[Diagnostic, ...] = ()
    error_code: int | None = None
    """The exit code of the mistakes; None where the check was made."""
    reason: str | None = None
    """One word for the mistakes, as `train` has it."""
    seconds: float = 0.0

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]:
        """The verdict; what could not be checked has failed."""
        return "fail" if self.error_code is not None else self.report.verdict

    @property
    def exit_code(self) -> int:
        """What the process returns for this config."""
        if self.error_code is not None:
            return self.error_code
        failed = self.verdict == "fail" or (self.verdict == "inconclusive" and self.inconclusive_fails)
        return int(ExitCode.CHECK_FAILED if failed else ExitCode.SUCCESS)
