"""Memory: what is known to be too much is refused, and what turns out to be is told."""

from __future__ import annotations

from fitkit.errors import Diagnostic, EnvironmentFault
from fitkit.optimizers import Optimizer
from fitkit.optimizers.affordable import triangle_bytes
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.problem import Problem


def enough_memory(optimizer: Optimizer, problem: Problem) -> None:
    """Refuse what the optimizer would have to hold at once where this machine has less.

    Raises:
        EnvironmentFault: with the numbers. The system would end the process without a word.
    """
    needed, there = triangle_bytes(problem), memory_left()
    if isinstance(optimizer, LevenbergMarquardt) and problem.least_squares and there is not None and needed > there:
        free = problem.layout.size
        message = (
            f"`lm` brings the Jacobian of {free:,} parameters to a triangle, which takes {_told(needed)} of memory"
        )
        message += f", and {_told(there)} are left"
        raise EnvironmentFault(
            Diagnostic(code="E702", message=message, help="take `optimizer: lbfgs`, or leave the choice to fitkit")
        )


def memory_left() -> int | None:
    """Return the bytes that processes can still have; None where the system does not tell."""
    from pathlib import Path

    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in told if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _told(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"


def out_of_memory(error: Exception) -> Exception:
    """Return what to raise for an error of the device or of memory: memory is the environment's, anything else is a bug."""
    if isinstance(error, MemoryError):
        message, way_out = "there is not enough memory", "use fewer rows or columns, or `optimizer: lbfgs`"
    elif "RESOURCE_EXHAUSTED" in str(error):
        message, way_out = "the device ran out of memory", "use fewer rows, `precision: float32`, or `device: cpu`"
    else:
        return error
    return EnvironmentFault(Diagnostic(code="E702", message=message, help=way_out))
