"""The table of certified answers, a line for each run as it is done, and the verdict under it; 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fitkit.certification.certify import CertifiedRun
from fitkit.certification.reference import ReferenceProblem

HEADER: Final = (
    "                                       right digits, worst of\n"
    "problem   difficulty  start  status         value  error  said  steps  seconds"
)


def line(run: CertifiedRun) -> str:
    """Return the line of a run."""
    start = "-" if run.start is None else str(run.start)
    return (
        f"{run.problem.name:9} {run.problem.difficulty:10}  {start:>5}  {run.status.value:13} {run.digits:6.1f} "
        f"{_number(run.error_digits):>6} {_number(run.estimated):>5} {run.steps:6d} {run.seconds:8.2f}"
    )


def _number(digits: float | None) -> str:
    return "-" if digits is None else f"{digits:.1f}"


def summary(runs: Sequence[CertifiedRun]) -> str:
    """Return how many runs have the digits asked for, and what those lack that have not."""
    short = [run for run in runs if run.short]
    seconds = sum(run.seconds for run in runs)
    lines = [f"{len(runs) - len(short)} of {len(runs)} runs have the digits asked for, in {seconds:.1f} s."]
    for kind in ("nonlinear", "linear"):
        of_kind = [run for run in runs if run.problem.kind == kind]
        if of_kind:
            worst = min(of_kind, key=lambda run: run.digits)
            lines.append(f"{kind}: at least {worst.digits:.1f} right digits in every parameter ({worst.problem.name})")
    if short:
        lines.append("short of what was asked:")
    for run in short:
        start = "" if run.start is None else f" from start {run.start}"
        lines += [f"  {run.problem.name}{start}:", *(f"    {what}" for what in run.short)]
    return "\n".join(lines)


def footnote(problems: Sequence[ReferenceProblem]) -> str:
    """Return what the digits are counted against, and what the columns are."""
    limited = sorted({problem.name for problem in problems if problem.certified_to < 16})
    lines = [
        "value: against optima computed in 60 digits (linear: in exact arithmetic);",
        "error: standard deviations, certified to 11 digits (linear: to 17);",
        "said: what the fit itself claims for its worst parameter, knowing no truth.",
    ]
    if limited:
        lines.append("certified to 11 digits only: " + ", ".join(limited))
    return "\n".join(lines)
