"""One reference problem fitted and compared: how many digits are right, and whether they are enough."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from fitkit.certification.reference import ReferenceProblem
from fitkit.result import Result, Status

MOST_DIGITS: Final = 16.0
"""What a double holds; also said of a number that is exactly right."""
_PARAMETERS: Final = {"nonlinear": 10.0, "linear": 9.0}
_PARAMETERS_OF: Final = {"Filip": 7.0}
"""Filip's powers are collinear to ten digits: arithmetic in doubles alone, without refinement, leaves it seven."""
_ERRORS: Final = 9.0
_ERRORS_OF: Final = {"Lanczos1": 1.5}
"""Lanczos1's residuals are the rounding of its data: in double precision their scatter has two or three digits."""


@final
@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How many digits are asked of a problem."""

    parameters: float
    errors: float | None
    """Of the standard deviations; None where none is asked."""

    @classmethod
    def of(cls, problem: ReferenceProblem, digits: float | None) -> Bounds:
        """Return the bounds of a problem; `digits`, where given, is asked of the parameters instead of the default.

        Nonlinear: 10 digits of the parameters and 9 of the standard deviations, of Lanczos1's 1.5. Linear: 9 digits of the
        parameters, of Filip's 7. No standard deviation is asked to have more digits than the parameters.
        """
        parameters = _PARAMETERS_OF.get(problem.name, _PARAMETERS[problem.kind]) if digits is None else digits
        errors = min(_ERRORS_OF.get(problem.name, _ERRORS), parameters) if problem.kind == "nonlinear" else None
        return cls(parameters=parameters, errors=errors)


@final
@dataclass(frozen=True, kw_only=True)
class CertifiedRun:
    """A fit of a reference problem beside the truth."""

    problem: ReferenceProblem
    start: int | None
    bounds: Bounds
    status: Status
    reason: str
    digits: float
    """Right digits of the worst parameter."""
    error_digits: float | None
    """Right digits of the worst standard deviation; None where there is none, or the certified ones are zero."""
    estimated: float | None
    """What the fit itself said of its worst parameter."""
    steps: int
    seconds: float
    """The whole fit, with reading and compiling."""

    @property
    def short(self) -> tuple[str, ...]:
        """What falls short, in words; empty if nothing does."""
        found = []
        if self.status is not Status.CONVERGED:
            found.append(f"{self.status.value.replace('_', ' ')} ({self.reason.replace('_', ' ')})")
        if self.digits < self.bounds.parameters:
            found.append(f"{self.digits:.1f} digits of the worst parameter, {self.bounds.parameters:g} asked")
        if self.bounds.errors is not None and (self.error_digits or 0.0) < self.bounds.errors:
            has = "no standard deviations" if self.error_digits is None else (
                f"{self.error_digits:.1f} digits of the worst standard deviation"
            )  # fmt: skip
            found.append(f"{has}, {self.bounds.errors:g} asked")
        return tuple(found)


def planned(problem: ReferenceProblem, starts: Sequence[int]) -> list[int | None]:
    """Return the starts to run a problem from: those asked for, or None once for a problem without any."""
    return list(starts) if problem.starts else [None]


def certify(
    problems: Sequence[ReferenceProblem], starts: Sequence[int], optimizer: str, digits: float | None
) -> Iterator[CertifiedRun]:
    """Fit each problem from each start with default settings, and yield each run as it is done.

    Args:
        problems: which.
        starts: 1, 2 or both.
        optimizer: `auto`, `lm` or `lbfgs`.
        digits: asked of the parameters instead of the default.

    Raises:
        FitkitError: a fit is impossible on this machine.
    """
    for problem in problems:
        for start in planned(problem, starts):
            yield _run(problem, start, optimizer, Bounds.of(problem, digits))


def _run(problem: ReferenceProblem, start: int | None, optimizer: str, bounds: Bounds) -> CertifiedRun:
    from fitkit.config import load
    from fitkit.run.train import TrainOptions, train

    began = time.perf_counter()
    source = load("-", (), io.StringIO(json.dumps(problem.config(start, optimizer))))
    result, _ = train(source, TrainOptions(keep=False), began)
    fitted = list(result.parameters.values())
    found = [parameter.digits for parameter in fitted]
    known = [digit for digit in found if digit is not None]
    return CertifiedRun(
        problem=problem,
        start=start,
        bounds=bounds,
        status=result.status,
        reason=result.reason,
        digits=right_digits([parameter.value for parameter in fitted], problem.values),
        error_digits=_error_digits(result, problem),
        estimated=min(known) if len(known) == len(found) else None,
        steps=result.steps or 0,
        seconds=time.perf_counter() - began,
    )


def _error_digits(result: Result, problem: ReferenceProblem) -> float | None:
    errors = [parameter.error for parameter in result.parameters.values()]
    if any(error is None for error in errors) or not any(problem.errors):
        return None
    return right_digits([error for error in errors if error is not None], problem.errors)


def right_digits(found: Sequence[float], truth: Sequence[float]) -> float:
    """Return -log10 of the largest relative error, from 0 to 16; 0 if a number is not finite."""
    worst = 0.0
    for value, true in zip(found, truth, strict=True):
        if not math.isfinite(value):
            return 0.0
        worst = max(worst, abs(value - true) / (abs(true) or 1.0))
    return min(MOST_DIGITS, max(0.0, -math.log10(worst))) if worst > 0 else MOST_DIGITS
